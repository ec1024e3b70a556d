"""Who else asked a stored question, and was given an answer that agrees: what makes it everyone's.

An entry is its writer's until it is shared: a person approved it, or so many principals asked for it
whose answers agree (who asked in the very same words was given this one). A confirmation is bound
to the answer that it speaks of; another answer in its place has to be confirmed anew. What tells
who asked it stays its writer's, whoever agrees, until a person approves it: a judge may call two
answers the same that greet two people.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Sightings"]

_VOICE = 32  # characters of a principal that say who speaks, however many names he uses


class Sightings:
    """Used by one thread."""

    def __init__(
        self,
        *,
        confirmations_min: int,
        is_second_needed: bool,
        changed: Callable[[bytes], object] | None = None,
    ) -> None:
        """`confirmations_min` counts the writer; with 1 all is shared.

        `changed` is called with an entry of which more, or less, is known by now.
        """
        self._changed = changed
        self._confirmations_min = confirmations_min
        self._is_second_needed = is_second_needed
        self._stored: dict[bytes, tuple[str, bytes]] = {}  # entry -> writer, answer
        self._seen: dict[bytes, set[tuple[str, bytes]]] = {}  # entry -> principal, answer
        self._approved: set[bytes] = set()
        self._confirmed: set[bytes] = set()
        self._personal: set[bytes] = set()

    def is_shared(self, entry: bytes) -> bool:
        """Whether others than its writer may have an entry's answer."""
        if entry in self._approved:
            return True
        is_open = self._confirmations_min <= 1 or entry in self._confirmed
        return is_open and entry not in self._personal

    def is_admitted(self, entry: bytes) -> bool:
        """Whether an entry was asked for often enough to be served to other words."""
        return not self._is_second_needed or entry in self._seen or entry in self._approved

    def wants(self, entry: bytes, principal: str, answer: bytes) -> bool:
        """Whether a sighting would change anything; `answer` is empty where it did not agree."""
        seen = self._seen.get(entry, set())
        if (principal, answer) in seen:
            return False
        if self._is_second_needed and not seen:
            return True
        stored = self._stored.get(entry)
        is_news = stored is not None and answer == stored[1] and principal != stored[0]
        return is_news and not self.is_shared(entry)

    def note(self, entry: bytes, principal: str, answer: bytes) -> None:
        """Somebody asked for it again; `answer` is what his agrees with, empty where it did not."""
        self._seen.setdefault(entry, set()).add((principal, answer))
        self._reckon(entry)

    def approve(self, entry: bytes) -> None:
        """A person said that its answer may be given."""
        self._approved.add(entry)
        self._tell(entry)

    def stored(
        self, entry: bytes, writer: str, answer: bytes, *, is_personal: bool = False
    ) -> None:
        """An entry is at hand, with this answer; `is_personal`: it tells who asked."""
        self._stored[entry] = (writer, answer)
        if is_personal:
            self._personal.add(entry)
        self._reckon(entry)

    def unloaded(self, entry: bytes) -> None:
        """An entry is at hand no more."""
        self._stored.pop(entry, None)
        self._confirmed.discard(entry)  # its answer may be another when it comes back
        self._personal.discard(entry)
        self._tell(entry)

    def gone(self, entry: bytes) -> None:
        """An entry is no more."""
        self.unloaded(entry)
        self._seen.pop(entry, None)
        self._approved.discard(entry)
        self._tell(entry)

    def clear(self) -> None:
        """Forget all."""
        self._stored.clear()
        self._seen.clear()
        self._approved.clear()
        self._confirmed.clear()
        self._personal.clear()

    def _reckon(self, entry: bytes) -> None:
        stored = self._stored.get(entry)
        if stored is None:
            return
        writer, answer = stored
        seen = self._seen.get(entry, ())
        agreeing = {who[:_VOICE] for who, said in seen if said and said == answer}
        if len(agreeing | {writer[:_VOICE]}) >= self._confirmations_min:
            self._confirmed.add(entry)
        else:
            self._confirmed.discard(entry)
        self._tell(entry)

    def _tell(self, entry: bytes) -> None:
        if self._changed is not None:
            self._changed(entry)
