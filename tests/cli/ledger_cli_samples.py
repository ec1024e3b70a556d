"""A small ledger for the commands that read one."""

import json

import pytest
from click.testing import CliRunner

from farthing.call import Attempt, AttemptStatus, Attribution, Conversation, Endpoint, Pricing
from farthing.cli.root import cli
from farthing.ledger import CallStatus, Entry, Journal, LeverMove
from farthing.money import Money
from farthing.pricing.cost import Line, Priced
from farthing.usage import Unit, Usage

NOON_US = 1_788_264_000_000_000  # 2026-09-01T12:00:00Z
CARD_ID = "openai/gpt-4o@2026"


class StoredCard:
    id = CARD_ID

    def to_json(self):
        return b'{"input":20,"output":80}'


class FlatCard:
    def __init__(self, rates):
        self.rates = rates

    def cost(self, usage, terms):
        del terms
        lines = tuple(
            Line(unit=unit, count=count, nanodollars=rate, per=1, cost=Money(rate * count))
            for unit, rate in self.rates.items()
            if (count := usage.count(unit))
        )
        total = Money(sum(line.cost.nanodollars for line in lines))
        return Priced(total=total, lines=lines, card_id=CARD_ID)


class FlatBook:
    """Twenty nanodollars per token in, eighty out; twice that for `dear`."""

    def card(self, provider, model, at_us):
        del provider, at_us
        times = 2 if model == "dear" else 1
        return FlatCard({Unit.INPUT: 20 * times, Unit.OUTPUT: 80 * times})

    def served_card(self, provider, served, sent, at_us):
        del served
        return self.card(provider, sent, at_us)


def decoded(content):
    return FlatCard({Unit(name): rate for name, rate in json.loads(content).items()})


def an_entry(call_id, feature="search", *, tokens=100, **changes):
    usage = Usage(input=tokens, output=10)
    attempt = Attempt(
        number=1,
        provider="openai",
        model="gpt-4o",
        status=AttemptStatus.OK,
        usage=usage,
        pricing=Pricing.CARD,
        cost=Money(20 * tokens + 800),
        card_id=CARD_ID,
        duration_us=800_000,
    )
    given = {
        "call_id": call_id,
        "endpoint": Endpoint.OPENAI_CHAT,
        "model": "gpt-4o",
        "is_streamed": False,
        "status": CallStatus.OK,
        "started_us": NOON_US,
        "duration_us": 900_000,
        "attribution": Attribution(feature=feature, session="s", environment="prod"),
        "conversation": Conversation(turn=1, last_turn="ab"),
        "attempts": (attempt,),
    }
    return Entry(**{**given, **changes})


def write_ledger(directory):
    """Three plain calls, one that nobody claimed and has no price, one that a lever made cheaper."""
    journal = Journal.open(directory, "w")
    journal.note_card(StoredCard())
    for number in range(3):
        journal.settle(an_entry(f"call-{number}", tokens=100 * (number + 1)))
    unknown = Attempt(
        number=1,
        provider="openai",
        model="new",
        status=AttemptStatus.OK,
        usage=Usage(input=7),
        pricing=Pricing.UNPRICED_MODEL,
        detail="no card",
    )
    journal.settle(an_entry("call-unclaimed", feature="", attempts=(unknown,)))
    move = LeverMove(lever="cache", saved=Money(900), spent=Money(100))
    journal.settle(an_entry("call-cached", "chat", attempts=(), baseline=Money(800), moves=(move,)))
    journal.close()


def run(*arguments):
    """What a command printed on stdout, and how it ended."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def run_json(*arguments):
    found = run(*arguments, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_ledger(tmp_path)
    monkeypatch.setenv("FARTHING_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path
