"""`/api/budgets`: who may see and change budgets, and how soon running gateways go by them."""

import asyncio
import json

import pytest
from fakes import CHAT_ANSWER

from farthing.gateway import VirtualKey

CHAT = "/v1/chat/completions"
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
SMALL = {"amount_usd": "0.0001", "scope": "feature=api"}
FIXED = {"name": "fixed", "scope": "feature=toml", "amount_usd": "5", "window": "day"}
WHO = {"x-farthing-feature": "api"}


@pytest.fixture
def scene(through):
    def run(scenario, **tables):
        return through(scenario, run="run-1", budget=[FIXED], **tables)

    return run


async def soon(gateway, status):
    """Ask until the answer has this status; the gateway looks for changes every second."""
    async with asyncio.timeout(20):
        while True:
            gateway.clock.ahead_us += 1_000_000
            answered = await gateway.post(CHAT, ASKED, WHO)
            if answered[0] == status:
                return answered


def test_a_budget_that_is_put_holds_calls_back_without_a_restart(scene):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        assert (await gateway.post(CHAT, ASKED, WHO))[0] == 200
        status, _, body = await gateway.send("PUT", "/api/budgets/api", SMALL)
        told = json.loads(body)
        assert (status, told["window"], told["source"]) == (201, "month", "set")
        _, _, body = await soon(gateway, 429)
        assert json.loads(body)["error"]["budget"] == "api"
        status, _, _ = await gateway.send("PUT", "/api/budgets/api", SMALL | {"amount_usd": "9"})
        assert status == 200
        await soon(gateway, 200)

    scene(scenario)


def test_a_budget_that_is_deleted_holds_nobody_back(scene):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.send("PUT", "/api/budgets/api", SMALL)
        await soon(gateway, 429)
        status, _, body = await gateway.send("DELETE", "/api/budgets/api")
        assert (status, json.loads(body)["removed"]["name"]) == (200, "api")
        await soon(gateway, 200)
        assert (await gateway.send("DELETE", "/api/budgets/api"))[0] == 404

    scene(scenario)


def test_a_budget_is_seen_with_its_accounts(scene):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.post(CHAT, ASKED, {"x-farthing-feature": "toml"})
        _, _, body = await gateway.send("GET", "/api/budgets")
        (told,) = json.loads(body)["budgets"]
        assert (told["name"], told["source"]) == ("fixed", "farthing.toml")
        (account,) = told["accounts"]
        assert (account["key"], account["limit_usd"]) == ("feature=toml", "5.00")
        _, _, body = await gateway.send("GET", "/api/budgets/fixed")
        assert json.loads(body)["amount_usd"] == "5"

    scene(scenario)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"amount_usd": "-1"}, "amount_usd"),
        ({"amount_usd": 1}, "amount_usd"),
        ({}, "amount_usd"),
        (SMALL | {"scope": "featur=x"}, "did you mean 'feature'?"),
        (SMALL | {"window": "fortnight"}, "is no window"),
        (SMALL | {"at_limit": "downgrade"}, "downgrade_to"),
        (SMALL | {"notify": ["nobody"]}, "nobody"),
        (SMALL | {"colour": "red"}, "colour"),
        (["a list"], "object"),
    ],
    ids=str,
)
def test_what_is_no_budget_is_refused_and_nothing_changed(scene, document, said):
    async def scenario(gateway, provider):
        del provider
        status, _, body = await gateway.send("PUT", "/api/budgets/api", document)
        message = json.loads(body)["error"]["message"]
        assert (status, said in message, "Nothing was changed." in message) == (400, True, True)
        assert (await gateway.send("GET", "/api/budgets/api"))[0] == 404

    scene(scenario)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_budget_of_the_file_that_people_review_is_not_overruled(scene, method):
    async def scenario(gateway, provider):
        del provider
        status, _, body = await gateway.send(method, "/api/budgets/fixed", SMALL)
        assert (status, json.loads(body)["error"]["code"]) == (409, "budget_fixed")

    scene(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"host": ""},
        {"x-forwarded-for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_without_keys_only_this_machine_itself_may_see_and_change_budgets(scene, method, headers):
    async def scenario(gateway, provider):
        del provider
        status, _, body = await gateway.send(method, "/api/budgets/api", SMALL, headers)
        assert (status, json.loads(body)["error"]["code"]) == (403, "not_administrator")

    scene(scenario)


def test_a_page_of_a_browser_cannot_send_a_budget_without_being_asked_first(scene):
    async def scenario(gateway, provider):
        del provider
        plain = {"content-type": "text/plain"}
        assert (await gateway.send("PUT", "/api/budgets/api", SMALL, plain))[0] == 400
        assert (await gateway.send("OPTIONS", "/api/budgets/api"))[0] == 404

    scene(scenario)


def test_with_keys_only_one_that_may_administer_opens_even_on_loopback(scene):
    async def scenario(gateway, provider):
        del provider
        made = [
            gateway.ring.create(VirtualKey(id="", digest="", tenant="t", may_administer=is_admin))
            for is_admin in (False, True)
        ]
        plain, admin = ({"authorization": f"Bearer {secret}"} for secret, _ in made)
        for headers, status in [(None, 401), (plain, 403), (admin, 201)]:
            answered = await gateway.send("PUT", "/api/budgets/api", SMALL, headers)
            assert answered[0] == status
        assert (await gateway.send("GET", "/api/budgets", headers=plain))[0] == 403
        assert (await gateway.send("GET", "/api/budgets", headers=admin))[0] == 200

    scene(scenario)


def test_nothing_else_below_api_takes_changes(scene):
    async def scenario(gateway, provider):
        del provider
        assert (await gateway.send("PUT", "/api/calls/x", {}))[0] == 404
        assert (await gateway.send("DELETE", "/api/budgets"))[0] == 404

    scene(scenario)


def test_budgets_that_cannot_be_read_again_stay_as_they_were(scene, tmp_path):
    async def scenario(gateway, provider):
        provider.answers_json(CHAT_ANSWER)
        await gateway.send("PUT", "/api/budgets/api", SMALL)
        await soon(gateway, 429)
        (tmp_path / "budgets.json").write_text("{")
        for _ in range(3):
            gateway.clock.ahead_us += 1_100_000
            assert (await gateway.post(CHAT, ASKED, WHO))[0] == 429

    scene(scenario)
