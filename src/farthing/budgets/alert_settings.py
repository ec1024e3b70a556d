"""The settings of alert targets: where alerts go. Secrets come from the environment only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from farthing.errors import ConfigError
from farthing.secret import Secret

__all__ = ["AlertSettings", "check_targets", "targets_named"]


class AlertSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An alert target; budgets name it in `notify`, or name none and reach every target."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name that budgets refer to."
        ),
    ]
    kind: Annotated[
        Literal["webhook", "slack", "email", "apprise"],
        Meta(
            description="`webhook`: signed JSON; `slack`: an incoming webhook of Slack or what"
            " understands its JSON; `email`: SMTP; `apprise`: any service of the Apprise library."
        ),
    ]
    url: Annotated[
        str, Meta(description="Address of a webhook; for one that is a secret use `url_env`.")
    ] = ""
    url_env: Annotated[str, Meta(description="Environment variable that holds the address.")] = ""
    secret_env: Annotated[
        str,
        Meta(
            description="Environment variable with the webhook's signing secret, `whsec_...`; two"
            " separated by a space while one replaces the other."
        ),
    ] = ""
    host: Annotated[str, Meta(description="SMTP server.")] = ""
    port: Annotated[
        int, Meta(ge=0, le=65535, description="Its port; 0: 465 with `tls`, else 587 (25 `none`).")
    ] = 0
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="How mail is encrypted on its way; `none` only within a machine."),
    ] = "starttls"
    username: Annotated[str, Meta(description="SMTP user; empty: no login.")] = ""
    password_env: Annotated[
        str, Meta(description="Environment variable that holds the SMTP password.")
    ] = ""
    sender: Annotated[str, Meta(description="Address that mail comes from.")] = ""
    recipients: Annotated[tuple[str, ...], Meta(description="Addresses that mail goes to.")] = ()
    ca_file: Annotated[str, Meta(description="PEM file of certificate authorities to trust.")] = ""
    timeout_s: Annotated[float, Meta(gt=0, le=300, description="How long one try may take.")] = 20.0

    def __post_init__(self) -> None:
        lacking = _lacking(self)
        if lacking:
            raise ValueError(f"alert target {self.name!r} of kind {self.kind} needs {lacking}")
        if self.username and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError(
                f"alert target {self.name!r} would send its password in the clear; use"
                ' security = "starttls" or "tls"'
            )

    def address(self, environ: Mapping[str, str]) -> Secret:
        """The URL: from the variable named, else from the file; empty where there is none."""
        return Secret((environ.get(self.url_env, "") if self.url_env else "") or self.url)

    def signing_secrets(self, environ: Mapping[str, str]) -> tuple[Secret, ...]:
        """The secrets a webhook is signed with; none where it is not signed."""
        found = environ.get(self.secret_env, "") if self.secret_env else ""
        return tuple(Secret(word) for word in found.split())

    def password(self, environ: Mapping[str, str]) -> Secret:
        """The SMTP password; empty where there is none."""
        return Secret(environ.get(self.password_env, "") if self.password_env else "")


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _lacking(target: AlertSettings) -> str:
    if target.kind == "email":
        wanted = {
            "host": target.host,
            "sender": target.sender,
            "recipients": target.recipients,
            "password_env": target.password_env or not target.username,
        }
    else:
        wanted = {"url or url_env": target.url or target.url_env}
    return ", ".join(name for name, value in wanted.items() if not value)


def check_targets(
    targets: Sequence[AlertSettings], notified: Iterable[tuple[str, Sequence[str]]]
) -> None:
    """Raises ConfigError: two targets share a name, or a budget names one that there is not.

    `notified` holds each budget's name and the targets it names.
    """
    names = [target.name for target in targets]
    faults = [f"two alert targets are named {n!r}" for n in set(names) if names.count(n) > 1]
    for budget, wanted in notified:
        faults += [
            f"budget {budget!r} notifies {name!r}, but there is no [[alert]] of that name"
            for name in wanted
            if name not in names
        ]
    if faults:
        listed = "\n".join(f"  - {fault}" for fault in sorted(faults))
        raise ConfigError(f"The alerts have faults:\n{listed}\nNothing was started.")


def targets_named(targets: Sequence[AlertSettings], wanted: Sequence[str]) -> tuple[str, ...]:
    """The names of the targets that hear of a budget: those it names, or every one."""
    return tuple(t.name for t in targets if not wanted or t.name in wanted)
