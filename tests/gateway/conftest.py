import asyncio
import contextlib

import pytest
from fakes import FakeProvider, Gateway

_SCENARIO_S = 60


@pytest.fixture
def through(tmp_path):
    """Run a scenario against a gateway and its fake provider: `through(scenario, **settings)`."""

    def run(scenario, **tables):
        async def whole():
            async with contextlib.AsyncExitStack() as stack:
                provider = await stack.enter_async_context(FakeProvider())
                gateway = await stack.enter_async_context(Gateway(tmp_path, provider, **tables))
                async with asyncio.timeout(_SCENARIO_S):  # what is waited for may never come
                    return await scenario(gateway, provider)

        return asyncio.run(whole())

    return run
