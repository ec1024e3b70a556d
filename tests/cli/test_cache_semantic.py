"""`farthing cache` over the semantic layer: what it shows, and what a person's word does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from farthing.cli.root import cli
from farthing.levers.cache import SqliteAnswers, cache_file
from farthing.levers.cache.semantic_tables import SemanticTables

sys.path.append(str(Path(__file__).parent.parent / "gateway"))

CHAT = "/v1/chat/completions"
FIRST, LIKE = "How do I return an order?", "How can I return an order?"
LAYER = {
    "mode": "assisted",
    "runs_in": "thread",
    "embedder": "semantic_doubles:embedder",
    "delta": 0.05,
}
LONG = "Open the list of your orders, choose the one that you mean, and press return. "


def ask(text):
    messages = [{"role": "user", "content": text}]
    return {"model": "gpt-4o", "temperature": 0, "messages": messages}


async def played(folder, fakes, *texts):
    """Ask a gateway, each time with another long answer; gives what it said of the cache."""
    from semantic_doubles import settled

    said = []
    async with fakes.FakeProvider() as provider:
        for number in range(len(texts)):
            choice = fakes.CHAT_ANSWER["choices"][0]
            message = {"role": "assistant", "content": LONG + f"It takes {number} days. " + LONG}
            provider.answers_json(fakes.CHAT_ANSWER | {"choices": [choice | {"message": message}]})
        tables = {"cache": {"mode": "on", "ttl_s": 10**9, "semantic": LAYER}}
        async with fakes.Gateway(folder, provider, **tables) as gateway:
            await settled(gateway)
            for text in texts:
                _, headers, _ = await gateway.post(CHAT, ask(text), {"x-farthing-feature": "faq"})
                said.append(headers["x-farthing-cache"])
                await settled(gateway)
    return said


@pytest.fixture
def filled(tmp_path, gateway_fakes):
    """A data folder in which a question was asked in two wordings, and answered in two."""
    assert (
        asyncio.run(played(tmp_path, gateway_fakes, FIRST, LIKE)) == ["miss; semantic=assisted"] * 2
    )
    config = tmp_path / "farthing.toml"
    config.write_text(
        f'[ledger]\ndata_dir = "{tmp_path}"\n[cache]\nmode = "on"\n[cache.semantic]\n'
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in LAYER.items())
    )
    return config


def run(config, *arguments):
    done = CliRunner().invoke(cli, ["--config", str(config), "cache", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), str(done.exception)
    return done


def account(config):
    (told,) = json.loads(run(config, "stats", "--json", "--days", "36500").output)["semantic"]
    return told


def waiting(config):
    return json.loads(run(config, "near", "--waiting", "--json").output)


def test_near_lists_what_waits_for_a_person_with_its_words(filled):
    (row,) = waiting(filled)
    assert (row["question"], row["near"], row["verdict"]) == (LIKE, FIRST, "nobody could tell")
    assert row["feature"] == "faq"
    told = run(filled, "near").output
    assert LIKE in told
    assert FIRST in told


def test_stats_tell_what_a_namespace_has_proven_and_needs(filled):
    told = account(filled)
    assert (told["state"], told["labels"], told["wrong"]) == ("learning", 1, 1)
    assert (told["lookups"], told["would_hits"], told["hits"]) == (2, 1, 0)
    assert told["would_save_usd"] == "0.0035"
    assert "would have saved $0.0035 on 1 calls" in run(filled, "stats", "--days", "36500").output


def test_stats_tell_what_was_held_back_between_users_and_in_a_flood(filled, tmp_path):
    assert (account(filled)["held_back"], account(filled)["not_indexed"]) == (0, 0)
    with contextlib.closing(SqliteAnswers(cache_file(tmp_path))) as answers:
        tables = SemanticTables(answers)
        (course,) = tables.courses()
        tables.count("2026-11-25", course, {"held_back": 1200, "not_indexed": 7})
    told = run(filled, "stats", "--days", "36500").output
    assert "faq: 1,200 calls were not served because another user's question" in told
    assert "faq: 7 questions are found in the same words only" in told


def test_an_approved_pair_becomes_a_wording_and_its_label_right(filled):
    (row,) = waiting(filled)
    assert "may have the stored answer" in run(filled, "label", "--approve", str(row["id"])).output
    assert waiting(filled) == []
    assert account(filled)["wrong"] == 0
    (now,) = json.loads(run(filled, "near", "--json").output)
    assert (now["verdict"], now["judge"]) == ("same", "person")


def test_a_rejected_pair_is_never_served_until_it_is_approved_again(filled):
    (row,) = waiting(filled)
    number = str(row["id"])
    assert "never gets the stored answer" in run(filled, "label", "--reject", number).output
    assert account(filled)["wrong"] == 1
    run(filled, "label", "--approve", number)
    assert account(filled)["wrong"] == 0


def test_a_pair_that_is_not_there_is_told(filled):
    with pytest.raises(AssertionError, match="There is no look-up 999"):
        run(filled, "label", "--approve", "999")
    assert run(filled, "label").exit_code == 2


def test_explain_finds_what_is_stored_and_how_it_was_asked(filled):
    told = json.loads(run(filled, "explain", LIKE, "--embedder", "none", "--json").output)
    assert [row["question"] for row in told["asked"]] == [LIKE]


def test_economics_can_take_what_was_measured(filled):
    told = run(filled, "economics", "--measured", "--days", "36500", "--json")
    assert json.loads(told.output)["saved_usd"] == "0.0035"
    with pytest.raises(AssertionError, match="Nothing was reckoned"):
        run(filled, "economics", "--measured")


def test_economics_reckons_with_the_loss_that_is_set_and_tells_it(filled):
    def reckoned(*more):
        told = run(filled, "economics", "--measured", "--days", "36500", "--json", *more)
        return json.loads(told.output)["loss_usd"]

    assert reckoned() == "0.10"
    text = filled.read_text()
    filled.write_text(text + 'loss_usd = "0.02"\n')
    assert reckoned() == "0.02"
    assert reckoned("--loss", "3") == "3.00"
    assert "$0.02 lost by a wrong answer" in " ".join(
        run(filled, "economics", "--measured", "--days", "36500").output.split()
    )


def test_economics_takes_approved_wordings_for_no_part_of_what_a_hit_saves(filled, tmp_path):
    with contextlib.closing(SqliteAnswers(cache_file(tmp_path))) as answers:
        tables = SemanticTables(answers)
        (course,) = tables.courses()
        tables.count("2026-11-25", course, {"alias_hits": 9, "alias_saved_nd": 900_000_000})
    told = run(filled, "economics", "--measured", "--days", "36500", "--json")
    assert json.loads(told.output)["saved_usd"] == "0.0035"


@pytest.mark.parametrize(
    "command", [("clear", "--feature", "faq"), ("forget", "--tenant", "unattributed")]
)
def test_what_goes_takes_questions_and_the_log_with_it(filled, command):
    run(filled, *command)
    assert json.loads(run(filled, "near", "--json").output) == []
    if command[0] == "forget":
        told = json.loads(run(filled, "stats", "--json", "--days", "36500").output)
        assert told["semantic"] == []


def test_near_lists_the_pairs_that_were_drawn_for_people(filled):
    from farthing.levers.cache.semantic import is_drawn

    rows = json.loads(run(filled, "near", "--json").output)
    drawn = json.loads(run(filled, "near", "--drawn", "--json").output)
    assert [row["id"] for row in drawn] == sorted(
        row["id"] for row in rows if row["judge"] and is_drawn(row["call"])
    )
    told = account(filled)
    assert (told["judge_corrected"], told["judge_words"], told["judge_words_needed"]) == (
        False, 0, 200,
    )  # fmt: skip
    assert "errors are not corrected for (0 of 200 drawn pairs labelled" in " ".join(
        run(filled, "stats", "--days", "36500").output.split()
    )
