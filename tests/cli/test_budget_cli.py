import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner

from farthing.budgets import Ask, BudgetSettings, SqliteBudgets, Window, account_id
from farthing.budgets.alerts import Outbox
from farthing.call import Attempt, AttemptStatus, Attribution, Endpoint, Pricing
from farthing.cli.root import cli
from farthing.clock import SystemClock
from farthing.ledger import CallStatus, Entry, SqliteStore
from farthing.ledger.layout import Layout
from farthing.ledger.store import Batch
from farthing.money import Money

CONFIG = """
[ledger]
data_dir = "{folder}"

[[budget]]
name = "search"
scope = "tenant=*"
amount_usd = "100"
window = "day"
notify = ["hook"]

[[budget]]
name = "quiet"
scope = "all"
amount_usd = "5"
window = "month"
timezone = "Europe/Zurich"
mode = "shadow"

[[alert]]
name = "hook"
kind = "webhook"
url = "{url}"
timeout_s = 5
"""


class Hook:
    def __init__(self, status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


@pytest.fixture
def configured(tmp_path):
    """Writes farthing.toml; gives its path."""
    folder = tmp_path / "ledger"
    folder.mkdir()

    def write(url="http://127.0.0.1:1/hook"):
        path = tmp_path / "farthing.toml"
        path.write_text(CONFIG.format(folder=folder, url=url))
        return path

    return write


@pytest.fixture
def spent(tmp_path, configured):
    """A tenant that spent 84.20 USD of 100 today."""
    del configured
    folder = tmp_path / "ledger"
    now_us = SystemClock().now_us()
    day = Window.parse("day").at(now_us)
    budget = BudgetSettings(name="search", scope="tenant=*", amount_usd="100", window="day")
    account = account_id("search", "tenant=acme", day)
    budgets = SqliteBudgets(folder)
    ask = Ask(id=account, budget=budget, key="tenant=acme", span=day)
    budgets.tend("run", [ask], now_us)
    budgets.close()
    attempt = Attempt(
        number=1,
        provider="openai",
        model="gpt-4o",
        status=AttemptStatus.OK,
        pricing=Pricing.CARD,
        cost=Money.usd("84.20"),
    )
    entry = Entry(
        call_id="call_1",
        endpoint=Endpoint.OPENAI_CHAT,
        model="gpt-4o",
        is_streamed=False,
        status=CallStatus.OK,
        started_us=now_us - 1000,
        attribution=Attribution(tenant="acme"),
        attempts=(attempt,),
        charges=(account,),
    )
    store = SqliteStore(Layout(folder).store)
    store.post(Batch(entries=[entry]))
    outbox = Outbox(store.transaction)
    outbox.spread(lambda event: ("hook", "chat") if event.threshold == 80 else ())
    for delivery in outbox.claim(now_us):
        if delivery.target == "hook":
            outbox.mark_sent(delivery, now_us)
        else:
            outbox.mark_failed(delivery, "answered 410", None)
    store.close()


def run(config, *arguments, code=0):
    done = CliRunner().invoke(cli, ["--config", str(config), "budget", *arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def test_list_shows_the_budgets_as_configured(configured):
    told = json.loads(run(configured(), "list", "--json"))
    assert [(one["name"], one["amount_usd"], one["mode"]) for one in told] == [
        ("search", "100.00", "on"), ("quiet", "5.00", "shadow"),
    ]  # fmt: skip
    assert told[0]["notify"] == ["hook"]
    plain = run(configured(), "list")
    assert "month (Europe/Zurich)" in plain
    assert "all targets" in plain


def test_status_shows_each_account_and_which_budgets_are_idle(configured, spent):
    told = json.loads(run(configured(), "status", "--json"))
    (account,) = told["accounts"]
    assert (account["budget"], account["key"]) == ("search", "tenant=acme")
    assert (account["spent_usd"], account["limit_usd"], account["spent_share"]) == (
        "84.20", "100.00", 0.842,
    )  # fmt: skip
    assert account["burn"]["last_hour_usd"] == "84.20"
    assert set(account["forecast"]) == {"basis", "expected_usd", "low_usd", "high_usd", "coverage"}
    assert told["idle"] == ["quiet"]
    plain = run(configured(), "status")
    assert "84.2 %" in plain
    assert "Nothing was spent in this window on: quiet" in plain
    assert json.loads(run(configured(), "status", "quiet", "--json"))["accounts"] == []


def test_status_of_a_budget_that_does_not_exist_names_those_that_do(configured):
    done = CliRunner().invoke(cli, ["--config", str(configured()), "budget", "status", "serch"])
    assert "There is no budget 'serch'. Known are: search, quiet." in str(done.exception)


def test_alerts_are_listed_with_dead_letters_and_can_be_retried(configured, spent):
    told = json.loads(run(configured(), "alerts", "--json"))
    states = {one["target"]: one["state"] for one in told["deliveries"]}
    assert states == {"hook": "sent", "chat": "dead"}
    assert [one["threshold_percent"] for one in told["muted"]] == [50]
    (dead,) = json.loads(run(configured(), "alerts", "--dead", "--json"))["deliveries"]
    assert (dead["last_error"], dead["tries"]) == ("answered 410", 1)
    assert dead["message_id"].startswith("msg_")
    again = json.loads(run(configured(), "alerts", "--retry", "--json"))
    assert again["retried"] == 1
    assert {one["state"] for one in again["deliveries"]} == {"sent", "pending"}
    plain = run(configured(), "alerts", "--retry")
    assert "0 deliveries are due again" in plain
    assert "threshold 80 %" in plain


def test_a_test_alert_says_how_each_target_fared_and_fails_if_one_did(configured):
    with Hook() as hook:
        told = json.loads(run(configured(hook.url), "test-alert", "--json"))
        assert told == {"targets": [{"target": "hook", "sent": True, "detail": ""}]}
    with Hook(500) as hook:
        plain = run(configured(hook.url), "test-alert", "hook", code=1)
    assert "failed" in plain
    assert "answered 500" in plain


def test_a_target_that_does_not_exist_is_not_tested(configured):
    done = CliRunner().invoke(cli, ["--config", str(configured()), "budget", "test-alert", "x"])
    assert "no alert target named 'x'" in str(done.exception)


def test_a_budget_that_names_no_known_target_refuses_to_start(configured):
    path = configured()
    path.write_text(path.read_text().replace('notify = ["hook"]', 'notify = ["hok"]'))
    done = CliRunner().invoke(cli, ["--config", str(path), "budget", "list"])
    assert "notifies 'hok'" in str(done.exception)
