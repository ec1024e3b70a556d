"""How a simulator behaves: pace, rules, keys and the models it knows."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from farthing.sim.errors import BadRules, BadSteering
from farthing.sim.faults import read_fault

__all__ = [
    "DEFAULT_MODELS",
    "INSTANT",
    "Judging",
    "Pace",
    "Rule",
    "SimSettings",
    "load_rules",
    "read_rule",
]

DEFAULT_MODELS: Final = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1-mini",
    "gpt-5.4-mini",
    "gpt-5.6-sol",
    "gpt-6-luna",
    "o4-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-haiku-4-5-20251001",
    "deepseek-chat",
    "deepseek-reasoner",
    "grok-4",
)
_ACCEPTED: Final = (
    "gpt-*|chatgpt-*|o1*|o3*|o4*|text-embedding-*|claude-*|deepseek-*|grok-*|gemini-*|llama*|"
    "mistral*|mixtral*|qwen*|sim-*|*/*"
)
_Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Milliseconds = Annotated[float, msgspec.Meta(ge=0)]


class Pace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast answers come; lognormal with these medians and spreads (sigma of the logarithm).

    The defaults are a mid-sized hosted model: half a second to the first byte, 80 tokens/s.
    """

    first_byte_ms: _Milliseconds = 500.0
    first_byte_sigma: _Milliseconds = 0.4
    token_ms: _Milliseconds = 12.0
    token_sigma: _Milliseconds = 0.5


INSTANT: Final = Pace(first_byte_ms=0, first_byte_sigma=0, token_ms=0, token_sigma=0)


class Judging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model errs that is asked which of two recorded answers is better.

    With probability `first` it prefers what stands first, whatever it is; else with probability
    `wrong` it takes the worse for the better, in both orders.
    """

    wrong: _Probability = 0.0
    first: _Probability = 0.0


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is special for requests whose model matches `model` (a glob) and path `path`.

    It holds for the first `times` matching requests only (0: no end), from matching request number
    `from_request` to `to_request` (1 is the first; 0: no end), and from `from_s` to `to_s` seconds
    after start or reset (0: no end); a fault then happens with `probability`. `accuracy` is the
    share of recorded right answers that stay right; `judging` how often its word on two answers is
    wrong. `serves` is the model that answers name in
    place of the one that was asked. `style` is the usage style of a provider
    (openai, openrouter, deepseek, xai); the prices per million tokens serve styles that report
    costs.
    """

    model: str = "*"
    path: str = "*"
    fault: str = ""
    probability: _Probability = 1.0
    times: int = 0
    from_request: int = 0
    to_request: int = 0
    from_s: float = 0.0
    to_s: float = 0.0
    accuracy: _Probability | None = None
    judging: Judging | None = None
    serves: str = ""
    style: Literal["", "openai", "openrouter", "deepseek", "xai"] = ""
    pace: Pace | None = None
    usd_per_million_input: str = ""
    usd_per_million_output: str = ""

    def matches(self, model: str, path: str) -> bool:
        """Whether the rule is about this model and path."""
        return (self.model == "*" or fnmatchcase(model, self.model)) and (
            self.path == "*" or fnmatchcase(path, self.path)
        )

    def is_due(self, matched: int, elapsed_s: float) -> bool:
        """Whether it holds for matching request number `matched`, at `elapsed_s`."""
        return (
            (not self.times or matched <= self.times)
            and matched >= self.from_request
            and (not self.to_request or matched <= self.to_request)
            and elapsed_s >= self.from_s
            and (not self.to_s or elapsed_s < self.to_s)
        )


class SimSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a simulator is told at start.

    `keys` are the API keys taken; with none, any key is taken that is not empty and has not
    `invalid` in it. `models` are listed; `accepted` are globs of what is answered, besides those
    listed and recorded. `fixed_clock_s` pins the clock (0: the real one). `is_varied` gives the
    k-th repeat of a question another answer. `is_worked` puts text before a recorded answer, so
    that the answer is as long as its recorded output tokens.
    """

    seed: int = 0
    pace: Pace = Pace()
    rules: tuple[Rule, ...] = ()
    keys: tuple[str, ...] = ()
    models: tuple[str, ...] = DEFAULT_MODELS
    accepted: tuple[str, ...] = tuple(_ACCEPTED.split("|"))
    fixed_clock_s: int = 0
    is_varied: bool = False
    is_worked: bool = True
    body_bytes_max: int = 64 << 20
    log_entries_max: int = 100_000


class _RulesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[Rule, ...] = ()


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a TOML (`[[rule]]`) or JSON (`{"rule": [...]}`) file.

    Raises:
        BadRules: the file cannot be read, or a rule is wrong.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".json":
            rules = msgspec.json.decode(content, type=_RulesFile).rule
        else:
            rules = msgspec.convert(tomllib.loads(content.decode()), _RulesFile).rule
        for rule in rules:
            _check(rule)
    except (OSError, ValueError, BadSteering) as error:
        raise BadRules(f"{path}: {error}. Nothing was started; mend the rules file.") from error
    return rules


def read_rule(text: str) -> Rule:
    """One rule as the command line has it: `model = "gpt-*", fault = "500", times = 3`.

    Raises:
        BadRules: the text is no inline TOML table, or the rule is wrong.
    """
    try:
        table = tomllib.loads(f"rule = {{ {text} }}")
        return _check(msgspec.convert(table["rule"], Rule))
    except (ValueError, BadSteering) as error:
        raise BadRules(
            f"Rule {text!r}: {error}. Nothing was started; write it as "
            """`model = "gpt-*", fault = "503", probability = 0.1`."""
        ) from error


def _check(rule: Rule) -> Rule:
    if rule.fault:
        read_fault(rule.fault)
    return rule
