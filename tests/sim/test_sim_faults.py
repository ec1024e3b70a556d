"""Faults by header and by rule, as scripts."""

from __future__ import annotations

import pytest
from sim_asking import HandClock, body_of, chat, chunks_of, engine, events_of, json_of, message

from farthing.sim import Pace, Rule
from farthing.sim.errors import BadSteering
from farthing.sim.faults import FaultKind, read_fault
from farthing.sim.script import Ending
from farthing.sim.steering import read_steering


def fault(text):
    return {"x-sim-fault": text}


@pytest.mark.parametrize("kind", [kind.value for kind in FaultKind if kind is not FaultKind.STATUS])
def test_every_fault_can_be_asked_for_and_is_logged(kind):
    asked = engine()
    chat(asked, fault(f"{kind}; tokens=50"), stream=True)
    message(asked, fault(f"{kind}; tokens=50"), stream=True)
    assert [entry.fault for entry in asked.log] == [kind, kind]


@pytest.mark.parametrize(
    ("name", "status"), [("rate_limit", 429), ("overloaded", 529), ("418", 418)]
)
def test_statuses_have_names_too(name, status):
    assert chat(engine(), fault(name)).status == status


@pytest.mark.parametrize("text", ["", "nothing", "429; retry_after=soon", "cut; deep=1", "status"])
def test_a_fault_that_cannot_be_read_says_what_is_known(text):
    with pytest.raises(BadSteering):
        read_fault(text)


def test_a_rate_limit_says_when_to_come_back():
    headers = dict(chat(engine(), fault("429; retry_after=2; retry_after_ms=1500")).headers)
    assert headers[b"retry-after"] == b"2"
    assert headers[b"retry-after-ms"] == b"1500"
    assert b"retry-after" not in dict(chat(engine(), fault("429")).headers)


def test_an_exhausted_quota_is_named():
    script = chat(engine(), fault("insufficient_quota"))
    assert (script.status, json_of(script)["error"]["type"]) == (429, "insufficient_quota")


def test_a_refused_call_bills_nothing():
    asked = engine()
    chat(asked, fault("500"))
    (entry,) = asked.log
    assert entry.usage.prompt_tokens == 0


def test_a_slow_first_byte_waits_before_anything_is_sent():
    whole = chat(engine(), fault("slow_first_byte; seconds=7"))
    streamed = chat(engine(), fault("slow_first_byte; seconds=7"), stream=True)
    assert whole.steps[0].wait_us == streamed.steps[0].wait_us == 7_000_000


def test_a_stall_comes_after_some_events():
    steps = chat(engine(), fault("stall; after=2; seconds=9"), stream=True).steps
    assert [step.wait_us for step in steps[:4]] == [0, 0, 9_000_000, 0]


def test_a_cut_stream_ends_in_the_middle_and_drops_the_connection():
    script = chat(engine(), fault("cut; after=4"), stream=True)
    assert (len(script.steps), script.ending) == (4, Ending.DROPPED)
    assert chat(engine(), fault("cut")).ending is Ending.DROPPED


def test_a_truncated_stream_ends_cleanly_without_its_last_event():
    script = chat(engine(), fault("truncate; after=4"), stream=True)
    assert script.ending is Ending.CLEAN
    assert b"[DONE]" not in body_of(script)


def test_a_malformed_event_is_no_json_and_the_rest_goes_on():
    body = body_of(chat(engine(), fault("malformed; after=2"), stream=True))
    assert b'"choices": [{"index"\n\n' in body
    assert body.endswith(b"data: [DONE]\n\n")


def test_a_failure_midway_is_the_protocol_s_error_event_and_the_end():
    body = body_of(chat(engine(), fault("error_event; after=2"), stream=True))
    assert b'data: {"error":{' in body
    assert b"[DONE]" not in body
    events = events_of(message(engine(), fault("error_event; after=4"), stream=True))
    assert [name for name, _ in events][-1] == "error"
    assert events[-1][1]["error"]["type"] == "overloaded_error"


def test_an_error_event_without_a_stream_is_an_error_answer():
    assert chat(engine(), fault("error_event")).status == 500
    assert message(engine(), fault("error_event")).status == 529


def test_usage_can_be_wrong_or_missing_while_the_log_knows_the_truth():
    asked = engine()
    told = json_of(chat(asked, fault("wrong_usage; factor=10")))["usage"]
    assert "usage" not in json_of(chat(asked, fault("no_usage")))
    assert "usage" not in json_of(message(asked, fault("no_usage")))
    streamed = chat(asked, fault("no_usage"), stream=True, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in chunks_of(streamed))
    wrong, missing = asked.log[0], asked.log[1]
    assert told["total_tokens"] == 10 * (wrong.usage.prompt_tokens + wrong.usage.completion_tokens)
    assert wrong.told.prompt_tokens == told["prompt_tokens"]
    assert missing.told is None
    assert missing.usage == wrong.usage


def test_a_giant_answer_is_as_long_as_asked():
    usage = json_of(chat(engine(), fault("giant; tokens=50000")))["usage"]
    assert usage["completion_tokens"] == 50_000


@pytest.mark.parametrize("name", ["drip; bytes=7", "ragged"])
def test_pieces_of_any_size_make_the_same_bytes(name):
    pieces = chat(engine(), fault(name), stream=True)
    assert body_of(pieces) == body_of(chat(engine(), stream=True))
    assert len(pieces.steps) > 200


def test_a_proxy_s_error_page_is_not_json():
    script = chat(engine(), fault("html"))
    assert script.status == 502
    assert body_of(script).startswith(b"<html>")


def test_an_answer_can_be_empty_or_stay_away():
    empty = chat(engine(), fault("empty"))
    assert (empty.status, body_of(empty)) == (200, b"")
    assert chat(engine(), fault("close")).ending is Ending.UNANSWERED


def test_a_rule_fails_the_first_requests_of_its_models_only():
    asked = engine(rules=(Rule(model="gpt-*", fault="503", times=2),))
    assert [chat(asked).status for _ in range(3)] == [503, 503, 200]
    assert message(asked).status == 200


def test_a_rule_holds_between_two_requests():
    asked = engine(rules=(Rule(fault="503", from_request=2, to_request=3),))
    assert [chat(asked).status for _ in range(4)] == [200, 503, 503, 200]


def test_a_rule_holds_for_a_time_and_again_after_a_reset():
    clock = HandClock()
    asked = engine(clock, rules=(Rule(fault="503", from_s=10, to_s=20),))
    statuses = []
    for _ in range(4):
        statuses.append(chat(asked).status)
        clock.at_s += 8
    assert statuses == [200, 200, 503, 200]
    asked.reset()
    clock.at_s += 10
    assert chat(asked).status == 503


def test_a_rule_happens_with_its_probability_and_the_same_way_each_time():
    def statuses():
        asked = engine(rules=(Rule(fault="503", probability=0.3),))
        return [chat(asked).status for _ in range(200)]

    assert statuses() == statuses()
    assert 30 <= statuses().count(503) <= 90


def test_a_header_wins_over_a_rule():
    asked = engine(rules=(Rule(fault="503"),))
    assert chat(asked, fault("429")).status == 429


def test_the_pace_is_lognormal_seeded_and_steerable():
    pace = Pace(first_byte_ms=300, token_ms=20)
    steps = chat(engine(pace=pace), stream=True).steps
    again = chat(engine(pace=pace), stream=True).steps
    waits = sorted(step.wait_us for step in steps if step.tokens)
    assert [s.wait_us for s in steps] == [s.wait_us for s in again]
    assert 10_000 < waits[len(waits) // 2] < 40_000
    assert len(set(waits)) > len(waits) // 2
    exact = {"x-sim-first-byte-ms": "50", "x-sim-token-ms": "3"}
    steered = chat(engine(pace=pace), exact, stream=True).steps
    assert {step.wait_us for step in steered} == {0, 50_000, 3_000}


def test_a_whole_answer_takes_as_long_as_its_tokens():
    headers = {"x-sim-first-byte-ms": "50", "x-sim-token-ms": "3", "x-sim-output-tokens": "100"}
    (step,) = chat(engine(), headers).steps
    assert step.wait_us == 350_000


def test_a_rule_can_slow_one_model_down():
    asked = engine(rules=(Rule(model="o4-mini", pace=Pace(first_byte_ms=900, token_ms=0)),))
    assert chat(asked).steps[0].wait_us == 0
    assert chat(asked, model="o4-mini").steps[0].wait_us > 0


def test_an_unknown_header_is_told_with_all_those_there_are():
    with pytest.raises(BadSteering, match=r"Unknown header x-sim-fualt; known are .*x-sim-fault"):
        read_steering({b"x-sim-fualt": b"429"})
