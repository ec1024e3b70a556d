"""E-mail by SMTP, encrypted and with the server's certificate checked."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import certifi

from farthing.budgets.alert_settings import AlertSettings
from farthing.budgets.alerts.alert import Alert
from farthing.budgets.alerts.delivery import NotDelivered, masked
from farthing.budgets.alerts.forms import as_mail
from farthing.errors import ConfigError
from farthing.secret import Secret

__all__ = ["MailTarget"]

_PORTS: Final = (("tls", 465), ("starttls", 587), ("none", 25))


class MailTarget:
    """One list of recipients, reached through one server; a connection for each message.

    A message is taken when the server takes it for at least one recipient; who was refused is
    told. It is tried again unless the server refused every recipient for good (5yz, RFC 5321).
    """

    def __init__(self, settings: AlertSettings, password: Secret) -> None:
        if settings.username and not password:
            raise ConfigError(
                f"Alert target {settings.name!r} logs in as {settings.username}, but"
                f" {settings.password_env} is not set. Nothing was sent. Set it to the password."
            )
        self.name = settings.name
        self._settings = settings
        self._password = password
        self._tls = None if settings.security == "none" else _trust(settings.ca_file)
        self._port = settings.port or dict(_PORTS)[settings.security]

    async def send(self, alert: Alert, message_id: str, now_us: int) -> str:
        """See `Target`; the library is a blocking one, so it runs on a thread."""
        mail = as_mail(
            alert,
            sender=self._settings.sender,
            recipients=self._settings.recipients,
            message_id=message_id,
            now_us=now_us,
        )
        return await asyncio.to_thread(self._send, mail)

    def close(self) -> None:
        """See `Target`; none stays open."""

    def _send(self, mail: EmailMessage) -> str:
        where = f"{self._settings.host}:{self._port}"
        try:
            with self._connected() as server:
                if self._settings.username:
                    server.login(self._settings.username, self._password.reveal())
                refused = server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise NotDelivered(
                f"{where} refused every recipient: {self._told(error)}",
                is_final=all(500 <= code < 600 for code in codes),
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"{where}: {self._told(error)}") from None
        return f"refused for {', '.join(refused)}" if refused else ""

    def _connected(self) -> smtplib.SMTP:
        host, timeout_s = self._settings.host, self._settings.timeout_s
        if self._settings.security == "tls":
            assert self._tls is not None  # noqa: S101 - made for every encrypted target
            return smtplib.SMTP_SSL(host, self._port, timeout=timeout_s, context=self._tls)
        server = smtplib.SMTP(host, self._port, timeout=timeout_s)
        if self._tls is not None:
            try:
                server.starttls(context=self._tls)
            except BaseException:  # edge: whatever happened, the connection is not left open
                server.close()
                raise
        return server

    def _told(self, error: Exception) -> str:
        return masked(f"{type(error).__name__}: {error}", [self._password])


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(Path(ca_file)) if ca_file else certifi.where())
    except OSError as error:
        raise ConfigError(
            f"The certificate authorities in {ca_file} could not be read: {error}. Nothing was"
            " sent. Give a PEM file, or leave ca_file out."
        ) from error
