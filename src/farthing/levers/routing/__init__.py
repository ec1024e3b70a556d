"""Routing: the cheapest model that is shown to be good enough, class by class.

What serves (steps, policies, their decision) is pure and light. What compiles (`certify`,
`evaluate`, `audit`) needs numpy, `farthing[routing]`, and is imported from its own modules.
"""

from farthing.levers.routing.classes import UNKNOWN, UNTAGGED, Classes
from farthing.levers.routing.outcomes import Outcomes, Prompt, Result, read_outcomes
from farthing.levers.routing.policy import (
    Certificate,
    Facts,
    Policy,
    diff,
    read_policy,
    step_for,
    voids,
    write_policy,
)
from farthing.levers.routing.step import (
    Accept,
    Agree,
    Answered,
    Ask,
    Route,
    Single,
    Step,
    Verify,
    decide,
    describe,
)

__all__ = [
    "UNKNOWN",
    "UNTAGGED",
    "Accept",
    "Agree",
    "Answered",
    "Ask",
    "Certificate",
    "Classes",
    "Facts",
    "Outcomes",
    "Policy",
    "Prompt",
    "Result",
    "Route",
    "Single",
    "Step",
    "Verify",
    "decide",
    "describe",
    "diff",
    "read_outcomes",
    "read_policy",
    "step_for",
    "voids",
    "write_policy",
]
