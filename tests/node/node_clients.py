"""Runs the Node SDK clients against a base URL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def require_node():
    """Skip where Node or its packages are absent; in CI they must be there."""
    missing = ""
    if shutil.which("node") is None:
        missing = "node is not installed"
    elif not (HERE / "node_modules").is_dir():
        missing = "run `npm ci` in tests/node"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"{missing}; CI needs the Node clients")
    if missing:
        pytest.skip(missing)


def run_node_clients(base_url, *keys):
    """Every Node scenario's result by name."""
    return run_script("clients.mjs", base_url, *keys)


def run_script(name, *arguments):
    """The JSON that a script here prints."""
    done = subprocess.run(
        ["node", name, *arguments],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
