"""`farthing cache`, over a cache that a gateway has filled."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from farthing.cli.root import cli

CHAT = "/v1/chat/completions"


def ask(text, temperature=0):
    messages = [{"role": "user", "content": text}]
    return {"model": "gpt-4o", "temperature": temperature, "messages": messages}


@pytest.fixture
def filled(tmp_path, gateway_fakes):
    """A data folder in which two features were asked, one answer was served twice."""

    async def play():
        async with gateway_fakes.FakeProvider() as provider:
            provider.answers_json(gateway_fakes.CHAT_ANSWER)
            tables = {"cache": {"mode": "on", "ttl_s": 10**9}}  # the fakes' clock is not ours
            async with gateway_fakes.Gateway(tmp_path, provider, **tables) as gateway:
                for text, feature in (("One", "a"), ("One", "a"), ("One", "a"), ("Two", "b")):
                    await gateway.post(CHAT, ask(text), {"x-farthing-feature": feature})
                await gateway.post(CHAT, ask("Three", 1), {"x-farthing-feature": "b"})

    asyncio.run(play())
    config = tmp_path / "farthing.toml"
    config.write_text(f'[ledger]\ndata_dir = "{tmp_path}"\n[cache]\nmode = "on"\n')
    return config


def run(config, *arguments):
    done = CliRunner().invoke(cli, ["--config", str(config), "cache", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def stats(config):
    return json.loads(run(config, "stats", "--json", "--days", "36500").output)


def test_stats_tell_what_is_stored_and_how_often_it_was_served(filled):
    told = stats(filled)
    held = {row["feature"]: row for row in told["held"]}
    assert {name: (row["entries"], row["hits"]) for name, row in held.items()} == {
        "a": (1, 2),
        "b": (1, 0),
    }
    counts = {(r["feature"], r["result"], r["reason"]): r["count"] for r in told["lookups"]}
    assert counts == {
        ("a", "hit-exact", ""): 2,
        ("a", "miss", ""): 1,
        ("b", "miss", ""): 1,
        ("b", "bypass", "sampled"): 1,
    }
    assert told["hit_rate"] == 0.5
    table = run(filled, "stats", "--days", "36500").output
    assert "hit rate        50.0%" in table


def test_clear_drops_what_meets_the_conditions_and_asks_for_some(filled):
    assert "Say which answers" in run(filled, "clear").output
    assert json.loads(run(filled, "clear", "--feature", "a", "--json").output) == {"removed": 1}
    assert [row["feature"] for row in stats(filled)["held"]] == ["b"]
    assert "1 answers are gone" in run(filled, "clear", "--all").output


def test_forget_destroys_the_key_and_the_answers(filled, tmp_path):
    done = run(filled, "forget", "--tenant", "unattributed")
    assert "2 answers are gone" in done.output
    assert list((tmp_path / "cache-keys").glob("*.key")) == []
    assert stats(filled)["held"] == []


def test_a_folder_without_a_cache_says_what_to_do(tmp_path):
    config = tmp_path / "farthing.toml"
    config.write_text(f'[ledger]\ndata_dir = "{tmp_path}"\n')
    done = CliRunner().invoke(cli, ["--config", str(config), "cache", "stats"])
    assert 'cache.mode = "on"' in str(done.exception)
