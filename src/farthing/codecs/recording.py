"""An answer as it was received, and what stands in the way of giving it again."""

from __future__ import annotations

import re
from typing import Final

import msgspec

__all__ = ["Cut", "NotReplayable", "cut_at_id"]

_MEMBER: Final = b'"created":'
_CREATED: Final = re.compile(rb'"created":\s*+(\d++)')


class NotReplayable(ValueError):
    """The answer can't be given again, or not in this form; the text says why in a few words."""


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with its id and its time taken out, so that each replay can bear its own.

    `prefix` is what the provider's ids begin with ("chatcmpl-", "msg_01").
    """

    pieces: list[bytes]
    prefix: bytes = b""

    def put_together(self, mark: bytes, now_s: int) -> bytes:
        """The answer under an id that ends in `mark`, created at `now_s`."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        fresh = (b'"%b%b"' % (self.prefix, mark), b"%d" % now_s)
        return b"".join(
            fresh[0] if piece == _ID else fresh[1] if piece == _TIME else piece
            for piece in self.pieces
        )


# What stands for the two in `pieces`; a piece of JSON is never one of these.
_ID: Final = b"\0id"
_TIME: Final = b"\0time"


def cut_at_id(body: bytes, answer_id: str, created: int | None, *, is_stream: bool = True) -> Cut:
    """Cut an answer where its id and its time stand: in each event of a stream, else once.

    Within a JSON string quotes are escaped, so the quoted id can't be part of a text.
    """
    if not answer_id:
        return Cut(pieces=[body])
    most = -1 if is_stream else 1
    quoted = b'"%b"' % answer_id.encode()
    pieces: list[bytes] = []
    for number, part in enumerate(body.split(quoted, most)):
        if number:
            pieces.append(_ID)
        pieces += _without_time(part, created, most)
    head, mark, _ = answer_id.partition("-")
    if not mark:
        head, mark, _ = answer_id.partition("_")
    return Cut(pieces=pieces, prefix=(head + mark).encode() if mark else b"")


def _without_time(part: bytes, created: int | None, most: int) -> list[bytes]:
    """The part without its times, or without the first `most` of them; -1: all."""
    pieces: list[bytes] = []
    start = 0
    at = part.find(_MEMBER) if created is not None else -1
    while at >= 0 and most:
        found = _CREATED.match(part, at)
        if found is not None and int(found[1]) == created and _is_member(part, at):
            pieces += (part[start : found.start(1)], _TIME)
            start = found.end()
            most -= 1
        at = part.find(_MEMBER, at + len(_MEMBER)) if most else -1
    pieces.append(part[start:] if start else part)
    return pieces


def _is_member(part: bytes, at: int) -> bool:
    """Whether the quote at `at` opens a member's name: within a text it would be escaped."""
    return part[at - 1 : at] != b"\\"
