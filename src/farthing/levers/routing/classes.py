"""The unit of decision: the feature's tag, else the prompt's template, else `unknown`.

`unknown` always means the incumbent. Where nothing in a set of outcomes is tagged, the whole set
is taken as one feature, `untagged`, for then that is how the traffic comes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from farthing.levers.routing.outcomes import Prompt

__all__ = ["UNKNOWN", "UNTAGGED", "Classes", "template_of"]

UNKNOWN: Final = "unknown"
UNTAGGED: Final = "untagged"
_TEMPLATE_WORDS: Final = 8
_TEMPLATE_LEAST: Final = 30  # prompts that must share a beginning before it counts as a template
_HEAD_CHARACTERS: Final = 400
_WORD: Final = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")


def template_of(prompt: str) -> str:
    """How a prompt begins, with numbers made alike: its first words, lower case."""
    words = _WORD.findall(prompt[:_HEAD_CHARACTERS].lower())[:_TEMPLATE_WORDS]
    if len(words) < _TEMPLATE_WORDS:
        return ""
    return " ".join("#" if word.isdigit() else word for word in words)


class Classes:
    """Names the class of a prompt; made from the templates that a policy knows.

    `default` is the class of what has neither tag nor known template.
    """

    def __init__(self, templates: Sequence[str] = (), default: str = UNKNOWN) -> None:
        self.templates = tuple(templates)
        self.default = default
        self._known = frozenset(templates)

    @classmethod
    def of(cls, prompts: Sequence[Prompt]) -> Classes:
        """The classes of a set of outcomes: what is not tagged is grouped by how it begins."""
        untagged = [prompt for prompt in prompts if prompt.task is None]
        counts = Counter(template_of(prompt.prompt) for prompt in untagged)
        del counts[""]
        templates = sorted(name for name, n in counts.items() if n >= _TEMPLATE_LEAST)
        return cls(templates, UNTAGGED if len(untagged) == len(prompts) else UNKNOWN)

    def name(self, task: str | None, prompt: str) -> str:
        """The class of a call, from its feature's tag and its prompt."""
        if task is not None:
            return task
        template = template_of(prompt)
        return f"template: {template}" if template in self._known else self.default
