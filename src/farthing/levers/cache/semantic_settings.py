"""The settings of the semantic layer: how far it may go for which calls, and what must be proven."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from farthing.money import Money

__all__ = [
    "Admission",
    "FeatureSemantic",
    "RunsIn",
    "SemanticMode",
    "SemanticRules",
    "SemanticSettings",
    "Unnamed",
    "Vetoes",
    "semantic_rules",
]

Admission = Literal["first", "second"]
RunsIn = Literal["process", "thread"]
Unnamed = Literal["key", "tenant"]
Vetoes = Literal["stand", "learnt"]
SemanticMode = Literal["off", "shadow", "assisted", "serve"]
_Share = Annotated[float, Meta(gt=0, le=1)]


class FeatureSemantic(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is different for one feature; what is left out is as in `[cache.semantic]`."""

    mode: Annotated[SemanticMode | None, Meta(description="See `[cache.semantic]`.")] = None
    delta: Annotated[_Share | None, Meta(description="See `[cache.semantic]`.")] = None
    loss_usd: Annotated[str | None, Meta(description="See `[cache.semantic]`.")] = None
    judge_model: Annotated[str | None, Meta(description="See `[cache.semantic]`.")] = None
    is_uncertified_allowed: Annotated[bool | None, Meta(description="See `[cache.semantic]`.")] = (
        None
    )
    vetoes: Annotated[Vetoes | None, Meta(description="See `[cache.semantic]`.")] = None


class SemanticSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Answers to questions asked before in other words, served only where that is proven right."""

    mode: Annotated[
        SemanticMode,
        Meta(
            description="How far it may go: `shadow` decides, compares with the real answer and "
            "serves nothing; `assisted` serves wordings that were approved; `serve` also what a "
            "certificate covers, and is as `assisted` until there is one."
        ),
    ] = "off"
    embedder: Annotated[
        str,
        Meta(
            description="`minilm`, packaged with the extra `semantic`, or `module:name` of an "
            "embedder of your own (or a function without arguments that makes one)."
        ),
    ] = "minilm"
    runs_in: Annotated[
        RunsIn,
        Meta(
            description="Where questions are embedded and compared: in a `process` beside each "
            "worker, which other calls do not notice, or in a `thread` of the worker, which saves "
            "some 30 MB a worker and adds to the slowest of the other calls."
        ),
    ] = "process"
    delta: Annotated[
        float,
        Meta(gt=0, lt=0.5, description="Largest share of wrong answers among those it serves."),
    ] = 0.01
    sampling: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of what it would serve that goes to the provider instead, to "
            "compare the two answers.",
        ),
    ] = 0.05
    shadow_sampling: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of the near questions, while nothing is served, whose answers are "
            "compared.",
        ),
    ] = 1.0
    fit_labels: Annotated[
        int,
        Meta(
            ge=0,
            description="Comparisons from which a namespace's own score is learnt before it is "
            "certified; 0: the cosine is certified from the first comparison on.",
        ),
    ] = 400
    near_min: Annotated[
        float,
        Meta(ge=0, le=1, description="Cosine from which a stored question counts as near."),
    ] = 0.8
    is_uncertified_allowed: Annotated[
        bool,
        Meta(
            description="Whether `serve` may serve without a certificate what no guard doubts; "
            "then nothing is promised."
        ),
    ] = False
    vetoes: Annotated[
        Vetoes,
        Meta(
            description="Whether a guard's veto (another number, a negation) always `stand`s, or is "
            "`learnt`: pairs that it holds apart are compared too while the score is learnt, and "
            "where a guard held apart answers that were mostly the same, its veto becomes a "
            "feature of the score. What is served is certified either way."
        ),
    ] = "stand"
    loss_usd: Annotated[
        str,
        Meta(
            description="What one wrong answer costs you, in USD; served is only where the calls "
            "saved outweigh the wrong ones. `0`: not reckoned with."
        ),
    ] = "0"
    judge_model: Annotated[
        str,
        Meta(
            description="Model that compares two answers where equality, numbers and JSON do not "
            "tell; empty: such pairs count as wrong until a person says otherwise."
        ),
    ] = ""
    confirmations_min: Annotated[
        int,
        Meta(
            ge=1,
            description="How many users (keys, where none is named) must have asked, with answers "
            "that agree, before other users may be served from it in other words; the first "
            "counts. What a person approved needs none. 1: whoever asked first.",
        ),
    ] = 3
    unnamed: Annotated[
        Unnamed,
        Meta(
            description="Whose the calls are that name no user: each `key`'s, or all of the "
            "`tenant`'s together."
        ),
    ] = "key"
    admission: Annotated[
        Admission,
        Meta(
            description="Whether the `first` question of its kind may be served from, or only one "
            "that was asked, or nearly, a `second` time."
        ),
    ] = "first"
    near_inserts_per_hour_max: Annotated[
        int,
        Meta(
            ge=0,
            description="How many questions a user or key may add an hour, at each worker, beside "
            "four or more of its own that say nearly the same; others are found in the very same "
            "words only.",
        ),
    ] = 60
    shared_hit_ms_min: Annotated[
        int,
        Meta(
            ge=0,
            description="How long a call at least takes that is served from another user's "
            "question, so that its time tells less; 0: no longer than it takes.",
        ),
    ] = 0
    wait_ms_max: Annotated[
        int,
        Meta(ge=1, description="How long a call waits for a look-up where it may be served."),
    ] = 50
    text_chars_max: Annotated[
        int, Meta(ge=1, description="Longer questions are left to exact matches.")
    ] = 600
    index_entries_max: Annotated[
        int, Meta(ge=1, description="Questions that a worker holds in memory; about 2 kB each.")
    ] = 50_000
    log_days: Annotated[
        int, Meta(ge=1, description="How long look-ups are kept, their texts encrypted.")
    ] = 7
    net_days: Annotated[
        int,
        Meta(
            ge=1,
            description="Where it served and its account over so many days is negative, it stops "
            "for as long.",
        ),
    ] = 7
    templates: Annotated[
        dict[str, str],
        Meta(
            description="Prompts with typed variables, by name: `Where is order {order:id}? "
            "{note:free_text}`. Typed ones must be equal, free text is compared."
        ),
    ] = {}
    features: Annotated[
        dict[str, FeatureSemantic],
        Meta(description="What is different for a feature, by its name."),
    ] = {}

    @property
    def is_used(self) -> bool:
        """Whether it works for any call at all."""
        return self.mode != "off" or any(
            feature.mode not in (None, "off") for feature in self.features.values()
        )


class SemanticRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one feature."""

    mode: SemanticMode
    delta: float
    loss: Money
    judge_model: str
    is_uncertified_allowed: bool
    vetoes: Vetoes


def semantic_rules(settings: SemanticSettings, feature: str) -> SemanticRules:
    """What holds for a feature.

    Raises:
        ValueError: the loss is no amount in USD.
    """
    own = settings.features.get(feature, FeatureSemantic())
    given = {n: v for n in own.__struct_fields__ if (v := getattr(own, n)) is not None}
    merged = {n: given.get(n, getattr(settings, n)) for n in own.__struct_fields__}
    return SemanticRules(loss=Money.usd(merged.pop("loss_usd")), **merged)
