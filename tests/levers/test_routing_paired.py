"""Counting wins and losses: exact where scores are right or wrong, a bet where they are not."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from farthing.levers.routing.paired import is_shown


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
