"""`farthing route why`, `status` and `resume` as their users meet them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from served_policies import SINGLE, file_policy, policy

from farthing.call import Attempt, AttemptStatus, Attribution, Endpoint, Pricing
from farthing.cli.root import cli
from farthing.evidence import Compared, Evidence, EvidenceStore, Mode, State
from farthing.ledger import CallStatus, Drainer, Entry, Journal, LeverMove
from farthing.levers.routing import read_outcomes
from farthing.levers.routing.serving import Choice, write_choice
from farthing.levers.routing.trail import Event, Trail
from farthing.money import Money

replace = msgspec.structs.replace
CONFIG = """
[ledger]
data_dir = "data"
[routing.pools.auto]
incumbent = "gpt-4o"
models = ["gpt-4o-mini"]
mode = "on"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FARTHING_ROUTE_SECRET", raising=False)
    Path("farthing.toml").write_text(CONFIG)
    Path("data/routing/auto").mkdir(parents=True)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, ["route", *map(str, arguments)])


def filed(prices):
    made = policy(SINGLE, prices=prices, snapshots=dict.fromkeys(prices, "x"))
    return file_policy(Path("data"), made)


def stopped(mark):
    event = Event(at="2026-11-25T00:00:00+00:00", kind="stopped", pool="auto", policy=mark,
                  told="drift: escalations of easy have risen")  # fmt: skip
    Trail(Path("data/routing")).append(event)


def test_status_says_which_policies_count_and_resume_lifts_a_stop(folder):
    mark = filed({"gpt-4o-mini": "outcomes"})
    found = run("status")
    assert found.exit_code == 0, found.output
    assert f"{mark}: counts, floor 0.98" in found.stdout
    stopped(mark)
    found = run("status", "--json")
    assert found.exit_code == 1
    (pool,) = json.loads(found.stdout)["pools"]
    assert pool["policies"] == [
        {
            "policy": mark,
            "floor": 0.98,
            "stopped": "drift: escalations of easy have risen",
            "down": {},
        }
    ]
    lifted = run("resume", "auto", mark)
    assert lifted.exit_code == 0
    assert "it was stopped: drift: escalations of easy have risen" in lifted.stdout
    assert run("status").exit_code == 0
    again = run("resume", "auto", mark)
    assert again.exit_code != 0
    assert "was stopped" in str(again.exception)


def test_status_says_that_a_changed_price_voids_a_certificate(folder):
    filed({"gpt-4o-mini": "openai/gpt-4o-mini#0000000000"})
    found = run("status")
    assert found.exit_code == 1
    assert "its certificate is void: the price of gpt-4o-mini was" in found.stdout.replace("\n", "")


def test_status_notes_nothing_on_the_trail(folder):
    filed({"gpt-4o-mini": "outcomes"})
    run("status")
    assert not Path("data/routing/trail.jsonl").exists()


def test_status_says_what_the_evidence_took_down_and_that_all_is_stopped(folder):
    mark = filed({"gpt-4o-mini": "outcomes"})
    store = EvidenceStore(Path("data"))
    reason = "shown to be unsafe after 40 comparisons, 40 of them at shadow"
    for lever, scope, version in (
        ("routing:auto@0.98", "easy", mark),
        ("routing:auto@0.98", "hard", "another policy"),
        ("routing:shop@0.98", "easy", mark),
    ):
        down = State(
            lever=lever, scope=scope, version=version, mode=Mode.OFF, reason=reason, since_us=1
        )
        store.change(lever, scope, lambda _, down=down: down, "ladder")
    (pool,) = json.loads(run("status", "--json").stdout)["pools"]
    assert pool["policies"][0]["down"] == {"easy": reason}
    assert f"the incumbent serves easy: {reason}" in run("status").stdout
    store.stop(is_stopped=True, now_us=1, actor="me", reason="")
    assert "Every lever is stopped" in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["all_stopped"] is True
    store.close()


def test_status_names_a_file_that_is_no_policy_once(folder):
    Path("data/routing/auto/broken.json").write_text("{")
    found = run("status")
    assert found.exit_code == 1
    assert found.stdout.count("broken.json") == 1
    assert "broken.json: is no policy that can be read" in found.stdout


def test_status_makes_no_file_of_evidence(folder):
    run("status")
    assert [path.name for path in Path("data").iterdir()] == ["routing"]


def test_status_says_which_models_have_no_price_where_they_are_asked(folder):
    Path("farthing.toml").write_text(CONFIG.replace('"gpt-4o-mini"]', '"gemini-1.5-flash"]'))
    (pool,) = json.loads(run("status", "--json").stdout)["pools"]
    assert pool["unpriced"] == ["gemini-1.5-flash"]
    assert "gemini-1.5-flash has no price where it is asked" in run("status").stdout


def kept(detail, moves=(), number=1, model="farthing/auto:easy", asked="gpt-4o-mini"):
    attempt = Attempt(
        number=1, provider="openai", model=asked, status=AttemptStatus.OK,
        pricing=Pricing.CARD, cost=Money(1000 * number),
    )  # fmt: skip
    entry = Entry(
        call_id=f"call_{number}", endpoint=Endpoint.OPENAI_CHAT, model=model,
        is_streamed=False, status=CallStatus.OK, started_us=1_790_000_000_000_000,
        attribution=Attribution(feature="easy"), attempts=(attempt,), baseline=Money(10_000),
        moves=moves, detail=detail,
    )  # fmt: skip
    journal = Journal.open(Path("data"), f"test-{number}")
    journal.settle(entry)
    journal.close()
    with Drainer(Path("data")) as drainer:
        drainer.drain()


def test_why_tells_class_step_policy_and_money(folder):
    choice = Choice(
        pool="auto", name="easy", arm="policy", step="gpt-4o-mini", reason="certified",
        propensity=0.25, policy="abc", floor=0.98, served="gpt-4o-mini",
    )  # fmt: skip
    move = LeverMove(lever="routing", saved=Money(9000), spent=Money(0))
    kept(write_choice(choice), (move,))
    found = run("why", "call_1")
    assert found.exit_code == 0, found.output
    assert "pool auto, class easy, step gpt-4o-mini: certified." in found.stdout
    assert "with a probability of 0.25" in found.stdout
    told = json.loads(run("why", "call_1", "--json").stdout)
    assert (told["policy"], told["saved_usd"], told["propensity"]) == ("abc", "0.000009", 0.25)


def test_why_is_a_command_of_its_own_too(folder):
    choice = Choice(pool="auto", name="easy", arm="incumbent", step="gpt-4o", reason="no policy")
    kept(write_choice(choice))
    found = CliRunner().invoke(cli, ["why", "call_1"])
    assert found.exit_code == 0, found.output
    assert found.stdout == run("why", "call_1").stdout


def test_explored_tells_what_each_step_costs_and_else_how_to_explore(folder):
    choice = Choice(
        pool="auto", name="easy", arm="policy", step="gpt-4o-mini", reason="certified",
        policy="abc", propensity=0.25, explores=True,
    )  # fmt: skip
    kept(write_choice(choice))
    none_since = run("explored", "--since", "2026-11-01")
    assert "No call was explored" in none_since.stdout
    (told,) = json.loads(run("explored", "--json").stdout)["explored"]
    assert (told["class"], told["step"], told["calls"]) == ("easy", "gpt-4o-mini", 1)
    assert told["cost_usd_per_call"] == "0.000001"
    assert "$0.000001" in run("explored").stdout


SINGLE_STEP = Choice(
    pool="auto", name="easy", arm="policy", step="gpt-4o-mini", reason="certified",
    served="gpt-4o-mini", asked=("gpt-4o-mini",),
)  # fmt: skip
VOTED = msgspec.structs.replace(SINGLE_STEP, asked=("gpt-4o-mini", "gpt-4.1-nano"))


def compared(number, score, probability, feature="easy"):
    return Compared(
        candidate_call=f"call_{number}", reference_call=f"call_{number + 1}", version="p",
        evidence=Evidence(
            call=f"call_{number}", lever="routing:auto@0.98", feature=feature, judge="exact",
            score=score, reference=1.0, probability=probability, at_us=number,
        ),
    )  # fmt: skip


def test_what_the_gateway_compared_becomes_outcomes_to_compile_from(folder):
    kept(write_choice(SINGLE_STEP), number=1)
    kept("", number=2, model="gpt-4o", asked="gpt-4o")
    kept(write_choice(VOTED), number=3)
    kept("", number=4, model="gpt-4o", asked="gpt-4o")
    store = EvidenceStore(Path("data"))
    store.add(compared(1, 0.0, 0.1))
    store.add(compared(3, 1.0, 0.1))  # a vote's answer is no sample of the model that gave it
    store.add(compared(5, 1.0, 0.1))  # its calls are not in this ledger
    store.close()
    told = json.loads(run("outcomes", "--out", "own.jsonl", "--json").stdout)
    assert told == {
        "calls": 1, "comparisons": 3, "thinned": 0, "models": ["gpt-4o", "gpt-4o-mini"],
    }  # fmt: skip
    (prompt,) = read_outcomes(Path("own.jsonl")).prompts
    assert prompt.task == "easy"
    assert {model: (one.score, one.cost) for model, one in prompt.outcomes.items()} == {
        "gpt-4o-mini": (0.0, Money(1000)),
        "gpt-4o": (1.0, Money(2000)),
    }
    assert run("audit", "own.jsonl", "--incumbent", "gpt-4o").exit_code == 0


def test_features_compared_at_different_shares_are_thinned_to_the_least(folder):
    store = EvidenceStore(Path("data"))
    kept(write_choice(SINGLE_STEP), number=1)
    kept("", number=2, model="gpt-4o", asked="gpt-4o")
    for number in range(1, 400):
        often = compared(number, 1.0, 0.5, feature="often")
        store.add(replace(often, evidence=replace(often.evidence, call=f"often {number}")))
    store.add(compared(1, 1.0, 0.1))
    store.close()
    told = json.loads(run("outcomes", "--out", "own.jsonl", "--json").stdout)
    assert 280 <= told["thinned"] <= 350  # four in five of 399


def test_without_comparisons_outcomes_says_how_to_gather_them(folder):
    kept("")
    found = run("outcomes", "--out", "own.jsonl")
    assert "docs/evidence.md" in str(found.exception)
    assert not Path("own.jsonl").exists()


def test_why_says_that_a_call_was_not_routed(folder):
    kept("")
    assert "was not routed" in str(run("why", "call_1").exception)
    assert "no call" in str(run("why", "call_2").exception)
