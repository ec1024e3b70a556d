"""Questions asked before in other words: found, checked, proven, and served only then.

S1  Only the question itself is compared; all else of a request is equal, or there is no view.
S2  What a guard vetoes is not served, whatever a score or a certificate says.
S3  Without a certificate nothing is served unless the rules allow it, and then nothing doubted.
S4  P(wrong | served) <= delta with 95 % confidence, however often one looks; a breach ends serving.
S5  A certificate holds for its stamp alone: embedder, guards, scorer, model.
S6  Nothing here does I/O, reads a clock or draws at random.
"""

from farthing.levers.cache.semantic.calibration import (
    WORDS_NEEDED,
    Calibration,
    Judged,
    calibrated,
    is_drawn,
)
from farthing.levers.cache.semantic.certificate import (
    BandReport,
    Certifier,
    JudgeCalibration,
    Stamp,
    thresholds_of,
)
from farthing.levers.cache.semantic.decision import (
    Action,
    Candidate,
    Decision,
    Lookup,
    Mode,
    Rules,
    View,
    propose,
)
from farthing.levers.cache.semantic.economics import (
    Account,
    Assumptions,
    account_of,
    price_factor_limit,
    serve_limit,
)
from farthing.levers.cache.semantic.embedder import (
    Embedder,
    MissingExtra,
    SuppliedEmbedder,
    load_embedder,
)
from farthing.levers.cache.semantic.guards import GUARDS_VERSION, Comparison, Finding
from farthing.levers.cache.semantic.index import Partition
from farthing.levers.cache.semantic.scorer import Evidence, Neighbour, Scorer, fit_scorer
from farthing.levers.cache.semantic.signature import Signature, sign
from farthing.levers.cache.semantic.template import Filled, Template
from farthing.levers.cache.semantic.variables import compare
from farthing.levers.cache.semantic.volatility import Volatility, volatility_of

__all__ = [
    "GUARDS_VERSION",
    "WORDS_NEEDED",
    "Account",
    "Action",
    "Assumptions",
    "BandReport",
    "Calibration",
    "Candidate",
    "Certifier",
    "Comparison",
    "Decision",
    "Embedder",
    "Evidence",
    "Filled",
    "Finding",
    "JudgeCalibration",
    "Judged",
    "Lookup",
    "MissingExtra",
    "Mode",
    "Neighbour",
    "Partition",
    "Rules",
    "Scorer",
    "Signature",
    "Stamp",
    "SuppliedEmbedder",
    "Template",
    "View",
    "Volatility",
    "account_of",
    "calibrated",
    "compare",
    "fit_scorer",
    "is_drawn",
    "load_embedder",
    "price_factor_limit",
    "propose",
    "serve_limit",
    "sign",
    "thresholds_of",
    "volatility_of",
]
