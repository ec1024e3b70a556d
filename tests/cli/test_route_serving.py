"""`farthing route why`, `status` and `resume` as their users meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from served_policies import SINGLE, file_policy, policy

from farthing.call import Attempt, AttemptStatus, Attribution, Endpoint, Pricing
from farthing.cli.root import cli
from farthing.ledger import CallStatus, Drainer, Entry, Journal, LeverMove
from farthing.levers.routing.serving import Choice, write_choice
from farthing.levers.routing.trail import Event, Trail
from farthing.money import Money

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
        {"policy": mark, "floor": 0.98, "stopped": "drift: escalations of easy have risen"}
    ]
    assert run("resume", "auto", mark).exit_code == 0
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


def kept(detail, moves=()):
    attempt = Attempt(
        number=1, provider="openai", model="gpt-4o-mini", status=AttemptStatus.OK,
        pricing=Pricing.CARD, cost=Money(1000),
    )  # fmt: skip
    entry = Entry(
        call_id="call_1", endpoint=Endpoint.OPENAI_CHAT, model="farthing/auto:easy",
        is_streamed=False, status=CallStatus.OK, started_us=1_790_000_000_000_000,
        attribution=Attribution(feature="easy"), attempts=(attempt,), baseline=Money(10_000),
        moves=moves, detail=detail,
    )  # fmt: skip
    journal = Journal.open(Path("data"), "test")
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


def test_why_says_that_a_call_was_not_routed(folder):
    kept("")
    assert "was not routed" in str(run("why", "call_1").exception)
    assert "no call" in str(run("why", "call_2").exception)
