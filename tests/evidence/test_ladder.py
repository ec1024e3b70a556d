"""How levers climb and fall by their evidence."""

from __future__ import annotations

import pytest

from farthing.evidence import LadderRules, Mode, Standing, State, Verdict, step

RULES = LadderRules(canary_comparisons=50)
NOW = 1_790_000_000_000_000


def state(mode, **more):
    return State(lever="routing", scope="support", mode=mode, **more)


def standing(verdict, in_mode=50, comparisons=200, **more):
    return Standing(
        verdict=verdict,
        comparisons=comparisons,
        in_mode=in_mode,
        latest=321,
        calls_in_mode=1000.0,
        **more,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Mode.SHADOW, Mode.CANARY_1),
        (Mode.CANARY_1, Mode.CANARY_10),
        (Mode.CANARY_10, Mode.CANARY_50),
        (Mode.CANARY_50, Mode.ON),
        (Mode.ON, Mode.ON),
        (Mode.OFF, Mode.OFF),
    ],
)
def test_what_is_safe_goes_up_one_rung_at_a_time(before, after):
    assert step(state(before), standing(Verdict.SAFE), RULES, NOW).mode is after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Mode.SHADOW, Mode.OFF),
        (Mode.CANARY_1, Mode.SHADOW),
        (Mode.CANARY_50, Mode.SHADOW),
        (Mode.ON, Mode.SHADOW),
        (Mode.OFF, Mode.OFF),
    ],
)
def test_harm_takes_what_serves_back_to_shadow_and_what_was_watched_off(before, after):
    assert step(state(before), standing(Verdict.UNSAFE, in_mode=1), RULES, NOW).mode is after


@pytest.mark.parametrize("mode", list(Mode))
def test_nothing_moves_while_it_is_undecided(mode):
    before = state(mode)
    assert step(before, standing(Verdict.UNDECIDED), RULES, NOW) is before


def test_a_canary_has_to_hold_for_its_comparisons_and_shadow_need_not():
    before = state(Mode.CANARY_1)
    assert step(before, standing(Verdict.SAFE, in_mode=49), RULES, NOW) is before
    shadow = step(state(Mode.SHADOW), standing(Verdict.SAFE, in_mode=1), RULES, NOW)
    assert shadow.mode is Mode.CANARY_1


def test_it_goes_no_further_by_itself_than_it_may():
    rules = LadderRules(canary_comparisons=50, mode_most=Mode.CANARY_10)
    before = state(Mode.CANARY_10)
    assert step(before, standing(Verdict.SAFE), rules, NOW) is before
    only_watched = LadderRules(mode_most=Mode.SHADOW)
    shadow = state(Mode.SHADOW)
    assert step(shadow, standing(Verdict.SAFE), only_watched, NOW) is shadow


def test_a_fall_begins_a_new_generation_that_forgets_what_was_seen_before():
    found = standing(Verdict.UNSAFE, served_in_mode=1000.0, worse_in_mode=60.0)
    fallen = step(state(Mode.ON, generation=2), found, RULES, NOW)
    assert (fallen.generation, fallen.watched_from, fallen.mode_from) == (3, 321, 321)
    assert fallen.since_us == NOW
    assert fallen.reason == (
        "shown to be unsafe after 200 comparisons, 50 of them at on; it served about 1,000 calls "
        "then, about 60 of them worse (estimates)"
    )


def test_a_fall_from_a_canary_tells_how_many_calls_took_part():
    found = standing(Verdict.UNSAFE, served_in_mode=120.0, worse_in_mode=40.0)
    fallen = step(state(Mode.CANARY_10), found, RULES, NOW)
    assert "50 of them at canary-10; it served about 120 calls then" in fallen.reason
    shadow = step(state(Mode.SHADOW), standing(Verdict.UNSAFE), RULES, NOW)
    assert shadow.reason == "shown to be unsafe after 200 comparisons, 50 of them at shadow"


def test_a_canary_so_small_that_none_of_its_calls_was_compared_tells_its_share():
    fallen = step(state(Mode.CANARY_1), standing(Verdict.UNSAFE), RULES, NOW)
    assert "50 of them at canary-1; it served about 10 calls then" in fallen.reason


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.CANARY_1, Mode.CANARY_50])
def test_what_its_own_settings_let_serve_is_not_told_as_if_it_had_only_been_watched(mode):
    found = standing(Verdict.UNSAFE, served_in_mode=1000.0, worse_in_mode=300.0)
    fallen = step(state(mode), found, RULES, NOW)
    if mode is Mode.CANARY_50:
        assert "at canary-50" in fallen.reason
    else:
        assert fallen.reason == (
            "shown to be unsafe after 200 comparisons, 50 of them while its own settings let it "
            "serve; it served about 1,000 calls then, about 300 of them worse (estimates)"
        )


def test_the_modes_serve_what_their_names_say():
    assert [mode.share for mode in Mode] == [0, 0, 0.01, 0.1, 0.5, 1]
