import pytest

from farthing.ledger import DIMENSIONS, QueryError, ReportQuery
from farthing.ledger.query import dimension


def test_an_unknown_dimension_names_the_nearest():
    with pytest.raises(QueryError, match="did you mean feature"):
        dimension("featur")
    with pytest.raises(QueryError, match="there are feature"):
        dimension("zzz")


@pytest.mark.parametrize("name", ["tag:", 'tag:a"b', "tag:a\nb"])
def test_a_tag_that_cannot_be_asked_for_is_refused(name):
    with pytest.raises(QueryError):
        dimension(name)


def test_a_quote_in_a_tag_stays_a_part_of_its_name():
    assert "it''s" in dimension("tag:it's").sql


def test_days_and_hours_are_asked_for_and_shown_as_dates():
    day, hour = dimension("day"), dimension("hour")
    assert day.shown(day.asked("2026-09-01")) == "2026-09-01"
    assert hour.shown(hour.asked("2026-09-01T11:00Z")) == "2026-09-01T11:00Z"
    with pytest.raises(QueryError, match="write it like 1970-01-01"):
        day.asked("yesterday")


def test_values_travel_as_parameters():
    query = ReportQuery(since_us=1, until_us=9, where={"feature": "x' OR 1=1"})
    condition, parameters = query.condition("is_final = 1")
    assert condition.startswith(" WHERE is_final = 1 AND started_us >= ? AND started_us < ?")
    assert parameters == [1, 9, "x' OR 1=1"]


def test_without_filters_there_is_no_condition():
    assert ReportQuery().condition() == ("", [])


def test_filters_know_whether_they_hold_for_whole_calls():
    assert ReportQuery(where={"feature": "a", "tag:x": "b"}).is_call_level
    assert not ReportQuery(where={"provider": "openai"}).is_call_level


def test_every_dimension_is_known_by_its_own_name():
    assert all(found.name == name for name, found in DIMENSIONS.items())
