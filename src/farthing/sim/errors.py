"""What can be wrong with how the simulator is set up or asked to fail."""

from __future__ import annotations

from farthing.errors import CallerError, ConfigError

__all__ = ["BadRules", "BadSteering"]


class BadRules(ConfigError):
    """A rules, outcomes or samples file cannot be used; nothing was started."""

    code = "sim_bad_rules"


class BadSteering(CallerError):
    """An `x-sim-...` header cannot be read; the request was not answered otherwise."""

    code = "sim_bad_steering"
