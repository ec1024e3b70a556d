"""A real receiver of webhooks, a real SMTP server, a clock that is set by hand, an outbox."""

import contextlib
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from farthing.budgets.alerts import AlertEvent, Outbox
from farthing.ledger import SqliteStore
from farthing.money import Money

NOON_US = 1_794_571_200_000_000  # 2026-11-13T12:00:00Z
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
BOUND_S = 10


def usd(amount):
    return Money.usd(amount)


def an_event(threshold=80, **changes):
    fields = {
        "budget": "search",
        "key": "tenant=acme",
        "window": "month 2026-11",
        "kind": "threshold",
        "at_us": NOON_US,
        "spent": usd("84.20"),
        "limit": usd("100"),
    }
    return AlertEvent(**(fields | changes), threshold=threshold)


class Box:
    """An outbox in a ledger's store, which it can open again as after a restart."""

    def __init__(self, path):
        self.path = path
        self.stores = []
        self.outbox = self.opened()

    def opened(self):
        self.stores.append(SqliteStore(self.path))
        return Outbox(self.stores[-1].transaction)

    def states(self):
        """The state of each event as the contract's table has it."""
        rows = self.stores[0].query("SELECT threshold, state FROM budget_events ORDER BY id")
        return dict(rows)

    def close(self):
        for store in self.stores:
            store.close()


class Receiver:
    """An HTTP server that answers as scripted, then 200; it keeps what it was sent."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.over = threading.Event()
        self.heard = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                named = {
                    name.lower().encode(): value.encode() for name, value in self.headers.items()
                }
                outer.requests.append((self.path, named, body))
                outer.answer(self)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/T0/s3cr3t"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def answer(self, handler):
        self.heard.set()
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "hang":
            self.over.wait(BOUND_S)
            handler.close_connection = True
            return
        status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b"")
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.thread.join(BOUND_S)
        self.server.server_close()


class MailHandler:
    """Keeps mail; refuses recipients at `gone.example` for good and is busy for a while."""

    def __init__(self, busy=0):
        self.mails = []
        self.busy = busy

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: ARG002, N802 - aiosmtpd calls it so
        if address.endswith("@gone.example"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: ARG002, N802 - aiosmtpd calls it so
        if self.busy:
            self.busy -= 1
            return "451 4.3.0 try again later"
        self.mails.append((session.ssl is not None, envelope))
        return "250 taken"


@contextlib.contextmanager
def mail_server(handler, *, tls=None, implicit=False, login=None):
    """An SMTP server on a free port: plain, with STARTTLS, or TLS from the first byte."""

    def check(server, session, envelope, mechanism, data):
        is_right = (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=is_right, handled=False)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"authenticator": check, "auth_required": True} if login else {}
    if tls is not None and not implicit:
        options |= {"tls_context": tls, "require_starttls": True}
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        ssl_context=tls if implicit else None,
        **options,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def make_authority(folder):
    """A certificate authority of our own and a server certificate for localhost."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    openssl("req", "-x509", *new, "-keyout", "server.key", "-out", "server.pem",
            "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "authorityKeyIdentifier=keyid")  # fmt: skip
    return folder
