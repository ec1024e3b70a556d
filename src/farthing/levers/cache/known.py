"""The requests read of late, by the hash of their bytes: equal bytes are not read twice.

To read a long request, to write it in its one form and to hash that takes several times what
hashing its bytes takes. Whose they are is part of the hash: nobody can tell by the time that it
takes what another tenant has asked.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from farthing.call import Endpoint
from farthing.codecs import canonical_request
from farthing.levers.cache.fingerprint import Marked, marked

__all__ = ["KnownRequests"]

_BYTES_MAX: Final = 8_000_000
_ENTRY_BYTES: Final = 1000  # of an entry without its last text, roughly


class KnownRequests:
    """At most so many bytes of them; those not asked for longest go first."""

    def __init__(self, bytes_max: int = _BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held = 0
        self._known: OrderedDict[bytes, Marked] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, endpoint: Endpoint, body: bytes, whose: str = "") -> Marked:
        """The request in its one form, with what stands for it; `whose` keeps callers apart.

        Raises:
            NotCanonical: the body has no one meaning.
        """
        head = f"{endpoint}\0{whose}".encode("utf-8", "surrogatepass")
        bytes_hash = hashlib.sha256(b"%d:%b" % (len(head), head))
        bytes_hash.update(body)
        place = bytes_hash.digest()
        known = self._known.get(place)
        if known is not None:
            self._known.move_to_end(place)
            return known
        read = marked(canonical_request(endpoint, body))
        self._known[place] = read
        self._held += _size(read)
        while self._held > self._bytes_max:
            self._held -= _size(self._known.popitem(last=False)[1])
        return read


def _size(read: Marked) -> int:
    return 4 * len(read.request.slot) + _ENTRY_BYTES
