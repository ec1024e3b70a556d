"""Works out whether the semantic layer looks at a call, and what has to be equal for a match."""

from __future__ import annotations

import hashlib
from typing import Final

from farthing.codecs import Canonical
from farthing.gateway.inbound import Inbound
from farthing.gateway.semantic_plan import Plan
from farthing.gateway.semantic_principal import principal_of
from farthing.levers.cache import Asked, TenantKeys
from farthing.levers.cache.semantic import Template
from farthing.levers.cache.semantic.course import Terms, course_id, terms_of
from farthing.levers.cache.semantic_settings import (
    SemanticMode,
    SemanticRules,
    SemanticSettings,
    semantic_rules,
)
from farthing.levers.cache.semantic_tables import CourseRow

__all__ = ["Planner"]

_KNOWN_MAX: Final = 2_000


class Planner:
    """Makes the `Plan` of each call that it is for; pure but for what it remembers."""

    def __init__(self, settings: SemanticSettings, embedder: str) -> None:
        """`embedder` is the identity of the one in use.

        Raises:
            ConfigError: a template can't be read.
            ValueError: a loss is no amount in USD.
        """
        self._settings = settings
        self._embedder = embedder
        self._templates = [Template.of(name, text) for name, text in settings.templates.items()]
        self._rules: dict[str, SemanticRules] = {}
        self._courses: dict[tuple[bytes, str, tuple[str, str]], tuple[Terms, CourseRow]] = {}
        for feature in ("", *settings.features):
            self._rules_of(feature)

    def plan(self, inbound: Inbound, asked: Asked) -> Plan | None:
        """The plan; None where only the very same request may match."""
        request, keys, prints = asked.request, asked.keys, asked.prints
        if request is None or keys is None or prints is None or not _is_single(request, asked):
            return None
        rules = self._rules_of(asked.feature)
        if rules.mode == "off" or len(request.slot) > self._settings.text_chars_max:
            return None
        space, text = self._slot(prints.partition, request.slot)
        if not text.strip() or not _is_whole(text):
            return None
        terms, course = self._course(keys, asked, rules)
        user = inbound.call.attribution.user
        mark = keys.mark("user", user) if user else None
        mode: SemanticMode = "shadow" if asked.rules.mode == "shadow" else rules.mode
        return Plan(
            space=space,
            key=prints.key,
            text=text,
            writer=principal_of(inbound.caller.key, user, keys, self._settings.unnamed),
            user=mark,
            keys=keys,
            mode=mode,
            rules=rules,
            terms=terms,
            course=course,
        )

    def why_not(self, asked: Asked) -> str:
        """Why there is no plan for a call that the exact cache looked up, in a word; for the header."""
        request = asked.request
        if request is None or asked.verdict.why_not_served or not self.is_on(asked.feature):
            return ""
        reasons = (
            (asked.directives.is_exact_only, "exact-asked"),
            (request.has_tool_turns, "tools"),
            (not request.has_slot, "no-text"),
            (not request.is_first_turn, "history"),
            (bool(asked.verdict.why_not_kept), "not-kept"),
            (len(request.slot) > self._settings.text_chars_max, "long"),
        )
        return next((reason for applies, reason in reasons if applies), "no-text")

    def is_on(self, feature: str) -> bool:
        """Whether it looks at calls of a feature at all."""
        return self._rules_of(feature).mode != "off"

    def _slot(self, partition: bytes, slot: str) -> tuple[bytes, str]:
        """What must be equal, typed variables of a template included, and what is compared."""
        for template in self._templates:
            filled = template.read(slot)
            if filled is not None:
                told = repr((filled.template, sorted(filled.exact.items()))).encode()
                return hashlib.sha256(partition + told).digest(), filled.slot
        return partition, slot

    def _rules_of(self, feature: str) -> SemanticRules:
        rules = self._rules.get(feature)
        if rules is None:
            if len(self._rules) >= _KNOWN_MAX:
                self._rules.clear()  # names come from callers
            rules = self._rules[feature] = semantic_rules(self._settings, feature)
        return rules

    def _course(
        self, keys: TenantKeys, asked: Asked, rules: SemanticRules
    ) -> tuple[Terms, CourseRow]:
        """The namespace that is certified by itself: tenant, feature, model, and the terms."""
        known = (keys.secret, asked.feature, asked.target)
        found = self._courses.get(known)
        if found is None:
            if len(self._courses) >= _KNOWN_MAX:
                self._courses.clear()
            model = "/".join(asked.target)
            terms = terms_of(self._settings, rules, self._embedder, model)
            course = course_id(keys, asked.feature, terms)
            found = terms, CourseRow(course, keys.tenant_mark, asked.feature, model)
            self._courses[known] = found
        return found


def _is_single(request: Canonical, asked: Asked) -> bool:
    """Whether a call is one question by itself, and may be answered as another one was."""
    return (
        request.has_slot
        and request.is_first_turn
        and not request.has_tool_turns
        and not asked.directives.is_exact_only
        and not asked.verdict.why_not_served
        and not asked.verdict.why_not_kept
    )


def _is_whole(text: str) -> bool:
    """Whether a text can be stored; JSON may hold half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
