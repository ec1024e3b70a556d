import asyncio

import msgspec
import pytest
from alert_doubles import (
    HOUR_US,
    MINUTE_US,
    NOON_US,
    SECRET,
    MailHandler,
    Receiver,
    an_event,
    mail_server,
    usd,
)

from farthing.budgets.alerts import (
    Alert,
    AlertSettings,
    Backoff,
    Courier,
    NotDelivered,
    make_targets,
    send_tests,
    targets_named,
)

# Apprise imports a module that Python 3.11 and 3.12 warn of.
library = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
HOOK = {"kind": "webhook", "timeout_s": 5}


def hook(name, receiver, **changes):
    return AlertSettings(**({"name": name, "url": receiver.url} | HOOK | changes))


def mail(port):
    return AlertSettings(
        name="mail",
        kind="email",
        host="127.0.0.1",
        port=port,
        security="none",
        sender="alerts@ops.example",
        recipients=("a@ops.example",),
    )


def bare(event, now_us):
    del now_us
    return Alert(event=event)


async def step(outbox, settings, now_us, *, environ=(), alert=bare, **options):
    """One step of a courier that was just started."""
    targets, faults = make_targets(settings, dict(environ))
    courier = Courier(
        outbox,
        targets,
        alert,
        targets_of=lambda _event: targets_named(settings, ()),
        faults=faults,
        **options,
    )
    try:
        return await courier.step(now_us)
    finally:
        courier.close()


def run(*arguments, **options):
    return asyncio.run(step(*arguments, **options))


def ids(receiver):
    return [headers[b"webhook-id"] for _, headers, _ in receiver.requests]


def told(receiver):
    """The thresholds that a receiver heard of, in its order."""
    bodies = (msgspec.json.decode(body) for _, _, body in receiver.requests)
    return [body["data"]["threshold_percent"] for body in bodies]


def test_a_jump_over_several_thresholds_tells_each_once_to_each_target(box):
    for threshold in (50, 80, 100):
        box.outbox.add(an_event(threshold))
    handler = MailHandler()
    with Receiver() as receiver, mail_server(handler) as port:
        settings = [hook("hook", receiver), mail(port)]
        assert run(box.outbox, settings, NOON_US) == 6
        assert run(box.outbox, settings, NOON_US + HOUR_US) == 0
    assert told(receiver) == [50, 80, 100]
    assert len(set(ids(receiver))) == 3
    assert len(handler.mails) == 3
    assert box.states() == {50: "sent", 80: "sent", 100: "sent"}


def test_a_receiver_that_fails_for_a_while_gets_it_in_the_end_under_one_id(box):
    box.outbox.add(an_event())
    now_us = NOON_US
    with Receiver(503, 500, "hang") as receiver:
        settings = [hook("hook", receiver, timeout_s=0.2)]
        for _ in range(4):
            run(box.opened(), settings, now_us)  # restarted each time
            now_us = box.outbox.next_due_us() or now_us
    assert len(receiver.requests) == 4
    assert len(set(ids(receiver))) == 1
    assert box.states() == {80: "sent"}
    waits_us = now_us - NOON_US
    assert (15 + 45 + 135) * 10**6 <= waits_us <= (30 + 90 + 270) * 10**6


def test_a_target_in_trouble_neither_stops_nor_delays_another(box):
    for threshold in (50, 80):
        box.outbox.add(an_event(threshold))
    with Receiver("hang", 503) as bad, Receiver() as good:
        settings = [hook("bad", bad, timeout_s=0.2), hook("good", good)]
        run(box.outbox, settings, NOON_US)
    assert told(good) == [50, 80]
    assert told(bad) == [50]  # the second waits with the first, and loses no try
    assert {(d.target, d.tries, d.state) for d in box.outbox.deliveries()} == {
        ("good", 1, "sent"), ("bad", 1, "pending"), ("bad", 0, "pending"),
    }  # fmt: skip


def test_a_receiver_that_is_gone_ends_it_and_the_dead_letter_is_visible(box):
    box.outbox.add(an_event())
    with Receiver(410) as receiver:
        settings = [hook("hook", receiver)]
        run(box.outbox, settings, NOON_US)
        assert run(box.outbox, settings, NOON_US + HOUR_US) == 0
        (dead,) = box.outbox.dead_letters()
        assert (dead.target, dead.tries) == ("hook", 1)
        assert "answered 410" in dead.last_error
        box.outbox.retry(NOON_US + HOUR_US)
        run(box.outbox, settings, NOON_US + HOUR_US)
    assert box.states() == {80: "sent"}


def test_after_so_many_tries_it_is_dead(box):
    box.outbox.add(an_event())
    now_us = NOON_US
    with Receiver(*[500] * 9) as receiver:
        settings = [hook("hook", receiver)]
        for _ in range(3):
            run(box.outbox, settings, now_us, backoff=Backoff(tries_most=3))
            now_us += 10 * HOUR_US
    assert len(receiver.requests) == 3
    (dead,) = box.outbox.dead_letters()
    assert "answered 500" in dead.last_error


def test_a_wait_that_the_receiver_asks_for_is_kept(box):
    box.outbox.add(an_event())
    with Receiver((429, {"retry-after": "7200"}, b"")) as receiver:
        run(box.outbox, [hook("hook", receiver)], NOON_US)
    assert box.outbox.next_due_us() == NOON_US + 2 * HOUR_US


def test_an_event_whose_sending_kills_the_sender_ends_as_well(box):  # O2
    box.outbox.add(an_event())
    box.outbox.spread(lambda _event: ("hook",))
    for number in range(3):
        box.outbox.claim(NOON_US + number * HOUR_US)  # and the sender dies
    with Receiver() as receiver:
        run(
            box.outbox,
            [hook("hook", receiver)],
            NOON_US + 3 * HOUR_US,
            backoff=Backoff(tries_most=3),
        )
    assert receiver.requests == []
    assert "the sender died" in box.outbox.dead_letters()[0].last_error


def test_a_target_that_is_set_up_wrong_waits_until_it_is_mended(box):
    box.outbox.add(an_event())
    with Receiver() as receiver:
        settings = [hook("hook", receiver, secret_env="HOOK_SECRET")]
        run(box.outbox, settings, NOON_US)
        (waiting,) = box.outbox.deliveries()
        assert "HOOK_SECRET is not set" in waiting.last_error
        run(box.outbox, settings, NOON_US + MINUTE_US, environ={"HOOK_SECRET": SECRET})
    assert box.states() == {80: "sent"}


def test_a_target_that_was_removed_takes_its_deliveries_with_it(box):
    box.outbox.add(an_event())
    box.outbox.spread(lambda _event: ("old",))
    run(box.outbox, [], NOON_US)
    (dead,) = box.outbox.dead_letters()
    assert "no [[alert]] named 'old'" in dead.last_error


def test_a_fault_in_one_target_is_a_failed_try_and_nothing_worse(box):
    box.outbox.add(an_event())

    def broken(event, now_us):
        raise ZeroDivisionError

    with Receiver() as receiver:
        run(box.outbox, [hook("hook", receiver)], NOON_US, alert=broken)
    (waiting,) = box.outbox.deliveries()
    assert (waiting.state, waiting.last_error) == ("pending", "a fault: ZeroDivisionError")


def test_a_test_alert_reports_each_target(box):
    del box
    with Receiver() as good, Receiver(500) as bad, mail_server(MailHandler()) as port:
        settings = [
            hook("good", good),
            hook("bad", bad),
            hook("unset", good, url="", url_env="NOWHERE"),
            mail(port),
        ]
        found = asyncio.run(send_tests(settings, {}, NOON_US))
    assert [(sent.target, sent.is_sent) for sent in found] == [
        ("good", True), ("bad", False), ("unset", False), ("mail", True),
    ]  # fmt: skip
    assert "answered 500" in found[1].detail
    assert "NOWHERE is not set" in found[2].detail
    assert msgspec.json.decode(good.requests[0][2])["type"] == "farthing.test"


@library
def test_other_services_are_reached_through_the_library():
    with Receiver(200, 500) as receiver:
        where = receiver.url.removeprefix("http://")
        target = AlertSettings(name="page", kind="apprise", url_env="PAGE_URL")
        environ = {"PAGE_URL": f"json://{where}"}
        (sent,) = asyncio.run(send_tests([target], environ, NOON_US))
        assert sent.is_sent
        (failed,) = asyncio.run(send_tests([target], environ, NOON_US))
    assert not failed.is_sent
    assert "does not say why" in failed.detail
    told_ = msgspec.json.decode(receiver.requests[0][2])
    assert told_["title"].startswith('Test alert of target "page"')


@library
def test_an_address_that_the_library_does_not_know_is_refused_without_being_shown():
    target = AlertSettings(name="page", kind="apprise", url_env="PAGE_URL")
    (sent,) = asyncio.run(send_tests([target], {"PAGE_URL": "nosuch://s3cr3t"}, NOON_US))
    assert not sent.is_sent
    assert "s3cr3t" not in sent.detail


def test_without_the_library_the_command_to_install_it_is_told(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "apprise", None)
    target = AlertSettings(name="page", kind="apprise", url="json://h")
    (sent,) = asyncio.run(send_tests([target], {}, NOON_US))
    assert "pip install 'farthing[alerts]'" in sent.detail


def test_money_spent_is_exact_in_what_is_sent(box):
    box.outbox.add(an_event(80, spent=usd("80.000000001")))
    with Receiver() as receiver:
        run(box.outbox, [hook("hook", receiver)], NOON_US)
    assert b'"spent_usd":"80.000000001"' in receiver.requests[0][2]
    assert NotDelivered("x").is_final is False
