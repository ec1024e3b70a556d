"""`/api/budgets`: see, set and remove budgets over HTTP.

Who may: where virtual keys exist, a caller with one that may administer. Where none exist, this
machine's own user, which is a caller on loopback or a unix socket whose Host is this machine too
(a name of somebody else's that leads here is a browser led astray) and that no proxy forwarded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from farthing.budgets import BudgetSettings, BudgetShelf, SqliteBudgets, UnknownBudget
from farthing.budgets.alert_settings import AlertSettings, check_targets
from farthing.budgets.standing import Standing
from farthing.budgets.standings import AccountStandings
from farthing.clock import Clock
from farthing.config import Config, fault_in_words
from farthing.errors import CallerError, ConfigError
from farthing.gateway.identify import identify
from farthing.gateway.keyring import KeyRing
from farthing.gateway.locality import is_local, is_local_name
from farthing.wire import Reply, Request

__all__ = ["BudgetPages", "NotAdministrator"]

_JSON: Final = (b"content-type", b"application/json")
_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")
_USUAL: Final = {"scope": "all", "window": "month"}


class NotAdministrator(CallerError):
    """The caller may not see or change what is over all tenants."""

    code = "not_administrator"
    status = 403


class BadBudget(CallerError):
    """What was sent is no budget."""

    code = "bad_budget"
    status = 400


class BudgetPages:
    """The pages of budgets."""

    def __init__(self, config: Config, ring: KeyRing, clock: Clock) -> None:
        self._directory = Path(config.ledger.data_dir)
        self._busy_ms = config.ledger.busy_timeout_ms
        self._fixed = config.budget
        self._targets: Sequence[AlertSettings] = config.alert
        self._ring = ring
        self._clock = clock

    async def get(self, request: Request) -> Reply:
        """All budgets, or one, each with its accounts that count now."""
        self._demand_administrator(request)
        return await asyncio.to_thread(self._seen, _name(request))

    async def put(self, request: Request) -> Reply:
        """Set a budget: 201 where it is new, 200 where it was there."""
        self._demand_administrator(request)
        budget = self._read(request)
        return await asyncio.to_thread(self._put, budget)

    async def delete(self, request: Request) -> Reply:
        """Remove a budget."""
        self._demand_administrator(request)
        return await asyncio.to_thread(self._removed, _name(request))

    def _seen(self, name: str) -> Reply:
        shelf = BudgetShelf(self._directory, self._fixed)
        wanted = [shelf.find(name)] if name else shelf.budgets
        accounts: dict[str, list[Standing]] = {budget.name: [] for budget in wanted}
        store = SqliteBudgets(self._directory, busy_timeout_ms=self._busy_ms)
        try:
            for standing in AccountStandings(store, wanted).open(self._clock.now_us()):
                if standing.budget in accounts:
                    accounts[standing.budget].append(standing)
        finally:
            store.close()
        told = [_told(shelf, budget, accounts[budget.name]) for budget in wanted]
        return _reply(200, told[0] if name else {"budgets": told})

    def _put(self, budget: BudgetSettings) -> Reply:
        shelf = BudgetShelf(self._directory, self._fixed)
        is_new = shelf.put(budget)
        return _reply(201 if is_new else 200, _told(shelf, budget, ()))

    def _removed(self, name: str) -> Reply:
        if not name:
            raise UnknownBudget(
                "Name the budget to remove: /api/budgets/NAME. Nothing was changed."
            )
        gone = BudgetShelf(self._directory, self._fixed).remove(name)
        return _reply(200, {"removed": msgspec.structs.asdict(gone)})

    def _read(self, request: Request) -> BudgetSettings:
        """The budget in the request's body.

        Raises:
            BadBudget: it is none.
        """
        kind = request.named.get(b"content-type", b"").partition(b";")[0].strip()
        if kind != b"application/json":
            raise BadBudget("A budget is sent as application/json. Nothing was changed.")
        try:
            document = msgspec.json.decode(request.body, type=dict[str, Any])
            named = document | {"name": _name(request)}
            budget = msgspec.convert(_USUAL | named, BudgetSettings)
            check_targets(self._targets, [(budget.name, budget.notify)])
        except (msgspec.DecodeError, ConfigError) as error:
            is_setting = isinstance(error, msgspec.ValidationError)
            told = fault_in_words(error) if is_setting else error
            raise BadBudget(f"{told}. Nothing was changed.") from error
        return budget

    def _demand_administrator(self, request: Request) -> None:
        """Raises NotAdministrator: the caller is none. BadKey: it has no key at all."""
        if not self._ring.is_door_open:
            key = identify(request.named, self._ring).key
            if key is None or not key.may_administer:
                raise NotAdministrator(
                    "This key may not see or change budgets. Nothing was changed. Make one that "
                    "may with `farthing keys create --admin`, or use `farthing budget` on the "
                    "gateway's machine."
                )
            return
        is_forwarded = any(name in request.named for name in _FORWARDED)
        is_here = is_local(request.peer) and is_local_name(request.named.get(b"host", b""))
        if is_forwarded or not is_here:
            raise NotAdministrator(
                "Without keys, budgets are seen and changed from the gateway's own machine only, "
                "and not through a proxy. Nothing was changed. Make a key that may with `farthing "
                "keys create --admin`, or use `farthing budget` there."
            )


def _name(request: Request) -> str:
    """What follows /api/budgets/ in the path; empty: nothing."""
    return unquote(request.path.removeprefix("/api/budgets").strip("/"))


def _told(
    shelf: BudgetShelf, budget: BudgetSettings, accounts: Sequence[Standing]
) -> Mapping[str, Any]:
    return msgspec.structs.asdict(budget) | {
        "source": "farthing.toml" if shelf.is_fixed(budget.name) else "set",
        "accounts": [_account(standing) for standing in accounts],
    }


def _account(standing: Standing) -> Mapping[str, Any]:
    left = standing.limit - standing.spent - standing.reserved
    return {
        "key": standing.key,
        "window": standing.window,
        "limit_usd": str(standing.limit),
        "spent_usd": str(standing.spent),
        "reserved_usd": str(standing.reserved),
        "free_usd": str(left),
        "passed_calls": standing.passed_calls,
        "passed_usd": str(standing.passed),
    }


def _reply(status: int, document: object) -> Reply:
    return Reply(status=status, headers=[_JSON], body=msgspec.json.encode(document))
