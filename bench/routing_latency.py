"""What the stage of routing takes of one core: decision, account and entry, with no provider."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from farthing.call import Endpoint
from farthing.clock import SystemClock
from farthing.codecs import codec_for
from farthing.config import Config, load_config
from farthing.gateway.caller import Callers
from farthing.gateway.decode import Decoder
from farthing.gateway.desk import Desk
from farthing.gateway.evidencing import wire_evidence
from farthing.gateway.ids import CallIds
from farthing.gateway.inbound import Inbound, Outcome
from farthing.gateway.keyring import KeyRing
from farthing.gateway.pricer import Pricer
from farthing.gateway.route_board import RouteBoard
from farthing.gateway.route_modes import RouteModes
from farthing.gateway.route_steps import StepRunner
from farthing.gateway.routing import Routing
from farthing.gateway.targets import Targets
from farthing.gateway.upstreams import make_upstreams
from farthing.ledger import CallStatus
from farthing.ledger.entry import Entry
from farthing.levers.routing import Policy, Route, Single, read_policy, write_policy
from farthing.levers.routing.encoder import HASHED, encoder_named, identity_of, probe_of
from farthing.levers.routing.scorer import scorer_of
from farthing.pricing import PriceBook, RateCard
from farthing.wire import Request

__all__ = ["score_times", "stage_times"]

_ENCODERS: Final = {HASHED: 2_000, "wordllama": 2_000, "minilm": 300}  # with how many prompts


class _Nowhere:
    """A journal that keeps nothing."""

    run = ""

    def intend(self, entry: Entry) -> None:
        """Forget it."""

    def settle(self, entry: Entry) -> None:
        """Forget it."""

    def note_card(self, card: RateCard) -> None:
        """Forget it."""


async def _answer(inbound: Inbound) -> Outcome:
    del inbound
    return Outcome(status=200, headers=[], body=b"{}")


async def stage_times(folder: Path, rounds: int) -> dict[str, float]:
    """Median and 99th percentile in microseconds, with the policy that was compiled last."""
    config = load_config(str(folder / "served/farthing.toml"), {})
    bed = _Bed(config)
    single = _single_class(bed.policy)
    return {**await bed.times([_request(single, "word " * 400)] * rounds), "rounds": rounds}


async def score_times(folder: Path, prompts: list[str]) -> dict[str, dict[str, float]]:
    """The same where a learned score decides, by encoder: of real prompts, and of long ones.

    Truncated prompts show what the packaged model takes at the least.
    """
    found: dict[str, dict[str, float]] = {}
    for name, count in _ENCODERS.items():
        config, feature = _scored(folder, name)
        bed = _Bed(config)
        bed.board.scores.start()
        if bed.board.scores.encoding is not None:
            await asyncio.to_thread(bed.board.scores.encoding.is_loaded.wait)
        for kind, texts in (
            ("prompts", prompts[:count]),
            ("long", ["word " * 400] * (count // 5)),
            ("first_80_characters", [prompt[:80] for prompt in prompts[:count]]),
        ):
            times = await bed.times([_request(feature, text) for text in texts])
            found.setdefault(name, {}).update({f"{kind}_{k}": v for k, v in times.items()})
        unscored = bed.board.pools["auto"].counts["unscored"]
        bed.board.scores.close()
        if unscored:
            raise RuntimeError(f"{unscored} prompts had no score by {name}")
    return found


class _Bed:
    """The stage, with nothing behind it."""

    def __init__(self, config: Config) -> None:
        self._clock = SystemClock()
        targets, book = Targets(config), PriceBook.load(config.pricing_settings())
        self._upstreams = make_upstreams(config, {})
        pricer = Pricer(config, book)
        self.board = RouteBoard(
            config, targets, self._upstreams, book, self._clock, b"", random=Random(0)
        )
        desk = Desk(_Nowhere(), self._clock)
        ids = CallIds(b"12345678")
        evidence = wire_evidence(config, _answer, desk, targets, pricer, ids)
        modes = RouteModes(evidence.comparer, evidence.board, is_gathering=False)
        runner = StepRunner(self._clock, "never", retries_lost=False)
        self._stage = Routing(self.board, pricer, runner, modes, self._clock)
        self._decoder = Decoder(config, desk, self._clock, ids)
        self._callers = Callers(KeyRing.open_door(), "")
        self._codec = codec_for(Endpoint.OPENAI_CHAT)

    @property
    def policy(self) -> Policy:
        """The one that counts."""
        (standing,) = self.board.pools["auto"].standings.values()
        return standing.policy

    async def times(self, requests: list[Request]) -> dict[str, float]:
        """What the stage takes of these, one after another."""
        taken: list[float] = []
        for request in requests:
            inbound = self._decoder.decode(
                request, self._codec, self._callers.meet(request), self._clock.monotonic_us()
            )
            begun = time.perf_counter_ns()
            await self._stage(inbound, _answer)
            inbound.settlement.close(CallStatus.OK)
            taken.append((time.perf_counter_ns() - begun) / 1000)
        for upstream in self._upstreams.values():
            upstream.close()
        cuts = statistics.quantiles(taken, n=100)
        return {"p50_us": round(cuts[49], 1), "p99_us": round(cuts[98], 1)}


def _single_class(policy: Policy) -> str:
    return next(name for name, step in policy.steps.items() if isinstance(step, Single))


def _scored(folder: Path, name: str) -> tuple[Config, str]:
    """A site whose policy goes by a score of this encoder, whatever its weights; and the class."""
    made = read_policy(folder / "served/ledger/routing/auto/policy.json")
    encoder = encoder_named(name)
    random = Random(0)
    weights = [random.gauss(0, 1) for _ in range(1 + max(encoder.features("a prompt")))]
    scorer = scorer_of(identity_of(encoder), 0.0, weights, probe_of(encoder))
    feature = _single_class(made)
    step = Route("learned", 0.0, Single(made.incumbent), made.steps[feature])
    made = msgspec.structs.replace(
        made, steps={**made.steps, feature: step}, scores={"learned": scorer}
    )
    data = folder / f"scored-{name}"
    write_policy(data / "routing/auto/policy.json", made)
    told = {"FARTHING_LEDGER_DATA_DIR": str(data)}
    if name != HASHED:
        told |= {"FARTHING_ROUTING_EMBEDDER": name, "FARTHING_ROUTING_EMBED_MS_MAX": "5000"}
    return load_config(str(folder / "served/farthing.toml"), told), feature


def _request(feature: str, prompt: str) -> Request:
    asked = {
        "model": f"farthing/auto:{feature}",
        "messages": [{"role": "user", "content": prompt}],
    }
    return Request(
        method="POST",
        target="/v1/chat/completions",
        headers=[],
        body=json.dumps(asked).encode(),
        peer="",
        is_kept_alive=True,
        is_http_10=False,
        named={},
    )
