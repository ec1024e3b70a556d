"""The docs say what is true today: generated pages are fresh, and links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def _name(path):
    return str(path.relative_to(ROOT))


def test_the_generated_pages_are_what_the_code_says():
    checked = subprocess.run(
        [sys.executable, "tools/write_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_within_the_project_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=_name)
def test_every_decision_names_code_that_exists(page):
    (line,) = (line for line in page.read_text().splitlines() if "Code: " in line)
    paths = line.partition("Code: ")[2].rstrip(".").split(", ")
    assert [path for path in paths if not (ROOT / path).exists()] == []
