"""The budgets that apply: those of farthing.toml and those set beside it."""

import pytest

from farthing.budgets import BudgetFixed, BudgetSettings, BudgetShelf, UnknownBudget
from farthing.errors import ConfigError


def budget(name, amount_usd="5"):
    return BudgetSettings(name=name, scope="all", amount_usd=amount_usd, window="day")


def names(shelf):
    return [one.name for one in shelf.budgets]


def test_what_one_process_sets_another_finds_when_it_looks_again(tmp_path):
    writer, reader = BudgetShelf(tmp_path, [budget("a")]), BudgetShelf(tmp_path, [budget("a")])
    assert writer.put(budget("b"))
    assert names(reader) == ["a"]
    assert [one.name for one in reader.changed()] == ["a", "b"]
    assert reader.changed() is None


def test_setting_a_budget_again_replaces_it(tmp_path):
    shelf = BudgetShelf(tmp_path)
    assert shelf.put(budget("b", amount_usd="1"))
    assert not shelf.put(budget("b", amount_usd="2"))
    assert [one.amount_usd for one in shelf.budgets] == ["2"]


def test_two_processes_that_set_budgets_lose_none(tmp_path):
    one, other = BudgetShelf(tmp_path), BudgetShelf(tmp_path)
    one.put(budget("a"))
    other.put(budget("b"))
    assert names(BudgetShelf(tmp_path)) == ["a", "b"]


def test_a_budget_of_farthing_toml_is_neither_replaced_nor_removed(tmp_path):
    shelf = BudgetShelf(tmp_path, [budget("a")])
    with pytest.raises(BudgetFixed, match=r"stands in farthing\.toml"):
        shelf.put(budget("a"))
    with pytest.raises(BudgetFixed):
        shelf.remove("a")


def test_a_budget_that_came_into_farthing_toml_later_is_that_one_only(tmp_path):
    BudgetShelf(tmp_path).put(budget("a", amount_usd="1"))
    shelf = BudgetShelf(tmp_path, [budget("a", amount_usd="7")])
    assert [one.amount_usd for one in shelf.budgets] == ["7"]


def test_removing_a_budget_that_is_not_there_names_those_that_are(tmp_path):
    shelf = BudgetShelf(tmp_path, [budget("a")])
    shelf.put(budget("b"))
    assert shelf.remove("b").name == "b"
    with pytest.raises(UnknownBudget, match="Known are: a"):
        shelf.remove("b")


def test_the_file_is_its_owners_only(tmp_path):
    BudgetShelf(tmp_path).put(budget("a"))
    assert (tmp_path / "budgets.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_read_starts_nothing(tmp_path):
    (tmp_path / "budgets.json").write_text("{")
    with pytest.raises(ConfigError, match=r"can't be read as budgets"):
        BudgetShelf(tmp_path)
