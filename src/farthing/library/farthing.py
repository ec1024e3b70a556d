"""`Farthing`: metered SDK clients, records of calls made elsewhere, and prices."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from farthing.call import Attempt, AttemptStatus, Attribution, Endpoint, Pricing
from farthing.clock import Clock, SystemClock
from farthing.config import Config, load_config
from farthing.errors import ConfigError
from farthing.gateway.ids import CallIds
from farthing.ledger import CallStatus, Entry, Ledger
from farthing.library.runner import Runner
from farthing.library.transport import async_transport, httpx_of, transport
from farthing.money import Money
from farthing.pricing import Cost, Priced, RateCard
from farthing.usage import STANDARD, Terms, Usage

__all__ = ["Farthing"]

_BASE = {"openai": "http://farthing.local/v1", "anthropic": "http://farthing.local"}


class Farthing:
    """The engine in this process; use it as a context manager, or `close` it.

    >>> with Farthing() as f:  # doctest: +SKIP
    ...     client = f.openai(feature="support")
    ...     client.chat.completions.create(model="gpt-4o-mini", messages=[...])
    """

    def __init__(
        self,
        config: str | Path | Mapping[str, Any] | None = None,
        *,
        data_dir: str | Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`config`: a path, or the tables of `farthing.toml` as a mapping.

        Raises:
            ConfigError: the configuration has faults; nothing was started.
        """
        environ = dict(os.environ)
        if data_dir is not None:
            environ["FARTHING_LEDGER_DATA_DIR"] = str(data_dir)
        given = str(config) if isinstance(config, Path) else config
        self.config: Config = load_config(given, environ)
        self._clock = clock or SystemClock()
        self._ids = CallIds(os.urandom(8))
        self._runner = Runner(self.config, self._clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Settle what runs, and bring the ledger up to date."""
        self._runner.close()

    def openai(self, **options: Any) -> Any:
        """An `openai.OpenAI` client whose calls are metered; options as the SDK takes them.

        Attribution may be given too: feature, user, session, trace, environment.
        """
        return self._client("openai", "OpenAI", options)

    def async_openai(self, **options: Any) -> Any:
        """An `openai.AsyncOpenAI` client whose calls are metered."""
        return self._client("openai", "AsyncOpenAI", options)

    def anthropic(self, **options: Any) -> Any:
        """An `anthropic.Anthropic` client whose calls are metered."""
        return self._client("anthropic", "Anthropic", options)

    def async_anthropic(self, **options: Any) -> Any:
        """An `anthropic.AsyncAnthropic` client whose calls are metered."""
        return self._client("anthropic", "AsyncAnthropic", options)

    def wrap(self, client: Any, **attribution: str) -> Any:
        """A copy of an SDK client whose calls are metered; they go where the configuration says."""
        sdk = type(client).__module__.partition(".")[0]
        if sdk not in _BASE:
            raise TypeError(f"wrap() takes an openai or anthropic client, not {type(client)!r}")
        is_async = type(client).__name__.startswith("Async")
        options = _headers(dict(attribution))
        return client.copy(
            http_client=self._http_client(sdk, is_async=is_async),
            base_url=_BASE[sdk],
            **options,
        )

    def cost(
        self,
        usage: Usage,
        model: str,
        *,
        provider: str = "",
        at: datetime | None = None,
        terms: Terms = STANDARD,
    ) -> Cost:
        """What `usage` costs: `Priced` with its lines, or `Unpriced` with the reason."""
        at_us = self._clock.now_us() if at is None else _us(at)
        return self._runner.wired.book.cost(
            usage, provider=provider, model=model, at_us=at_us, terms=terms
        )

    def record(  # noqa: PLR0913 - one argument a fact of the call
        self,
        *,
        model: str,
        usage: Usage,
        provider: str = "",
        attribution: Attribution = Attribution(),
        at: datetime | None = None,
        latency_ms: int = 0,
        cost: Money | None = None,
        terms: Terms = STANDARD,
    ) -> Entry:
        """Put a call that was made elsewhere into the ledger, and return its entry.

        `cost` is the provider's own figure where there is one; else the book prices the usage.
        """
        at_us = self._clock.now_us() if at is None else _us(at)
        card = self._runner.wired.book.card(provider, model, at_us)
        booked = card.cost(usage, terms) if isinstance(card, RateCard) else card
        card_cost = booked.total if isinstance(booked, Priced) else None
        pricing = Pricing.CARD if isinstance(booked, Priced) else Pricing(booked.reason.value)
        entry = Entry(
            call_id=self._ids.make(at_us),
            endpoint=Endpoint.RECORDED,
            model=model,
            is_streamed=False,
            status=CallStatus.OK,
            started_us=at_us,
            duration_us=latency_ms * 1000,
            attribution=attribution,
            baseline=card_cost if cost is None else cost,
            attempts=(
                Attempt(
                    number=1,
                    provider=provider or (card.provider or "recorded"),
                    model=model,
                    status=AttemptStatus.OK,
                    usage=usage,
                    terms=terms,
                    pricing=pricing if cost is None else Pricing.PROVIDER,
                    cost=card_cost if cost is None else cost,
                    card_cost=card_cost,
                    provider_cost=cost,
                    card_id=booked.card_id if isinstance(booked, Priced) else "",
                    started_us=at_us,
                    duration_us=latency_ms * 1000,
                ),
            ),
        )
        self._runner.post(entry, card if isinstance(card, RateCard) else None)
        return entry

    def ledger(self) -> Ledger:
        """The ledger, drained up to now, for reports; close it after use."""
        return Ledger.open(Path(self.config.ledger.data_dir))

    def _client(self, sdk: str, name: str, options: dict[str, Any]) -> Any:
        options = _headers(options)
        if "base_url" in options:
            raise TypeError(
                "base_url is the configuration's: set providers.NAME.base_url in farthing.toml"
            )
        provider = self.config.providers[sdk]
        options.setdefault("api_key", provider.secret(os.environ).reveal() or "no-key")
        return getattr(_import(sdk), name)(
            http_client=self._http_client(sdk, is_async=name.startswith("Async")),
            base_url=_BASE[sdk],
            **options,
        )

    def _http_client(self, sdk: str, *, is_async: bool) -> Any:
        name = "DefaultAsyncHttpxClient" if is_async else "DefaultHttpxClient"
        client_class = getattr(_import(sdk), name)
        make = async_transport if is_async else transport
        own = make(httpx_of(client_class), self._runner)
        return client_class(transport=own)


def _import(sdk: str) -> Any:
    try:
        return importlib.import_module(sdk)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The {sdk} SDK is not installed. Nothing was started. Install it with "
            f"pip install 'farthing[{sdk}]'"
        ) from error


def _headers(options: dict[str, Any]) -> dict[str, Any]:
    """Attribution among the options becomes headers that the engine reads."""
    headers = dict(options.pop("default_headers", None) or {})
    names = {"feature", "user", "session", "trace", "step", "environment"}
    for name in names & options.keys():
        header = "env" if name == "environment" else name
        headers[f"x-farthing-{header}"] = str(options.pop(name))
    return {**options, "default_headers": headers} if headers else options


def _us(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError("`at` must have a time zone, for example datetime.now(UTC)")
    return int(at.astimezone(UTC).timestamp() * 1_000_000)
