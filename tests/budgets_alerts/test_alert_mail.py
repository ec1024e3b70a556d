import asyncio
from email import message_from_bytes

import pytest
from alert_doubles import NOON_US, MailHandler, an_event, mail_server

from farthing.budgets.alerts import Alert, AlertSettings, NotDelivered
from farthing.budgets.alerts.targets import make_target
from farthing.errors import ConfigError

PLAIN = {"host": "127.0.0.1", "security": "none"}


def send(port, environ=(), **fields):
    async def sent():
        settings = AlertSettings(
            **(
                {
                    "name": "mail",
                    "kind": "email",
                    "port": port,
                    "sender": "alerts@ops.example",
                    "recipients": ("a@ops.example", "b@ops.example"),
                    "timeout_s": 5,
                }
                | fields
            )
        )
        target = make_target(settings, dict(environ))
        return await target.send(Alert(event=an_event()), "msg_1", NOON_US)

    return asyncio.run(sent())


def test_mail_arrives_in_both_forms_for_every_recipient():
    handler = MailHandler()
    with mail_server(handler) as port:
        assert send(port, **PLAIN) == ""
    ((_, envelope),) = handler.mails
    assert envelope.rcpt_tos == ["a@ops.example", "b@ops.example"]
    mail = message_from_bytes(envelope.content)
    assert mail["Message-ID"] == "<msg_1@ops.example>"
    assert [part.get_content_type() for part in mail.get_payload()] == ["text/plain", "text/html"]


def test_a_recipient_who_is_gone_is_told_and_the_others_get_it():
    handler = MailHandler()
    with mail_server(handler) as port:
        note = send(port, **PLAIN, recipients=("a@ops.example", "x@gone.example"))
    assert note == "refused for x@gone.example"
    assert len(handler.mails) == 1


def test_a_server_that_refuses_every_recipient_for_good_ends_it():
    with mail_server(MailHandler()) as port, pytest.raises(NotDelivered) as refused:
        send(port, **PLAIN, recipients=("x@gone.example",))
    assert refused.value.is_final


def test_a_busy_server_is_to_be_tried_again():
    handler = MailHandler(busy=1)
    with mail_server(handler) as port:
        with pytest.raises(NotDelivered, match="451") as refused:
            send(port, **PLAIN)
        assert not refused.value.is_final
        send(port, **PLAIN)
    assert len(handler.mails) == 1


def test_a_server_that_is_not_there_is_to_be_tried_again():
    with mail_server(MailHandler()) as port:
        pass
    with pytest.raises(NotDelivered, match=r"127\.0\.0\.1") as refused:
        send(port, **PLAIN)
    assert not refused.value.is_final


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_mail_is_encrypted_and_the_server_must_prove_who_it_is(security, server_tls, authority):
    handler = MailHandler()
    with mail_server(handler, tls=server_tls, implicit=security == "tls") as port:
        where = {"host": "localhost", "security": security}
        with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
            send(port, **where)
        send(port, **where, ca_file=str(authority / "ca.pem"))
    assert len(handler.mails) == 1  # the server takes none in the clear


def test_a_server_that_offers_no_encryption_gets_no_mail():
    handler = MailHandler()
    with mail_server(handler) as port, pytest.raises(NotDelivered, match="STARTTLS"):
        send(port, host="127.0.0.1", security="starttls")
    assert handler.mails == []


def test_the_password_logs_in_and_shows_nowhere(server_tls, authority, caplog):
    login = {"username": "farthing", "password_env": "MAIL_PASSWORD", "host": "localhost"}
    secured = {"security": "starttls", "ca_file": str(authority / "ca.pem")}
    handler = MailHandler()
    with mail_server(handler, tls=server_tls, login=("farthing", "hunter22")) as port:
        send(port, {"MAIL_PASSWORD": "hunter22"}, **login, **secured)
        with pytest.raises(NotDelivered, match="Authentication") as refused:
            send(port, {"MAIL_PASSWORD": "wr0ngpass"}, **login, **secured)
    assert len(handler.mails) == 1
    assert "wr0ngpass" not in str(refused.value) + caplog.text
    with pytest.raises(ConfigError, match="MAIL_PASSWORD is not set"):
        send(port, **login, **secured)


def test_a_password_never_travels_in_the_clear():
    with pytest.raises(ValueError, match="in the clear"):
        send(25, {"P": "x"}, host="mail.example", security="none", username="u", password_env="P")
