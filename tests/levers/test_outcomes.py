"""Reading outcomes as users bring them."""

from __future__ import annotations

import gzip
import json

import pytest
from packing import zstd
from routing_samples import DOMINATED, lines, outcome, write

from farthing.errors import CallerError
from farthing.levers.routing import read_outcomes
from farthing.levers.routing.table import make_table
from farthing.money import Money

GOOD = {"id": "1", "prompt": "hi", "outcomes": {"m": {"score": 1, "cost_usd": 3.045e-05}}}


def read(tmp_path, *rows):
    path = tmp_path / "o.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return read_outcomes(path)


def test_costs_become_exact_nanodollars(tmp_path):
    (prompt,) = read(tmp_path, GOOD).prompts
    assert prompt.outcomes["m"].cost == Money(30_450)


def test_a_cost_finer_than_a_nanodollar_is_rounded_half_to_even(tmp_path):
    row = {"id": "1", "outcomes": {"m": {"score": 1, "cost_usd": "0.0000000025"}}}
    (prompt,) = read(tmp_path, row).prompts
    assert prompt.outcomes["m"].cost == Money(2)


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "null",
        {"id": "2"},
        {"id": "2", "outcomes": {}},
        {"id": "2", "outcomes": {"m": {"score": 1.5}}},
        {"id": "2", "outcomes": {"m": {"score": None}}},
        {"id": "2", "outcomes": {"m": {"score": 1, "cost_usd": -1}}},
        {"id": "2", "outcomes": {"m": {"score": 1, "input_tokens": -1}}},
        '{"id": "2", "outcomes": {"m": {"score": 1, "cost_usd": "NaN"}}}',
        '{"id": "2", "outcomes": {"m": {"score": 1, "cost_usd": 1e999}}}',
        {"id": "1", "outcomes": {"m": {"score": 1}}},
    ],
    ids=str,
)
def test_a_line_that_cannot_be_read_is_told_by_its_number_and_the_rest_goes_on(tmp_path, bad):
    found = read(tmp_path, GOOD, bad, "", {**GOOD, "id": "3"})
    assert [prompt.id for prompt in found.prompts] == ["1", "3"]
    assert [one.line for one in found.bad_lines] == [2]


def test_a_number_that_json_has_not_is_named(tmp_path):
    bad = '{"id": "2", "outcomes": {"m": {"score": NaN}}}'
    (told,) = read(tmp_path, GOOD, bad).bad_lines
    assert told.reason == "NaN is no number in JSON; leave out what is not known"


def test_right_and_wrong_are_scores_too(tmp_path):
    row = {"id": "1", "outcomes": {"m": {"score": True}, "n": {"score": False}}}
    (prompt,) = read(tmp_path, row).prompts
    assert (prompt.outcomes["m"].score, prompt.outcomes["n"].score) == (1, 0)


def test_a_mark_of_the_byte_order_is_not_part_of_the_first_line(tmp_path):
    assert not read(tmp_path, "\ufeff" + json.dumps(GOOD)).bad_lines


def test_a_file_that_can_mostly_not_be_read_is_refused_for_the_rest_would_not_be_a_fair_sample(
    tmp_path,
):
    in_percent = [{"id": str(n), "outcomes": {"m": {"score": 90}}} for n in range(2, 5)]
    told = r"can be read in 1 of 4 lines only. Line 2: .*\nNothing was done.\n.*scores of 0 to 1"
    with pytest.raises(CallerError, match=told):
        read(tmp_path, GOOD, *in_percent)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("o.json", json.dumps([GOOD, GOOD]), "each member of the array on a line of its own"),
        ("o.csv", "id,model,score\n1,m,1\n", "CSV is not read: each line must be like"),
    ],
)
def test_files_of_other_forms_are_told_what_to_become(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(CallerError, match=told):
        read_outcomes(path)


def test_a_model_that_is_null_on_a_line_is_missing_there(tmp_path):
    (prompt,) = read(tmp_path, {**GOOD, "outcomes": {**GOOD["outcomes"], "n": None}}).prompts
    assert set(prompt.outcomes) == {"m"}


def test_zstd_is_known_by_its_bytes_too(tmp_path):
    path = tmp_path / "outcomes"
    path.write_bytes(zstd.compress(json.dumps(GOOD).encode()))
    assert len(read_outcomes(path).prompts) == 1


def test_gzip_is_known_by_its_bytes(tmp_path):
    path = tmp_path / "named-badly.jsonl"
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode()))
    assert len(read_outcomes(path).prompts) == 1


def test_parquet_holds_the_same(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    source, target = write(tmp_path / "o.jsonl", lines(30, DOMINATED)), tmp_path / "o.parquet"
    with duckdb.connect() as engine:
        engine.execute(f"COPY (SELECT * FROM read_json('{source}')) TO '{target}' (FORMAT parquet)")
    assert read_outcomes(target).prompts == read_outcomes(source).prompts


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnot gzip", b"no json\n"], ids=str)
def test_a_file_without_outcomes_says_what_to_bring(tmp_path, content):
    path = tmp_path / "o.jsonl"
    path.write_bytes(content)
    with pytest.raises(CallerError, match="Nothing was done"):
        read_outcomes(path)


def test_a_missing_cost_is_priced_by_tokens_or_the_model_is_left_out(tmp_path):
    rows = lines(40, DOMINATED)
    for row in rows:
        row["outcomes"]["new"] = {"score": 1, "input_tokens": 10, "output_tokens": 2}
        row["outcomes"]["tiny"] = {"score": 1}
    found = read(tmp_path, *rows)
    made = make_table(found, "old", lambda model, i, o: Money(i + o) if model == "new" else None)
    assert made.models == ("new", "old")
    assert made.costs[0].tolist() == [12] * 40
    assert any("tiny has no known cost" in note for note in made.notes)


def test_a_cost_missing_on_some_prompts_is_estimated_and_said_so(tmp_path):
    rows = lines(40, DOMINATED)
    del rows[0]["outcomes"]["new"]["cost_usd"]
    made = make_table(read(tmp_path, *rows), "old")
    assert made.costs[0, 0] == 1_000_000
    assert any("1 costs of new are estimated" in note for note in made.notes)


def test_a_reference_without_costs_or_outcomes_is_refused(tmp_path):
    rows = [{"id": str(i), "outcomes": {"a": {"score": 1}, "b": outcome(1, 1)}} for i in range(3)]
    found = read(tmp_path, *rows)
    with pytest.raises(CallerError, match="No cost of 'a' is known"):
        make_table(found, "a")
    with pytest.raises(CallerError, match="no outcomes of 'c'"):
        make_table(found, "c")


def test_a_reference_that_costs_nothing_is_refused(tmp_path):
    rows = [{"id": str(i), "outcomes": {"a": outcome(1, 0), "b": outcome(1, 1)}} for i in range(3)]
    with pytest.raises(CallerError, match="costs nothing"):
        make_table(read(tmp_path, *rows), "a")


def test_a_reference_that_is_never_right_is_refused_for_no_share_of_nothing_is_kept(tmp_path):
    rows = [{"id": str(n), "outcomes": {"m": outcome(0, 0.1), "n": outcome(1, 0.01)}} for n in "ab"]
    with pytest.raises(CallerError, match="'m' scores 0 on each of 2 prompts"):
        make_table(read(tmp_path, *rows), "m")


def test_copies_are_told_for_each_counts_as_a_call(tmp_path):
    once = lines(20, DOMINATED)
    twice = [{**row, "id": f"{row['id']} again"} for row in once]
    assert make_table(read(tmp_path, *once), "old").notes == ()
    (note,) = make_table(read(tmp_path, *once, *twice), "old").notes
    assert note.startswith("20 prompts are copies of others")
    bare = [{**row, "prompt": ""} for row in once]
    assert make_table(read(tmp_path, *bare), "old").notes == ()


def test_a_missing_model_is_unknown_there_and_a_pattern_in_it_is_told(tmp_path):
    rows = lines(400, DOMINATED)
    for row in rows:
        if row["outcomes"]["old"]["score"] == 0:
            del row["outcomes"]["new"]
    made = make_table(read(tmp_path, *rows), "old")
    assert made.known[0].sum() == sum("new" in row["outcomes"] for row in rows)
    assert any("not missing by chance" in note for note in made.notes)


def test_untagged_prompts_are_known_by_their_template_and_the_rest_stay_with_the_incumbent(
    tmp_path,
):
    rows = lines(60, DOMINATED)
    for row in rows[:40]:
        del row["task"]
        row["prompt"] = f"Summarise the ticket below in {row['id'][1:]} words or less: bla"
    del rows[50]["task"]
    made = make_table(read(tmp_path, *rows), "old")
    assert set(made.class_names) == {
        "search",
        "refund",
        "template: summarise the ticket below in # words or",
        "unknown",
    }
    assert not made.is_open[made.class_names.index("unknown")]


def test_a_set_without_any_tag_is_one_feature(tmp_path):
    made = make_table(read(tmp_path, *lines(60, DOMINATED, tasks=None)), "old")
    assert all(made.is_open)
    assert "unknown" not in made.class_names


def test_messages_become_their_texts_so_that_templates_are_told_as_in_serving(tmp_path):
    from farthing.codecs import head_of

    messages = [
        {"role": "system", "content": "You sort letters by what they ask for, in one word."},
        {"role": "user", "content": [{"type": "text", "text": "Dear all"}]},
    ]
    row = {"id": "1", "prompt": messages, "outcomes": {"m": {"score": 1, "cost_usd": 1}}}
    (tmp_path / "o.jsonl").write_text(json.dumps(row))
    (prompt,) = read_outcomes(tmp_path / "o.jsonl").prompts
    assert prompt.prompt == head_of(json.dumps({"messages": messages}).encode(), 400)


def call(model, prompt, score, cost=0.01, **more):
    return {"ts": 1, "model": model, "prompt": prompt, "score": score, "cost_usd": cost, **more}


def test_calls_of_a_traffic_log_become_outcomes_by_their_prompt_and_feature(tmp_path):
    usage = {"input_tokens": 10, "output_tokens": 4}
    found = read(
        tmp_path,
        call("old", "hi", 1, feature="a", usage=usage),
        call("new", "hi", 0.5, 0.001, feature="a"),
        call("new", "hi", True, 0.002, feature="a"),
        call("new", "hi", 0, feature="b"),
        {**call("old", None, 1, feature="b"), "messages": [{"role": "user", "content": "hi"}]},
        call("old", "unscored", None),
    )
    first, second = found.prompts
    assert (first.task, second.task) == ("a", "b")
    assert (first.outcomes["old"].input_tokens, first.outcomes["old"].output_tokens) == (10, 4)
    assert first.outcomes["new"].score == 0.75
    assert first.outcomes["new"].cost == Money(1_500_000)
    assert {model: one.score for model, one in second.outcomes.items()} == {"new": 0, "old": 1}
    assert found.unscored == 1
    assert make_table(found, "old").notes == ("1 calls without a score were left out",)


def test_calls_are_known_by_the_hash_of_their_prompt_where_it_is_not_kept(tmp_path):
    rows = [call(model, None, 1, prompt_hash="x") for model in ("old", "new")]
    (prompt,) = read(tmp_path, *rows, call("old", None, 1)).prompts[:1]
    assert set(prompt.outcomes) == {"old", "new"}


def test_a_traffic_log_without_scores_says_where_they_come_from(tmp_path):
    with pytest.raises(CallerError, match="farthing route outcomes"):
        read(tmp_path, call("old", "hi", None))


def test_a_call_that_can_not_be_read_is_told_by_its_number(tmp_path):
    good = call("old", "hi", 1)
    found = read(tmp_path, good, call("old", "hi", 7), call("old", "hi", 1, "NaN"), good)
    assert [one.line for one in found.bad_lines] == [2, 3]
