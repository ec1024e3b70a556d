"""Where the programs that Farthing is compared with are, and how they are put there.

Nothing is installed into the system or into the project's environment: LiteLLM gets a virtual
environment of its own, nginx and wrk (on Debian) are unpacked from their packages, all in .bench/.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "LITELLM_VERSION",
    "install_peers",
    "litellm_python",
    "program_environment",
    "program_path",
]

# The newest whose [proxy] extra resolved on 2026-11-24: 1.109.1 pins litellm-proxy-extras==0.4.113,
# which the package index did not serve.
LITELLM_VERSION = "1.106.2"

_CACHE = Path(__file__).parent.parent / ".bench"
_LITELLM = _CACHE / "litellm-venv" / "bin" / "python"
_SYSTEM = _CACHE / "system"
_PACKAGES = {
    "nginx": ["nginx"],
    "wrk": ["wrk", "libluajit-5.1-2", "libluajit-5.1-common"],
}
_PLACES = ("usr/sbin", "usr/bin")


def litellm_python() -> Path | None:
    """LiteLLM's own Python, where it is installed."""
    return _LITELLM if (_LITELLM.parent / "litellm").exists() else None


def program_path(name: str) -> str | None:
    """A program of the system, else one that was unpacked here."""
    unpacked = (_SYSTEM / place / name for place in _PLACES)
    return shutil.which(name) or next((str(path) for path in unpacked if path.exists()), None)


def program_environment() -> Mapping[str, str]:
    """What an unpacked program needs in its environment to find its libraries."""
    folders = sorted({str(path.parent) for path in _SYSTEM.glob("usr/lib/**/*.so.*")})
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


def install_peers() -> None:
    """Fetch what is missing: LiteLLM from the package index, nginx and wrk from Debian.

    Raises:
        subprocess.CalledProcessError: a download or an installation failed; what was there stays.
    """
    _CACHE.mkdir(exist_ok=True)
    if not litellm_python():
        _say(f"installing LiteLLM {LITELLM_VERSION} into {_LITELLM.parent.parent} (about 550 MB)")
        subprocess.run([sys.executable, "-m", "venv", str(_LITELLM.parent.parent)], check=True)
        wanted = f"litellm[proxy]=={LITELLM_VERSION}"
        subprocess.run([str(_LITELLM), "-m", "pip", "install", "--quiet", wanted], check=True)
    for name, packages in _PACKAGES.items():
        if program_path(name):
            continue
        if not shutil.which("apt-get"):
            _say(f"{name}: no apt-get here; install it by your system's means")
            continue
        _say(f"unpacking {name} into {_SYSTEM}")
        _unpack(packages)
    _say("done")


def _unpack(packages: list[str]) -> None:
    downloads = _CACHE / "packages"
    downloads.mkdir(exist_ok=True)
    subprocess.run(
        ["apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", *packages],
        cwd=downloads,
        check=True,
    )
    for package in packages:
        for archive in downloads.glob(f"{package}_*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(_SYSTEM)], check=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
