"""What the forecast's 80 % interval covers on real request rates, stated as it is.

ServeGen: hourly requests of 205 clients of a cloud provider over two weeks, each request taken to
cost the same. Single clients are as bursty as spending gets; a budget over many of them is easier.
The method was chosen on these; the multimodal and reasoning clients, of whom there is one day in
steps of ten minutes, were not looked at before.
"""

import csv
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

from farthing.budgets.forecast import forecast_end
from farthing.money import ZERO, Money

TRACES = Path(__file__).parents[3] / "shared" / "data" / "traces" / "servegen"
UNSEEN = ("multimodal_mm-image_client_rates.csv", "reason_deepseek-r1_client_rates.csv")
FILES = (
    "language_m-large_rest_client_rates.csv",
    "language_m-large_top40_client_rates.csv",
    "language_m-small_client_rates.csv",
)
HOURS = 14 * 24
COST = 100_000  # nanodollars a request

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces are not here"),
]


def read(file, step_s, steps):
    """Each client's nanodollars by step."""
    found = defaultdict(lambda: [0.0] * steps)
    with (TRACES / file).open() as rows:
        for row in csv.DictReader(rows):
            found[row["client"]][int(row["t_s"]) // step_s] += float(row["rate_rps"]) * 600 * COST
    return [[round(cost) for cost in series] for series in found.values()]


@pytest.fixture(scope="module")
def clients():
    return [series for file in FILES for series in read(file, 3600, HOURS)]


def forecasts(clients, now, left):
    """For each client with a past: the forecast of the next `left` hours, and what came."""
    for series in clients:
        first = next((hour for hour, cost in enumerate(series) if cost), HOURS)
        past = series[first:now]
        if len(past) >= 3 and sum(1 for cost in past[-168:] if cost) >= min(12, len(past)):
            yield forecast_end(ZERO, past, left), Money(sum(series[now : now + left]))


def coverage(pairs):
    pairs = list(pairs)
    inside = sum(found.low <= came <= found.high for found, came in pairs)
    return inside / len(pairs), len(pairs)


def errors(pairs):
    """Relative errors of the expected sum, where anything came."""
    return sorted(
        abs(found.expected.nanodollars - came.nanodollars) / came.nanodollars
        for found, came in pairs
        if came
    )


@pytest.mark.parametrize(
    ("left", "least", "most"),
    [(6, 0.80, 0.85), (24, 0.74, 0.79), (72, 0.74, 0.79), (120, 0.80, 0.85), (168, 0.86, 0.91)],
)
def test_the_interval_covers_about_what_it_says_on_single_clients(clients, left, least, most):
    nows = [now for now in (36, 72, 120, 168, 216, 264, 312) if now + left <= HOURS]
    pairs = [pair for now in nows for pair in forecasts(clients, now, left)]
    found, _ = coverage(pairs)
    assert least <= found <= most


def test_over_all_horizons_the_80_percent_interval_covers_80_percent(clients):
    pairs = [
        pair
        for left in (6, 24, 72, 120, 168)
        for now in (36, 72, 120, 168, 216, 264, 312)
        if now + left <= HOURS
        for pair in forecasts(clients, now, left)
    ]
    found, count = coverage(pairs)
    assert count > 2000
    assert 0.78 <= found <= 0.82


def test_with_less_than_a_day_the_rule_of_thumb_covers_most(clients):
    pairs = [
        p for now in (6, 12, 18) for left in (6, 18, 48) for p in forecasts(clients, now, left)
    ]
    found, _ = coverage(pairs)
    assert 0.75 <= found <= 0.85


def test_the_expected_sum_is_no_worse_than_the_best_simple_rivals(clients):
    """Against the mean of the week and the mean of the last day, a day ahead."""
    nows = range(48, HOURS - 24, 24)
    ours, mean = [], []
    for now in nows:
        for series in clients:
            came = sum(series[now : now + 24])
            past = series[max(0, now - 168) : now]
            if came and sum(1 for cost in past if cost) >= 12:
                mean.append(abs(sum(past) / len(past) * 24 - came) / came)
        ours += errors(forecasts(clients, now, 24))
    assert statistics.median(ours) < statistics.median(mean)
    assert statistics.quantiles(ours, n=10)[8] < statistics.quantiles(mean, n=10)[8]


def test_a_budget_over_all_clients_is_forecast_within_an_eighth(clients):
    whole = [sum(hour) for hour in zip(*clients, strict=True)]
    pairs = [p for now in (72, 120, 168, 216, 264) for p in forecasts([whole], now, 48)]
    assert max(errors(pairs)) < 0.12
    assert coverage(pairs)[0] >= 0.6


@pytest.mark.parametrize(
    ("file", "least", "most"), [(UNSEEN[0], 0.76, 0.82), (UNSEEN[1], 0.66, 0.71)]
)
def test_on_clients_that_the_method_was_not_chosen_on_it_covers_less(file, least, most):
    """Steps of ten minutes stand for hours, so that no season helps: the hard case."""
    steps = read(file, 600, 144)
    pairs = [
        pair
        for left in (6, 24, 48)
        for now in (36, 60, 96, 120)
        if now + left <= 144
        for pair in forecasts(steps, now, left)
    ]
    assert least <= coverage(pairs)[0] <= most
