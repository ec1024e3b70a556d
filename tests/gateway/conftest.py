import asyncio
import contextlib

import pytest
from fakes import FakeProvider, Gateway
from served_policies import PRICE, RecordedProvider, file_policy, pool

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


@pytest.fixture
def routed(tmp_path):
    """Run a scenario against a gateway with a pool and a simulated provider."""

    def run(scenario, made=None, *, rules=(), rows=None, pools=None, routing=None, **tables):
        mark = file_policy(tmp_path, made) if made is not None else ""

        async def whole():
            async with contextlib.AsyncExitStack() as stack:
                more = {} if rows is None else {"rows": rows}
                provider = RecordedProvider(tmp_path, rules=rules, **more)
                await stack.enter_async_context(provider)
                settings = {"pools": pools or {"auto": pool()}} | (routing or {})
                tables.setdefault("price", PRICE)
                gateway = Gateway(tmp_path, provider, routing=settings, **tables)
                await stack.enter_async_context(gateway)
                async with asyncio.timeout(_SCENARIO_S):
                    return await scenario(gateway, provider, mark)

        return asyncio.run(whole())

    return run
