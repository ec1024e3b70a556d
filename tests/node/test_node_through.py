"""The official Node SDKs see no difference between a provider and Farthing in front of it."""

from __future__ import annotations

import json

import pytest
from gateway_process import running_gateway
from node_clients import require_node, run_node_clients
from sim_thread import running_simulator

pytestmark = pytest.mark.node


def test_the_node_sdks_see_no_difference(tmp_path):
    require_node()
    with running_simulator() as direct, running_simulator() as behind:
        with running_gateway(tmp_path, behind.base_url) as gateway:
            through = run_node_clients(gateway)
        expected = run_node_clients(direct.base_url)
    assert through.keys() == expected.keys()
    for name, result in expected.items():
        assert json.dumps(through[name], indent=1) == json.dumps(result, indent=1), name
