"""The pools of routing as they stand at this worker: policies, what stops them, what is watched.

Everything that touches the disk happens in `look`, off the loop, every second; a call reads what
stands in memory.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from farthing.gateway.route_news import Tally
from farthing.gateway.route_pins import Pin, Pins, SharedPins
from farthing.gateway.route_scores import Scores
from farthing.levers.routing.classes import Classes
from farthing.levers.routing.drift import Chart
from farthing.levers.routing.explorer import Explorer
from farthing.levers.routing.facts import is_snapshot_of
from farthing.levers.routing.policy import Facts, Policy, models, voids
from farthing.levers.routing.serving import Standing, strictest
from farthing.levers.routing.settings import PoolSettings
from farthing.levers.routing.shelf import Filed, Shelf
from farthing.levers.routing.trail import Event, Kept, Kind, Trail

__all__ = ["RoutePool", "pool_shelf"]

_LOG = logging.getLogger("farthing")
_KEYS_MAX: Final = 10_000
_CAP_LEAST: Final = 50  # calls of a key before its share of escalations says anything
_CAP_MEMORY: Final = 400  # calls after which the older half of them counts no more
_OTHER: Final = "(other)"

PriceOf = Callable[[str], str]


class _Watched(msgspec.Struct):
    """The charts of one policy: the share of each class, and of escalations within each."""

    mix: dict[str, Chart]
    escalated: dict[str, Chart]


class RoutePool:
    """One pool."""

    def __init__(  # noqa: PLR0913 - wired once, at start
        self,
        name: str,
        settings: PoolSettings,
        shelf: Shelf,
        trail: Trail,
        price_of: PriceOf,
        *,
        random: Random,
        scores: Scores,
        pins: SharedPins | None,
        is_shared: bool,
        is_watching: bool = False,
    ) -> None:
        """`price_of` gives the mark of the card that prices a model now; empty: it has none.

        `scores` are worked out as its policies say; `pins` are those of all workers.
        `is_shared`: other workers have this pool, too, and are told what is counted here.
        `is_watching`: it only looks, and notes and tells nothing.
        """
        self._is_watching = is_watching
        self.explorer = Explorer(random, settings.explore_share)
        self.name = name
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.standings: dict[str, Standing] = {}
        self.classes: dict[str, Classes] = {}
        self.faults: tuple[Filed, ...] = ()
        self._shelf = shelf
        self._trail = trail
        self._price_of = price_of
        self._scores = scores
        self._watched: dict[str, _Watched] = {}
        models = (settings.incumbent, *settings.models)
        self._pins = Pins(name, models, settings.pin_s, pins)
        self._news = Tally() if is_shared else None
        self._keys: dict[str, list[int]] = {}
        self._told: set[str] = set()

    @property
    def tallies(self) -> dict[str, int]:
        """What was counted, and how many policies count now."""
        stopped = sum(bool(standing.stopped) for standing in self.standings.values())
        standing = len(self.standings) - stopped
        return dict(self.counts) | {"policies": standing, "stopped": stopped + len(self.faults)}

    # -- policies

    def look(self) -> bool:
        """Read the policy files again where they changed; touches the disk."""
        return self._shelf.refresh()

    def stand(self, now_us: int) -> None:
        """Work out which policies count now, and why the others do not."""
        standings: dict[str, Standing] = {}
        for filed in self._shelf.filed:
            policy = filed.policy
            if policy is None:
                self._once(filed.fault, f"policy of pool {self.name} is not used: {filed.fault}")
                continue
            before = self.standings.get(filed.mark)
            stopped = self._stopped(policy, filed.mark, now_us)
            if before is not None and before.stopped != stopped:
                self._changed(filed.mark, stopped)
            elif before is None and stopped:
                self._once(f"{filed.mark} {stopped}", f"pool {self.name}, {filed.mark}: {stopped}")
            certificate = policy.certificate
            standings[filed.mark] = Standing(
                policy=policy,
                mark=filed.mark,
                floor=0.0 if certificate is None else certificate.floor,
                stopped=stopped,
            )
            self.classes.setdefault(filed.mark, policy.classes)
        self.faults = tuple(filed for filed in self._shelf.filed if filed.fault)
        self.standings = standings

    def standing(self, floor: float) -> Standing | None:
        """The policy for a floor."""
        if len(self.standings) == 1:
            (only,) = self.standings.values()
            return only if not floor or only.floor >= floor - 1e-12 else None
        return strictest(self.standings, floor)

    def _stopped(self, policy: Policy, mark: str, now_us: int) -> str:
        if policy.incumbent != self.settings.incumbent:
            return f"the policy is for the incumbent {policy.incumbent}"
        outside = set(models(policy)) - {self.settings.incumbent, *self.settings.models}
        if outside:
            return f"the policy asks {min(outside)}, which is not in the pool"
        certificate = policy.certificate
        if certificate is None:
            return f"the policy has no certificate: {policy.reason}"
        kept = self._trail.of(self.name, mark)
        now = {model: self._price_of(model) for model in certificate.prices}
        if not kept.prices:
            self._note(now_us, "begun", mark, "", now)
        prices = self._certified(policy, kept, now)
        void = voids(policy, Facts(certificate.snapshots, prices, self._scores.known))
        return f"its certificate is void: {void[0]}" if void else kept.stopped

    def _certified(self, policy: Policy, kept: Kept, now: dict[str, str]) -> dict[str, str]:
        """Prices as the certificate names them, where the rates are what they were.

        The provider that serves may be another than the one that was looked up, at the same rates.
        Outcomes that tell costs of their own name no card; then the card at first counts.
        """
        assert policy.certificate is not None  # noqa: S101 - the caller looked
        found: dict[str, str] = {}
        for model, certified in policy.certificate.prices.items():
            mark = now[model]
            then = kept.prices.get(model, mark) if certified == "outcomes" else certified
            found[model] = certified if _rates(mark) == _rates(then) else mark or "not known"
        return found

    # -- what is watched

    def heard(self, mark: str, asked: str, sent: str, served: str, now_us: int) -> None:
        """A model answered under the name `served`: stop what was certified with another one.

        `asked` is the pool's name for it, `sent` the name that was sent to the provider. The call was
        served by the policy `mark`; the pool's other policies stand by the same model.
        """
        if not served:
            return
        if not is_snapshot_of(served, sent):
            self.counts["served_other"] += 1
            self._once(f"{sent} {served}", f"{sent} was asked, and {served} answered")
        for one in (mark, *(other for other in self.standings if other != mark)):
            self._hold_to(one, asked, sent, served, now_us)

    def _hold_to(self, mark: str, asked: str, sent: str, served: str, now_us: int) -> None:
        standing = self.standings.get(mark)
        if standing is None or standing.stopped or standing.policy.certificate is None:
            return
        certified = standing.policy.certificate.snapshots.get(asked)
        if certified is None or served == certified:
            return
        seen = self._trail.of(self.name, mark).snapshots.get(asked)
        if seen is None and any(is_snapshot_of(served, name) for name in (certified, sent)):
            self._note(now_us, "seen", mark, "", {asked: served})
        elif served != seen:
            told = f"{asked} was certified as {seen or certified}, and {served} answers now"
            self.stop(mark, f"its certificate is void: {told}", now_us)

    def watch(self, mark: str, name: str, now_us: int, *, escalated: bool | None) -> None:
        """Take one call into the charts; `escalated` is None where its step was not served."""
        watched = self._charts_of(mark)
        if watched is None:
            return
        if self._news is not None and len(self._news.classes.get(mark, ())) < _KEYS_MAX:
            self._news.call(mark, name, escalated=escalated)
        if self.settings.mix_drift != "off":
            self._watch_mix(watched, mark, name, now_us)
        chart = watched.escalated.get(name) if self.settings.drift != "off" else None
        if chart is not None and escalated is not None and (way := chart.add(is_hit=escalated)):
            told = f"escalations of {name} have {way}"
            self._drifted(self.settings.drift, mark, chart, told, now_us)

    def _charts_of(self, mark: str) -> _Watched | None:
        """The charts of a policy that counts; None where there is nothing to watch."""
        standing = self.standings.get(mark)
        if standing is None or standing.stopped:
            return None
        watched = self._watched.get(mark)
        if watched is None:
            watched = self._watched[mark] = _charts(standing.policy, self.settings.drift_calls)
        return watched if watched.mix else None

    def _watch_mix(self, watched: _Watched, mark: str, name: str, now_us: int) -> None:
        shown = name if name in watched.mix else _OTHER
        for one, chart in watched.mix.items():
            if way := chart.add(is_hit=one == shown):
                told = f"the share of class {one} has {way}"
                self._drifted(self.settings.mix_drift, mark, chart, told, now_us)
                return

    def _drifted(self, act: str, mark: str, chart: Chart, what: str, now_us: int) -> None:
        """Stop the policy, or tell of it once; the count goes on."""
        told = f"drift: {what} to {chart.hits / chart.count:.1%} over {chart.count:,} calls"
        chart.reset()
        self.counts["drift_alarms"] += 1
        if act == "incumbent":
            self.stop(mark, told, now_us)
        elif (key := f"{mark} {what}") not in self._told:
            self._once(key, f"pool {self.name}, policy {mark}: {told}")
            self._note(now_us, "told", mark, told)

    def stop(self, mark: str, told: str, now_us: int) -> None:
        """The policy does not count any more, at any worker, until somebody lifts that."""
        standing = self.standings.get(mark)
        if standing is None or standing.stopped:
            return
        self._note(now_us, "stopped", mark, told)
        self.standings[mark] = msgspec.structs.replace(standing, stopped=told)
        self._changed(mark, told)

    # -- sessions and keys

    def pinned(self, key: tuple[str, ...], now_us: int) -> Pin | None:
        """Who served this before, if that is not too long ago."""
        return self._pins.get(key, now_us)

    def pin(self, key: tuple[str, ...], pin: Pin) -> None:
        """Remember who served."""
        self._pins.put(key, pin)

    def is_capped(self, key: str) -> bool:
        """Whether this key has escalated too often."""
        count, escalated = self._keys.get(key, (0, 0))
        return count >= _CAP_LEAST and escalated > self.settings.escalation_share_max * count

    def escalation(self, key: str, *, escalated: bool) -> None:
        """Count a call of a key that could escalate."""
        self._count(key, 1, int(escalated))
        if self._news is not None and len(self._news.keys) < _KEYS_MAX:
            self._news.vote(key, escalated=escalated)

    def _count(self, key: str, calls: int, escalated: int) -> None:
        if len(self._keys) >= _KEYS_MAX:
            self._keys.clear()
        tally = self._keys.setdefault(key, [0, 0])
        tally[0] += calls
        tally[1] += escalated
        while tally[0] >= _CAP_MEMORY:
            tally[:] = [tally[0] // 2, tally[1] // 2]

    # -- what other workers count

    def told(self) -> Tally:
        """What was counted here since this was asked last."""
        told = self._news
        if told is None:
            return Tally()
        self._news = Tally()
        return told

    def hear(self, tally: Tally, now_us: int) -> None:
        """Take in what another worker counted."""
        for key, (calls, escalated) in tally.keys.items():
            self._count(key, calls, escalated)
        for mark, classes in tally.classes.items():
            watched = self._charts_of(mark)
            if watched is not None:
                self._watch_sums(watched, mark, classes, now_us)

    def _watch_sums(
        self, watched: _Watched, mark: str, classes: dict[str, list[int]], now_us: int
    ) -> None:
        if self.settings.drift != "off":
            for name, (_, votes, escalated) in classes.items():
                chart = watched.escalated.get(name)
                if chart is not None and votes and (way := chart.add_many(escalated, votes)):
                    told = f"escalations of {name} have {way}"
                    self._drifted(self.settings.drift, mark, chart, told, now_us)
        if self.settings.mix_drift == "off":
            return
        calls: Counter[str] = Counter()
        for name, counts in classes.items():
            calls[name if name in watched.mix else _OTHER] += counts[0]
        for name, chart in watched.mix.items():
            if way := chart.add_many(calls[name], calls.total()):
                told = f"the share of class {name} has {way}"
                self._drifted(self.settings.mix_drift, mark, chart, told, now_us)
                return

    # -- telling

    def _changed(self, mark: str, stopped: str) -> None:
        if stopped:
            self.counts["stops"] += 1
            told = f"{stopped}; {self.settings.incumbent} serves"
            _LOG.warning("pool %s, policy %s: %s", self.name, mark, told)
        else:
            self._watched.pop(mark, None)
            _LOG.warning("pool %s, policy %s counts again", self.name, mark)

    def _once(self, key: str, told: str) -> None:
        if self._is_watching:
            return
        if key not in self._told and len(self._told) < _KEYS_MAX:
            self._told.add(key)
            _LOG.warning("%s", told)

    def _note(
        self, now_us: int, kind: Kind, mark: str, told: str, facts: dict[str, str] | None = None
    ) -> None:
        if self._is_watching:
            return
        at = datetime.fromtimestamp(now_us / 1_000_000, UTC).isoformat(timespec="seconds")
        event = Event(at=at, kind=kind, pool=self.name, policy=mark, told=told, facts=facts or {})
        try:
            self._trail.append(event)
        except OSError:
            _LOG.exception("the routing trail can't be written; other workers do not know")


def _charts(policy: Policy, calls: int) -> _Watched:
    """The charts of a policy; none where its file does not say what its labels were like."""
    expected = policy.expected
    if not expected:
        return _Watched({}, {})
    labels = sum(one.labels for one in expected.values())
    mix = {name: Chart(one.labels, labels, calls=calls) for name, one in expected.items()}
    mix[_OTHER] = Chart(0, labels, calls=calls)
    escalated = {
        name: Chart(one.escalated, one.labels, calls=calls)
        for name, one in expected.items()
        if one.escalated is not None and one.labels
    }
    return _Watched(mix, escalated)


def _rates(mark: str) -> str:
    """The part of a card's mark that is of its rates alone."""
    return mark.rpartition("#")[2]


def pool_shelf(name: str, settings: PoolSettings, directory: Path, secret: bytes) -> Shelf:
    """Where a pool's policies stand; `directory` is the folder `routing` of the data folder."""
    return Shelf(settings.policies, directory / name, secret)
