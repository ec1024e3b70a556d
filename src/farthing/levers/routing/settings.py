"""The settings of routing: pools of models, and what may be done with them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["ModelFacts", "PoolSettings", "RoutingMode", "RoutingSettings"]

RoutingMode = Literal["off", "shadow", "canary", "on", "evidence"]


class ModelFacts(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a model can do: a call that needs more is never routed to it."""

    context_tokens: Annotated[
        int, Meta(ge=0, description="Prompt and answer together at most; 0: not known.")
    ] = 0
    has_tools: Annotated[bool, Meta(description="Whether it calls tools.")] = True
    has_images: Annotated[bool, Meta(description="Whether it takes pictures.")] = True
    has_schema: Annotated[bool, Meta(description="Whether it keeps to a JSON schema.")] = True
    region: Annotated[str, Meta(description="Where it runs, for example `eu`.")] = ""


class PoolSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A pool: the models that may serve `farthing/NAME`, and the one that serves without proof."""

    incumbent: Annotated[
        str, Meta(description="The model that serves whatever no certificate covers.")
    ]
    models: Annotated[
        list[str],
        Meta(description="Models that may serve besides; a policy that asks others is not used."),
    ] = []
    mode: Annotated[
        RoutingMode,
        Meta(
            description="`shadow` decides and records; `canary` serves a share of calls; `on` all; "
            "`evidence` goes from shadow to on class by class, as the evidence allows."
        ),
    ] = "shadow"
    policies: Annotated[
        list[str],
        Meta(
            description="Policy files, one a floor; none: all in the folder `routing/NAME` of the "
            "data folder. They are read again when they change."
        ),
    ] = []
    floor: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Quality floor of calls that name none; 0: the strictest policy there is.",
        ),
    ] = 0.0
    canary_share: Annotated[
        float, Meta(ge=0, le=1, description="Share of calls that `canary` serves by the policy.")
    ] = 0.1
    overrides_incumbent: Annotated[
        bool,
        Meta(description="Also route calls that name the incumbent itself, not the virtual model."),
    ] = False
    small: Annotated[
        str,
        Meta(
            description="While there is no policy: the model that serves what looks like "
            "classification or extraction; empty: none."
        ),
    ] = ""
    day_one: Annotated[
        Literal["shadow", "on"],
        Meta(
            description="What `small` may do without evidence: `shadow` records what it would "
            "serve; `on` serves it, at your word alone."
        ),
    ] = "shadow"
    pinning: Annotated[
        Literal["loop", "session", "off"],
        Meta(
            description="What stays with the model that served it before: a tool `loop`, or a whole "
            "`session`."
        ),
    ] = "loop"
    pin_s: Annotated[
        int, Meta(ge=0, description="How long a session is remembered after its last call.")
    ] = 900
    escalation_share_max: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Above this share of escalated calls a key's calls go to the incumbent at "
            "once, so that nobody can make it pay for both.",
        ),
    ] = 0.9
    explore_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of a class's calls spread evenly over all steps that its policy "
            "certifies (`route compile --explore`); the others go to each as often as it is likely "
            "to be the cheapest; 0: the policy's own step alone.",
        ),
    ] = 0.0
    region: Annotated[str, Meta(description="Region that models must be in; empty: anywhere.")] = ""
    drift: Annotated[
        Literal["incumbent", "tell", "off"],
        Meta(
            description="What it does when the escalations of a class drift: back to the "
            "`incumbent`, or only `tell` in log and metrics."
        ),
    ] = "incumbent"
    mix_drift: Annotated[
        Literal["incumbent", "tell", "off"],
        Meta(description="The same when the mix of classes drifts from that of the labels."),
    ] = "tell"
    drift_calls: Annotated[
        int,
        Meta(
            ge=1000,
            description="Calls between two false drift alarms, on average at least, a chart and "
            "worker.",
        ),
    ] = 1_000_000


class RoutingSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Routing by certified policies; without a pool it is off and costs nothing."""

    pools: Annotated[dict[str, PoolSettings], Meta(description="The pools, by name.")] = {}
    models: Annotated[dict[str, ModelFacts], Meta(description="What models can do.")] = {}
    embedder: Annotated[
        str,
        Meta(
            description="For policies with scores learned from embeddings (`route compile --learn`): "
            "`wordllama` or `minilm`, with the extras `wordllama` and `semantic`, or `module:name` "
            "of an embedder of your own; empty: none."
        ),
    ] = ""
    embed_ms_max: Annotated[
        int,
        Meta(
            ge=1,
            description="How long a call waits for the embedder; then the incumbent serves it.",
        ),
    ] = 50
