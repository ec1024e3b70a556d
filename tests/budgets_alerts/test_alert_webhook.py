import asyncio

import msgspec
import pytest
from alert_doubles import NOON_US, SECRET, Receiver, an_event

from farthing.budgets.alerts import Alert, AlertSettings, NotDelivered, signing_key, verify
from farthing.budgets.alerts.targets import make_target
from farthing.errors import ConfigError
from farthing.secret import Secret

ALERT = Alert(event=an_event())
SIGNED = {"kind": "webhook", "secret_env": "HOOK_SECRET"}
SLACK = {"kind": "slack", "url_env": "SLACK_URL"}


def send(url="", environ=(), **fields):
    """Send one alert to a target made of these settings; what it said."""

    async def sent():
        settings = AlertSettings(**({"name": "ops", "url": url, "timeout_s": 5} | fields))
        target = make_target(settings, dict(environ))
        try:
            return await target.send(ALERT, "msg_1", NOON_US)
        finally:
            target.close()

    return asyncio.run(sent())


def test_a_webhook_arrives_signed_and_the_receiver_can_verify_it():
    with Receiver() as receiver:
        send(receiver.url + "?tenant=1", {"HOOK_SECRET": SECRET}, **SIGNED)
    ((path, headers, body),) = receiver.requests
    assert path == "/hooks/T0/s3cr3t?tenant=1"
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"webhook-id"] == b"msg_1"
    assert verify(signing_key(Secret(SECRET)), headers, body, NOON_US)
    assert msgspec.json.decode(body)["type"] == "budget.threshold"


def test_slack_gets_its_json_and_no_signature():
    with Receiver() as receiver:
        send(environ={"SLACK_URL": receiver.url}, **SLACK)
    ((_, headers, body),) = receiver.requests
    assert b"webhook-signature" not in headers
    assert msgspec.json.decode(body)["blocks"][0]["type"] == "header"


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_any_answer_but_a_success_is_to_be_tried_again(status):
    with (
        Receiver((status, {"location": "http://127.0.0.1:1/"}, b"no")) as receiver,
        pytest.raises(NotDelivered, match=f"answered {status}") as refused,
    ):
        send(receiver.url, kind="webhook")
    assert not refused.value.is_final
    assert len(receiver.requests) == 1  # a redirect is not followed


def test_a_receiver_that_is_gone_wants_no_more():
    with Receiver(410) as receiver, pytest.raises(NotDelivered) as refused:
        send(receiver.url, kind="webhook")
    assert refused.value.is_final


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("120", 120),
        ("Fri, 13 Nov 2026 12:01:00 GMT", 60),
        ("soon", 0),
        ("-5", 0),
        ("9" * 400, 999_999_999),
    ],
)
def test_what_a_receiver_asks_for_is_told(header, wait_s):
    with (
        Receiver((503, {"retry-after": header}, b"")) as receiver,
        pytest.raises(NotDelivered) as refused,
    ):
        send(receiver.url, kind="webhook")
    assert refused.value.retry_after_s == wait_s


def test_a_receiver_that_hangs_is_given_up_within_the_time_set():
    with Receiver("hang") as receiver:
        with pytest.raises(NotDelivered, match=r"http://127\.0\.0\.1"):
            send(receiver.url, kind="webhook", timeout_s=0.2)
        receiver.over.set()


def test_a_receiver_that_is_not_there_is_to_be_tried_again():
    with Receiver() as receiver:
        url = receiver.url
    with pytest.raises(NotDelivered) as refused:
        send(url, kind="webhook")
    assert not refused.value.is_final


def test_an_answer_without_end_is_not_read_to_its_end():
    with Receiver((500, {}, b"x" * 1_000_000)) as receiver, pytest.raises(NotDelivered):
        send(receiver.url, kind="webhook")
    assert len(receiver.requests) == 1


def test_an_answer_that_repeats_the_secret_address_does_not_show_it(caplog):
    with (
        Receiver((403, {}, b"no /hooks/T0/s3cr3t\r\nfor you")) as receiver,
        pytest.raises(NotDelivered) as refused,
    ):
        send(environ={"SLACK_URL": receiver.url}, **SLACK)
    assert "s3cr3t" not in str(refused.value) + caplog.text
    assert "answered 403: no *** for you" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "hooks.example/s3cr3t", "https://[s3cr3t", "https://h/a b"]
)
def test_an_address_that_is_none_is_refused_without_being_shown(url):
    with pytest.raises(ConfigError, match="'ops' is no http:// or https:// address") as refused:
        send(environ={"SLACK_URL": url}, **SLACK)
    assert "s3cr3t" not in str(refused.value)


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(ConfigError, match="SLACK_URL"):
        send(**SLACK)
    with pytest.raises(ConfigError, match="HOOK_SECRET"):
        send("http://127.0.0.1:1/", **SIGNED)


def test_tls_is_checked(server_tls, authority):
    with Receiver() as receiver:
        receiver.server.socket = server_tls.wrap_socket(receiver.server.socket, server_side=True)
        url = receiver.url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(NotDelivered):
            send(url, kind="webhook")
        assert receiver.requests == []
        send(url, kind="webhook", ca_file=str(authority / "ca.pem"))
        assert len(receiver.requests) == 1
