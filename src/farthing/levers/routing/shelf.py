"""The policy files of a pool, read again when they change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from farthing.errors import CallerError
from farthing.levers.routing.policy import Policy, policy_mark, read_policy

__all__ = ["Filed", "Shelf"]

_Stat = tuple[int, int, int]


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A policy file: its policy, or why it can't be used."""

    path: str
    policy: Policy | None = None
    mark: str = ""
    fault: str = ""


class Shelf:
    """Where a pool's policies stand: files by name, or all of a folder."""

    def __init__(self, files: Sequence[str], folder: Path, secret: bytes) -> None:
        self._files = [Path(name) for name in files]
        self._folder = folder
        self._secret = secret
        self._stats: dict[Path, _Stat] | None = None
        self.filed: tuple[Filed, ...] = ()

    def refresh(self) -> bool:
        """Look for changes; whether there were any. Touches the disk."""
        paths = self._files or sorted(self._folder.glob("*.json"))
        stats = {path: stat for path in paths if (stat := _stat(path)) is not None}
        missing = [path for path in self._files if path not in stats]
        if stats == self._stats:
            return False
        self._stats = stats
        found = [self._read(path) for path in paths if path in stats]
        found += [Filed(path=str(path), fault=f"{path} is not there") for path in missing]
        self.filed = tuple(found)
        return True

    def _read(self, path: Path) -> Filed:
        try:
            policy = read_policy(path, self._secret)
        except CallerError as error:
            return Filed(path=str(path), fault=str(error).partition("\n")[0])
        return Filed(path=str(path), policy=policy, mark=policy_mark(policy))


def _stat(path: Path) -> _Stat | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
