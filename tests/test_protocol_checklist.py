"""Pages that say which test shows what name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROW = re.compile(r"^\| (?P<claim>[^|]+) \| (?P<tests>[^|]*)\| (?P<state>[^|]+) \|$", re.MULTILINE)
STATES = ("holds", "differs: ")
PAGES = {
    "protocols.md": 60,
    "pricing.md": 30,
    "cache-failures.md": 30,
}  # the least number of tests that each names


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page):
    named = NAMED.findall((ROOT / "docs" / page).read_text())
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / "tests" / path).exists()
        or f"def {name}(" not in (ROOT / "tests" / path).read_text()
    ]
    assert missing == []
    assert len(named) >= PAGES[page]


@pytest.mark.parametrize("page", PAGES)
def test_what_holds_is_shown_and_what_differs_says_how(page):
    text = (ROOT / "docs" / page).read_text()
    rows = [row for row in ROW.finditer(text) if row["state"].startswith(("holds", "differs"))]
    assert [row["claim"] for row in rows if not row["state"].startswith(STATES)] == []
    unshown = [r["claim"] for r in rows if r["state"] == "holds" and not NAMED.search(r["tests"])]
    assert unshown == []
    named = sum(len(NAMED.findall(row["tests"])) for row in rows)
    assert named == len(NAMED.findall(text))
