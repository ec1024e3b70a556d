"""Read `farthing.toml` and the environment into one frozen `Config`, or list every fault."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec

from farthing.budgets import BudgetSettings, check_names
from farthing.budgets.alert_settings import AlertSettings, check_targets
from farthing.budgets.runaway import RunawaySettings
from farthing.config.environment import (
    environment_name,
    kubernetes_hint,
    listed,
    names_in,
    strangers,
)
from farthing.config.faults import fault_in_words
from farthing.config.settings import (
    BreakerSettings,
    GatewaySettings,
    ModelSettings,
    ProviderSettings,
    RetrySettings,
    TimeoutSettings,
)
from farthing.errors import ConfigError
from farthing.evidence.settings import EvidenceSettings
from farthing.ledger.settings import LedgerSettings
from farthing.levers import CacheSettings, CoalesceSettings
from farthing.levers.routing.settings import RoutingSettings
from farthing.limits import LimitSettings
from farthing.pricing.settings import PriceOverride, PricingSettings, doubled
from farthing.wire import Origin

__all__ = ["DEFAULT_PROVIDERS", "Config", "load_config"]

DEFAULT_PROVIDERS: Mapping[str, ProviderSettings] = {
    "openai": ProviderSettings(
        protocol="openai", base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY"
    ),
    "anthropic": ProviderSettings(
        protocol="anthropic", base_url="https://api.anthropic.com", api_key_env="ANTHROPIC_API_KEY"
    ),
}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings; every key has a default."""

    gateway: GatewaySettings = GatewaySettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    providers: dict[str, ProviderSettings] = {}
    models: dict[str, ModelSettings] = {}
    ledger: LedgerSettings = LedgerSettings()
    pricing: PricingSettings = PricingSettings()
    price: list[PriceOverride] = []
    budget: list[BudgetSettings] = []
    alert: list[AlertSettings] = []
    limit: list[LimitSettings] = []
    runaway: RunawaySettings = RunawaySettings()
    cache: CacheSettings = CacheSettings()
    coalesce: CoalesceSettings = CoalesceSettings()
    routing: RoutingSettings = RoutingSettings()
    evidence: EvidenceSettings = EvidenceSettings()

    def pricing_settings(self) -> PricingSettings:
        """The pricing section with the `[[price]]` rows in it."""
        return msgspec.structs.replace(
            self.pricing, overrides=(*self.pricing.overrides, *self.price)
        )


def load_config(source: str | Mapping[str, Any] | None, environ: Mapping[str, str]) -> Config:
    """Read a file or the tables given, then lay the environment over them.

    The default is `farthing.toml` in this folder, where there is one.

    Raises:
        ConfigError: the file can't be read, or has faults; all of them are listed.
    """
    if source is None or isinstance(source, str):
        document, where = _read(source)
    else:
        document, where = dict(source), "the configuration given"
    reader = _Reader(environ, where)
    values = reader.struct(Config, document, ())
    providers: dict[str, Any] = values.get("providers", {})
    reader.faults += _addresses(providers)
    reader.faults += doubled(_own_prices(values))
    merged = {name: _over(name, providers.get(name), reader) for name in DEFAULT_PROVIDERS} | {
        name: p for name, p in providers.items() if name not in DEFAULT_PROVIDERS
    }
    reader.faults += strangers(environ, reader.asked | names_in(merged) | names_in(values))
    if reader.faults:
        listed = "\n".join(f"  - {fault}" for fault in reader.faults)
        raise ConfigError(
            f"{where} has {len(reader.faults)} fault(s):\n{listed}\n"
            "Nothing was started. Mend them and run the command again."
        )
    config = Config(**values)
    check_names(config.budget)
    check_targets(config.alert, [(budget.name, budget.notify) for budget in config.budget])
    return msgspec.structs.replace(config, providers=merged)


def _addresses(providers: Mapping[str, Any]) -> list[str]:
    """The faults of the providers' base URLs."""
    faults: list[str] = []
    for name, given in providers.items():
        if not isinstance(given, ProviderSettings):  # its own faults are told already
            continue
        if not given.base_url and name not in DEFAULT_PROVIDERS:
            faults.append(f"providers.{name}.base_url is missing")
        elif given.base_url:
            try:
                Origin.parse(given.base_url)
            except ConfigError as error:
                faults.append(f"providers.{name}.base_url: {error}")
    return faults


def _own_prices(values: Mapping[str, Any]) -> list[tuple[str, PriceOverride]]:
    """The prices of one's own that have no faults themselves, as a fault calls them."""
    pricing: Any = values.get("pricing", msgspec.UNSET)
    overrides: Any = pricing.overrides if isinstance(pricing, PricingSettings) else ()
    named: tuple[tuple[str, Any], ...] = (
        ("pricing.overrides", overrides),
        ("price", values.get("price", ())),
    )
    return [
        (f"{section}.{index}", price)
        for section, prices in named
        for index, price in enumerate(prices, start=1)
        if isinstance(price, PriceOverride)
    ]


def _over(name: str, given: Any, reader: _Reader) -> ProviderSettings:
    """A built-in provider with the file's and the environment's keys laid over it."""
    default = DEFAULT_PROVIDERS[name]
    if given is msgspec.UNSET:  # its faults are told already
        return default
    if given is None:
        given = ProviderSettings(**reader.struct(ProviderSettings, {}, ("providers", name)))
    changes = {
        field: getattr(given, field)
        for field in given.__struct_fields__
        if getattr(given, field) != getattr(ProviderSettings(), field)
    }
    return msgspec.structs.replace(default, **changes)


def _read(path: str | None) -> tuple[dict[str, Any], str]:
    chosen = Path(path or "farthing.toml")
    if path is None and not chosen.exists():
        return {}, "the environment"
    try:
        return tomllib.loads(chosen.read_text(encoding="utf-8")), str(chosen)
    except OSError as error:
        raise ConfigError(
            f"The configuration file {chosen} can't be read: {error.strerror}. Nothing was "
            "started. Name another with --config, or leave --config out."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{chosen} is not valid TOML: {error}. Nothing was started.") from error


class _Reader:
    """Walks a type beside a document and notes every fault, so that all are told at once."""

    def __init__(self, environ: Mapping[str, str], where: str) -> None:
        self.faults: list[str] = []
        self.asked: set[str] = set()
        self._environ = environ
        self._where = where

    def struct(
        self, kind: type[msgspec.Struct], document: Any, path: tuple[str, ...]
    ) -> dict[str, Any]:
        """The valid fields of `kind` found in `document` and the environment."""
        if not isinstance(document, dict):
            self.faults.append(f"{'.'.join(path)} must be a table")
            return {}
        given = cast("dict[str, Any]", document)
        hints = get_type_hints(kind, include_extras=True)
        for key in given:
            if key not in hints:
                self._unknown((*path, key), list(hints))
        values: dict[str, Any] = {}
        for name, hint in hints.items():
            found = self._field(hint, given.get(name, msgspec.UNSET), (*path, name))
            if found is not msgspec.UNSET:
                values[name] = found
            elif name in _required(kind) and name not in given:
                self.faults.append(f"{'.'.join((*path, name))} is missing")
        return values

    def _field(self, hint: Any, value: Any, path: tuple[str, ...]) -> Any:
        if _is_struct(hint):
            return self._made(hint, {} if value is msgspec.UNSET else value, path)
        if get_origin(hint) is dict and _is_struct(get_args(hint)[1]):
            return self._tables(get_args(hint)[1], value, path)
        if get_origin(hint) is list and _is_struct(get_args(hint)[0]):
            return self._rows(get_args(hint)[0], value, path)
        named = environment_name(*path)
        self.asked.add(named)
        text = self._environ.get(named)
        if text is None and path == ("ledger", "data_dir"):
            text = self._environ.get("FARTHING_DATA_DIR")
        if text is not None:
            return self._leaf(hint, listed(hint, text), f"environment variable {named}")
        if value is msgspec.UNSET:
            return value
        return self._leaf(hint, value, ".".join(path))

    def _tables(self, kind: type[msgspec.Struct], value: Any, path: tuple[str, ...]) -> Any:
        if value is msgspec.UNSET:
            return value
        if not isinstance(value, dict):
            self.faults.append(f"{'.'.join(path)} must be a table of tables")
            return msgspec.UNSET
        tables = cast("dict[str, Any]", value)
        return {name: self._made(kind, inner, (*path, name)) for name, inner in tables.items()}

    def _rows(self, kind: type[msgspec.Struct], value: Any, path: tuple[str, ...]) -> Any:
        if value is msgspec.UNSET:
            return value
        if not isinstance(value, list):
            self.faults.append(f"{'.'.join(path)} must be written as [[{path[-1]}]]")
            return msgspec.UNSET
        rows = cast("list[Any]", value)
        return [self._made(kind, row, (*path, str(index + 1))) for index, row in enumerate(rows)]

    def _made(self, kind: type[msgspec.Struct], document: Any, path: tuple[str, ...]) -> Any:
        before = len(self.faults)
        values = self.struct(kind, document, path)
        if len(self.faults) > before:
            return msgspec.UNSET
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:
            self.faults.append(f"{'.'.join(path)}: {error}")
            return msgspec.UNSET

    def _leaf(self, hint: Any, value: Any, named: str) -> Any:
        if type(value) is int and _bare(hint) is str:
            value = str(value)  # an amount of money, written as people write it
        try:
            return msgspec.convert(value, hint, strict=not isinstance(value, str))
        except msgspec.ValidationError as error:
            allowed = _allowed(hint)
            if allowed:
                told = f"{value!r} is none of {', '.join(allowed)}"
            elif isinstance(value, float) and _bare(hint) is str:
                told = f'{error}; write it in quotes, "{value}", so that it stays exact'
            else:
                told = fault_in_words(error)
            self.faults.append(f"{named}: {told}{kubernetes_hint(str(value))}")
            return msgspec.UNSET

    def _unknown(self, path: tuple[str, ...], known: list[str]) -> None:
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        hint = f"; did you mean `{near[0]}`?" if near else f"; known here: {', '.join(known)}"
        self.faults.append(f"unknown key `{'.'.join(path)}`{hint}")


def _allowed(hint: Any) -> list[str]:
    """The values a key may have, where they are listed."""
    bare = _bare(hint)
    if bare is bool:
        return ["true", "false"]
    return [str(value) for value in get_args(bare)] if get_origin(bare) is Literal else []


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _required(kind: type[msgspec.Struct]) -> set[str]:
    return {
        field.name
        for field in msgspec.structs.fields(kind)
        if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
    }
