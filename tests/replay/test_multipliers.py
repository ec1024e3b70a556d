"""The hidden multipliers of sessions that were counted by hand, through a running gateway."""

from __future__ import annotations

import contextlib
import http.client
import json

import pytest
from commands import address, finished, started


def asked(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def a_step(number):
    """A tool that was called, and what it gave."""
    use = {"type": "tool_use", "id": f"t{number}", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "ok"}
    return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]


def calls():
    """What is sent: (path, model, messages, attribution)."""
    chat = {"feature": "chat", "session": "s1", "env": "prod"}
    second = [asked("q1"), said("a1"), asked("q2")]
    turns = [[asked("q1")], second, second, second, [*second, said("a2"), asked("q3")]]
    for messages in turns:  # three turns, the second one asked for three times
        yield "/v1/chat/completions", "gpt-4o-mini", messages, chat
    only = {"feature": "chat", "session": "s2", "env": "dev"}
    yield "/v1/chat/completions", "gpt-4o-mini", [asked("only")], only
    agent = {"feature": "agent", "session": "s3", "trace": "t1", "env": "prod"}
    messages = [asked("do it")]
    for number in range(4):  # one question, four steps: no regeneration
        yield "/v1/messages", "claude-sonnet-4-5", list(messages), agent
        messages += a_step(number)
    loose = {"feature": "agent", "trace": "t2", "env": "prod"}
    yield "/v1/chat/completions", "gpt-4.1", [asked("x")], loose  # by a provider priced as another
    yield "/v1/chat/completions", "gpt-4.1", [asked("x"), said("y"), asked("z")], loose
    yield "/v1/chat/completions", "gpt-4o-mini", [asked("nobody's")], {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder whose ledger holds these calls."""
    made = tmp_path_factory.mktemp("sessions")
    with started("sim", "--port", "0", "--instant", folder=made) as sim:
        base = f"http://127.0.0.1:{address(sim)}"
        (made / "farthing.toml").write_text(
            f"[ledger]\ndrain_interval_ms = 50\n"
            f'[providers.openai]\nbase_url = "{base}/v1"\napi_key = "sk-x"\n'
            f'[providers.anthropic]\nbase_url = "{base}"\napi_key = "sk-x"\n'
            f'[providers.corp]\nbase_url = "{base}/v1"\napi_key = "sk-x"\n'
            f'price_as = "openai"\nmodels = ["gpt-4.1*"]\n'
        )
        with (
            started("up", "--port", "0", folder=made) as gateway,
            contextlib.closing(
                http.client.HTTPConnection("127.0.0.1", address(gateway), timeout=30)
            ) as link,
        ):
            for path, model, messages, attribution in calls():
                body = {"model": model, "messages": messages, "max_tokens": 20}
                headers = {f"x-farthing-{name}": value for name, value in attribution.items()}
                if path == "/v1/messages":
                    headers["anthropic-version"] = "2023-06-01"
                link.request("POST", path, json.dumps(body), headers)
                answer = link.getresponse()
                answered = answer.read()
                assert answer.status == 200, answered
    return made


def document(folder, *arguments):
    found = finished(*arguments, "--json", folder=folder)
    assert (found.returncode, found.stderr) == (0, "")
    return json.loads(found.stdout)


def test_regenerations_steps_and_turns_are_those_counted_by_hand(folder):
    told = document(folder, "report")["multipliers"]
    # s1 asked three questions with five calls, s2 one, s3 one in four steps that all differ.
    assert told["regenerations"] == {"calls": 10, "distinct": 8, "ratio": 1.25}
    assert told["steps_per_trace"] == {"calls": 6, "traces": 2, "ratio": 3.0}
    assert told["turns_per_session"] == {"turns": 5, "sessions": 3, "ratio": 5 / 3}
    assert set(told["environments"]) == {"dev", "prod", "unattributed"}


def test_every_breakdown_adds_up_to_the_total(folder):
    whole = document(folder, "report")
    for by in ("feature", "model,provider", "session,trace", "environment", "user", "day"):
        found = document(folder, "report", "--by", by)
        for name in ("calls", "input_tokens", "output_tokens"):
            assert sum(row[name] for row in found["rows"]) == whole[name], (by, name)
        nanodollars = [round(float(row["cost_usd"]) * 1e9) for row in found["rows"]]
        assert sum(nanodollars) == round(float(whole["total_usd"]) * 1e9), by


def test_repricing_at_the_same_date_is_the_identity(folder):
    found = document(folder, "reprice")
    assert found["booked_usd"] == found["repriced_usd"] != "0.00"
    assert found["difference_usd"] == "0.00"
    assert {row["unpriced_now"] for row in found["rows"]} == {0}
    assert "corp" in {row["provider"] for row in found["rows"]}


def test_a_call_is_shown_down_to_lines_that_add_up(folder):
    for call in document(folder, "calls", "--top", "100")["calls"]:
        shown = document(folder, "calls", "show", call["id"])
        for attempt in shown["tries"]:
            assert attempt["lines_match"] is True
            assert attempt["lines"]
            assert attempt["card_id"]
            assert attempt["card"]["source"].startswith(
                ("https://", "model-prices", "genai-prices")
            )


def test_another_model_costs_what_its_card_says(folder):
    """gpt-4o is 2.5 and 10 where gpt-4o-mini is 0.15 and 0.6 a million: 16 2/3 times as much."""
    found = document(folder, "reprice", "--model", "gpt-4o-mini=gpt-4o")
    (row,) = (row for row in found["rows"] if row["model"] == "gpt-4o-mini")
    booked, repriced = (round(float(row[name]) * 1e9) for name in ("booked_usd", "repriced_usd"))
    assert repriced * 3 == booked * 50


@pytest.mark.parametrize("form", ["csv", "parquet", "focus"])
def test_an_export_holds_each_attempt_or_its_sum(form, folder, tmp_path):
    told = document(folder, "export", "--format", form, "--out", tmp_path / "out")
    assert told["rows"] > 0
    assert (tmp_path / "out").stat().st_size > 0
