"""The configuration reference, generated from the types so that it is never stale."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from farthing.config.environment import environment_name
from farthing.config.load import Config

__all__ = ["write_reference"]


def write_reference() -> str:
    """All keys as Markdown: type, default, environment variable, meaning."""
    lines = [
        "# Configuration",
        "",
        "One file, `farthing.toml`; every key has a default and an environment variable, which wins",
        "over the file. An unknown key, or a variable that begins with FARTHING_ and sets nothing, refuses",
        "to start and names the nearest known one. A variable for a list holds its items parted by commas, or",
        "a JSON array.",
        "This page is generated from the types by `make docs`.",
    ]
    for name, hint in get_type_hints(Config, include_extras=True).items():
        lines += _told(name, hint)
    return "\n".join(lines) + "\n"


def _told(name: str, hint: Any) -> list[str]:
    """A section, and after it those of the tables within it."""
    kind, title, path = _section(name, hint)
    lines = ["", f"## {title}", "", _first_line(kind), ""]
    lines += ["| key | type | default | environment | meaning |", "|---|---|---|---|---|"]
    within: list[str] = []
    for field in msgspec.structs.fields(kind):
        inner = get_type_hints(kind)[field.name]
        if (get_origin(inner) is dict and hasattr(get_args(inner)[1], "__struct_fields__")) or (
            isinstance(inner, type) and issubclass(inner, msgspec.Struct)
        ):
            within += _told(f"{name}.{field.name}", inner)
        else:
            lines.append(_row(kind, field, path))
    return lines + within


def _section(name: str, hint: Any) -> tuple[type[msgspec.Struct], str, tuple[str, ...]]:
    if get_origin(hint) is dict:
        return get_args(hint)[1], f"`[{name}.NAME]`", (*name.split("."), "NAME")
    if get_origin(hint) is list:
        return get_args(hint)[0], f"`[[{name}]]`", ()
    return hint, f"`[{name}]`", tuple(name.split("."))


def _first_line(kind: type[msgspec.Struct]) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _row(kind: type[msgspec.Struct], field: Any, path: tuple[str, ...]) -> str:
    hint = get_type_hints(kind, include_extras=True)[field.name]
    variable = f"`{environment_name(*path, field.name)}`" if path else "none"
    return f"| `{field.name}` | {_type(hint)} | {_default(field)} | {variable} | {_meaning(hint)} |"


def _type(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(hint))
    if type(None) in get_args(hint):
        return _type(next(arg for arg in get_args(hint) if arg is not type(None)))
    return str(hint).replace("|", "or") if get_args(hint) else str(getattr(hint, "__name__", hint))


def _default(field: Any) -> str:
    if field.default is not msgspec.NODEFAULT:
        value = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    else:
        return "required"
    plain = msgspec.to_builtins(value)
    if plain is None:
        return "as above"
    return f"`{plain}`" if plain not in ("", [], {}) else "empty"


def _meaning(hint: Any) -> str:
    if get_origin(hint) is not Annotated:
        return ""
    metas = [meta for meta in get_args(hint)[1:] if isinstance(meta, msgspec.Meta)]
    return " ".join(meta.description for meta in metas if meta.description)
