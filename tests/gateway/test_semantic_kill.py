"""kill -9 while questions come in: the file is whole, and what was stored is found again."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from fakes import CHAT_ANSWER, FakeProvider, Gateway
from semantic_doubles import settled
from test_semantic_cache import LIKE, SERVING, rows, told

CHILD = Path(__file__).parent / "semantic_child.py"
KILLS = 3


def test_what_was_stored_before_a_kill_is_served_after_it(tmp_path):
    async def scenario():
        async with FakeProvider() as provider:
            provider.answers_json(CHAT_ANSWER)
            for _ in range(KILLS):
                child = await asyncio.create_subprocess_exec(
                    sys.executable, CHILD, tmp_path, str(provider.port), stdout=PIPE
                )
                assert await child.stdout.readline() == b"stored\n"
                child.kill()
                await child.wait()
            asked = len(provider.requests)
            async with Gateway(tmp_path, provider, **SERVING) as gateway:
                await settled(gateway)
                assert await told(gateway, LIKE) == "hit-semantic"
                assert len(provider.requests) == asked

    asyncio.run(scenario())
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    orphans = "SELECT COUNT(*) FROM questions WHERE entry NOT IN (SELECT key FROM entries)"
    assert rows(tmp_path, orphans) == [(0,)]
