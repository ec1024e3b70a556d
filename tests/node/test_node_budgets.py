"""The official Node SDKs meet a budget: one request, the class their users expect, no storm."""

from __future__ import annotations

import pytest
from gateway_process import SMALL_BUDGETS, running_gateway
from node_clients import require_node, run_script
from sim_thread import running_simulator

pytestmark = pytest.mark.node

REFUSED = {"type": "RateLimitError", "status": 429, "code": "budget_exceeded", "requests": 1}


def test_the_node_sdks_do_not_try_again_and_read_a_stopped_stream_to_its_end(tmp_path):
    require_node()
    with (
        running_simulator() as simulator,
        running_gateway(tmp_path, simulator.base_url, extra=SMALL_BUDGETS) as gateway,
    ):
        results = run_script("budgets.mjs", gateway)
    stopped = {"code": "budget_exceeded"}
    assert results == {
        "openai": REFUSED,
        "openai_stream": REFUSED,
        "anthropic": REFUSED,
        "anthropic_stream": REFUSED,
        "openai_stopped": stopped | {"finish_reason": "length"},
        "anthropic_stopped": stopped | {"stop_reason": "max_tokens"},
    }
