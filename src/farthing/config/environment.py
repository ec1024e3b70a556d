"""Which environment variables are ours: a mistyped one must not be ignored in silence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, cast, get_args, get_origin

import msgspec

__all__ = ["PREFIX", "environment_name", "kubernetes_hint", "listed", "names_in", "strangers"]

PREFIX: Final = "FARTHING_"
# What is no setting and has the prefix all the same.
_BESIDE: Final = frozenset(
    {
        "FARTHING_CONFIG",  # the file itself
        "FARTHING_DATA_DIR",  # short for FARTHING_LEDGER_DATA_DIR
        "FARTHING_ROUTE_SECRET",  # signs policies
        "FARTHING_TRACES",  # where tests and benchmarks find recorded traffic
    }
)
# Kubernetes tells every container the address of each service: those of a service named
# `farthing` or `farthing-...` are no mistake of whoever starts us.
_SERVICE: Final = re.compile(
    r"FARTHING_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_\w+)?)"
)


def environment_name(*path: str) -> str:
    """The environment variable for a key: `("gateway", "port")` -> `FARTHING_GATEWAY_PORT`."""
    return PREFIX + "_".join(part.replace("-", "_") for part in path).upper()


def names_in(settings: object) -> set[str]:
    """The variables that settings name, wherever they stand (`api_key_env`, `url_env`, ...)."""
    if isinstance(settings, list | tuple):
        return set[str]().union(*map(names_in, cast("Sequence[object]", settings)))
    if isinstance(settings, msgspec.Struct):
        settings = {name: getattr(settings, name) for name in settings.__struct_fields__}
    if not isinstance(settings, dict):
        return set()
    found: set[str] = set()
    for name, value in cast("dict[str, object]", settings).items():
        found |= {value} if isinstance(value, str) and name.endswith("_env") else names_in(value)
    return found


def strangers(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """The faults of variables with our prefix that set nothing, each with the nearest that does."""
    passed = _BESIDE.union(known)
    endings = sorted(name.removeprefix(PREFIX) for name in passed)
    faults: list[str] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in passed or _SERVICE.fullmatch(name):
            continue
        near = difflib.get_close_matches(name.removeprefix(PREFIX), endings, n=1)
        hint = (
            f"; did you mean {PREFIX}{near[0]}?" if near else "; docs/configuration.md lists them"
        )
        faults.append(f"the environment variable {name} sets nothing{hint}")
    return faults


def listed(hint: Any, text: str) -> Any:
    """The value that a variable's text stands for: a list is JSON, or what commas part."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) not in (list, tuple):
        return text
    if text.lstrip().startswith("["):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text  # told as what it is: no list
    return [part.strip() for part in text.split(",") if part.strip()]


def kubernetes_hint(value: str) -> str:
    """Why a number may read like an address: a service whose variables look like our settings."""
    if not value.startswith("tcp://"):
        return ""
    return (
        " (Kubernetes sets such variables for a service of that name: give the pod "
        "`enableServiceLinks: false`, or the service another name)"
    )
