"""Nothing can be written beside the ledger: calls are served and posted, and keys still revoked."""

from __future__ import annotations

import asyncio
import json
import time

from running import running, send

from farthing.gateway import KeyRing, VirtualKey
from farthing.ledger import Ledger
from farthing.sim import INSTANT, SimSettings, Simulator
from farthing.wire import Client

BODY = json.dumps(
    {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
).encode()
VITALS_PERIODS_S = 3.5  # more than the workers' second three times over


def test_keys_are_revoked_and_calls_posted_where_vital_signs_cannot_be_written(tmp_path):
    folder = tmp_path / "ledger"

    async def scenario():
        ring = KeyRing(folder)
        ring.create(VirtualKey(id="", digest="", tenant="other"))  # so that keys are asked for
        secret, key = ring.create(VirtualKey(id="", digest="", tenant="acme"))
        headers = {"content-type": "application/json", "authorization": f"Bearer {secret}"}
        client = Client()
        path = "/v1/chat/completions"
        async with (
            Simulator(SimSettings(pace=INSTANT)) as simulator,
            running(tmp_path, simulator.base_url) as (process, origin),
        ):
            assert (await send(client, origin, path, headers, BODY))[0] == 200
            end_s = time.monotonic() + 30
            while not (folder / "run").exists():  # the first second may not be over
                assert time.monotonic() < end_s
                await asyncio.sleep(0.02)
            (folder / "run").rename(folder / "away")
            (folder / "run").write_text("a file in the folder's place")  # as a full disk refuses
            end_s = time.monotonic() + VITALS_PERIODS_S
            answered = 1
            while time.monotonic() < end_s:
                assert (await send(client, origin, path, headers, BODY))[0] == 200
                answered += 1
            ring.revoke(key.id)
            end_s = time.monotonic() + 30
            while (await send(client, origin, path, headers, BODY))[0] != 401:
                answered += 1
                assert time.monotonic() < end_s
            assert process.returncode is None
            client.close()
        return answered

    answered = asyncio.run(scenario())
    with Ledger.open(folder) as ledger:
        assert ledger.report().calls == answered
