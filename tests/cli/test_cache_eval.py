"""`farthing cache eval|explain|economics|label`: what a semantic cache would do, before it does."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from farthing.cli.root import cli

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "pairs"
METRICS = {"hit_rate", "wrong_hit_rate", "wrong_hit_upper95", "precision"}
PAIRS = [
    {"a": "How do I rotate an API key?", "b": "How can I rotate an API key?", "same": True},
    {"a": "How do I rotate an API key?", "b": "Where is the museum?", "same": False},
    {"a": "Is it open on Sunday?", "b": "Is it open on Monday?", "same": False},
]


def run(*arguments):
    return CliRunner().invoke(cli, ["cache", *map(str, arguments)])


def document(*arguments):
    found = run(*arguments, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return path


def test_pairs_are_judged_by_every_policy(pairs):
    found = document("eval", pairs)
    assert {"delta", "ours", "best_global_threshold", "guards_only", "auc"} <= set(found)
    for policy in ("ours", "best_global_threshold", "guards_only"):
        assert set(found[policy]) >= METRICS
    assert found["ours"]["hit_rate"] == 1.0
    assert found["ours"]["wrong_hit_rate"] == 0.0
    assert found["auc"] == 1.0


def test_people_get_a_table(pairs):
    found = run("eval", pairs)
    assert found.exit_code == 0
    assert "true pairs hit" in found.output


def test_without_an_embedder_only_the_same_text_is_served(pairs):
    assert document("eval", pairs, "--embedder", "none")["ours"]["hits"] == 0


def test_a_bad_line_is_counted_with_its_number_and_the_rest_goes_on(pairs):
    with pairs.open("a") as file:
        file.write('{"a": 1}\nnonsense\n')
    found = run("eval", pairs, "--embedder", "none")
    assert "2 lines could not be read" in found.output
    assert "pairs.jsonl:4" in found.output
    assert "pairs.jsonl:5" in found.output


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.csv", 'id,question1,question2,is_duplicate\n0,"Is it, open?",Is it open,1\n1,a b,c d,0\n'),
        ("q.tsv", "id\tsentence1\tsentence2\tlabel\n0\tIs it open?\tis it open\t1\n1\ta b\tc d\t0\n"),
        ("q.jsonl", '{"text1": "Is it", "text2": "is it", "label": 1}\n{"q1": "a", "q2": "b", "same": "No"}\n'),
    ],
)  # fmt: skip
def test_published_sets_are_read_under_the_names_that_they_use(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    found = document("eval", path, "--embedder", "none")
    assert (found["pairs"], found["bad_lines"]) == (2, 0)
    assert found["ours"]["wrong_hits"] == 0


def test_a_word_that_is_neither_true_nor_false_makes_no_pair(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"a": "x", "b": "y", "label": 3}\n{"a": "x", "b": "x", "same": true}\n')
    assert document("eval", path, "--embedder", "none")["bad_lines"] == 1


def test_a_file_of_nothing_is_bad_use(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n")
    assert "no pairs" in str(run("eval", path, "--embedder", "none").exception)


def conversation(*texts):
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a": "\\ud800", "b": "x", "same": false}'])
def test_a_line_that_is_no_text_is_a_bad_line(pairs, line):
    pairs.write_text(pairs.read_text() + line + "\n")
    found = document("eval", pairs, "--embedder", "none")
    assert (found["pairs"], found["bad_lines"]) == (3, 1)


def test_a_text_may_hold_breaks_that_are_no_ends_of_lines(tmp_path):
    path = tmp_path / "pairs.jsonl"
    row = {"a": "One\u2028two\u0085three", "b": "One two three", "same": True}
    path.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    found = document("eval", path, "--embedder", "none")
    assert (found["pairs"], found["bad_lines"]) == (1, 0)


def test_tables_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "pairs.tsv"
    rows = ['"Is it\tis it open\t1', "a b\tc d\t0.0", "e f\tg h\t1.0"]
    path.write_text("\n".join(["question1\tquestion2\tis_duplicate", *rows]))
    found = document("eval", path, "--embedder", "none")
    assert (found["pairs"], found["bad_lines"]) == (3, 0)
    path.with_suffix(".csv").write_text("a,b,same\n" + "x" * 200_000 + ",y,1\n")
    told = str(run("eval", path.with_suffix(".csv")).exception)
    assert "pairs.csv can't be read as a table behind line 1" in told


def test_what_is_written_as_an_identifier_over_pages_is_read_in_time(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"a": "a-" * 30_000, "b": "b-" * 30_000, "same": False}))
    assert document("eval", path, "--embedder", "none")["pairs"] == 1


@pytest.mark.parametrize("share", ["nan", "inf", "0", "0.6"])
def test_a_share_is_a_number_within_its_bounds(pairs, share):
    assert run("eval", pairs, "--delta", share).exit_code == 2
    assert run("label", pairs, "--delta", share).exit_code == 2
    assert run("economics", "--price-factor", "nan").exit_code == 2


def test_the_same_last_message_after_another_history_is_never_served(tmp_path):
    path = tmp_path / "conversations.jsonl"
    rows = [
        {"a": conversation("A tv plan", "Cancel?", "yes"), "b": conversation("A gym", "Cancel?", "yes"),
         "same_answer": False},
        {"a": conversation("A gym", "Cancel?", "yes"), "b": conversation("A gym", "Cancel?", "yes."),
         "same_answer": True},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = document("eval", path)["ours"]
    assert (found["hits"], found["wrong_hits"]) == (1, 0)


def test_labelled_questions_make_a_stream(tmp_path):
    path = tmp_path / "questions.csv.gz"
    rows = [f"how do i {verb} my {thing},{verb}-{thing}" for verb in ("lock", "sell", "wash")
            for thing in ("car", "bike", "boat", "horse")]  # fmt: skip
    path.write_bytes(gzip.compress("\n".join(["text,category", *rows]).encode()))
    found = document("eval", path, "--stream", 12, "--seeds", 2, "--delta", 0.01, "--delta", 0.05)
    assert [row["delta"] for row in found["stream"]["deltas"]] == [0.01, 0.05]
    assert found["ours"]["hit_rate"] == 0.0
    assert found["stream"]["deltas"][0]["verdict"] == "cannot certify in 2 of 2 runs"
    assert "cannot certify" in run("eval", path, "--seeds", 1).output


def test_explain_names_the_guard(pairs):
    found = document(
        "explain", "Is it open on Monday?", "Is it open on Sunday?", "--embedder", "none"
    )
    assert not found["decision"]["serves"]
    assert "monday" in found["decision"]["findings"][0]["detail"]
    assert "operators" in run("explain", "Is it open on Monday?").output


def test_economics_says_until_when_it_pays():
    today = document("economics", "--call-cost", "0.02")
    later = document("economics", "--call-cost", "0.02", "--price-factor", "0.01")
    assert (today["pays"], later["pays"]) == (True, False)
    assert 0.01 < today["pays_down_to_price_factor"] < 1
    assert "months" in run("economics", "--call-cost", "0.02").output
    assert "not pay" in run("economics", "--loss", "100").output
    assert "no amount" in str(run("economics", "--loss", "much").exception)


def test_labels_are_added_and_judged(tmp_path):
    path = tmp_path / "labels.jsonl"
    assert "no file" in str(run("label", path).exception)
    first = document("label", path, "--add", 0.97, "same")
    assert (first["labels"], first["certified_from"]) == (1, None)
    path.write_text('{"score": 0.99, "same": true}\n' * 600)
    assert document("label", path)["certified_from"] == 0.7
    assert "certified" in run("label", path).output
    path.write_text('{"score": "high"}\n{"score": 0.9, "same": true, "propensity": 2}\n')
    assert "2 bad lines" in str(run("label", path).exception)


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason="the real data folder is not here")
def test_real_traps_are_refused_and_paraphrases_are_hit():
    found = document("eval", SHARED / "fow-pairs.jsonl")
    assert found["ours"]["trap_acceptance"] <= 0.02
    assert found["ours"]["hit_rate"] >= 0.35
    for folder in ("fow-conv-long", "fow-conv-parts"):
        traps = document("eval", SHARED / folder, "--embedder", "none")["ours"]
        assert traps["trap_acceptance"] == 0.0
