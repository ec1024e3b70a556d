"""A candidate model through HTTP, with simulated providers: proven it climbs, broken it falls."""

from __future__ import annotations

import asyncio
import json

import pytest
from fakes import Gateway
from served_policies import CHEAP, OTHER, PRICE, STRONG, RecordedProvider, line

from farthing.evidence import Mode
from farthing.ledger import CallStatus
from farthing.money import Money, total
from farthing.sim import Rule

CHAT = "/v1/chat/completions"
PROMPTS = 40
ROWS = [
    line(number, {STRONG: (1, number), CHEAP: (1, number), OTHER: (0, number + 1000)})
    for number in range(PROMPTS)
]
EVIDENCE = {
    "mode": "on",
    "share": 1.0,
    "repeat_share": 0.1,
    "judge": "numeric",
    "floor": 0.9,
    "candidate": CHEAP,
    "usd_per_day": "100",
    "canary_comparisons": 20,
}
FEATURE = {"x-farthing-feature": "support"}


@pytest.fixture
def trial(tmp_path):
    """Run a scenario against a gateway and simulated providers."""

    def run(scenario, rules=(), **evidence):
        async def whole():
            async with (
                RecordedProvider(tmp_path, ROWS, rules) as provider,
                Gateway(
                    tmp_path / "data", provider, price=PRICE, evidence=EVIDENCE | evidence
                ) as gateway,
                asyncio.timeout(120),
            ):
                return await scenario(gateway, provider)

        return asyncio.run(whole())

    return run


def asked(number, **more):
    prompt = f"question {number % PROMPTS}"
    return {"model": STRONG, "messages": [{"role": "user", "content": prompt}], **more}


async def called(gateway, count, begin=0, **more):
    """That many calls, one after the other, each with its evidence; the mode after each."""
    modes = []
    for number in range(begin, begin + count):
        headers = FEATURE | {"x-farthing-session": f"s{number}"}
        status, _, _ = await gateway.post(CHAT, asked(number, **more), headers)
        assert status == 200
        await gateway.wired.evidence.aside.settled()
        modes.append(gateway.wired.evidence.board.mode("candidate", "support"))
    return modes


def served_by_candidate(gateway):
    return [e for e in gateway.journal.entries if e.moves and e.moves[0].lever == "candidate"
            and "farthing-for" not in e.attribution.tags]  # fmt: skip


def test_a_candidate_that_is_as_good_climbs_to_on_and_every_sum_adds_up(trial):
    async def scenario(gateway, provider):
        modes = await called(gateway, 200)
        assert list(dict.fromkeys(modes)) == [
            Mode.SHADOW,
            Mode.CANARY_1,
            Mode.CANARY_10,
            Mode.CANARY_50,
            Mode.ON,
        ]
        before = len(gateway.journal.entries)
        await called(gateway, 10, begin=200)
        last = [e for e in gateway.journal.entries[before:] if not e.attribution.tags]
        assert {e.attempts[-1].model for e in last} == {CHEAP}
        for entry in gateway.journal.entries:
            assert entry.status is CallStatus.OK
            moved = total(tuple(m.spent - m.saved for m in entry.moves))
            assert entry.baseline + moved == entry.cost
        served = served_by_candidate(gateway)
        assert len(served) > 60
        assert {(e.cost, e.baseline) for e in served} == {
            (Money.usd("0.00021"), Money.usd("0.0035"))
        }

    trial(scenario)


@pytest.mark.parametrize("more", [{}, {"stream": True}], ids=["whole", "streamed"])
def test_one_that_breaks_while_it_serves_is_taken_back_within_its_bound(trial, more):
    broken = Rule(model=CHEAP, accuracy=0.0, from_request=300)

    async def scenario(gateway, provider):
        modes = await called(gateway, 400, **more)
        assert Mode.ON in modes
        assert modes[-1] is Mode.OFF
        board = gateway.wired.evidence.store.trail()
        (fall,) = [one for one in board if (one.before, one.after) == ("on", "shadow")]
        assert fall.reason.startswith("shown to be unsafe after ")
        fell_at = next(n for n, mode in enumerate(modes) if mode is Mode.SHADOW and n > 100)
        answered = [s for s in provider.simulator.log if s.model == CHEAP]
        harmed = sum(s.score == 0 for s in answered[: fell_at + 1])
        assert 0 < harmed <= 60
        last = [e for e in gateway.journal.entries if not e.attribution.tags][-20:]
        assert {e.attempts[-1].model for e in last} == {STRONG}

    trial(scenario, rules=(broken,))


def test_one_that_is_worse_never_serves_anybody(trial):
    worse = Rule(model=CHEAP, accuracy=0.4)

    async def scenario(gateway, provider):
        modes = await called(gateway, 200)
        assert set(modes) == {Mode.SHADOW, Mode.OFF}
        assert served_by_candidate(gateway) == []

    trial(scenario, rules=(worse,), repeat_share=0.5)


def test_a_candidate_that_fails_costs_no_call(trial):
    failing = Rule(model=CHEAP, fault="400", from_request=200)

    async def scenario(gateway, provider):
        await called(gateway, 250)
        entry = next(e for e in gateway.journal.entries if len(e.attempts) == 2)
        assert [a.model for a in entry.attempts] == [CHEAP, STRONG]
        assert (entry.status, entry.cost, entry.baseline) == (
            CallStatus.OK,
            Money.usd("0.0035"),
            Money.usd("0.0035"),
        )

    trial(scenario, rules=(failing,))


def test_one_switch_gives_every_call_back_to_the_model_that_was_asked_for(trial):
    async def scenario(gateway, provider):
        await called(gateway, 200)
        evidence = gateway.wired.evidence
        evidence.store.stop(is_stopped=True, now_us=1, actor="person", reason="")
        await evidence.board.refresh()
        before = len(provider.asked)
        modes = await called(gateway, 5, begin=200)
        assert set(modes) == {Mode.OFF}
        assert provider.asked[before:] == [STRONG] * 5

    trial(scenario)


def test_a_stream_reaches_its_client_byte_for_byte_though_it_is_compared(trial):
    async def scenario(gateway, provider):
        _, _, compared = await gateway.post(CHAT, asked(1, stream=True), FEATURE)
        await gateway.wired.evidence.aside.settled()
        (found,) = gateway.wired.evidence.store.comparisons("candidate", "support")
        assert found.evidence.score == 1.0
        _, _, plain = await gateway.post(CHAT, asked(1, stream=True), {"x-farthing-feature": "x"})
        texts = [
            [json.loads(e[6:])["choices"] for e in body.decode().split("\n") if e[:7] == "data: {"]
            for body in (compared, plain)
        ]
        assert texts[0] == texts[1]

    trial(scenario, features={"x": {"mode": "off"}})


def test_comparisons_are_made_for_the_share_that_is_asked_for(trial):
    async def scenario(gateway, provider):
        await called(gateway, 200)
        found = gateway.wired.evidence.store.comparisons("candidate", "support")
        assert 20 <= len(found) <= 65
        assert {one.evidence.probability for one in found} == {0.2}
        paid = [e for e in gateway.journal.entries if "farthing-for" in e.attribution.tags]
        repeats = gateway.wired.evidence.store.comparisons("a/a", "support")
        cost = total(tuple(one.evidence.cost for one in [*found, *repeats]))
        assert cost == total(tuple(e.cost for e in paid))
        assert gateway.wired.evidence.store.spent(gateway.clock.now_us()) == cost

    trial(scenario, share=0.2)
