"""The official Node SDKs read a whole answer shared with another's stream as one of their own."""

from __future__ import annotations

import json

import pytest
from gateway_process import running_gateway
from node_clients import require_node, run_script
from sim_thread import FIXED_CLOCK_S, running_simulator
from test_sdk_cached import plain
from test_sdk_coalesced import SHARED, SLOW

from farthing.sim import SimSettings

pytestmark = pytest.mark.node


def test_a_whole_answer_made_from_a_stream_reads_as_live(tmp_path):
    require_node()
    slow = SimSettings(pace=SLOW, fixed_clock_s=FIXED_CLOCK_S)
    with (
        running_simulator(slow) as behind,
        running_gateway(tmp_path, behind.base_url, extra=SHARED) as gateway,
    ):
        shared = run_script("coalesced.mjs", gateway)
        reached = len(behind.log)
    with running_simulator() as direct:
        expected = run_script("coalesced.mjs", direct.base_url)
    assert reached == len(shared)
    for name, result in shared.items():
        live = expected[name]
        assert result["events"] == live["events"]
        assert json.loads(plain(result["whole"])) == json.loads(plain(live["whole"])), name
