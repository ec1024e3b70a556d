"""The answers a worker has at hand, those used last; plain, so that a hit costs no decryption."""

from __future__ import annotations

from collections import OrderedDict

from farthing.codecs import Codec, Cut, RequestView, replayed
from farthing.levers.cache.entry import Stored

__all__ = ["AtHand", "Memory"]


class AtHand:
    """One answer, and the forms in which it was asked for."""

    __slots__ = ("_cuts", "plain_key", "stored")

    def __init__(self, stored: Stored, plain_key: bytes = b"") -> None:
        self.stored = stored
        self.plain_key = plain_key
        self._cuts: dict[tuple[bool, bool], Cut] = {}

    def cut(self, codec: Codec, view: RequestView) -> Cut:
        """The answer in the form that a request asks for.

        Raises:
            NotReplayable: it can't be given in that form.
        """
        form = (view.is_streamed, view.wants_usage)
        cut = self._cuts.get(form)
        if cut is None:
            stored = self.stored
            cut = replayed(codec, view, stored.body, is_stream=stored.is_stream)
            self._cuts[form] = cut
        return cut


class Memory:
    """At most `bytes_max` of answers, by key; the one unused for longest goes first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held = 0
        self._answers: OrderedDict[bytes, AtHand] = OrderedDict()
        self._aliases: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: bytes, now_us: int) -> AtHand | None:
        """The answer under `key` that has not expired."""
        found = self._answers.get(key)
        if found is None:
            return None
        if found.stored.expires_us <= now_us:
            self.drop(key)
            return None
        self._answers.move_to_end(key)
        return found

    def key_of(self, plain_key: bytes) -> bytes | None:
        """The key of the answer that has this alias."""
        return self._aliases.get(plain_key)

    def keep(self, key: bytes, answer: AtHand) -> None:
        """Have an answer at hand."""
        self.drop(key)
        self._held += answer.stored.size
        self._answers[key] = answer
        if answer.plain_key:
            self._aliases[answer.plain_key] = key
        while self._held > self._bytes_max and self._answers:
            self.drop(next(iter(self._answers)))

    def drop(self, key: bytes) -> None:
        """Forget the answer under `key`, if it is here."""
        gone = self._answers.pop(key, None)
        if gone is not None:
            self._held -= gone.stored.size
            if self._aliases.get(gone.plain_key) == key:
                del self._aliases[gone.plain_key]

    def clear(self) -> None:
        """Forget all."""
        self._answers.clear()
        self._aliases.clear()
        self._held = 0
