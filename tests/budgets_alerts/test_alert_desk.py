"""From a call in the ledger to an alert at a receiver, over real stores and a real socket."""

import asyncio
import subprocess
import sys
import threading

import msgspec
import pytest
from alert_doubles import BOUND_S, HOUR_US, NOON_US, Receiver
from test_alert_history import an_entry

from farthing.budgets import Ask, BudgetSettings, SqliteBudgets, Window, account_id
from farthing.budgets.alerts import AlertDesk, AlertSettings, run_desk
from farthing.ledger import LedgerSettings, SqliteStore
from farthing.ledger.layout import Layout
from farthing.ledger.store import Batch

MONTH = Window.parse("month").at(NOON_US)
BUDGET = BudgetSettings(name="search", scope="tenant=*", amount_usd="100", window="month")


class Noon:
    def now_us(self):
        return NOON_US

    def monotonic_us(self):
        return 0


def spend(folder, number, cost, at_us=NOON_US - HOUR_US, tenant="acme"):
    """A call that is charged to the tenant's account."""
    folder.mkdir(exist_ok=True)
    key = f"tenant={tenant}"
    account = account_id("search", key, MONTH)
    budgets = SqliteBudgets(folder)
    budgets.tend("run", [Ask(id=account, budget=BUDGET, key=key, span=MONTH)], NOON_US)
    budgets.close()
    entry = an_entry(number, at_us, cost, tenant=tenant, feature="answer")
    store = SqliteStore(Layout(folder).store)
    store.post(Batch(entries=[msgspec.structs.replace(entry, charges=(account,))]))
    store.close()


def make(folder, receiver, budget=BUDGET):
    target = AlertSettings(name="ops", kind="webhook", url=receiver.url, timeout_s=5)
    return AlertDesk(
        LedgerSettings(data_dir=str(folder)), [budget], [target], {},
        dashboard_url="https://ops.example",
    )  # fmt: skip


def step(folder, receiver, now_us=NOON_US, budget=BUDGET):
    async def stepped():
        desk = make(folder, receiver, budget)
        try:
            return await desk.step(now_us)
        finally:
            desk.close()

    return asyncio.run(stepped())


def bodies(receiver):
    return [msgspec.json.decode(body) for _, _, body in receiver.requests]


def test_a_jump_over_several_thresholds_tells_each_once_with_who_what_and_where(tmp_path):
    with Receiver() as receiver:
        spend(tmp_path, 1, "84.20")
        assert step(tmp_path, receiver) == 2
        assert step(tmp_path, receiver) == 0
        spend(tmp_path, 2, "20")  # no lease covers it: the provider billed more than was held
        assert step(tmp_path, receiver) == 2
    told = bodies(receiver)
    assert [body["data"]["threshold_percent"] for body in told[:2]] == [50, 80]
    assert {body["type"] for body in told[2:]} == {"budget.threshold", "budget.overrun"}
    last = told[-1]["data"]
    assert (last["key"], last["spent_usd"], last["limit_usd"]) == (
        "tenant=acme", "104.20", "100.00",
    )  # fmt: skip
    assert last["drivers"]["features"] == [{"name": "answer", "cost_usd": "104.20", "calls": 2}]
    assert last["drivers"]["dearest_calls"][0]["call"] == "call_001"
    assert last["now"]["window_ends"] == "2026-12-01T00:00:00Z"
    assert last["link"].startswith("https://ops.example/budgets/search?")


def test_tenants_are_told_of_apart(tmp_path):
    with Receiver() as receiver:
        spend(tmp_path, 1, "60", tenant="acme")
        spend(tmp_path, 2, "60", tenant="zeta")
        step(tmp_path, receiver)
    assert [body["data"]["key"] for body in bodies(receiver)] == ["tenant=acme", "tenant=zeta"]


def test_two_desks_over_one_ledger_tell_each_alert_once(tmp_path):
    spend(tmp_path, 1, "84.20")
    with Receiver() as receiver:

        async def both():
            desks = [make(tmp_path, receiver) for _ in range(2)]
            await asyncio.gather(*(desk.step(NOON_US) for desk in desks))
            for desk in desks:
                desk.close()

        asyncio.run(both())
    assert sorted(body["data"]["threshold_percent"] for body in bodies(receiver)) == [50, 80]


def test_a_month_that_is_heading_over_its_limit_is_told_before_it_gets_there(tmp_path):
    async def two_looks(receiver):
        desk = make(tmp_path, receiver)
        await desk.step(NOON_US)
        assert bodies(receiver) == []
        for hour in range(72, 109):
            spend(tmp_path, hour, "0.25", at_us=NOON_US + (hour - 72) * HOUR_US)
        await desk.step(NOON_US + 37 * HOUR_US)
        desk.close()

    with Receiver() as receiver:
        for hour in range(72):
            spend(tmp_path, hour, "0.25", at_us=NOON_US - (72 - hour) * HOUR_US)
        asyncio.run(two_looks(receiver))
    (told,) = bodies(receiver)
    assert told["type"] == "budget.forecast"
    assert 120 < float(told["data"]["forecast"]["expected_usd"]) < 126


def test_the_loop_runs_until_it_is_told_to_stop(tmp_path):
    spend(tmp_path, 1, "60")
    stop = threading.Event()
    with Receiver() as receiver:
        thread = threading.Thread(
            target=run_desk, args=(lambda: make(tmp_path, receiver), Noon(), stop)
        )
        thread.start()
        assert receiver.heard.wait(BOUND_S)
        stop.set()
        thread.join(BOUND_S)
    assert not thread.is_alive()
    assert len(receiver.requests) == 1


def test_a_store_that_is_away_is_tried_again(tmp_path, caplog):
    (tmp_path / "ledger.sqlite").write_text("this is no store")
    stop = threading.Event()

    def failing():
        stop.set()
        return make(tmp_path, receiver)

    with Receiver() as receiver:
        run_desk(failing, Noon(), stop)
    assert "alerts wait in the outbox" in caplog.text


@pytest.mark.parametrize("notify", [("ops",), ()])
def test_a_budget_reaches_the_targets_it_names_or_all(tmp_path, notify):
    spend(tmp_path, 1, "60")
    with Receiver() as receiver:
        step(tmp_path, receiver, budget=msgspec.structs.replace(BUDGET, notify=notify))
    assert len(receiver.requests) == 1


def test_the_drainer_of_a_running_gateway_delivers(tmp_path):
    spend(tmp_path / "ledger", 1, "60")
    with Receiver() as receiver:
        config = tmp_path / "farthing.toml"
        config.write_text(
            f'[ledger]\ndata_dir = "{tmp_path / "ledger"}"\n'
            '[[budget]]\nname = "search"\nscope = "tenant=*"\namount_usd = "100"\nwindow = "month"\n'
            f'[[alert]]\nname = "ops"\nkind = "webhook"\nurl = "{receiver.url}"\n'
        )
        drainer = subprocess.Popen(
            [sys.executable, "-m", "farthing.gateway.drainer", "0", str(config)]
        )
        try:
            assert receiver.heard.wait(BOUND_S)
        finally:
            drainer.terminate()
            assert drainer.wait(BOUND_S) == 0
    assert [body["data"]["threshold_percent"] for body in bodies(receiver)] == [50]
