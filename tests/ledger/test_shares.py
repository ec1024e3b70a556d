import json

from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import an_attempt, attempts
from priced_samples import FlatCard

from farthing.ledger.shares import Bills, Share, shares
from farthing.money import ZERO, Money
from farthing.pricing.cost import Line
from farthing.usage import STANDARD, Terms, Unit, Usage

RATES = st.dictionaries(st.sampled_from(Unit), st.integers(0, 50), max_size=6)


@given(attempts, RATES)
def test_the_shares_of_an_attempt_add_up_to_its_cost(attempt, rates):
    lines = FlatCard(rates).cost(attempt.usage, STANDARD).lines
    found = shares(attempt, lines)
    booked = attempt.cost.nanodollars if attempt.cost is not None else 0
    assert sum(share.cost.nanodollars for share in found) == booked


def test_with_the_card_s_own_sum_each_unit_bears_its_line():
    attempt = an_attempt(usage=Usage(input=10, output=2), cost=34)
    lines = FlatCard({Unit.INPUT: 3, Unit.OUTPUT: 2}).cost(attempt.usage, STANDARD).lines
    assert shares(attempt, lines) == (
        Share(Unit.INPUT, 10, Money(30)),
        Share(Unit.OUTPUT, 2, Money(4)),
    )


def test_a_unit_that_the_card_has_no_line_for_bears_nothing():
    attempt = an_attempt(usage=Usage(input=10, reasoning=2), cost=30)
    lines = FlatCard({Unit.INPUT: 3}).cost(attempt.usage, STANDARD).lines
    assert shares(attempt, lines)[1] == Share(Unit.REASONING, 2, ZERO)


def test_a_fee_that_nobody_counted_has_the_count_of_its_line():
    attempt = an_attempt(usage=Usage(input=10), cost=37)
    fee = Line(unit=Unit.REQUEST, count=1, nanodollars=7, per=1, cost=Money(7))
    tokens = Line(unit=Unit.INPUT, count=10, nanodollars=3, per=1, cost=Money(30))
    assert shares(attempt, (tokens, fee))[1] == Share(Unit.REQUEST, 1, Money(7))


def test_without_lines_the_sum_is_not_told_apart():
    assert shares(an_attempt(cost=7), ()) == (Share(None, 150, Money(7)),)
    assert shares(an_attempt(cost=0, usage=Usage()), ()) == ()


def test_an_unpriced_attempt_has_its_tokens_and_no_cost():
    found = shares(an_attempt(cost=None, usage=Usage(input=4)), ())
    assert found == (Share(Unit.INPUT, 4, ZERO),)


def test_bills_are_drawn_up_from_stored_cards_which_are_read_once():
    asked = []

    def content(card_id):
        asked.append(card_id)
        return b'{"input":3}' if card_id == "kept" else None

    def decode(text):
        return FlatCard({Unit(name): rate for name, rate in json.loads(text).items()})

    bills = Bills(content, decode)
    kept = an_attempt(card_id="kept", cost=300)
    assert bills.bill(kept).total == bills.bill(kept).total == Money(300)
    assert bills.shares(kept)[0] == Share(Unit.INPUT, 100, Money(300))
    assert bills.bill(an_attempt(card_id="lost")) is None
    assert bills.shares(an_attempt(card_id="", cost=7)) == (Share(None, 150, Money(7)),)
    assert bills.bill(an_attempt(card_id="kept", terms=Terms(is_batch=True))) is None
    assert asked == ["kept", "lost"]
