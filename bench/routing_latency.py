"""What the stage of routing takes of one core: decision, account and entry, with no provider."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from random import Random

from farthing.call import Endpoint
from farthing.clock import SystemClock
from farthing.codecs import codec_for
from farthing.config import load_config
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
from farthing.pricing import PriceBook, RateCard
from farthing.wire import Request

__all__ = ["stage_times"]


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
    site = folder / "served"
    config = load_config(str(site / "farthing.toml"), {})
    clock = SystemClock()
    targets, book = Targets(config), PriceBook.load(config.pricing_settings())
    upstreams = make_upstreams(config, {})
    pricer = Pricer(config, book)
    board = RouteBoard(config, targets, upstreams, book, clock, b"", random=Random(0))
    desk = Desk(_Nowhere(), clock)
    ids = CallIds(b"12345678")
    evidence = wire_evidence(config, _answer, desk, targets, pricer, ids)
    modes = RouteModes(evidence.comparer, evidence.board, is_gathering=False)
    runner = StepRunner(clock, "never", retries_lost=False)
    stage = Routing(board, pricer, runner, modes, clock)
    decoder = Decoder(config, desk, clock, ids)
    callers = Callers(KeyRing.open_door(), "")
    codec = codec_for(Endpoint.OPENAI_CHAT)
    (standing,) = board.pools["auto"].standings.values()
    single = next(
        name for name, step in standing.policy.steps.items() if type(step).__name__ == "Single"
    )
    body = json.dumps(
        {
            "model": f"farthing/auto:{single}",
            "messages": [{"role": "user", "content": "word " * 400}],
        }
    ).encode()
    request = Request(
        method="POST",
        target="/v1/chat/completions",
        headers=[],
        body=body,
        peer="",
        is_kept_alive=True,
        is_http_10=False,
        named={},
    )
    taken: list[float] = []
    for _ in range(rounds):
        inbound = decoder.decode(request, codec, callers.meet(request), clock.monotonic_us())
        begun = time.perf_counter_ns()
        await stage(inbound, _answer)
        inbound.settlement.close(CallStatus.OK)
        taken.append((time.perf_counter_ns() - begun) / 1000)
    for upstream in upstreams.values():
        upstream.close()
    cuts = statistics.quantiles(taken, n=100)
    return {"p50_us": round(cuts[49], 1), "p99_us": round(cuts[98], 1), "rounds": rounds}
