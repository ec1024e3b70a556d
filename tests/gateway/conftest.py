import asyncio
import contextlib

import pytest
from fakes import FakeProvider, Gateway


@pytest.fixture
def through(tmp_path):
    """Run a scenario against a gateway and its fake provider: `through(scenario, **settings)`."""

    def run(scenario, **tables):
        async def whole():
            async with contextlib.AsyncExitStack() as stack:
                provider = await stack.enter_async_context(FakeProvider())
                gateway = await stack.enter_async_context(Gateway(tmp_path, provider, **tables))
                return await scenario(gateway, provider)

        return asyncio.run(whole())

    return run
