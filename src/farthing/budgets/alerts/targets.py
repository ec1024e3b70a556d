"""Targets made from their settings, with their secrets from the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from farthing.budgets.alert_settings import AlertSettings
from farthing.budgets.alerts.apprise_service import AppriseTarget
from farthing.budgets.alerts.delivery import Target
from farthing.budgets.alerts.forms import as_slack, as_webhook
from farthing.budgets.alerts.signing import signing_key
from farthing.budgets.alerts.smtp import MailTarget
from farthing.budgets.alerts.webhook import WebhookTarget
from farthing.errors import ConfigError
from farthing.secret import Secret
from farthing.wire import Client, trust

__all__ = ["make_target", "make_targets"]


def make_targets(
    settings: Sequence[AlertSettings], environ: Mapping[str, str]
) -> tuple[dict[str, Target], dict[str, ConfigError]]:
    """By name, the targets, and what is wrong with those that could not be made.

    Within a running loop: webhooks share it. One bad target keeps no other from working.
    """
    made: dict[str, Target] = {}
    faults: dict[str, ConfigError] = {}
    for one in settings:
        try:
            made[one.name] = make_target(one, environ)
        except ConfigError as error:
            faults[one.name] = error
    return made, faults


def make_target(settings: AlertSettings, environ: Mapping[str, str]) -> Target:
    """The target that settings describe.

    Raises:
        ConfigError: a variable is not set, or what it holds can't be used.
    """
    if settings.kind == "email":
        return MailTarget(settings, settings.password(environ))
    url = settings.address(environ)
    if not url:
        raise ConfigError(
            f"Alert target {settings.name!r} has no address: the variable {settings.url_env} is not"
            " set. Nothing was sent. Set it to the address."
        )
    if settings.kind == "apprise":
        return AppriseTarget(settings.name, url)
    keys = tuple(signing_key(secret) for secret in _signing_secrets(settings, environ))
    client = Client(tls=trust(Path(settings.ca_file)) if settings.ca_file else None)
    form = as_slack if settings.kind == "slack" else as_webhook
    return WebhookTarget(settings.name, url, client, form, keys=keys, timeout_s=settings.timeout_s)


def _signing_secrets(settings: AlertSettings, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    found = settings.signing_secrets(environ)
    if settings.secret_env and not found:
        raise ConfigError(
            f"Alert target {settings.name!r} is to be signed, but {settings.secret_env} is not set."
            " Nothing was sent. Set it to the secret, or leave secret_env out."
        )
    return found
