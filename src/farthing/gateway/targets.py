"""Where a model name leads: the providers to try, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

import msgspec

from farthing.call import Endpoint
from farthing.config import Config, ModelSettings, ProviderSettings
from farthing.errors import CallerError, ConfigError
from farthing.levers.routing.virtual import AUTO, PREFIX, read_virtual
from farthing.pricing import PriceBook, RateCard

__all__ = ["NoTarget", "Target", "Targets", "card_of", "protocol_of"]


_PROTOCOLS = MappingProxyType({e: e.value.partition(".")[0] for e in Endpoint})


class NoTarget(CallerError):
    """No configured provider serves this model in this protocol."""

    code = "model_not_found"
    status = 404


class Target(msgspec.Struct, frozen=True, gc=False):
    """One provider and the model name it is sent."""

    provider: str
    model: str


def protocol_of(endpoint: Endpoint) -> str:
    """The protocol an endpoint belongs to: `openai` or `anthropic`."""
    return _PROTOCOLS[endpoint]


class Targets:
    """The routing table, built once from the configuration."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError: a target names a provider that is not there, or no model."""
        self._providers: Mapping[str, ProviderSettings] = config.providers
        self._models = {
            name: self._parsed(name, settings) for name, settings in config.models.items()
        }
        self._incumbents = {name: pool.incumbent for name, pool in config.routing.pools.items()}
        self._known: dict[tuple[str, str], tuple[Target, ...]] = {}

    @property
    def aliases(self) -> list[str]:
        """The model names of the configuration itself."""
        return list(self._models)

    def find(self, model: str, protocol: str) -> tuple[Target, ...]:
        """The targets for `model`, first choice first.

        A virtual model leads where the incumbent of its pool does: for whatever is not routed. Else
        the configuration's own names come first, then `provider/model`, then the provider whose
        model patterns match, then the first provider that speaks the protocol.

        Raises:
            NoTarget: none of these serves it; nothing was sent.
        """
        cached = self._known.get((model, protocol))
        if cached is not None:
            return cached
        found = self._find(model, protocol)
        if len(self._known) < 10_000:  # names come from callers: bounded
            self._known[model, protocol] = found
        return found

    def spoken(self, model: str) -> str:
        """The protocol in which `model` is served best: its target's own, else by its name."""
        targets = self._models.get(model)
        head = targets[0].provider if targets else model.partition("/")[0]
        if head in self._providers:
            return self._providers[head].protocol
        for provider in self._providers.values():
            if any(fnmatchcase(model, pattern) for pattern in provider.models):
                return provider.protocol
        return "anthropic" if model.startswith("claude") else "openai"

    def _find(self, model: str, protocol: str) -> tuple[Target, ...]:
        if model.startswith(PREFIX):
            model = self._incumbent(model)
        if model in self._models:
            targets = tuple(
                t for t in self._models[model] if self._providers[t.provider].protocol == protocol
            )
            if targets:
                return targets
        head, slash, rest = model.partition("/")
        if slash and head in self._providers and self._providers[head].protocol == protocol:
            return (Target(head, rest),)
        speaking = {n: p for n, p in self._providers.items() if p.protocol == protocol}
        for name, provider in speaking.items():
            if any(fnmatchcase(model, pattern) for pattern in provider.models):
                return (Target(name, model),)
        for name, provider in speaking.items():
            if not provider.models:
                return (Target(name, model),)
        raise NoTarget(
            f"No provider that speaks the {protocol} protocol serves the model {model!r}. "
            "Nothing was sent and nothing was charged. Add the model to a provider's `models`, or "
            "give it a `[models]` entry in farthing.toml."
        )

    def _incumbent(self, model: str) -> str:
        """The model behind a virtual one that serves without proof."""
        try:
            virtual = read_virtual(model)
        except ValueError as error:
            raise NoTarget(
                f"{model}: {error}. Nothing was sent and nothing was charged."
            ) from error
        pools = self._incumbents
        if virtual is not None and pools:
            name = next(iter(pools)) if virtual.pool == AUTO else virtual.pool
            name = virtual.pool if virtual.pool in pools else name
            if name in pools:
                return pools[name]
        raise NoTarget(
            f"{model!r} is a virtual model, and no pool serves it. Nothing was sent and nothing was "
            "charged. Add [routing.pools.auto] to farthing.toml; see docs/routing.md."
        )

    def _parsed(self, name: str, settings: ModelSettings) -> tuple[Target, ...]:
        parsed: list[Target] = []
        for written in settings.targets:
            provider, slash, model = written.partition("/")
            if not slash or provider not in self._providers:
                raise ConfigError(
                    f"models.{name}: the target {written!r} must read provider/model with one of "
                    f"the providers {', '.join(self._providers)}. Nothing was started."
                )
            if not model.strip():
                raise ConfigError(
                    f"models.{name}: the target {written!r} names no model. Write one behind the "
                    f"slash, like {provider}/MODEL. Nothing was started."
                )
            parsed.append(Target(provider, model))
        return tuple(parsed)


def card_of(
    targets: Targets, providers: Mapping[str, ProviderSettings], book: PriceBook, at_us: int
) -> Callable[[str], RateCard | None]:
    """Gives the card by which a model is priced where it is served first, or at its maker's."""

    def card(model: str) -> RateCard | None:
        for protocol in ("openai", "anthropic"):
            try:
                target = targets.find(model, protocol)[0]
            except NoTarget:
                continue
            priced_as = providers[target.provider].price_as or target.provider
            found = book.card(priced_as, target.model, at_us)
            if isinstance(found, RateCard):
                return found
        found = book.card("", model, at_us)
        return found if isinstance(found, RateCard) else None

    return card
