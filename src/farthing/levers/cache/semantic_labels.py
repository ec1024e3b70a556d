"""Recorded labels as a course takes them, and what people's words among them say of the judge."""

from __future__ import annotations

from collections.abc import Sequence

from farthing.levers.cache.semantic.calibration import Calibration, calibrated, is_drawn
from farthing.levers.cache.semantic.course import Course, Label, Terms
from farthing.levers.cache.semantic_tables import LabelRow

__all__ = ["course_of", "label_of", "words_on_drawn"]


def course_of(terms: Terms, labels: Sequence[LabelRow]) -> Course:
    """A course that has yet to take its labels; they tell how often its judge errs."""
    return Course(terms, _calibration(labels))


def label_of(row: LabelRow, course: Course) -> Label:
    """A label as the course takes it.

    A person's word stands in place of the judge's, but where the judge's errors are corrected for:
    then its own verdicts are what is held against the limit, and a person can only add a "wrong".
    """
    judged = row.judged
    is_wrong = row.is_wrong
    if course.is_corrected:
        is_wrong = judged.is_wrong or judged.is_wrong_to_person is True
    return Label(
        features=row.features,
        is_wrong=is_wrong,
        propensity=row.propensity,
        is_serving=row.is_serving,
        vetoes=row.vetoes,
    )


def words_on_drawn(labels: Sequence[LabelRow]) -> int:
    """How many drawn pairs a person has spoken on."""
    drawn = (row for row in labels if is_drawn(row.call_id))
    return sum(row.judged.is_wrong_to_person is not None for row in drawn)


def _calibration(labels: Sequence[LabelRow]) -> Calibration | None:
    return calibrated(row.judged for row in labels if is_drawn(row.call_id))
