"""Counting wins and losses: exact where scores are right or wrong, a bet where they are not."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from farthing.levers.routing.paired import is_shown, prompts_needed


def pairs(won, lost, both, neither=0):
    """Scores of a policy and of the reference, by how many prompts each got right."""
    score = np.repeat([1.0, 0.0, 1.0, 0.0], [won, lost, both, neither])
    reference = np.repeat([0.0, 1.0, 1.0, 0.0], [won, lost, both, neither])
    return score, reference, np.ones(len(score))


@pytest.mark.parametrize("floor", [0.9, 0.98, 1.0])
@pytest.mark.parametrize("both", [0.2, 0.6])
@pytest.mark.parametrize("lost", [0.05, 0.2, 0.3])
def test_a_policy_that_is_just_at_the_floor_is_shown_in_at_most_alpha_of_samples(floor, both, lost):
    """Every sample of 14 prompts, with its probability: nothing is simulated."""
    won = max(0.0, floor * lost - (1 - floor) * both)
    neither, count, chance = 1 - won - lost - both, 14, 0.0
    for wins in range(count + 1):
        for losses in range(min(wins, count - wins) + 1):
            for rights in range(count - wins - losses + 1):
                rest = count - wins - losses - rights
                if is_shown(*pairs(wins, losses, rights, rest), floor=floor, alpha=0.05):
                    ways = comb(count, wins) * comb(count - wins, losses)
                    ways *= comb(count - wins - losses, rights)
                    chance += ways * won**wins * lost**losses * both**rights * neither**rest
    assert chance <= 0.05


def test_counting_asks_for_fewer_labels_than_a_bet_does():
    score, reference, weight = pairs(90, 80, 720, 120)
    order = np.random.default_rng(0).permutation(len(score))  # a bet wants no order of its own
    score, reference = score[order], reference[order]
    assert is_shown(score, reference, weight, floor=0.98, alpha=0.05)
    graded = score.copy()
    graded[0] = 0.5  # no count any more
    assert not is_shown(graded, reference, weight, floor=0.98, alpha=0.05)


def test_more_losses_than_the_floor_allows_show_nothing():
    assert not is_shown(*pairs(80, 100, 720, 100), floor=0.98, alpha=0.05)
    assert not is_shown(*pairs(0, 0, 0), floor=0.98, alpha=0.05)


def test_a_policy_that_never_differs_is_shown_below_the_whole_floor_only():
    assert is_shown(*pairs(0, 0, 900, 100), floor=0.95, alpha=0.05)
    assert not is_shown(*pairs(0, 0, 900, 100), floor=1.0, alpha=0.05)


def test_prompts_that_weigh_differently_are_tested_by_a_bet():
    score, reference, weight = pairs(300, 100, 500, 100)
    weight[::2] = 0.5
    assert is_shown(score, reference, weight, floor=0.95, alpha=0.05)


@pytest.mark.parametrize(("differs", "gain"), [(0.15, 0.0), (0.1, -0.005), (0.3, 0.03)])
def test_the_prompts_said_to_be_needed_show_it_about_four_times_in_five(differs, gain):
    floor, right = 0.96, 0.8
    margin = gain + (1 - floor) * right
    count = prompts_needed(margin, differs**0.5, confidence=0.95, counted=True)
    random, shown = np.random.default_rng(5), 0
    shares = [(differs + gain) / 2, (differs - gain) / 2, right - (differs - gain) / 2]
    for _ in range(200):
        won, lost, both, neither = random.multinomial(count, [*shares, 1 - sum(shares)]).tolist()
        shown += is_shown(*pairs(won, lost, both, neither), floor=floor, alpha=0.05)
    assert 0.65 <= shown / 200 <= 0.9


def test_two_that_never_differ_are_shown_with_the_prompts_said_to_be_needed():
    count = prompts_needed(0.02 * 0.8, 0.0, confidence=0.95, counted=True)
    assert is_shown(*pairs(0, 0, round(0.85 * count), round(0.2 * count)), floor=0.98, alpha=0.05)
    assert not is_shown(*pairs(0, 0, 120, 30), floor=0.98, alpha=0.05)


def test_counting_needs_about_half_of_the_prompts_that_a_bet_does():
    counted, bet = (
        prompts_needed(0.02, 0.4, confidence=0.95, counted=counted) for counted in (True, False)
    )
    assert 0.5 <= counted / bet <= 0.65
    assert prompts_needed(0.0, 0.4, confidence=0.95, counted=True) is None
