"""The settings of a budget: what it counts, how much, for which time, and what the limit does."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from farthing.budgets.scope import Scope
from farthing.budgets.window import Window
from farthing.errors import ConfigError
from farthing.money import Money

__all__ = ["AtLimit", "BudgetSettings", "Mode"]

AtLimit = Literal["block", "downgrade", "throttle", "notify"]
Mode = Literal["on", "shadow", "off"]


class BudgetSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A budget; a call must pass every budget whose scope it falls in."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="Name in reports and refusals; its accounts are kept under it.",
        ),
    ]
    scope: Annotated[
        str,
        Meta(
            description="What it counts, for example `feature=support tenant=* model=gpt-*`; a lone"
            " `*` gives each value an account of its own; `all` counts every call."
        ),
    ]
    amount_usd: Annotated[
        str,
        Meta(pattern=r"^\d{1,9}(\.\d{1,9})?$", description="USD a window, as a decimal text."),
    ]
    window: Annotated[
        str,
        Meta(
            description="`hour`, `day`, `week`, `month`, `quarter`, `year`, `lifetime`, or a rolling"
            " length like `24h` or `30d`."
        ),
    ]
    timezone: Annotated[str, Meta(description="IANA time zone of a calendar window.")] = "UTC"
    thresholds: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=1000)], ...],
        Meta(description="Percentages of the amount at which an alert goes out, once a window."),
    ] = (50, 80, 100)
    at_limit: Annotated[
        AtLimit,
        Meta(
            description="What happens to a call that would exceed it: `block` it, `downgrade` it to"
            " a cheaper model, `throttle` it, or let it pass and `notify`."
        ),
    ] = "block"
    downgrade_to: Annotated[
        str, Meta(description='The model that `at_limit = "downgrade"` sends calls to.')
    ] = ""
    mode: Annotated[
        Mode,
        Meta(description="`shadow` decides and records what would have been refused; `off` rests."),
    ] = "on"
    notify: Annotated[
        tuple[str, ...], Meta(description="Names of the alert targets that hear of it.")
    ] = ()

    def __post_init__(self) -> None:
        try:
            Scope.parse(self.scope)
            Window.parse(self.window, self.timezone)
        except ConfigError as error:
            raise ValueError(f"budget {self.name!r}: {error}") from error
        if (self.at_limit == "downgrade") != bool(self.downgrade_to):
            raise ValueError(
                f'budget {self.name!r}: at_limit = "downgrade" and downgrade_to go together'
            )
        if len(set(self.thresholds)) < len(self.thresholds):
            raise ValueError(f"budget {self.name!r}: a threshold stands twice")

    @property
    def limit(self) -> Money:
        """The amount."""
        return Money.usd(self.amount_usd)

    @property
    def is_enforced(self) -> bool:
        """Whether it holds calls back: on, and more than a notice at the limit."""
        return self.mode == "on" and self.at_limit != "notify"
