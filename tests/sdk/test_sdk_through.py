"""The official Python SDKs see no difference between a provider and Farthing in front of it."""

from __future__ import annotations

import json

import pytest
import scenarios
from gateway_process import running_gateway
from scenarios import Target
from sim_thread import running_simulator


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    with running_simulator() as direct, running_simulator() as behind:
        folder = tmp_path_factory.mktemp("gateway")
        with running_gateway(folder, behind.base_url) as gateway:
            yield Target(direct.base_url), Target(gateway)


@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_the_sdk_sees_no_difference(twins, name):
    direct, through = (scenarios.SCENARIOS[name](target) for target in twins)
    assert json.dumps(through, indent=1) == json.dumps(direct, indent=1)
