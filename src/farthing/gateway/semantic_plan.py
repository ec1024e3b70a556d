"""What is to be looked up for a call, and what came of it: values that travel between threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from farthing.levers.cache import TenantKeys
from farthing.levers.cache.semantic.course import Standing, Terms
from farthing.levers.cache.semantic.shelf import Looked
from farthing.levers.cache.semantic_settings import SemanticMode, SemanticRules
from farthing.levers.cache.semantic_tables import CourseRow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]
else:
    Vector = Any

__all__ = ["Found", "Plan", "Position", "Vector"]


class Position(msgspec.Struct, frozen=True):
    """Where a namespace stands: what its labels prove, and why it stopped (empty: it did not)."""

    standing: Standing = Standing()
    stopped: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A call as the semantic layer sees it.

    `space` is what must be equal; `text` is compared; `key` is the call's own exact key.
    """

    space: bytes
    key: bytes
    text: str
    writer: str
    user: bytes | None
    keys: TenantKeys
    mode: SemanticMode
    rules: SemanticRules
    terms: Terms
    course: CourseRow


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a look-up found; `why_not` says why it found nothing to decide on."""

    vector: Vector
    looked: Looked | None = None
    position: Position = Position()
    why_not: str = ""
    took_us: int = 0
