"""A model as judge, end to end: in both orders, calibrated by people, paid from the evidence."""

from __future__ import annotations

import json
import random

import pytest
from click.testing import CliRunner
from served_policies import CHEAP, PRICE, SINGLE, STRONG, ask, line, policy, pool

from farthing.cli.root import cli
from farthing.evidence import EvidenceStore, is_lost
from farthing.levers.routing.serving import read_choice
from farthing.money import Money, total
from farthing.sim import Judging, Rule

CHAT = "/v1/chat/completions"
JUDGE = "claude-haiku-5-5"
LEVER = "routing:auto@0.98"
CALLS = 300
WRONG, FIRST = 0.1, 0.1
BREAKS_AT = 151


def rows():
    """Both models are right; where a rule breaks the cheap one, it gives an answer of its own."""
    return [line(number, {STRONG: (1, number), CHEAP: (1, number)}) for number in range(CALLS)]


JUDGED = {
    "mode": "on",
    "share": 1.0,
    "repeat_share": 0.3,
    "floor": 0.9,
    "judge": "careful",
    "usd_per_day": "100",
    "judges": {
        "careful": {
            "kind": "model",
            "model": f"anthropic/{JUDGE}",
            "rubric": "An answer is good if its number is right.",
        }
    },
}
PRICED = [*PRICE, {"model": JUDGE, "provider": "anthropic", "input": "1", "output": "5"}]


async def called(gateway, count=CALLS):
    """Whether each call's answer was right, by the call's id."""
    right = {}
    for number in range(count):
        status, headers, body = await gateway.post(CHAT, ask(f"question {number}"))
        assert status == 200
        text = json.loads(body)["choices"][0]["message"]["content"]
        right[headers["x-farthing-call"]] = text.endswith(f"Answer: {number}")
        await gateway.wired.evidence.aside.settled()
    return right


def rules(*more, **errs):
    return (Rule(model=JUDGE, judging=Judging(**errs)), *more)


def judge_entries(gateway):
    return [e for e in gateway.journal.entries if e.attribution.tags.get("farthing-lever") == "evidence"]  # fmt: skip


@pytest.fixture
def judged(routed):
    def run(scenario, rules, **changed):
        return routed(
            scenario,
            policy(SINGLE),
            rows=rows(),
            rules=rules,
            pools={"auto": pool(mode="on")},
            evidence=JUDGED | changed,
            price=PRICED,
        )

    return run


def test_a_model_that_breaks_is_taken_down_by_a_judge_that_errs_now_and_then(judged):
    broken = Rule(model=CHEAP, accuracy=0, from_request=BREAKS_AT)

    async def scenario(gateway, provider, mark):
        await called(gateway)
        own = [e for e in gateway.journal.entries if "farthing-for" not in e.attribution.tags]
        served = [read_choice(entry.detail).served for entry in own]
        assert set(served[: BREAKS_AT - 1]) == {CHEAP}
        assert served[-1] == STRONG
        wrong = [s for s in provider.simulator.log if s.model == CHEAP and s.score == 0]
        assert 10 < len(wrong) <= 60
        state = gateway.wired.evidence.board.state(LEVER, "easy")
        assert state.reason.startswith("shown to be unsafe")

    judged(scenario, rules(broken, wrong=WRONG, first=FIRST))


def test_one_that_stays_as_good_is_not_and_both_orders_show_what_the_judge_prefers(judged):
    async def scenario(gateway, provider, mark):
        await called(gateway)
        state = gateway.wired.evidence.board.state(LEVER, "easy")
        assert not is_lost(state)  # what the judge makes of the reference itself is no harm
        found = gateway.wired.evidence.store.comparisons(LEVER, "easy")
        scores = [one.evidence.score for one in found]
        assert len(scores) == CALLS
        # In one order A for its place, in the other SAME, or A again: no clear word.
        unclear = 1 - (1 - FIRST) ** 2
        assert scores.count(0.5) / CALLS == pytest.approx(unclear, abs=0.06)
        # Of two that are as good, half of the wrong words fall on the candidate.
        lost = (1 - FIRST) ** 2 * WRONG / 2
        assert scores.count(0.0) / CALLS == pytest.approx(lost, abs=0.03)

    judged(scenario, rules(wrong=WRONG, first=FIRST))


def test_what_the_judge_costs_stands_in_the_account_to_the_nanodollar(judged):
    async def scenario(gateway, provider, mark):
        await called(gateway, 40)
        asked = [s for s in provider.simulator.log if s.model == JUDGE]
        booked = judge_entries(gateway)
        repeats = gateway.wired.evidence.store.comparisons("a/a", "easy")
        assert len(booked) == len(asked) == 2 * (40 + len(repeats))
        billed = sum(s.usage.prompt_tokens * 1000 + s.usage.output * 5000 for s in asked)
        assert total(tuple(e.cost for e in booked)) == Money(billed)
        assert {move.lever for e in booked for move in e.moves} == {"evidence"}
        assert all(move.spent == e.cost for e in booked for move in e.moves)
        compared = gateway.wired.evidence.store.comparisons(LEVER, "easy")
        second = [e for e in gateway.journal.entries
                  if e.attribution.tags.get("farthing-lever") == "routing"]  # fmt: skip
        whole = total(tuple(one.evidence.cost for one in (*compared, *repeats)))
        assert whole == total(tuple(e.cost for e in (*booked, *second)))

    judged(scenario, rules(wrong=WRONG))


def test_labels_by_people_tell_how_far_the_judge_can_be_trusted(judged, tmp_path):
    """A judge that is wrong in a fifth of its words, beside labels that the record makes."""
    half_broken = Rule(model=CHEAP, accuracy=0.5)

    async def scenario(gateway, provider, mark):
        return await called(gateway)

    # By so low a floor nothing is taken down.
    right = judged(scenario, rules(half_broken, wrong=0.2), floor=0.3, repeat_share=0.0)
    store = EvidenceStore(tmp_path)
    compared = store.comparisons(LEVER, "easy")
    for one in random.Random(5).sample(compared, 150):
        store.label(one.id, is_good=right[one.evidence.call], now_us=1)
    store.close()
    config = tmp_path / "farthing.toml"
    config.write_text(
        f'[ledger]\ndata_dir = "{tmp_path}"\n[evidence]\nmode = "on"\njudge = "careful"\n'
        f'floor = 0.3\n[evidence.judges.careful]\nkind = "model"\nmodel = "anthropic/{JUDGE}"\n'
    )
    shown = CliRunner().invoke(cli, ["--config", str(config), "evidence", "--json"])
    assert shown.exit_code == 0, shown.output
    (row,) = json.loads(shown.stdout)["levers"]
    found = row["calibration"]
    assert found["is_enough"]
    share = sum(right[one.evidence.call] for one in compared) / len(compared)
    assert found["agreed"] / found["labels"] == pytest.approx(0.8, abs=0.1)
    assert found["corrected"] == pytest.approx(share, abs=0.1)
