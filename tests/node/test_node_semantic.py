"""The official Node SDKs can't tell a stream from a like question's answer from the provider's own."""

from __future__ import annotations

import pytest
from gateway_process import running_gateway
from node_clients import require_node, run_script
from sim_thread import running_simulator
from test_sdk_cached import plain
from test_sdk_semantic import FIRST, LIKE, SETTINGS, wait_for_questions

pytestmark = pytest.mark.node


def test_the_node_sdks_see_no_difference_when_a_like_question_is_served(tmp_path):
    require_node()
    with (
        running_simulator() as behind,
        running_gateway(tmp_path, behind.base_url, extra=SETTINGS) as gateway,
    ):
        live = run_script("semantic.mjs", gateway, FIRST)
        wait_for_questions(tmp_path / "ledger" / "cache.sqlite", 2)
        before = len(behind.log)
        for kind in ("hit-semantic", "hit-alias"):
            replayed = run_script("semantic.mjs", gateway, LIKE)
            for name in ("openai", "anthropic"):
                assert replayed[name]["told"] == kind
                assert plain(replayed[name]["events"]) == plain(live[name]["events"])
        assert len(behind.log) == before
    assert live["openai"]["told"].startswith("miss; semantic=")
    assert live["openai"]["events"][0]["id"] != replayed["openai"]["events"][0]["id"]
