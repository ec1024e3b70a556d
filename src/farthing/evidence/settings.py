"""The settings of evidence: how much is compared, by which judge, what it may cost."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from farthing.evidence.ladder import LadderRules, Mode
from farthing.money import Money

__all__ = ["EvidenceRules", "EvidenceSettings", "FeatureEvidence", "JudgeSettings"]

_USD: Final = r"^\d{1,9}(\.\d{1,9})?$"
_SEE: Final = Meta(description="See `[evidence]`.")

JudgeKind = Literal[
    "exact",
    "normalised",
    "numeric",
    "fields",
    "schema",
    "parses",
    "code",
    "tool-calls",
    "embedding",
    "model",
    "feedback",
]


class JudgeSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A judge under a name of its own: what compares a lever's answer with the reference answer."""

    kind: Annotated[JudgeKind, Meta(description="How it judges; see docs/evidence.md.")]
    tolerance: Annotated[
        str,
        Meta(pattern=r"^\d+(\.\d+)?$", description="`numeric`: how far off, relative."),
    ] = "0"
    only: Annotated[
        list[str], Meta(description="`fields`: the top-level fields that matter; empty: all.")
    ] = []
    schema_file: Annotated[str, Meta(description="`schema`: a JSON file with the schema.")] = ""
    language: Annotated[
        Literal["json", "python"], Meta(description="`parses`: what the answer must be.")
    ] = "json"
    command: Annotated[
        list[str],
        Meta(
            description="`code`: the program that runs an answer's code; it gets it on its standard "
            "input and says by exit code 0 that it is good."
        ),
    ] = []
    seconds_max: Annotated[
        float, Meta(gt=0, le=60, description="`code`: time it may take, also of the processor.")
    ] = 5.0
    memory_bytes_max: Annotated[
        int, Meta(ge=1_000_000, description="`code`: memory it may take.")
    ] = 536_870_912
    similarity: Annotated[
        float,
        Meta(ge=0, le=1, description="`embedding`: from which cosine on two answers are as good."),
    ] = 0.8
    model: Annotated[
        str, Meta(description="`model`: who is asked, as `provider/model` or a name of yours.")
    ] = ""
    rubric: Annotated[str, Meta(description="`model`: what makes an answer good.")] = (
        "You compare answers given to a customer."
    )
    is_same_family_allowed: Annotated[
        bool,
        Meta(description="`model`: may judge answers of its own family; models prefer their own."),
    ] = False

    def __post_init__(self) -> None:
        needed = {"schema": "schema_file", "code": "command", "model": "model"}.get(self.kind)
        if needed is not None and not getattr(self, needed):
            raise ValueError(f"a judge of kind {self.kind!r} needs {needed}")


class FeatureEvidence(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is different for one feature; what is left out is as in `[evidence]`."""

    mode: Annotated[Literal["off", "on"] | None, _SEE] = None
    share: Annotated[Annotated[float, Meta(gt=0, le=1)] | None, _SEE] = None
    repeat_share: Annotated[Annotated[float, Meta(ge=0, le=1)] | None, _SEE] = None
    judge: Annotated[str | None, _SEE] = None
    floor: Annotated[Annotated[float, Meta(gt=0, le=1)] | None, _SEE] = None
    confidence: Annotated[Annotated[float, Meta(gt=0.5, lt=1)] | None, _SEE] = None
    candidate: Annotated[str | None, _SEE] = None


class EvidenceSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Comparisons of a lever's answers with reference answers, made off the caller's path."""

    mode: Annotated[
        Literal["off", "on"],
        Meta(description="`on` samples calls and pays for second answers and judges."),
    ] = "off"
    share: Annotated[
        float, Meta(gt=0, le=1, description="Share of a feature's calls that is compared.")
    ] = 0.05
    repeat_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of those for which the reference answer is made twice, to see how "
            "much it differs from itself.",
        ),
    ] = 0.25
    usd_per_day: Annotated[
        str,
        Meta(
            pattern=_USD,
            description="USD that all this may cost a day (UTC), over all workers; budgets hold "
            "beside it.",
        ),
    ] = "1"
    judge: Annotated[
        str,
        Meta(
            description="Who judges: a name of `[evidence.judges]`, or a kind that needs no settings."
        ),
    ] = "normalised"
    floor: Annotated[
        float,
        Meta(gt=0, le=1, description="Quality that must be kept, as a share of the reference's."),
    ] = 0.95
    confidence: Annotated[
        float, Meta(gt=0.5, lt=1, description="With which a verdict is given, over all looks.")
    ] = 0.95
    candidate: Annotated[
        str,
        Meta(
            description="A model that is compared with the one that serves, before any lever uses "
            "it; empty: none."
        ),
    ] = ""
    exact_cache: Annotated[
        bool,
        Meta(description="Whether hits of the exact cache are compared with fresh answers too."),
    ] = False
    service_tier: Annotated[
        str,
        Meta(
            description="`service_tier` of second answers where their provider's protocol has one, "
            "for example `flex` for half the price; empty: as the call says."
        ),
    ] = ""
    canary_comparisons: Annotated[
        int, Meta(ge=1, description="Comparisons that each canary must hold before the next.")
    ] = 50
    mode_most: Annotated[
        Literal["shadow", "canary-1", "canary-10", "canary-50", "on"],
        Meta(description="How far a lever that is safe goes by itself."),
    ] = "on"
    running_max: Annotated[
        int, Meta(ge=1, le=256, description="Such jobs that a worker runs at a time.")
    ] = 64
    queue_max: Annotated[
        int, Meta(ge=1, description="Jobs that wait at a worker; what is more is dropped.")
    ] = 64
    drain_s: Annotated[
        float, Meta(ge=0, description="How long running jobs may finish when a worker stops.")
    ] = 5.0
    judges: Annotated[
        dict[str, JudgeSettings], Meta(description="Judges, by a name of your own.")
    ] = {}
    features: Annotated[
        dict[str, FeatureEvidence],
        Meta(description="What is different for a feature, by its name."),
    ] = {}

    def __post_init__(self) -> None:
        for name in [self.judge, *(f.judge for f in self.features.values() if f.judge)]:
            if name not in self.judges and name not in _PLAIN:
                raise ValueError(
                    f"judge {name!r} is none of [evidence.judges], and no kind that needs no "
                    f"settings ({', '.join(sorted(_PLAIN))})"
                )

    @property
    def is_used(self) -> bool:
        """Whether any call is compared at all."""
        return self.mode == "on" or any(f.mode == "on" for f in self.features.values())

    @property
    def has_candidate(self) -> bool:
        """Whether a candidate model is tried for any feature."""
        names = [self.candidate, *(f.candidate for f in self.features.values())]
        return self.is_used and any(names)

    @property
    def cap(self) -> Money:
        """What it may cost a day."""
        return Money.usd(self.usd_per_day)

    @property
    def ladder(self) -> LadderRules:
        """How levers go up."""
        return LadderRules(
            canary_comparisons=self.canary_comparisons, mode_most=Mode(self.mode_most)
        )

    def rules_of(self, scope: str) -> EvidenceRules:
        """What holds for a scope: a feature, or `feature/class`."""
        own = self.features.get(scope) or self.features.get(scope.partition("/")[0])
        own = own or FeatureEvidence()
        given = {n: v for n in own.__struct_fields__ if (v := getattr(own, n)) is not None}
        merged = {n: given.get(n, getattr(self, n)) for n in own.__struct_fields__}
        return EvidenceRules(is_on=merged.pop("mode") == "on", **merged)

    def is_feedback(self, name: str) -> bool:
        """Whether people judge, by their feedback, so that no second answer is needed."""
        return self.judge_of(name).kind == "feedback"

    @property
    def hears_feedback(self) -> bool:
        """Whether people judge for any feature."""
        names = [self.judge, *(f.judge for f in self.features.values() if f.judge)]
        return self.is_used and any(map(self.is_feedback, names))

    def judge_of(self, name: str) -> JudgeSettings:
        """The settings of a judge that is named."""
        found = self.judges.get(name)
        return JudgeSettings(kind=name) if found is None else found  # type: ignore[arg-type] - checked


_PLAIN: Final = frozenset(
    {
        "exact",
        "normalised",
        "numeric",
        "fields",
        "parses",
        "tool-calls",
        "embedding",
        "feedback",
    }
)


class EvidenceRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one feature."""

    is_on: bool
    share: float
    repeat_share: float
    judge: str
    floor: float
    confidence: float
    candidate: str
