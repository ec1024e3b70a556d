import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.codecs import UsageError
from farthing.codecs.provider_cost import StatedCost, read_cost
from farthing.money import Money


def cost(text):
    return read_cost(msgspec.json.decode(text, type=StatedCost))


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (b"{}", None),
        (b'{"cost":null}', None),
        (b'{"cost":0}', "0"),
        (b'{"cost":0.00014}', "0.00014"),
        (b'{"cost":1.4e-4}', "0.00014"),
        (b'{"cost":0.1234567895}', "0.12345679"),
        (b'{"cost":0.0000000005}', "0"),
        (b'{"cost":0.0000000015}', "0.000000002"),
        (b'{"cost":0.95,"is_byok":true,"cost_details":{"upstream_inference_cost":19}}', "19.95"),
        (b'{"cost":0.95,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}', "0.95"),
        (b'{"cost":0.95,"is_byok":false,"cost_details":{"upstream_inference_cost":19}}', "0.95"),
        (b'{"cost":0.95,"is_byok":true}', "0.95"),
        (b'{"cost_in_usd_ticks":37756000}', "0.0037756"),
        (b'{"cost_in_usd_ticks":5}', "0"),
        (b'{"cost_in_usd_ticks":15}', "0.000000002"),
        (b'{"estimated_cost":2.6e-06}', "0.0000026"),
        (b'{"cost":{"input_tokens_cost":0.1,"total_cost":0.25}}', "0.25"),
    ],
)
def test_the_providers_own_cost_is_read_exactly_as_it_is_written(usage, usd):
    assert cost(usage) == (None if usd is None else Money.usd(usd))


@pytest.mark.parametrize(
    "usage",
    [
        b'{"cost":"abc"}',
        b'{"cost":true}',
        b'{"cost":-1}',
        b'{"cost":1e999999999}',
        b'{"cost":1e-400}',
    ],
)
def test_a_cost_that_is_no_amount_is_refused_by_its_text(usage):
    with pytest.raises(UsageError, match=r"The provider's cost"):
        cost(usage)


@given(st.decimals(0, 1000, places=9))
def test_every_whole_number_of_nanodollars_survives(amount):
    assert cost(b'{"cost":%b}' % str(amount).encode()) == Money.usd(amount)
