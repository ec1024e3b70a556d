"""What tests of budgets share."""

import pytest
from budget_samples import Desk, SteppingClock


@pytest.fixture
def clock():
    return SteppingClock()


@pytest.fixture
def a_desk(tmp_path, clock):
    """Makes workers over one ledger; the clock is theirs in common."""
    desks = []

    def made(*budgets, run="worker-0"):
        desks.append(Desk(tmp_path, budgets, run, clock))
        return desks[-1]

    yield made
    for desk in desks:
        desk.close()
