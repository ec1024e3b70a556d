"""`farthing evidence`: the table, the switch, the trail, the plan, the labels."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from click.testing import CliRunner
from ledger_cli_samples import an_entry

from farthing.cli.root import cli
from farthing.errors import CallerError
from farthing.evidence import REPEATS, Compared, Evidence, EvidenceSettings, EvidenceStore, Keeper
from farthing.ledger import Journal
from farthing.money import Money

NOW = 1_790_000_000_000_000
CONFIG = """
[evidence]
mode = "on"
judge = "exact"
share = 0.1
floor = 0.95
candidate = "gpt-4o-mini"
usd_per_day = "2"
"""


@pytest.fixture
def farthing(tmp_path):
    """Run a command in a folder of its own; what it printed, or what it raised."""
    folder = tmp_path / "ledger"
    folder.mkdir()
    config = tmp_path / "farthing.toml"
    config.write_text(f'[ledger]\ndata_dir = "{folder}"\n{CONFIG}')

    def run(*arguments):
        done = CliRunner().invoke(cli, ["--config", str(config), "evidence", *arguments])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    run.store = EvidenceStore(folder)
    yield run
    run.store.close()


def fed(store, scores, *, lever="candidate", judge="exact"):
    keeper = Keeper(store, EvidenceSettings(mode="on", judge="exact", share=0.1, floor=0.95))
    for number, score in enumerate(scores):
        keeper.note(
            Compared(
                version="gpt-4o-mini",
                candidate_call=f"call_{number}_c",
                reference_call=f"call_{number}_r",
                evidence=Evidence(
                    call=f"call_{number}",
                    lever=lever,
                    feature="support",
                    judge=judge,
                    score=float(score),
                    reference=1.0,
                    probability=0.1,
                    at_us=NOW,
                    cost=Money(1_000_000),
                ),
            ),
            NOW,
        )


def test_without_comparisons_it_says_how_to_begin(farthing):
    assert "No comparisons yet. Switch them on" in farthing().output
    assert json.loads(farthing("--json").output)["levers"] == []


def test_a_lever_is_shown_with_its_loss_its_interval_its_verdict_and_its_cost(farthing):
    fed(farthing.store, [1] * 30, lever=REPEATS)
    fed(farthing.store, [1] * 59 + [0])
    (row,) = json.loads(farthing("--json").output)["levers"]
    assert (row["lever"], row["scope"], row["version"]) == ("candidate", "support", "gpt-4o-mini")
    assert (row["mode"], row["verdict"], row["comparisons"]) == ("shadow", "undecided", 60)
    assert row["regret"] == pytest.approx(1 / 60)
    assert row["regret_interval"][0] < 1 / 60 < row["regret_interval"][1]
    assert (row["repeats"], row["reference_regret"]) == (30, 0)
    assert row["cost_usd"] == "0.06"
    assert row["needed"] > 0
    printed = farthing().output
    assert "0.017" in printed
    assert "Spent today (UTC): $0.00 of $2.00." in printed


def test_a_judge_that_can_show_nothing_is_told(farthing):
    fed(farthing.store, [0] * 20, lever=REPEATS)
    fed(farthing.store, [0] * 20)
    told = farthing().output
    assert "the reference agrees with itself in 0% of 20 repeats" in told


def test_one_switch_stops_all_and_the_trail_says_who_and_why(farthing):
    fed(farthing.store, [1])
    assert "Every lever is stopped" in farthing("stop", "--reason", "an incident").output
    assert farthing.store.is_stopped
    assert "was stopped already" in farthing("stop").output
    assert "Every lever is stopped: farthing evidence resume." in farthing().output
    assert "Every lever is running" in farthing("resume").output
    assert not farthing.store.is_stopped
    newest, stopped, begun = json.loads(farthing("audit", "--json").output)
    assert (newest["after"], newest["reason"]) == ("running", "by hand")
    assert (stopped["after"], stopped["reason"], stopped["lever"]) == (
        "stopped",
        "an incident",
        "*",
    )
    assert (begun["actor"], begun["reason"]) == ("ladder", "begins with gpt-4o-mini")
    assert "an incident" in farthing("audit").output


def test_a_lever_is_set_by_hand_where_it_is_known(farthing):
    fed(farthing.store, [1])
    assert "candidate for support is canary-10" in farthing(
        "set", "candidate", "support", "canary-10"
    ).output  # fmt: skip
    (state,) = farthing.store.states()
    assert (state.mode, state.reason) == ("canary-10", "by hand")
    with pytest.raises(CallerError, match="Known are: candidate support"):
        farthing("set", "candidate", "search", "on")


def test_a_plan_says_comparisons_money_and_days_before_any_is_spent(farthing):
    asked = ("plan", "support", "--calls-per-day", "2000", "--usd-per-call", "0.004")
    told = json.loads(farthing(*asked, "--json").output)
    assert told["comparisons_in_canaries"] == 150
    whole = told["comparisons_to_show"] + 150
    assert told["repeats_of_the_reference"] == round(whole * 0.25)
    assert told["cost_usd"] == str(Money(4_000_000 * (whole + round(whole * 0.25))))
    assert told["days_by_traffic"] == -(-whole // 200)
    assert "show that 0.95 of the quality is kept, with 95.0% confidence" in farthing(*asked).output


def test_a_plan_takes_calls_and_prices_from_the_last_seven_days_of_the_ledger(farthing, tmp_path):
    now_us = time.time_ns() // 1000
    journal = Journal.open(tmp_path / "ledger", "w")
    for number in range(140):
        journal.settle(an_entry(f"call-{number}", "support", started_us=now_us))
    journal.settle(an_entry("call-old", "support", started_us=now_us - 9 * 86_400_000_000))
    aside = an_entry("call-aside", "support", started_us=now_us)
    told = {"farthing-lever": "candidate", "farthing-for": "call-1"}
    tags = msgspec.structs.replace(aside.attribution, tags=told)
    for number in range(140):  # what the evidence asked beside them is no traffic
        named = {"call_id": f"aside-{number}", "attribution": tags}
        journal.settle(msgspec.structs.replace(aside, **named))
    journal.close()
    told = json.loads(farthing("plan", "support", "--json").output)
    assert told["calls_per_day"] == 20
    answers = told["comparisons_to_show"] + 150 + told["repeats_of_the_reference"]
    assert told["cost_usd"] == str(Money(2800 * answers))
    with pytest.raises(CallerError, match="no calls of the feature 'x' in the last seven days"):
        farthing("plan", "x")


def test_a_plan_for_what_can_not_be_shown_says_so(farthing):
    with pytest.raises(CallerError, match="no number of comparisons"):
        farthing("plan", "x", "--quality", "0.9", "--calls-per-day", "1", "--usd-per-call", "1")
    with pytest.raises(CallerError, match="There is no ledger in"):
        farthing("plan", "x")
    with pytest.raises(CallerError, match="is not an amount in USD"):
        farthing("plan", "x", "--calls-per-day", "1", "--usd-per-call", "much")


def test_people_label_comparisons_and_the_judge_is_held_against_them(farthing):
    fed(farthing.store, [1, 1, 0, 0])
    listed = farthing("label").output
    assert "call_3_c" in listed
    found = farthing.store.comparisons("candidate", "support")
    for one, word in zip(found, ["good", "good", "good", "bad"], strict=True):
        assert f"labelled {word}" in farthing("label", str(one.id), word).output
    (row,) = json.loads(farthing("--json").output)["levers"]
    made = row["calibration"]
    assert (made["agreed"], made["labels"], made["is_enough"]) == (3, 4, False)
    assert (made["sensitivity"], made["specificity"]) == (pytest.approx(2 / 3), 1.0)
    assert made["corrected"] == pytest.approx(0.75)
    assert "do not rely on it" in farthing().output
    with pytest.raises(CallerError, match="no comparison 99"):
        farthing("label", "99", "good")


def test_a_folder_that_is_not_there_is_told(tmp_path, farthing):
    with pytest.raises(CallerError, match="There is no ledger in"):
        farthing("--data-dir", str(tmp_path / "nowhere"))


def test_why_a_lever_is_off_is_told_below_the_table(farthing):
    fed(farthing.store, [0] * 40)
    shown = farthing().stdout
    assert "candidate for support is off: shown to be unsafe after" in shown
    (lever,) = json.loads(farthing("--json").stdout)["levers"]
    assert lever["is_lost"] is True


def test_the_mode_of_a_pool_that_decides_itself_is_the_pools(farthing, tmp_path):
    pool = '[routing.pools.auto]\nincumbent = "large"\nmode = "{}"\n'
    fed(farthing.store, [1], lever="routing:auto@0.98")
    path = tmp_path / "farthing.toml"
    plain = path.read_text()
    for mode, told, shown in (("on", "on", "on (its pool's)"), ("evidence", None, "shadow")):
        path.write_text(plain + pool.format(mode))
        (lever,) = json.loads(farthing("--json").stdout)["levers"]
        assert (lever["mode"], lever["pool_mode"]) == ("shadow", told)
        assert shown in farthing().stdout
        by_hand = farthing("set", "routing:auto@0.98", "support", "shadow").output
        assert ("Its pool's own mode, on, says how far it goes" in by_hand) is (mode == "on")
