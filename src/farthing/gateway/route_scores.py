"""Learned scores of calls: by the hashed encoder at once, by an embedder in a thread of its own.

An embedder takes its time, and a user's may hang or fail. So the event loop never waits for it: a
call waits, for `embed_ms_max` at most, and what then has no score is the incumbent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from farthing.levers.cache.semantic_extra import embedder_of, need_embedder
from farthing.levers.routing.encoder import Embedded, Hashed, identity_of, is_alike, probe_of
from farthing.levers.routing.scorer import score, weighed

if TYPE_CHECKING:
    from farthing.levers.cache.semantic import Embedder
    from farthing.levers.routing.policy import Policy
    from farthing.levers.routing.scorer import Scorer
    from farthing.levers.routing.settings import RoutingSettings

__all__ = ["Encoding", "NoScore", "Scores", "scores_by"]

_LOG = logging.getLogger("farthing")
_WAITING_MAX: Final = 64  # prompts; more would be late, and their texts fill memory
_DIGITS: Final = 6

Features = Mapping[int, float]


class NoScore(Exception):
    """A prompt has no score; the text says why."""


class _Job:
    """A prompt that waits for its features."""

    __slots__ = ("features", "is_over", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.features: asyncio.Future[Features] = asyncio.get_running_loop().create_future()
        self.is_over = False

    def give(self, features: Features) -> None:
        """The features are there; called in the thread."""
        self._tell(lambda: self.features.set_result(features))

    def fail(self, why: str) -> None:
        """There will be none; called in the thread."""
        self._tell(lambda: self.features.set_exception(NoScore(why)))

    def _tell(self, told: Callable[[], None]) -> None:
        def tell() -> None:
            if not self.features.done():
                told()

        with contextlib.suppress(RuntimeError):  # the loop has ended
            self.features.get_loop().call_soon_threadsafe(tell)


class Encoding:
    """An embedder in a thread, which ends with the process whatever the embedder does."""

    def __init__(self, name: str, ms_max: int) -> None:
        """`name` as in the settings; a prompt waits `ms_max` at most.

        Raises:
            ConfigError: there is no such embedder, or what it needs is not installed.
        """
        need_embedder(name, "routing.embedder")
        self.identity, self._make = embedder_of(name, "routing.embedder")
        self.probe = b""  # known once it is loaded
        self.is_loaded = threading.Event()  # or can't be
        self._name = name
        self._ms_max = ms_max
        self._fault = "is not loaded yet"
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._has_told = False

    def start(self) -> None:
        """Load it, and be ready."""
        threading.Thread(target=self._work, name="farthing-embedder", daemon=True).start()

    def close(self) -> None:
        """Take no more prompts."""
        self._jobs.put(None)

    async def features(self, text: str) -> Features:
        """What the embedder makes of a text.

        Raises:
            NoScore: it failed, took too long, or is not there.
        """
        if self._fault:
            raise NoScore(f"the embedder {self._fault}")
        if self._jobs.qsize() >= _WAITING_MAX:
            raise NoScore("too many prompts wait for the embedder")
        job = _Job(text)
        self._jobs.put(job)
        try:
            async with asyncio.timeout(self._ms_max / 1000):
                return await job.features
        except TimeoutError:
            raise NoScore(f"the embedder took longer than {self._ms_max} ms") from None
        finally:
            job.is_over = True

    def _work(self) -> None:
        encoder = self._loaded(self._make)
        self.is_loaded.set()
        if encoder is None:
            return
        while (job := self._jobs.get()) is not None:
            if not job.is_over:
                self._do(encoder, job)

    def _loaded(self, make: Callable[[], Embedder]) -> Embedded | None:
        try:
            encoder = Embedded(self._name, make())
            self.probe = probe_of(encoder)
        except Exception as error:  # edge: a user's embedder may raise anything
            self._fault = f"can't be loaded: {error}"
            _LOG.exception("routing.embedder can't be loaded; what goes by its scores is not")
            return None
        self._fault = ""
        return encoder

    def _do(self, encoder: Embedded, job: _Job) -> None:
        try:
            job.give(encoder.features(job.text))
        except Exception as error:  # edge: a user's embedder may raise anything
            job.fail(f"the embedder failed: {type(error).__name__}")
            if not self._has_told:
                self._has_told = True
                _LOG.exception("routing.embedder failed; the incumbent serves such calls")


class Scores:
    """What can be scored by: the hashed encoder, and the embedder of the settings if there is one."""

    def __init__(self, encoding: Encoding | None) -> None:
        self._hashed = Hashed()
        self._hashed_identity = identity_of(self._hashed)
        self.encoding = encoding
        self._alike: dict[bytes, bool] = {}

    @property
    def known(self) -> dict[str, bytes]:
        """The encoders that can be had, by identity, with their probes."""
        found = {self._hashed_identity: b""}
        if self.encoding is not None:
            found[self.encoding.identity] = self.encoding.probe
        return found

    def start(self) -> None:
        """Load the embedder."""
        if self.encoding is not None:
            self.encoding.start()

    def close(self) -> None:
        """Score no more."""
        if self.encoding is not None:
            self.encoding.close()

    def at_once(self, policy: Policy, names: Sequence[str], text: str) -> dict[str, float]:
        """The scores that need no embedder, of those that the policy has."""
        return {
            name: round(score(scorer, self._hashed, text), _DIGITS)
            for name, scorer in _found(policy, names)
            if scorer.encoder == self._hashed_identity
        }

    def late(self, policy: Policy, names: Sequence[str]) -> tuple[str, ...]:
        """The scores that the embedder has to work out."""
        own = self._hashed_identity
        return tuple(name for name, scorer in _found(policy, names) if scorer.encoder != own)

    async def waited(self, policy: Policy, names: Sequence[str], text: str) -> dict[str, float]:
        """The scores by the embedder, once it has read the text.

        Raises:
            NoScore: it failed, took too long, or is not there.
        """
        if self.encoding is None:
            raise NoScore("there is no embedder")
        features = await self.encoding.features(text)
        found = _found(policy, names)
        if not all(self._is_as_certified(self.encoding, scorer) for _, scorer in found):
            raise NoScore("the embedder makes other vectors than it did")
        return {name: round(weighed(scorer, features), _DIGITS) for name, scorer in found}

    def _is_as_certified(self, encoding: Encoding, scorer: Scorer) -> bool:
        """Whether the embedder is the scorer's; the policy is void within a second where not."""
        probe = scorer.probe or b""
        if probe not in self._alike:
            self._alike[probe] = is_alike(probe, encoding.probe)
        return scorer.encoder == encoding.identity and self._alike[probe]


def scores_by(settings: RoutingSettings) -> Scores:
    """By the settings.

    Raises:
        ConfigError: there is no such embedder, or what it needs is not installed.
    """
    if not settings.embedder:
        return Scores(None)
    return Scores(Encoding(settings.embedder, settings.embed_ms_max))


def _found(policy: Policy, names: Sequence[str]) -> list[tuple[str, Scorer]]:
    scorers = policy.scores or {}
    return [(name, scorers[name]) for name in names if name in scorers]
