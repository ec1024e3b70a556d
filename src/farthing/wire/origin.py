"""Where an upstream is: scheme, host and port, or a unix socket."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from farthing.errors import ConfigError

__all__ = ["Origin"]

_PORTS = (("http", 80), ("https", 443), ("http+unix", 0))


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream's address. `prefix` is the base URL's path without its last slash.

    `Client.send` sends the target it is given: a caller writes `origin.prefix + "/models"`.
    For `http+unix` the whole path names the socket, and `prefix` is empty.
    """

    scheme: str
    host: str
    port: int
    prefix: str
    socket_path: str
    key: str
    host_line: bytes

    @classmethod
    def parse(cls, url: str) -> Origin:
        """The origin of a base URL: `https://api.openai.com/v1`, `http+unix:///run/x.sock`.

        Raises:
            ConfigError: the scheme is none of http, https and http+unix, or a part is missing.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
            host = (parts.hostname or "").encode("idna" if not url.isascii() else "ascii").decode()
        except ValueError as error:
            raise ConfigError(_fault(url, str(error))) from error
        scheme = parts.scheme
        if scheme not in dict(_PORTS):
            raise ConfigError(_fault(url, "its scheme is none of http, https and http+unix"))
        if parts.username is not None or parts.query or parts.fragment:
            raise ConfigError(_fault(url, "a user, a query or a fragment has no place in it"))
        if scheme == "http+unix":
            return cls._unix(url, parts.path, host)
        if not host or not host.isprintable() or " " in host or port == 0:
            raise ConfigError(_fault(url, "it names no host"))
        shown = f"[{host}]" if ":" in host else host
        standard = dict(_PORTS)[scheme]
        shown = shown if port in (None, standard) else f"{shown}:{port}"
        return cls(
            scheme=scheme,
            host=host,
            port=port or standard,
            prefix=parts.path.rstrip("/"),
            socket_path="",
            key=f"{scheme}://{shown}",
            host_line=b"host: %b\r\n" % shown.encode(),
        )

    @classmethod
    def _unix(cls, url: str, path: str, host: str) -> Origin:
        if host or not path.startswith("/") or "\0" in path:
            raise ConfigError(_fault(url, "a unix socket is written http+unix:///path/to.sock"))
        return cls(
            scheme="http+unix",
            host="localhost",
            port=0,
            prefix="",
            socket_path=path,
            key=f"http+unix://{path}",
            host_line=b"host: localhost\r\n",
        )


def _fault(url: str, what: str) -> str:
    shown = url.rpartition("@")[2]  # a password never reaches an error text
    return (
        f"{shown!r} is no upstream address: {what}. Nothing was connected. "
        "Write it like https://api.openai.com/v1 or http+unix:///run/provider.sock."
    )
