"""The stages that every call passes, in one visible order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from farthing.errors import CallerError, FarthingError
from farthing.gateway.identify import check_model
from farthing.gateway.inbound import Inbound, Outcome, Proceed, Stage
from farthing.gateway.refusal import refusal
from farthing.ledger import CallStatus

__all__ = ["admit", "settle", "stages"]

_OK: Final = CallStatus.OK  # to find a member of an enum takes time


async def settle(inbound: Inbound, proceed: Proceed) -> Outcome:
    """Settle the call exactly once, however it ends; a stream settles itself when it closes."""
    settlement = inbound.settlement
    try:
        outcome = await proceed(inbound)
    except asyncio.CancelledError:
        settlement.close(CallStatus.CANCELLED, "the client went away")
        raise
    except CallerError as error:
        settlement.close(CallStatus.REFUSED, str(error))
        return refusal(inbound.codec, error)
    except FarthingError as error:
        settlement.close(CallStatus.ERROR, str(error))
        return refusal(inbound.codec, error)
    except BaseException as error:  # edge: whatever broke, the call is in the ledger first
        settlement.close(CallStatus.ERROR, f"{type(error).__name__} in Farthing")
        raise
    if isinstance(outcome.body, bytes):
        settlement.close(_OK if outcome.is_good else CallStatus.ERROR)
    return outcome


def admit(inbound: Inbound, proceed: Proceed) -> Awaitable[Outcome]:
    """Let only the models through that the caller's key allows."""
    check_model(inbound.caller.key, inbound.call.model)
    return proceed(inbound)


def stages(*others: Stage | None) -> tuple[Stage, ...]:
    """The order in which a call passes them; what reaches the providers (`Attempts`) comes after.

    `others` are rate limits, the watch for runaway sessions, the exact cache, coalescing; None:
    not configured. Budgets are asked later, before each try, for only then is it known what it may
    cost: what a cache serves holds no money.
    """
    return tuple(stage for stage in (settle, admit, *others) if stage is not None)
