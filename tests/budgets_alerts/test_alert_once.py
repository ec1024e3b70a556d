"""Whatever dies and whenever: each event reaches each target, and is marked sent once."""

import tempfile
from collections import Counter
from pathlib import Path

from alert_doubles import MINUTE_US, NOON_US, Box, an_event
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

TARGETS = ("a", "b")
CLAIM_US = 5 * MINUTE_US


class Senders(RuleBasedStateMachine):
    """Several senders over one file; any may die with what it claimed."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.box = Box(Path(self.folder.name) / "ledger.db")
        self.now_us = NOON_US
        self.noted = set()
        self.claimed = []  # claimed and neither sent nor given up: (since, delivery)
        self.on_the_wire = Counter()
        self.excused = Counter()  # claims whose sender died after the wire, or came too late

    def teardown(self):
        self.box.close()
        self.folder.cleanup()

    @rule(threshold=st.sampled_from([50, 80, 100]), key=st.sampled_from(["all", "tenant=x"]))
    def an_event_is_noted(self, threshold, key):
        is_new = self.box.outbox.add(an_event(threshold, key=key))
        assert is_new == ((threshold, key) not in self.noted)
        self.noted.add((threshold, key))

    @rule(most=st.integers(1, 4))
    def a_sender_claims(self, most):
        self.box.outbox.spread(lambda _event: TARGETS)
        for delivery in self.box.outbox.claim(self.now_us, most):
            assert not any(
                held.message_id == delivery.message_id and self.now_us < since_us + CLAIM_US
                for since_us, held in self.claimed
            )
            self.claimed.append((self.now_us, delivery))

    @rule(data=st.data(), dies=st.booleans())
    def a_sender_sends(self, data, dies):
        if not self.claimed:
            return
        since_us, delivery = self.claimed.pop(data.draw(st.integers(0, len(self.claimed) - 1)))
        self.on_the_wire[delivery.message_id] += 1
        if dies or self.now_us >= since_us + CLAIM_US:
            self.excused[delivery.message_id] += 1
        if not dies:
            self.box.outbox.mark_sent(delivery, self.now_us)

    @rule(data=st.data())
    def a_try_fails(self, data):
        if self.claimed:
            _, delivery = self.claimed.pop(data.draw(st.integers(0, len(self.claimed) - 1)))
            self.box.outbox.mark_failed(delivery, "503", self.now_us + MINUTE_US)

    @rule()
    def a_sender_dies_with_what_it_claimed(self):
        self.claimed.clear()

    @rule(minutes=st.integers(1, 8))
    def time_passes(self, minutes):
        self.now_us += minutes * MINUTE_US

    @invariant()
    def twice_on_the_wire_only_after_a_death(self):
        for name, count in self.on_the_wire.items():
            assert count <= 1 + self.excused[name]

    @invariant()
    def what_is_not_sent_is_due_again_before_long(self):
        found = self.box.outbox.deliveries()
        assert len({d.message_id for d in found}) == len(found)
        assert all(d.state in ("pending", "sent") for d in found)
        assert all(d.next_try_us <= self.now_us + CLAIM_US for d in found)


Senders.TestCase.settings = settings(max_examples=20, stateful_step_count=25)
TestSenders = Senders.TestCase
