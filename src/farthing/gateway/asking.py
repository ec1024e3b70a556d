"""Works out how the caches see a call: its scope, its fingerprint, what the rules allow."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Protocol

import msgspec

from farthing.call import Endpoint
from farthing.codecs import REPLAYABLE, SAMPLED, Canonical, NotCanonical
from farthing.config import Config
from farthing.gateway.caller import Caller
from farthing.gateway.inbound import Inbound
from farthing.gateway.route_rights import Decided, Taken, right_of
from farthing.gateway.targets import NoTarget, Target, Targets, protocol_of
from farthing.levers.cache import (
    NO_DIRECTIVES,
    Asked,
    Directives,
    KnownRequests,
    NeutralHeaders,
    Rules,
    TenantKeys,
    Vault,
    Verdict,
    decide,
    prints_of,
    read_directives,
    rules_of,
)

__all__ = ["Asking", "Routed"]

_MEMO: Final = "cache"
_RULES_MAX: Final = 1000
_TEMPERATURE: Final = b'"temperature"'
_END_BYTES: Final = 200
_GIVEN: Final = re.compile(rb'"temperature"\s*:\s*(\d+(?:\.\d+)?)\s*[,}]')


class Routed(Protocol):
    """Who decides by which model a call is served; `farthing.gateway.routing.Routing` is one."""

    def decide(self, inbound: Inbound, /) -> Decided | None:
        """How the call would be served now; None: it falls to no pool."""
        ...

    def would_ask(self, decided: Decided, inbound: Inbound, /) -> tuple[tuple[str, str], ...]:
        """The providers and models that would be asked first."""
        ...

    def taken_by(self, decided: Decided, endpoint: Endpoint, /) -> Taken | None:
        """Whose answer a served call got; None where it may not be given again."""
        ...


class _Head(msgspec.Struct, frozen=True):
    """What a request's head tells the caches; worked out once a head."""

    directives: Directives
    digest: bytes
    credential: str


class Asking:
    """Makes the `Asked` of each call; all that it needs is handed in."""

    def __init__(self, config: Config, targets: Targets, vault: Vault) -> None:
        self._settings = config.cache
        self._shared_temperature_max = (
            config.coalesce.temperature_max if config.coalesce.mode == "on" else -1.0
        )
        self._targets = targets
        self._vault = vault
        self._neutral = NeutralHeaders(config.cache.headers_neutral)
        self._addresses = {name: p.base_url for name, p in config.providers.items()}
        self._rules: dict[str, Rules] = {}
        self._known = KnownRequests()
        self.routing: Routed | None = None  # where policies may serve calls

    def ask(self, inbound: Inbound, now_us: int) -> Inbound:
        """The same call, with `asked`."""
        if inbound.asked is not None:
            return inbound
        feature = inbound.call.attribution.feature
        rules = self._rules_of(feature)
        head = self._head(inbound.caller)
        never = self._why_never(inbound, rules)
        if never:
            asked = _never(rules, feature, never, head.directives)
            return msgspec.structs.replace(inbound, asked=asked)
        routed = None if self.routing is None else self.routing.decide(inbound)
        asked = self._asked(inbound, now_us, rules, head, routed)
        return msgspec.structs.replace(inbound, asked=asked, routed=routed)

    def _asked(
        self, inbound: Inbound, now_us: int, rules: Rules, head: _Head, routed: Decided | None
    ) -> Asked:
        call = inbound.call
        feature = call.attribution.feature
        try:
            whose = f"{call.attribution.tenant}\0{head.credential}"
            read = self._known.read(call.endpoint, inbound.body, whose)
            targets = self._targets.find(call.model, protocol_of(call.endpoint))
            keys = self._vault.keys(call.attribution.tenant, now_us)
        except NotCanonical:
            return _never(rules, feature, "the request has no one meaning")
        except NoTarget:
            return _never(rules, feature, "no provider serves it")
        except OSError:
            return _never(rules, feature, "the tenant's secret can't be read")
        if rules.share == "user" and not call.attribution.user:
            return _never(rules, feature, "no user is named")
        request = read.request
        verdict = decide(request, rules, head.directives)
        not_shared = self._why_not_shared(request, head.directives)
        own = None
        right = b"" if routed is None else right_of(routed)
        if not (verdict.why_not_served and verdict.why_not_kept and not_shared):
            own = prints_of(
                self._scope(keys, rules, inbound, head),
                read,
                call.endpoint.value.encode(),
                b"|".join(map(self._named, targets)),
                head.digest,
                inbound.caller.query.encode(),
                "\0".join(head.directives.documents).encode(),
                is_canonical=rules.is_canonical,
            )
        prints = own if own is None or not right else own.under(right)
        return Asked(
            verdict=verdict,
            rules=rules,
            directives=head.directives,
            prints=prints,
            own=own if right else None,
            would=self._would(routed, inbound) if right else (),
            keys=keys,
            feature=feature,
            target=(targets[0].provider, targets[0].model),
            request=request,
            marks=() if verdict.why_not_kept else _marks(keys, inbound, head.directives),
            why_not_shared=not_shared,
        )

    def _would(self, routed: Decided | None, inbound: Inbound) -> tuple[tuple[str, str], ...]:
        if routed is None or self.routing is None:
            return ()
        return self.routing.would_ask(routed, inbound)

    def _why_never(self, inbound: Inbound, rules: Rules) -> str:
        """Why the caches can't help, told without reading the body whole; empty: they may.

        A member that is written with escapes, or stands within another, can only make this say
        that a call is sampled which is not: it is then not served, which is safe.
        """
        if inbound.call.endpoint not in REPLAYABLE:
            return "not for this endpoint"
        most = max(rules.temperature_max, self._shared_temperature_max)
        if most >= 1 or inbound.call.endpoint not in SAMPLED:
            return ""
        if _is_low(inbound.body, most):
            return ""
        count = inbound.body.count(_TEMPERATURE)
        if count > 1:
            return ""
        given = _GIVEN.search(inbound.body) if count else None
        if count and given is None:
            return ""
        value = 1.0 if given is None else float(given.group(1))
        return f"sampled at temperature {value:g}" if value > most else ""

    def _head(self, caller: Caller) -> _Head:
        head: _Head | None = caller.memo.get(_MEMO)
        if head is None:
            head = caller.memo[_MEMO] = _Head(
                directives=read_directives(caller.headers),
                digest=self._neutral.digest(
                    pair for pair in caller.headers if pair[0] not in _CREDENTIALS
                ),
                credential=hashlib.sha256(caller.credential).hexdigest(),
            )
        return head

    def _rules_of(self, feature: str) -> Rules:
        rules = self._rules.get(feature)
        if rules is None:
            if len(self._rules) >= _RULES_MAX:
                self._rules.clear()  # names come from callers
            rules = self._rules[feature] = rules_of(self._settings, feature)
        return rules

    def _scope(self, keys: TenantKeys, rules: Rules, inbound: Inbound, head: _Head) -> bytes:
        whom = inbound.call.attribution
        user = ("user", whom.user) if rules.share == "user" else ("tenant", "")
        return keys.scope(whom.feature, *user, head.credential, self._settings.epoch, rules.epoch)

    def _named(self, target: Target) -> bytes:
        return f"{target.provider} {self._addresses[target.provider]} {target.model}".encode()

    def _why_not_shared(self, request: Canonical, directives: Directives) -> str:
        if directives.why_not_served:
            return directives.why_not_served
        if request.temperature > self._shared_temperature_max:
            return f"sampled at temperature {request.temperature:g}"
        return "the provider is to store it" if request.is_kept_upstream else ""


# They never reach the provider; which tenant or account they stand for is in the scope.
_CREDENTIALS: Final = frozenset(
    {
        b"accept-encoding",
        b"api-key",
        b"authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
        b"x-api-key",
        b"x-goog-api-key",
    }
)


def _is_low(body: bytes, most: float) -> bool:
    """Whether the body's beginning or end seems to name a low temperature: it is then read whole.

    Clients write the member before or behind the messages; to search all of a long body takes
    half of what reading it takes.
    """
    for part in (body[:_END_BYTES], body[-_END_BYTES:]):
        given = _GIVEN.search(part)
        if given is not None and float(given.group(1)) <= most:
            return True
    return False


def _never(
    rules: Rules, feature: str, reason: str, directives: Directives = NO_DIRECTIVES
) -> Asked:
    return Asked(
        verdict=Verdict(why_not_served=reason, why_not_kept=reason),
        rules=rules,
        directives=directives,
        feature=feature,
        why_not_shared=reason,
    )


def _marks(keys: TenantKeys, inbound: Inbound, directives: Directives) -> tuple[bytes, ...]:
    """What the answer can be found by when it is to go: its call, user, tags and documents."""
    whom = inbound.call.attribution
    found = [("call", inbound.call.id)]
    found += [("tag", f"{name}={value}") for name, value in whom.tags.items()]
    if whom.user:
        found.append(("user", whom.user))
    for document in directives.documents:
        found.append(("document", document))
        if "@" in document:
            found.append(("document", document.rpartition("@")[0]))
    return tuple(keys.mark(kind, value) for kind, value in found)
