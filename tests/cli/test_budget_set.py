"""`farthing budget set` and `remove`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from farthing.budgets import BudgetFixed, BudgetShelf, UnknownBudget
from farthing.cli.root import cli
from farthing.errors import CallerError

FIXED = """
[[budget]]
name = "fixed"
scope = "all"
amount_usd = "5"
window = "day"
"""


@pytest.fixture
def farthing(tmp_path):
    """Run a command in a folder of its own; what it printed, or what it raised."""
    config = tmp_path / "farthing.toml"
    config.write_text(f'[ledger]\ndata_dir = "{tmp_path / "ledger"}"\n{FIXED}')

    def run(*arguments):
        done = CliRunner().invoke(cli, ["--config", str(config), "budget", *arguments])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    run.shelf = lambda: BudgetShelf(tmp_path / "ledger")
    return run


def test_a_budget_is_set_for_all_calls_of_a_month_unless_more_is_said(farthing):
    done = farthing("set", "team", "500")
    assert done.output == ("Budget team is new: $500.00 a month for all; at the limit: block.\n")
    (budget,) = farthing.shelf().budgets
    assert (budget.scope, budget.window, budget.amount_usd) == ("all", "month", "500")


def test_what_is_not_named_stays_as_it_was(farthing):
    farthing("set", "team", "5", "--scope", "feature=x", "--window", "24h", "--threshold", "70")
    farthing("set", "team", "9", "--mode", "shadow")
    (budget,) = farthing.shelf().budgets
    assert (budget.amount_usd, budget.scope, budget.window) == ("9", "feature=x", "24h")
    assert (budget.thresholds, budget.mode) == ((70,), "shadow")


@pytest.mark.parametrize("model", ["gpt-4o-mimi", "openai/gpt-4o-mimi"])
def test_a_model_without_a_price_to_downgrade_to_is_told(farthing, model):
    done = farthing("set", "team", "5", "--at-limit", "downgrade", "--downgrade-to", model)
    assert f"no price is known for '{model}'" in done.stderr
    assert "gpt-4o-mini" in done.stderr
    assert farthing.shelf().find("team").downgrade_to == model


@pytest.mark.parametrize("model", ["gpt-4o-mini", "openai/gpt-4o-mini", "claude-haiku-4-5"])
def test_a_model_with_a_price_to_downgrade_to_is_no_news(farthing, model):
    done = farthing("set", "team", "5", "--at-limit", "downgrade", "--downgrade-to", model)
    assert done.stderr == ""


def test_a_budget_may_begin_and_cease_to_downgrade(farthing):
    done = farthing("set", "team", "5", "--at-limit", "downgrade", "--downgrade-to", "gpt-4o-mini")
    assert "at the limit: downgrade to gpt-4o-mini." in done.output
    farthing("set", "team", "5", "--at-limit", "block")
    assert farthing.shelf().find("team").downgrade_to == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["team", "minus"], "amount_usd"),
        (
            ["team", "5", "--scope", "featur=x"],
            r"\(did you mean 'feature'\?\)\. Nothing was changed",
        ),
        (["team", "5", "--window", "fortnight"], "is no window"),
        (["te/am", "5"], "name"),
        (["team", "5", "--at-limit", "downgrade"], "downgrade_to"),
    ],
    ids=str,
)
def test_what_is_no_budget_changes_nothing(farthing, options, said):
    with pytest.raises(CallerError, match=said):
        farthing("set", *options)
    assert farthing.shelf().budgets == []


def test_a_budget_of_the_file_is_neither_set_nor_removed(farthing):
    with pytest.raises(BudgetFixed):
        farthing("set", "fixed", "9")
    with pytest.raises(BudgetFixed):
        farthing("remove", "fixed")


def test_a_budget_is_removed_once(farthing):
    farthing("set", "team", "5")
    assert farthing("remove", "team").output == "Budget team of $5.00 a month is removed.\n"
    with pytest.raises(UnknownBudget, match="Known are: fixed"):
        farthing("remove", "team")


def test_scripts_read_what_was_done_as_json(farthing):
    set_ = json.loads(farthing("set", "team", "5", "--json").output)
    assert (set_["is_new"], set_["budget"]["amount_usd"]) == (True, "5")
    listed = json.loads(farthing("list", "--json").output)
    assert [(one["name"], one["source"]) for one in listed] == [
        ("fixed", "farthing.toml"),
        ("team", "set"),
    ]
    assert json.loads(farthing("remove", "team", "--json").output)["removed"]["name"] == "team"
