"""The official Node SDKs can't tell a replayed answer from a live one, but by its id and time.

Their scenarios ask the same whole and streamed, so most streams are made from a whole answer: they
read as told live, in fewer pieces.
"""

from __future__ import annotations

import json

import pytest
from gateway_process import running_gateway
from node_clients import require_node, run_node_clients
from sim_thread import running_simulator
from test_sdk_cached import CACHED, plain

from farthing.codecs.anthropic_replay import whole_message
from farthing.codecs.openai_replay import whole_chat

pytestmark = pytest.mark.node


def assembled(result):
    """A result in which a stream, as text or as a list of events, is put together."""
    if isinstance(result, dict) and str(result.get("body", "")).startswith(("data:", "event:")):
        return result | {"body": together(result["body"].encode())}
    if isinstance(result, list) and result and result[0].keys() & {"choices", "message"}:
        return together(b"".join(b"data: %b\n\n" % json.dumps(e).encode() for e in result))
    if isinstance(result, dict) and str(result.get("body", "")).startswith("{"):
        return result | {"body": json.loads(result["body"])}
    if isinstance(result, dict):
        result.pop("obfuscation", None)  # random padding, which an answer given whole has none of
    return result


def together(stream):
    whole = whole_chat if b'"choices"' in stream else whole_message
    return json.loads(whole(stream))


def test_the_node_sdks_see_no_difference_when_answers_are_replayed(tmp_path):
    require_node()
    with running_simulator() as direct, running_simulator() as behind:
        with running_gateway(tmp_path, behind.base_url, extra=CACHED) as gateway:
            run_node_clients(gateway)
            before = len(behind.log)
            through = run_node_clients(gateway)
            reached = behind.log[before:]
        expected = run_node_clients(direct.base_url)
    assert through.keys() == expected.keys()
    for name, result in expected.items():
        assert plain(assembled(through[name])) == plain(assembled(result)), name
    # The rest: two lists, a count, n=2, and four streams or answers that the simulator breaks.
    assert [entry.status for entry in reached].count(200) == 8
