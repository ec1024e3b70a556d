"""The budgets that apply: those of farthing.toml, and those set while the gateway runs.

What is set by `farthing budget set` or over HTTP is kept in `budgets.json` of the data folder.
Every process reads that file again when it changes. A budget of farthing.toml can't be changed
there: a file that people review must not be overruled by one that they don't see.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from farthing.budgets.settings import BudgetSettings
from farthing.errors import CallerError, ConfigError

__all__ = ["BudgetFixed", "BudgetShelf", "UnknownBudget"]

_ABSENT: Final = (0, 0, 0)


class UnknownBudget(CallerError):
    """No budget of that name."""

    code = "unknown_budget"
    status = 404


class BudgetFixed(CallerError):
    """The budget stands in farthing.toml."""

    code = "budget_fixed"
    status = 409


class _File(msgspec.Struct, frozen=True, kw_only=True):
    budgets: tuple[BudgetSettings, ...] = ()


class BudgetShelf:
    """The budgets of one data folder; `refresh` looks for changes, nothing else reads the disk."""

    def __init__(self, directory: Path, fixed: Sequence[BudgetSettings] = ()) -> None:
        """`fixed` are those of farthing.toml.

        Raises:
            ConfigError: what was set can't be read.
        """
        self._path = directory / "budgets.json"
        self._fixed = {budget.name: budget for budget in fixed}
        self._set: dict[str, BudgetSettings] = {}
        self._stamp = _ABSENT
        self.refresh()

    @property
    def budgets(self) -> list[BudgetSettings]:
        """All budgets, those of farthing.toml first."""
        return [*self._fixed.values(), *self._set.values()]

    def is_fixed(self, name: str) -> bool:
        """Whether the budget stands in farthing.toml."""
        return name in self._fixed

    def find(self, name: str) -> BudgetSettings:
        """The budget of that name.

        Raises:
            UnknownBudget: there is none.
        """
        found = self._fixed.get(name) or self._set.get(name)
        if found is None:
            known = ", ".join(budget.name for budget in self.budgets) or "none"
            raise UnknownBudget(f"There is no budget {name!r}. Known are: {known}.")
        return found

    def refresh(self) -> bool:
        """Read the file again if it changed; whether it did.

        Raises:
            ConfigError: it can't be read as budgets; those known before stay in force.
        """
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        except (FileNotFoundError, NotADirectoryError):
            stamp = _ABSENT
        if stamp == self._stamp:
            return False
        self._set = {b.name: b for b in self._read().budgets if b.name not in self._fixed}
        self._stamp = stamp
        return True

    def changed(self) -> list[BudgetSettings] | None:
        """All budgets if they changed since the last look, else None.

        Raises:
            ConfigError: see `refresh`.
        """
        return self.budgets if self.refresh() else None

    def put(self, budget: BudgetSettings) -> bool:
        """Set a budget, new or in place of the one of its name; whether it is new.

        Raises:
            BudgetFixed: it stands in farthing.toml; nothing was changed.
        """
        self._demand_free(budget.name)
        with self._locked() as stored:
            others = tuple(one for one in stored if one.name != budget.name)
            self._write((*others, budget))
        self.refresh()
        return len(others) == len(stored)

    def remove(self, name: str) -> BudgetSettings:
        """Remove a budget that was set; what it had counted stays in the ledger.

        Raises:
            BudgetFixed: it stands in farthing.toml; nothing was changed.
            UnknownBudget: there is none of that name.
        """
        self._demand_free(name)
        with self._locked() as stored:
            gone = next((one for one in stored if one.name == name), None)
            if gone is not None:
                self._write(tuple(one for one in stored if one.name != name))
        self.refresh()
        return gone or self.find(name)  # which raises

    def _demand_free(self, name: str) -> None:
        if name in self._fixed:
            raise BudgetFixed(
                f"The budget {name!r} stands in farthing.toml. Nothing was changed. Change it "
                "there and start the gateway again, or set one of another name."
            )

    def _read(self) -> _File:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except (msgspec.DecodeError, OSError) as error:
            raise ConfigError(
                f"{self._path} can't be read as budgets: {error}. Those known before stay in "
                "force. Restore the file from a backup, or remove it and set the budgets again."
            ) from error

    def _write(self, budgets: tuple[BudgetSettings, ...]) -> None:
        """Replace the file in one step, readable by its owner only."""
        temporary = self._path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            document = msgspec.json.encode(_File(budgets=budgets))
            file.write(msgspec.json.format(document, indent=1))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    @contextmanager
    def _locked(self) -> Generator[tuple[BudgetSettings, ...]]:
        """The stored budgets, while no other process may change them."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with (self._path.parent / "budgets.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._read().budgets
