"""Evidence: comparisons with a reference answer, judges, intervals one may watch, verdicts.

Every lever stands on it: what a lever claims about quality is a `Finding` over `Evidence`.
"""

from farthing.evidence.betting import (
    Bet,
    FreshBets,
    Interval,
    Observed,
    exceeds,
    interval,
    lower_bound,
)
from farthing.evidence.binomial import (
    binomial_at_most,
    binomial_interval,
    binomial_lower,
    binomial_upper,
)
from farthing.evidence.code import runs
from farthing.evidence.comparison import Estimate, Evidence, estimate, evidence_cost, is_kept
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
from farthing.evidence.keeper import REPEATS, Keeper, Looked
from farthing.evidence.ladder import LadderRules, Mode, Standing, State, begun, is_lost, step
from farthing.evidence.panel import (
    Asked,
    Calibration,
    ModelJudge,
    Questioned,
    calibrate,
    family_of,
    judged_of,
    questions_of,
    read_question,
    refuse_family,
)
from farthing.evidence.planner import (
    comparisons_needed,
    days_needed,
    evidence_price,
    labels_needed,
    margin_needed,
)
from farthing.evidence.schema import schema
from farthing.evidence.settings import (
    EvidenceRules,
    EvidenceSettings,
    FeatureEvidence,
    JudgeSettings,
)
from farthing.evidence.store import (
    Change,
    Compared,
    EvidenceStore,
    EvidenceStoreError,
    Feedback,
)
from farthing.evidence.verdict import Finding, Verdict, Watch, noise_floor

__all__ = [
    "REPEATS",
    "Asked",
    "Bet",
    "Calibration",
    "Change",
    "Compared",
    "Estimate",
    "Evidence",
    "EvidenceRules",
    "EvidenceSettings",
    "EvidenceStore",
    "EvidenceStoreError",
    "FeatureEvidence",
    "Feedback",
    "Finding",
    "FreshBets",
    "Interval",
    "Judge",
    "JudgeSettings",
    "Judged",
    "Keeper",
    "LadderRules",
    "Looked",
    "Mode",
    "ModelJudge",
    "Observed",
    "Questioned",
    "Standing",
    "State",
    "Verdict",
    "Watch",
    "begun",
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
    "family_of",
    "fields",
    "interval",
    "is_kept",
    "is_lost",
    "judged_of",
    "labels_needed",
    "lower_bound",
    "margin_needed",
    "noise_floor",
    "normalised",
    "numeric",
    "parses",
    "questions_of",
    "read_question",
    "refuse_family",
    "regenerated",
    "runs",
    "schema",
    "step",
    "tool_calls",
]
