"""Keeps comparisons, looks at them, and moves levers on their ladder: one code path for all.

The verdicts follow from the stored rows in their order alone, so that any process that looks comes
to the same ones; what a look changes is changed once, in the store.

K1  A verdict errs with a probability of at most 1 - confidence over a lever's whole life: the g-th
    beginning of a scope is given a part 1 / (g (g + 1)) of it.
K2  A comparison counts if its judge is the feature's and its version the one that is judged.
K3  What the reference makes of itself (A/A) is no harm: the reference counts as good as it agrees
    with itself, in the interval that was known before each comparison.
K4  A judge by which the reference hardly agrees with itself shows nothing to be safe: nearly any
    answer would be as good.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from typing import Final

import msgspec

from farthing.evidence.betting import Interval, Observed, interval
from farthing.evidence.ladder import Mode, Standing, State, begun, step
from farthing.evidence.planner import comparisons_needed
from farthing.evidence.settings import EvidenceRules, EvidenceSettings
from farthing.evidence.store import Compared, EvidenceStore
from farthing.evidence.verdict import Finding, Verdict, Watch

__all__ = ["REPEATS", "Keeper", "Looked"]

REPEATS: Final = "a/a"  # the lever under which the reference stands against itself
FRESH_EVERY: Final = 50
AGREEMENT_LEAST: Final = 0.5  # of the reference with itself, below which a judge tells too little
_NOISE_PART: Final = 0.25  # of alpha goes to the interval of A/A
_NOISE_MOST: Final = 2000  # A/A comparisons taken into account
_NOISE_STEP: Final = 20  # the interval is worked out anew after so many, and each time before them


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """Where a scope stands: its state, the figures behind it, and A/A (None: not measured).

    `finding` is None before the first comparison; `agreement` is the reference's mean score against
    itself; `is_judge_blind`: the judge is not shown to tell it from other answers (K4).
    """

    state: State
    rules: EvidenceRules
    finding: Finding | None
    in_mode: int
    repeats: int
    noise: Interval | None
    agreement: float | None
    is_judge_blind: bool

    @property
    def needed(self) -> int | None:
        """About how many more comparisons would decide (estimate); None: no number can be told."""
        found = self.finding
        if found is None or found.verdict is not Verdict.UNDECIDED:
            return None if found is None else 0
        lost = 0.0 if self.agreement is None else found.floor * (1 - self.agreement)
        spread = max(found.spread, 0.05)
        whole = comparisons_needed(abs(found.margin + lost), spread, confidence=found.confidence)
        if whole is None:
            return None
        # Where as many were not enough, they scatter more than they did: a tenth more, and look again.
        return max(whole - found.comparisons, math.ceil(found.comparisons / 10))


class _Watched:
    """The comparisons of one generation of a scope, as far as they were read."""

    def __init__(
        self,
        state: State,
        rules: EvidenceRules,
        least_probability: float,
        *,
        is_feedback: bool,
    ) -> None:
        self._is_feedback = is_feedback
        self.generation = state.generation
        self.version = state.version
        self.rules = rules
        self.read_to = state.watched_from
        self.repeats_to = 0
        part = state.generation * (state.generation + 1)
        self._alpha = (1 - rules.confidence) / part
        self.least_probability = least_probability
        self.watch = Watch(
            floor=rules.floor,
            alpha=self._alpha * (1 - _NOISE_PART),
            least_probability=least_probability,
            fresh_every=FRESH_EVERY,
        )
        self.counted: list[int] = []  # ids, in order
        # The calls that all before each of them stand for, and all in the end: those there were,
        # those that got the candidate's answer, and of these, those that were worse off.
        self._calls, self._served, self._worse = [0.0], [0.0], [0.0]
        self.repeats: list[Observed] = []
        self._noise: Interval | None = None
        self._is_stale = False

    def repeat(self, compared: Compared) -> None:
        """The reference against itself, once more."""
        self.repeats_to = compared.id
        if compared.evidence.judge != self.rules.judge:
            return
        one = compared.evidence
        self.repeats.append(Observed(one.score, one.probability))
        del self.repeats[:-_NOISE_MOST]
        count = len(self.repeats)
        self._is_stale = self._is_stale or count <= _NOISE_STEP or count % _NOISE_STEP == 0

    def see(self, compared: Compared) -> None:
        """One more comparison."""
        self.read_to = compared.id
        is_judged = compared.evidence.judge == self.rules.judge
        if is_judged and compared.version == self.version:
            self.watch.see(compared.evidence, self.noise)
            self.counted.append(compared.id)
            one = compared.evidence
            served = compared.is_served / one.probability
            self._calls.append(self._calls[-1] + 1 / one.probability)
            self._served.append(self._served[-1] + served)
            self._worse.append(self._worse[-1] + served * (one.regret > 0))

    @property
    def is_judge_blind(self) -> bool:
        """Whether the judge is not shown to tell the reference from other answers (K4)."""
        noise = self.noise
        return noise is not None and noise.low < AGREEMENT_LEAST and not self._is_feedback

    @property
    def verdict(self) -> Verdict:
        """What the comparisons show."""
        verdict = self.watch.verdict
        return Verdict.UNDECIDED if verdict is Verdict.SAFE and self.is_judge_blind else verdict

    @property
    def finding(self) -> Finding | None:
        """The figures behind it."""
        found = self.watch.finding()
        return found and msgspec.structs.replace(found, verdict=self.verdict)

    @property
    def noise(self) -> Interval | None:
        """How the reference scores against itself, in 0..1."""
        if self._is_stale:
            least = min(one.probability for one in self.repeats)
            self._noise = interval(
                self.repeats, alpha=self._alpha * _NOISE_PART, least_probability=least
            )
            self._is_stale = False
        return self._noise

    @property
    def agreement(self) -> float | None:
        """The mean of it."""
        if not self.repeats:
            return None
        weights = [1 / one.probability for one in self.repeats]
        scores = zip(weights, self.repeats, strict=True)
        return math.fsum(weight * one.value for weight, one in scores) / math.fsum(weights)

    def since(self, comparison: int) -> int:
        """How many counted after that one."""
        return len(self.counted) - bisect_right(self.counted, comparison)

    def standing(self, mode_from: int) -> Standing:
        """Where it stands, with what came after the comparison from which its mode is in force."""
        before = bisect_right(self.counted, mode_from)
        return Standing(
            verdict=self.verdict,
            comparisons=len(self.counted),
            in_mode=len(self.counted) - before,
            latest=self.read_to,
            calls_in_mode=self._calls[-1] - self._calls[before],
            served_in_mode=self._served[-1] - self._served[before],
            worse_in_mode=self._worse[-1] - self._worse[before],
        )


class Keeper:
    """One a process; methods block, and may be called from any thread."""

    def __init__(self, store: EvidenceStore, settings: EvidenceSettings) -> None:
        self.store = store
        self._settings = settings
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._begun: set[tuple[str, str, str]] = set()
        self._lock = threading.RLock()

    def begin(
        self, lever: str, scope: str, version: str, now_us: int, *, mode: Mode = Mode.SHADOW
    ) -> State:
        """Say what is judged; another version than before begins in `mode`.

        Said again in the same process it changes nothing, so that processes of two versions of a
        configuration do not undo each other's for ever.
        """
        with self._lock:
            known = (lever, scope, version)
            if known in self._begun:
                return self._state(lever, scope)
            latest = self.store.latest()
            state = self.store.change(
                lever,
                scope,
                lambda before: begun(before, version, latest, now_us, mode),
                "ladder",
            )
            self._begun.add(known)
            return state

    def note(self, compared: Compared, now_us: int) -> State:
        """Keep a comparison, and move its lever if that decides it."""
        one = compared.evidence
        with self._lock:
            if one.lever != REPEATS:
                self.begin(one.lever, one.feature, compared.version, now_us)
            self.store.add(compared)
            if one.lever == REPEATS:
                return State(lever=one.lever, scope=one.feature)
            return self.look(one.lever, one.feature, now_us)

    def look(self, lever: str, scope: str, now_us: int) -> State:
        """Take new comparisons into account, and move the lever if they decide it."""
        with self._lock:
            state = self._state(lever, scope)
            watched = self._read(state)
            if not watched.counted:
                return state
            standing = watched.standing(state.mode_from)

            def stepped(now: State) -> State:
                if (now.generation, now.mode) != (state.generation, state.mode):
                    return now  # another process was first
                return step(now, standing, self._settings.ladder, now_us)

            after = self.store.change(lever, scope, stepped, "ladder")
            if after.generation != state.generation:
                del self._watched[lever, scope]
            return after

    def looked(self, lever: str, scope: str) -> Looked:
        """Where a scope stands; changes nothing."""
        with self._lock:
            state = self._state(lever, scope)
            watched = self._read(state)
            return Looked(
                state=state,
                rules=watched.rules,
                finding=watched.finding,
                is_judge_blind=watched.is_judge_blind,
                in_mode=watched.since(state.mode_from),
                repeats=len(watched.repeats),
                noise=watched.noise,
                agreement=watched.agreement,
            )

    def _state(self, lever: str, scope: str) -> State:
        found = (s for s in self.store.states() if (s.lever, s.scope) == (lever, scope))
        return next(found, State(lever=lever, scope=scope))

    def _read(self, state: State) -> _Watched:
        """The generation's comparisons and A/A up to now, in the order in which they came."""
        where = (state.lever, state.scope)
        watched = self._watched.get(where)
        rows = self.store.comparisons(*where, after=watched.read_to) if watched else []
        seen = [row.evidence.probability for row in rows]
        if (
            watched is None
            or (watched.generation, watched.version) != (state.generation, state.version)
            or any(probability < watched.least_probability for probability in seen)
        ):
            rules = self._settings.rules_of(state.scope)
            rows = self.store.comparisons(*where, after=state.watched_from)
            is_feedback = self._settings.is_feedback(rules.judge)
            share = 1.0 if is_feedback else rules.share
            least = min([share, *(row.evidence.probability for row in rows)])
            watched = self._watched[where] = _Watched(state, rules, least, is_feedback=is_feedback)
        repeats = self.store.comparisons(REPEATS, state.scope, after=watched.repeats_to)
        for row in sorted([*rows, *repeats], key=lambda row: row.id):
            if row.evidence.lever == REPEATS:
                watched.repeat(row)
            else:
                watched.see(row)
        return watched
