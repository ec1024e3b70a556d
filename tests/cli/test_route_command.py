"""`farthing route` as its users meet it."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from farthing.cli.root import cli, main
from farthing.cli.route_plot import plot

ROW = '{"id": "%d", "task": "t%d", "prompt": "q %d", "outcomes": {%s}}'


def result(name, score, cost):
    return f'"{name}": {{"score": {score}, "cost_usd": {cost}}}'


@pytest.fixture
def outcomes(tmp_path, monkeypatch):
    """600 prompts on which `new` is as good as `old` at a tenth of the cost."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FARTHING_ROUTE_SECRET", raising=False)
    rows = [
        ROW % (i, i % 2, i, f"{result('old', i % 5 > 0, 0.01)}, {result('new', i % 7 > 0, 0.001)}")
        for i in range(600)
    ]
    text = "\n".join([*rows, "not json"]).replace("True", "1").replace("False", "0")
    Path("o.jsonl").write_text(text)
    return "o.jsonl"


def run(*arguments):
    return CliRunner().invoke(cli, ["route", *map(str, arguments)])


def document(*arguments, exit_code=0):
    found = run(*arguments, "--json")
    assert found.exit_code == exit_code, found.output
    return json.loads(found.stdout)


def test_compile_writes_a_signed_policy_that_explain_reads(outcomes):
    told = document("compile", outcomes, "--incumbent", "old", "--floor", 0.95, "--out", "p.json")
    assert told["certified"] is True
    assert told["certificate"]["cost"] == "0.001"
    assert told["bad_lines"] == [{"line": 601, "reason": told["bad_lines"][0]["reason"]}]
    explained = document("explain", "p.json")
    assert explained["steps"]["t0"] == {"type": "single", "model": "new", "effort": ""}
    assert explained["changes"] == []


def test_compile_for_people_says_floor_confidence_and_labels(outcomes):
    found = run("compile", outcomes, "--incumbent", "old", "--floor", 0.95)
    assert found.exit_code == 0
    assert "With 95% confidence: at least 0.95 of the quality of old" in found.stdout
    assert "line 601 was left out" in found.stdout
    assert "Nothing cheaper was tried." in found.stdout


def test_compile_for_a_pool_takes_its_incumbent_and_its_models_alone(outcomes):
    path = Path(outcomes)
    path.write_text(path.read_text().replace('"new": ', '"cheap": {"score": 1}, "new": '))
    pool = '[routing.pools.auto]\nincumbent = "old"\nmodels = ["new"]\n'
    Path("farthing.toml").write_text(pool)
    told = document("compile", outcomes, "--pool", "auto", "--floor", 0.95)
    assert told["incumbent"] == "old"
    assert told["steps"]["t0"] == {"type": "single", "model": "new", "effort": ""}
    assert told["notes"] == []  # nothing is said of a model that the pool has not
    for wrong, said in (
        (("--pool", "shop"), "There are: auto"),
        (("--pool", "auto", "--incumbent", "new"), "The incumbent of pool 'auto' is 'old'"),
    ):
        assert said in str(run("compile", outcomes, *wrong).exception)
    assert "Name the --incumbent" in run("compile", outcomes).output


def test_what_costs_nothing_is_free_not_a_thousand_million_times_cheaper(outcomes):
    path = Path(outcomes)
    path.write_text(path.read_text().replace('"cost_usd": 0.001}', '"cost_usd": 0}'))
    shown = run("compile", outcomes, "--incumbent", "old", "--floor", 0.95).stdout
    assert "instead of $0.01 (free) at" in shown


def test_floors_may_be_told_in_percent(outcomes):
    told = document("compile", outcomes, "--incumbent", "old", "--floor", "95%")
    assert told["certificate"]["floor"] == 0.95


def test_names_in_brackets_and_colons_are_shown_as_they_are(outcomes):
    path = Path(outcomes)
    path.write_text(path.read_text().replace('"task": "t0"', '"task": "[red]x[/red] :cat:"'))
    found = run("compile", outcomes, "--incumbent", "old", "--floor", 0.95)
    assert "[red]x[/red] :cat:" in found.stdout


def test_compile_exits_1_and_keeps_the_incumbent_where_nothing_is_saved(outcomes):
    told = document("compile", outcomes, "--incumbent", "new", exit_code=1)
    assert told["certified"] is False
    assert told["certificate"] is None
    shown = run("compile", outcomes, "--incumbent", "new")
    assert shown.exit_code == 1
    assert "Keep new" in shown.stdout


def test_eval_prints_the_promised_keys(outcomes):
    told = document("eval", outcomes, "--reference", "old", "--splits", 3, "--floor", 0.9)
    assert {"reference", "floors", "baselines", "oracle", "aiq", "baseline_aiq"} <= set(told)
    assert [row["floor"] for row in told["floors"]] == [0.9, 0.95, 0.98, 1.0]
    assert {"floor", "quality_ratio", "cost_ratio", "held", "violation_rate"} <= set(
        told["floors"][0]
    )
    assert all(len(rows) == 4 for rows in [told["oracle"], *told["baselines"].values()])
    assert (told["labels"], told["test"]) == (360, 240)


def test_eval_for_people_shows_the_baselines_and_a_plot(outcomes):
    found = run("eval", outcomes, "--reference", "old", "--splits", 2, "--labels", 5000)
    assert found.exit_code == 0
    assert "450 labels, 150 test" in found.stdout
    assert "zero router" in found.stdout
    assert "Quality against cost" in found.stdout


def test_audit_names_a_replacement_with_its_interval(outcomes):
    told = document("audit", outcomes, "--incumbent", "old", "--floor", 0.9)
    assert told["is_dominated"] is True
    assert told["best"]["model"] == "new"
    assert told["best"]["cost"] == "0.001"
    assert set(told["best"]["quality_interval"]) == {"low", "high"}
    assert "is dominated" in run("audit", outcomes, "--incumbent", "old", "--floor", 0.9).stdout


def test_the_audit_of_one_model_says_so_instead_of_an_empty_table(outcomes):
    path = Path(outcomes)
    path.write_text(path.read_text().replace('"new": ', '"old": '))
    shown = run("audit", outcomes, "--incumbent", "old").stdout
    assert "The file has outcomes of old alone." in shown
    assert "cost a call" not in shown


def test_explain_shows_what_changed_since_another_policy(outcomes):
    document("compile", outcomes, "--incumbent", "old", "--floor", 0.95, "--out", "new.json")
    document("compile", outcomes, "--incumbent", "new", "--out", "old.json", exit_code=1)
    changes = document("explain", "new.json", "--against", "old.json")["changes"]
    assert changes == ["incumbent: new -> old"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("compile", "none.jsonl", "--incumbent", "old"), "can't be read"),
        (("compile", "o.jsonl", "--incumbent", "gpt"), "no outcomes of 'gpt'"),
        (("compile", "o.jsonl", "--incumbent", "old", "--class-floor", "x"), "CLASS=FLOOR"),
        (("compile", "o.jsonl", "--incumbent", "old", "--class-floor", "t0=2"), "CLASS=FLOOR"),
        (("compile", "o.jsonl", "--incumbent", "old", "--floor", "1.5"), "write 0.98 or 98%"),
        (("compile", "o.jsonl", "--incumbent", "old", "--floor", "98"), "write 0.98 or 98%"),
        (("compile", "o.jsonl", "--incumbent", "old", "--floor", "nan"), "write 0.98 or 98%"),
        (("audit", "o.jsonl", "--incumbent", "old", "--floor", "0"), "above 0 and at most 1"),
        (("eval", "o.jsonl", "--reference", "old", "--confidence", "1"), "and below 1"),
        (("compile", "o.jsonl", "--incumbent", "old@low"), "served as its callers ask"),
        (("explain", "o.jsonl"), "no policy that can be read"),
    ],
)
def test_bad_use_says_what_to_do_and_exits_2(outcomes, arguments, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["farthing", "route", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert told in capsys.readouterr().err


def test_without_numpy_the_extra_is_named(outcomes, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    for name in [one for one in sys.modules if one.startswith("farthing.levers.routing.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "farthing.levers.routing", raising=False)
    monkeypatch.delitem(sys.modules, "farthing.cli.route", raising=False)
    importlib.import_module("farthing.levers.routing")  # serving needs no numpy
    found = run("audit", outcomes, "--incumbent", "old")
    assert "farthing[routing]" in str(found.exception)


def test_the_plot_marks_the_ladder_and_the_models():
    shown = plot([(0.9, 0.1), (1.0, 0.5)], {"old": (1.0, 1.0), "new": (0.8, 0.1)})
    assert "a old 100.0% at 100.0%; b new 80.0% at 10.0%" in shown
    assert "*" in shown.splitlines()[1]
