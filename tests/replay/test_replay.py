"""Real traces through a running gateway: tokens, breakdowns and the bill must all be exact.

`FARTHING_TRACES=all` replays every row; by default a slice of each trace.
"""

from __future__ import annotations

import asyncio
import json
import os
from fractions import Fraction

import pytest
from running import running, send
from traces import DATA, azure, mooncake, sharegpt

from farthing.ledger import Ledger, ReportQuery
from farthing.sim import INSTANT, SimSettings, Simulator
from farthing.wire import Client

LIMIT = None if os.environ.get("FARTHING_TRACES") == "all" else 1200
CONCURRENCY = 48
SPEED_UP = 600  # an hour of traffic in six seconds, or as fast as it goes

# USD per million tokens: fresh input, cache read, output. Written down here by hand, from
# https://openai.com/api/pricing and https://www.anthropic.com/pricing (2026-11), so that they
# are an oracle and not the book itself.
PRICES = {
    "gpt-4o-2024-08-06": (Fraction("2.5"), Fraction("1.25"), Fraction(10)),
    "gpt-4o-mini-2024-07-18": (Fraction("0.15"), Fraction("0.075"), Fraction("0.6")),
    "claude-haiku-4-5-20251001": (Fraction(1), Fraction("0.1"), Fraction(5)),
}
TRACES = {
    # feature: the trace, its model, whether it is streamed
    "chat": (lambda: azure("AzureLLMInferenceTrace_conv.csv", LIMIT), "gpt-4o-2024-08-06", False),
    "code": (
        lambda: azure("AzureLLMInferenceTrace_code.csv", LIMIT),
        "claude-haiku-4-5-20251001",
        False,
    ),
    "agent": (lambda: mooncake(LIMIT), "gpt-4o-mini-2024-07-18", False),
    "story": (lambda: sharegpt(LIMIT), "gpt-4o-2024-08-06", True),
}
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.exists(), reason=f"the traces are not at {DATA}"),
]


def planned():
    """(second, feature, model, streamed, call) of all traces, by time."""
    calls = [
        (call.at_s / SPEED_UP, feature, model, streamed, call)
        for feature, (read, model, streamed) in TRACES.items()
        for call in read()
    ]
    return sorted(calls, key=lambda call: call[0])


def nanodollars(model, call):
    """The call's bill by hand: each line rounded once, half to even (Python rounds Fractions so)."""
    fresh, read, out = PRICES[model]
    counts = ((call.prompt - call.cached, fresh), (call.cached, read), (call.output, out))
    return sum(round(Fraction(count) * usd * 10**9 / 10**6) for count, usd in counts)


async def replay(calls, origin):
    client = Client()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    waiting = iter(calls)

    async def work():
        for at_s, feature, model, streamed, call in waiting:
            await asyncio.sleep(max(0.0, at_s - (loop.time() - begun)))
            headers = {
                "content-type": "application/json",
                "x-farthing-feature": feature,
                "x-sim-input-tokens": str(call.prompt),
                "x-sim-cached-tokens": str(call.cached),
                "x-sim-output-tokens": str(call.output),
            }
            body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
            if model.startswith("claude"):
                headers["anthropic-version"] = "2023-06-01"
            body |= {"max_tokens": 64, "stream": streamed}
            path = "/v1/messages" if model.startswith("claude") else "/v1/chat/completions"
            status, got = await send(client, origin, path, headers, json.dumps(body).encode())
            assert status == 200, got

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    client.close()


def test_the_ledger_of_replayed_traces_is_exact(tmp_path):
    calls = planned()

    async def scenario():
        async with (
            Simulator(SimSettings(pace=INSTANT)) as simulator,
            running(tmp_path, simulator.base_url, workers=2) as (_, origin),
        ):
            await replay(calls, origin)

    asyncio.run(scenario())
    with Ledger.open(tmp_path / "ledger") as ledger:
        whole = ledger.report()
        by_feature = ledger.report(ReportQuery(by=("feature",)))
        by_all = ledger.report(ReportQuery(by=("feature", "model", "provider", "hour", "status")))

    assert whole.calls == len(calls)
    assert whole.usage.prompt_tokens == sum(call.prompt for *_, call in calls)
    assert whole.usage.cache_read == sum(call.cached for *_, call in calls)
    assert whole.usage.completion_tokens == sum(call.output for *_, call in calls)
    assert whole.total.nanodollars == sum(nanodollars(m, call) for _, _, m, _, call in calls)
    for report in (by_feature, by_all):
        assert sum(row.cost.nanodollars for row in report.rows) == whole.total.nanodollars
        assert sum(row.calls for row in report.rows) == whole.calls
    for row in by_feature.rows:
        mine = [
            (m, call) for _, feature, m, _, call in calls if feature == row.dimensions["feature"]
        ]
        assert row.cost.nanodollars == sum(nanodollars(m, call) for m, call in mine)
