"""Evidence: comparisons with a reference answer, judges, intervals one may watch, verdicts.

Every lever stands on it: what a lever claims about quality is a `Finding` over `Evidence`.
"""

from farthing.evidence.betting import Bet, Interval, Observed, exceeds, interval, lower_bound
from farthing.evidence.binomial import (
    binomial_at_most,
    binomial_interval,
    binomial_lower,
    binomial_upper,
)
from farthing.evidence.comparison import Estimate, Evidence, estimate, evidence_cost
from farthing.evidence.judges import (
    Judge,
    Judged,
    exact,
    fields,
    normalised,
    numeric,
    parses,
    regenerated,
    tool_calls,
)
from farthing.evidence.panel import Asked, Calibration, ModelJudge, calibrate
from farthing.evidence.planner import (
    comparisons_needed,
    days_needed,
    evidence_price,
    margin_needed,
)
from farthing.evidence.schema import schema
from farthing.evidence.verdict import Finding, Verdict, Watch, noise_floor

__all__ = [
    "Asked",
    "Bet",
    "Calibration",
    "Estimate",
    "Evidence",
    "Finding",
    "Interval",
    "Judge",
    "Judged",
    "ModelJudge",
    "Observed",
    "Verdict",
    "Watch",
    "binomial_at_most",
    "binomial_interval",
    "binomial_lower",
    "binomial_upper",
    "calibrate",
    "comparisons_needed",
    "days_needed",
    "estimate",
    "evidence_cost",
    "evidence_price",
    "exact",
    "exceeds",
    "fields",
    "interval",
    "lower_bound",
    "margin_needed",
    "noise_floor",
    "normalised",
    "numeric",
    "parses",
    "regenerated",
    "schema",
    "tool_calls",
]
