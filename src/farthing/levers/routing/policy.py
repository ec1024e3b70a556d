"""The policy file: what serves each class, and the certificate that it stands on.

The certificate names everything it was won with: the floor, the labels, the models' snapshots,
their rate cards, the outcomes. If any of it changes, it is void, and `step_for` gives the
incumbent. The file is signed, so that nobody edits a policy and keeps its certificate.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from farthing.errors import CallerError
from farthing.levers.routing.classes import Classes
from farthing.levers.routing.encoder import is_alike
from farthing.levers.routing.scorer import Scorer
from farthing.levers.routing.step import Single, Step, describe, models_of
from farthing.money import Money

__all__ = [
    "PASSED",
    "Certificate",
    "Expected",
    "Facts",
    "Policy",
    "Share",
    "diff",
    "models",
    "policy_mark",
    "read_policy",
    "step_for",
    "voids",
    "write_policy",
]

PASSED: Final = "the cheapest policy of the ladder passed"

_VERSION: Final = 1
Share = float  # one sum over another: a pure number, no money


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was shown, and with what.

    With `confidence`, the policy's mean quality on traffic like the outcomes is at least `floor`
    times the incumbent's. `labels` compared prompts were used, `certified_on` of them to certify.
    `quality_ratio` and `cost_ratio` are estimates from the latter; costs are means per call.
    `snapshots` are the exact models, `prices` the rate cards they were priced by, `data_hash`
    the outcomes (SHA-256, hex). `made` is RFC 3339, UTC.
    """

    floor: float
    confidence: float
    horizon: int
    class_floors: dict[str, float]
    labels: int
    certified_on: int
    quality_ratio: float
    cost_ratio: Share
    cost: Money
    incumbent_cost: Money
    made: str
    snapshots: dict[str, str]
    prices: dict[str, str]
    data_hash: str


class Expected(msgspec.Struct, frozen=True):
    """What the labels of one class were like: how many, and how many its step escalated.

    Serving compares its traffic with it. `escalated` is None where the step never escalates.
    """

    labels: int
    escalated: int | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The step of each class; a class that is not named is the incumbent's.

    Without a certificate every class is the incumbent's, and `reason` says why. `expected` tells
    what the labels were like, for a watch on drift. `further` are steps that are certified to
    serve a class beside its own, in any mixture. `scores` are what its `route` steps look at.
    """

    incumbent: str
    steps: dict[str, Step]
    templates: tuple[str, ...]
    default_class: str
    certificate: Certificate | None
    reason: str
    expected: dict[str, Expected] = {}
    version: int = _VERSION
    # Not written where it is not there: a file keeps the mark it had before there was such a thing.
    further: dict[str, tuple[Step, ...]] | UnsetType = UNSET
    scores: dict[str, Scorer] | UnsetType = UNSET

    def beside(self, name: str) -> tuple[Step, ...]:
        """The steps that may serve a class besides its own."""
        return () if self.further is UNSET else self.further.get(name, ())

    @property
    def classes(self) -> Classes:
        """How calls are sorted into this policy's classes."""
        return Classes(self.templates, self.default_class)


class Facts(msgspec.Struct, frozen=True):
    """What is so now: the snapshot that each model name serves, and the card that prices it.

    `encoders` are those that can be had, by identity, with their probes (empty: not known yet, or
    told by the identity).
    """

    snapshots: Mapping[str, str]
    prices: Mapping[str, str]
    encoders: Mapping[str, bytes] = {}


class _Signed(msgspec.Struct, frozen=True):
    policy: msgspec.Raw
    signature: str


def voids(policy: Policy, facts: Facts) -> list[str]:
    """Why the certificate does not hold any more; empty while it does."""
    certificate = policy.certificate
    if certificate is None:
        return [f"there is no certificate: {policy.reason}"]
    found: list[str] = []
    for what, then, now in (
        ("snapshot", certificate.snapshots, facts.snapshots),
        ("price", certificate.prices, facts.prices),
    ):
        found += [
            f"the {what} of {model} was {told}, and is {now.get(model, 'not known')}"
            for model, told in sorted(then.items())
            if now.get(model) != told
        ]
    scores = {} if policy.scores is UNSET else policy.scores
    for name, scorer in sorted(scores.items()):
        if scorer.encoder not in facts.encoders:
            had = ", ".join(sorted(facts.encoders)) or "none"
            found.append(f"the encoder of {name} was {scorer.encoder}, and there is {had}")
            continue
        probe = facts.encoders[scorer.encoder]
        if probe and scorer.probe is not UNSET and not is_alike(probe, scorer.probe):
            found.append(f"the encoder of {name} makes other vectors than it did, by its old name")
    return found


def step_for(policy: Policy, name: str, facts: Facts) -> Step:
    """What serves a class now: its step while the certificate holds, else the incumbent."""
    incumbent = Single(policy.incumbent)
    if voids(policy, facts):
        return incumbent
    return policy.steps.get(name, incumbent)


def diff(before: Policy, after: Policy) -> list[str]:
    """What changes from one policy to another, a line each."""
    lines: list[str] = []
    if before.incumbent != after.incumbent:
        lines.append(f"incumbent: {before.incumbent} -> {after.incumbent}")
    for name in sorted({*before.steps, *after.steps}):
        was = before.steps.get(name, Single(before.incumbent))
        now = after.steps.get(name, Single(after.incumbent))
        if was != now:
            lines.append(f"{name}: {describe(was)} -> {describe(now)}")
    return lines


def write_policy(path: Path, policy: Policy, secret: bytes = b"") -> None:
    """Write the policy with its signature: keyed by `secret` where there is one, else its hash.

    Folders are made, and whoever reads meanwhile finds the old file or the new one, whole.

    Raises:
        CallerError: the file can't be written.
    """
    body = msgspec.json.encode(policy)
    signed = _Signed(msgspec.Raw(body), _signature(body, secret))
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.format(msgspec.json.encode(signed), indent=2) + b"\n")
        part.replace(path)
    except OSError as error:
        raise CallerError(
            f"{path} can't be written: {error.strerror or error}.\nNo policy was kept.\n"
            "Name a file in a folder that you may write to."
        ) from error


def read_policy(path: Path, secret: bytes = b"") -> Policy:
    """Read a policy whose signature fits.

    Raises:
        CallerError: the file is no policy, or was changed since it was signed.
    """
    try:
        signed = msgspec.json.decode(path.read_bytes(), type=_Signed)
        policy = msgspec.json.decode(signed.policy, type=Policy)
    except (OSError, msgspec.MsgspecError) as error:
        raise CallerError(
            f"{path} is no policy that can be read: {error}.\nNothing was done.\n"
            "Compile one: farthing route compile OUTCOMES --incumbent MODEL --out FILE"
        ) from error
    body = msgspec.json.encode(policy)  # the form that was signed, whatever the file's spacing
    if not hmac.compare_digest(signed.signature, _signature(body, secret)):
        raise CallerError(
            f"{path} was changed since it was signed, or was signed with another secret.\n"
            "Its certificate does not count; the incumbent serves.\nCompile the policy again."
        )
    return policy


def policy_mark(policy: Policy) -> str:
    """A short name of a policy: the beginning of its content's hash."""
    return hashlib.sha256(msgspec.json.encode(policy)).hexdigest()[:12]


def models(policy: Policy) -> tuple[str, ...]:
    """Every model that the policy may ask, the incumbent among them, by name."""
    further = () if policy.further is UNSET else itertools.chain(*policy.further.values())
    steps = (*policy.steps.values(), *further)
    asked = {model for step in steps for model in models_of(step)}
    return tuple(sorted({policy.incumbent, *asked}))


def _signature(body: bytes, secret: bytes) -> str:
    if secret:
        return "hmac-sha256:" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return "sha256:" + hashlib.sha256(body).hexdigest()
