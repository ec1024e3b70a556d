"""`farthing models`: what has a price, and what deserves a look."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from farthing.cli.root import cli

AT = ("--at", "2026-11-24")


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, ["models", *arguments])


def document(*arguments, exit_code=0):
    found = run(*arguments, "--json")
    assert found.exit_code == exit_code, found.output
    assert found.stderr == ""
    return json.loads(found.stdout)


def test_each_model_is_listed_with_its_exact_rates_and_their_source():
    (found,) = [
        m for m in document("gpt-4o", "--provider", "openai", *AT) if m["model"] == "gpt-4o"
    ]
    assert set(found) == {
        "model", "provider", "usd_per_million", "layer", "source", "kind", "valid_from",
        "valid_to", "note",
    }  # fmt: skip
    rates = found["usd_per_million"]
    assert (rates["input"], rates["output"], rates["cache_read"]) == ("2.5", "10", "1.25")
    assert (found["layer"], found["valid_from"]) == ("verified", "2024-10-02")


def test_a_query_and_a_provider_narrow_the_list():
    assert {m["provider"] for m in document("--provider", "xai", *AT)} == {"x-ai"}
    assert all("haiku" in m["model"] for m in document("haiku", *AT))
    assert document("no-such-model", *AT) == []


def test_the_day_chooses_the_rates():
    (then,) = document("gpt-4-32k-0314", "--at", "2024-01-01")
    assert then["usd_per_million"]["input"] == "60"


def test_one_s_own_model_prices_show(bare):
    (bare / "farthing.toml").write_text('[[price]]\nmodel = "gpt-4o-mini"\ninput = "0.1"\n')
    (found,) = [
        m
        for m in document("gpt-4o-mini", *AT, "--provider", "openai")
        if m["model"] == "gpt-4o-mini"
    ]
    assert (found["layer"], found["usd_per_million"]["input"]) == ("contract", "0.1")


def test_people_get_a_table_that_ends_somewhere():
    found = run(*AT).stdout
    assert "more; --json lists all" in found
    assert len(found.splitlines()) < 70
    assert "openai/o1-pro" in run("o1-pro", "--provider", "openai", *AT).stdout


def test_a_check_exits_with_1_on_findings_and_tells_them():
    found = document("gemini-4-argon", "--provider", "google", "--check", *AT, exit_code=1)
    (finding,) = found["findings"]
    assert finding == {
        "signal": "promo_end",
        "provider": "google",
        "model": "gemini-4-argon",
        "day": "2026-12-01",
        "detail": "input and output $2/$10 now, $4/$20 then",
        "source": "genai-prices 0.2.3",
    }


def test_a_check_without_findings_exits_with_0():
    assert document("gpt-5.4-mini", "--provider", "openai", "--check", *AT) == {"findings": []}
    said = run("gpt-5.4-mini", "--provider", "openai", "--check", *AT)
    assert (said.exit_code, said.stdout.strip()) == (
        0,
        "Nothing about these prices deserves a look.",
    )


def test_people_get_findings_as_a_table():
    found = run("o3", "--provider", "openai", "--check", *AT)
    assert found.exit_code == 1
    assert "retirement" in found.stdout
    assert "2026-12-11" in found.stdout


def test_a_check_tells_what_nobody_has_read_for_long():
    signals = {
        f["signal"] for f in document("--check", "--at", "2027-06-01", exit_code=1)["findings"]
    }
    assert "stale" in signals
    shown = run("--check", "--at", "2027-06-01").stdout
    assert any(line.split()[:2] == ["stale", "genai-prices"] for line in shown.splitlines())


def test_a_bad_day_is_the_caller_s_error():
    found = run("--at", "soon")
    assert found.exit_code != 0
    assert found.stdout == ""


def test_a_query_that_finds_nothing_names_what_comes_close():
    found = run("gpt-4o-mimi")
    assert found.exit_code == 0
    assert "Close names: gpt-4o" in found.stderr
    assert "azure" in run("gpt-4o", "--provider", "azur").stderr
