"""`farthing price`: what a call costs, down to the card, and what it grows to."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from click.testing import CliRunner

from farthing.cli.root import cli, main

KEYS = {"model", "provider", "at", "cost_usd", "lines", "card", "projection", "volume"}


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """A folder without a configuration, and a fixed width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, ["price", *map(str, arguments)])


def document(*arguments):
    found = run(*arguments, "--json")
    assert found.exit_code == 0, found.output
    assert found.stderr == ""
    return json.loads(found.stdout)


def lines(*arguments):
    return {
        line["bucket"]: (line["quantity"], line["usd_per_million"], line["cost_usd"])
        for line in document(*arguments)["lines"]
    }


def test_json_is_one_document_with_the_promised_keys():
    found = document("gpt-4o", "--input", 1000, "--output", 20, "--at", "2026-11-24")
    assert set(found) == KEYS
    assert (found["model"], found["provider"]) == ("gpt-4o", "openai")
    assert found["at"] == "2026-11-24T00:00:00+00:00"
    assert found["cost_usd"] == "0.0027"
    assert found["lines"] == [
        {"bucket": "input", "quantity": 1000, "usd_per_million": "2.5", "cost_usd": "0.0025"},
        {"bucket": "output", "quantity": 20, "usd_per_million": "10", "cost_usd": "0.0002"},
    ]
    assert found["card"]["source"] == "https://openai.com/index/api-prompt-caching/ (2024-10-01)"
    assert (found["card"]["valid_from"], found["card"]["valid_to"]) == ("2024-10-02", "2027-01-14")
    assert found["card"]["layer"] == "verified"


def test_input_is_the_whole_prompt_and_its_parts_are_taken_out_of_it():
    found = lines(
        "claude-haiku-4-5", "--input", 1000, "--cached", 300, "--cache-write", 200,
        "--cache-write-1h", 100, "--at", "2026-11-24",
    )  # fmt: skip
    assert found == {
        "input": (400, "1", "0.0004"),
        "cache_read": (300, "0.1", "0.00003"),
        "cache_write_5m": (200, "1.25", "0.00025"),
        "cache_write_1h": (100, "2", "0.0002"),
    }


def test_output_is_the_whole_answer_and_reasoning_a_part_of_it():
    found = lines("gpt-5", "--output", 1000, "--reasoning", 900, "--at", "2026-11-24")
    assert found == {"output": (100, "10", "0.001"), "reasoning": (900, "10", "0.009")}


def test_audio_and_searches_have_lines_of_their_own():
    found = lines(
        "gpt-realtime-2", "--input", 100, "--audio-input", 90, "--output", 50,
        "--audio-output", 40, "--at", "2026-11-24",
    )  # fmt: skip
    assert found["audio_input"] == (90, "32", "0.00288")
    assert found["audio_output"] == (40, "64", "0.00256")
    searches = lines("claude-haiku-4-5", "--web-search", 2, "--at", "2026-11-24")
    assert searches == {"web_search": (2, "10000", "0.02")}


@pytest.mark.parametrize(
    ("flags", "rate"),
    [
        ((), "10"),
        (("--batch",), "5"),
        (("--service-tier", "flex"), "5"),
        (("--service-tier", "priority"), "20"),
        (("--region", "eu"), "10"),
    ],
)
def test_terms_choose_the_rate(flags, rate):
    assert lines("gpt-5", "--output", 100, "--at", "2026-11-24", *flags)["output"][1] == rate


def test_a_regional_uplift_is_shown_exactly():
    assert lines("gpt-5.4", "--output", 7, "--region", "eu", "--at", "2026-11-24")["output"] == (
        7, "16.5", "0.0001155",
    )  # fmt: skip


def test_the_day_chooses_the_card():
    assert document("gpt-4o", "--input", 1000, "--at", "2024-06-01")["cost_usd"] == "0.005"
    assert document("gpt-4o", "--input", 1000, "--at", "2024-12-01")["cost_usd"] == "0.0025"


def test_a_time_may_be_given_for_prices_that_look_at_the_clock():
    flags = ("deepseek-v4-pro", "--output", 1000, "--at")
    assert document(*flags, "2026-11-23T02:00:00Z")["cost_usd"] == "0.00396"
    assert document(*flags, "2026-11-23T05:00:00Z")["cost_usd"] == "0.00198"
    note = document(*flags, "2027-02-08T02:00:00Z")["card"]["note"]
    assert "public holidays of China in 2027 are not known" in note


def test_the_book_can_be_asked_for_what_it_knew():
    flags = ("deepseek-v4-flash", "--cached", 1000, "--input", 1000, "--at", "2026-08-20T12:00Z")
    assert document(*flags)["cost_usd"] == "0.000007"
    assert document(*flags, "--known-at", "2026-09-01")["cost_usd"] == "0.0000028"


def test_a_provider_may_be_named():
    found = document("claude-haiku-4-5@20251001", "--provider", "vertex_ai", "--input", 1)
    assert found["provider"] == "google"


def test_a_projection_multiplies_by_what_is_given():
    """0.0027 a call; 1.3 regenerations and 4 steps make 0.01404 a request; six turns 0.08424; a
    million requests a day 14,040 and thirty days 421,200."""
    grown = document(
        "gpt-4o", "--input", 1000, "--output", 20, "--at", "2026-11-24", "--per-day", 1000000,
        "--regenerations", 1.3, "--steps", 4, "--turns", 6,
    )["projection"]  # fmt: skip
    assert grown == {
        "per_call_usd": "0.0027",
        "per_request_usd": "0.01404",
        "per_conversation_usd": "0.08424",
        "per_day_usd": "14040.00",
        "per_month_usd": "421200.00",
        "days_per_month": 30,
    }


def test_people_see_the_factors_beside_each_sum():
    found = run(
        "gpt-4o", "--input", 1000, "--output", 20, "--at", "2026-11-24", "--per-day", 1000000,
        "--regenerations", 1.3, "--steps", 4, "--turns", 6,
    )  # fmt: skip
    for line in (
        "per call          $0.0027\n",
        "per request       $0.01404  = call x 1.3 regenerations x 4 steps\n",
        "per conversation  $0.08424  = request x 6 turns\n",
        "per day           $14040.00  = request x 1000000 a day\n",
        "per month         $421200.00  = day x 30\n",
    ):
        assert line in found.stdout


def test_without_a_volume_people_see_no_day_of_zero():
    grown = run("gpt-4o", "--input", 1000, "--steps", 4).stdout
    assert "per request" in grown
    assert "per day" not in grown


def test_people_get_lines_the_card_and_the_projection():
    found = run(
        "claude-haiku-4-5", "--input", 1000, "--output", 1000, "--at", "2026-11-24", "--per-day", 10
    )
    assert found.exit_code == 0
    assert "anthropic/claude-haiku-4-5" in found.stdout
    assert "$0.006" in found.stdout
    assert "per month" in found.stdout
    assert "$1.80" in found.stdout
    assert "valid from" in found.stdout


def test_people_are_told_of_retirements_and_unknown_beginnings():
    found = run("claude-2.1", "--input", 10).stdout
    assert "note     retired on 2025-07-21" in found
    assert "per month" not in found
    assert (
        "valid from the first record" in run("gpt-5.4", "--input", 1, "--at", "2026-03-06").stdout
    )


def test_a_discount_shows_and_every_line_reproduces(bare):
    (bare / "farthing.toml").write_text('[[price]]\nmodel = "gpt-*"\ndiscount_percent = "7.5"\n')
    found = document("gpt-4o-mini", "--input", 12_347, "--output", 7, "--at", "2026-11-24")
    assert found["card"]["discount"] == "7.5 %"
    for line in found["lines"]:
        exact = line["quantity"] * Fraction(line["usd_per_million"]) / 10**6
        assert Fraction(line["cost_usd"]) == Fraction(round(exact * 10**9), 10**9)
    assert [line["usd_per_million"] for line in found["lines"]] == ["0.13875", "0.555"]
    total = sum(Decimal(line["cost_usd"]) for line in found["lines"])
    assert Decimal(found["cost_usd"]) == total
    assert "discount 7.5 % off the list price" in run("gpt-4o-mini", "--input", 1).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gpt-4oo", "--input", 1), "Close names: gpt-4o"),
        (("gpt-4o-typo", "--input", 1), "Close names: gpt-4o, "),
        (("gpt-4o", "--input", 1, "--provider", "azur"), "Providers of a similar name: azure"),
        (("no-such-thing", "--input", 1), "Nothing was priced"),
        (("gpt-5", "--input", 1, "--service-tier", "bogus"), "service tier 'bogus'"),
        (("gpt-5", "--input", 1, "--region", "mars"), "region 'mars'"),
        (("gpt-4o", "--input", 1, "--at", "yesterday"), "is no instant"),
        (("gpt-4o", "--input", 1, "--known-at", "2026-13-01"), "is no instant"),
        (("gpt-4o", "--input", 1, "--cached", 2), "the parts exceed the whole"),
        (("gpt-4o", "--output", 1, "--reasoning", 2), "the parts exceed the whole"),
        (("gpt-4o", "--input", -1), "--input"),
        (("gpt-4o", "--input", "many"), "--input"),
        (("gpt-4o", "--input", 1, "--per-day", "1/0"), "is no number"),
        (("gpt-4o", "--input", 1, "--steps", "-1"), "must not be negative"),
        (("gpt-4o", "--input", 1, "--regenerations", "0.5"), "regenerations must be at least 1"),
        (("gpt-4o", "--input", 1, "--turns", "0"), "turns must be at least 1"),
        (("gpt-4o", "--per-day", 10), "there is nothing to price"),
        (("gpt-4o", "--colour"), "No such option"),
        ((), "Missing argument"),
    ],
)
def test_bad_use_exits_with_2_and_prints_nothing_on_stdout(arguments, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["farthing", "price", *map(str, arguments), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert said in printed.err
    assert printed.out == ""


def test_a_provider_of_ones_own_may_stand_before_the_model(bare):
    (bare / "farthing.toml").write_text(
        '[[price]]\nprovider = "house"\nmodel = "llama"\ninput = "0.2"\n'
    )
    assert document("house/llama", "--input", 1000)["cost_usd"] == "0.0002"
    assert "house" in run("llama", "--provider", "hause", "--input", 1).exception.args[0]


def test_a_price_of_ones_own_without_a_provider_stands_under_the_models_name(bare):
    (bare / "farthing.toml").write_text('[[price]]\nmodel = "mine"\ninput = "1"\noutput = "2"\n')
    assert run("mine", "--input", "10").output.startswith("mine at ")
