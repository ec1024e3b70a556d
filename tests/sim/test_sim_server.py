"""The simulator on a socket, and its own endpoints."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sim_asking import CLOCK_S, USER, ask, body_of, chat, engine, json_of

from farthing.sim import INSTANT, SimSettings, Simulator, listen_unix, load_rules, read_rule
from farthing.sim.errors import BadRules

SETTINGS = SimSettings(pace=INSTANT, fixed_clock_s=CLOCK_S)


def request_bytes(fault="", **body):
    content = json.dumps({"model": "gpt-4o", "messages": USER, **body}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer k\r\n"
    head += f"x-sim-fault: {fault}\r\n" if fault else ""
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


async def exchange(simulator, *, fault="", until=None, **body):
    """What comes back for one request: up to `until`, or to the connection's end."""
    _, _, address = simulator.base_url.partition("//")
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_bytes(fault, **body))
    async with asyncio.timeout(10):
        data = await (reader.readuntil(until) if until else reader.read())
    writer.close()
    await writer.wait_closed()
    return data


async def eventually(condition):
    """Wait, bounded, until what another task does has happened."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def run(scenario, settings=SETTINGS):
    async def inside():
        async with Simulator(settings) as simulator:
            return await scenario(simulator)

    return asyncio.run(inside())


def test_a_stream_is_chunked_and_ends_properly():
    async def scenario(simulator):
        data = await exchange(simulator, until=b"0\r\n\r\n", stream=True)
        assert b"transfer-encoding: chunked" in data
        assert b"content-type: text/event-stream" in data
        assert b"data: [DONE]\n\n" in data
        (entry,) = simulator.log
        assert (entry.is_complete, entry.is_cancelled) == (True, False)
        assert entry.output_sent == entry.usage.completion_tokens

    run(scenario)


def test_a_cut_stream_breaks_off_after_what_was_sent():
    async def scenario(simulator):
        data = await exchange(simulator, fault="cut; after=4", stream=True)
        assert data.count(b"data: {") == 4
        assert not data.endswith(b"0\r\n\r\n")
        (entry,) = simulator.log
        assert (entry.fault, entry.output_sent) == ("cut", 3)

    run(scenario)


def test_a_connection_can_be_closed_without_an_answer():
    async def scenario(simulator):
        assert await exchange(simulator, fault="close") == b""

    run(scenario)


def test_a_client_that_leaves_is_logged_with_what_it_got():
    async def scenario(simulator):
        fault = "stall; after=6; seconds=600"
        await exchange(simulator, fault=fault, until=b"data: {", stream=True)
        (entry,) = simulator.log
        await eventually(lambda: entry.is_cancelled)
        assert not entry.is_complete
        assert 0 < entry.output_sent <= 5 < entry.usage.completion_tokens

    run(scenario)


def test_a_client_that_leaves_before_the_first_byte_got_nothing():
    async def scenario(simulator):
        _, _, address = simulator.base_url.partition("//")
        host, _, port = address.partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_bytes("slow_first_byte; seconds=600"))
        await eventually(lambda: simulator.log)
        writer.close()
        (entry,) = simulator.log
        await eventually(lambda: entry.is_cancelled)
        assert entry.output_sent == 0

    run(scenario)


def test_it_listens_on_a_unix_socket(tmp_path):
    async def scenario():
        path = tmp_path / "sim.sock"
        for _ in range(2):  # the second finds the first one's file
            async with Simulator(SETTINGS, sock=listen_unix(path)) as simulator:
                assert simulator.base_url == f"http+unix://{path}"
                reader, writer = await asyncio.open_unix_connection(str(path))
                writer.write(b"GET /sim/health HTTP/1.1\r\nhost: sim\r\n\r\n")
                assert b" 200 " in await reader.readline()
                writer.close()

    asyncio.run(scenario())


def test_the_log_can_be_read_in_part_and_line_by_line():
    asked = engine()
    for _ in range(3):
        chat(asked)
    entries = json_of(ask(asked, "/sim/log", method="GET"))
    assert [entry["number"] for entry in entries] == [1, 2, 3]
    assert {"at_us", "path", "status", "id", "request_id", "model", "usage"} <= set(entries[0])
    later = ask(asked, "/sim/log", method="GET", query="after=2&format=jsonl")
    assert [json.loads(line)["number"] for line in body_of(later).splitlines()] == [3]


def test_stats_add_up_and_a_reset_forgets():
    asked = engine()
    chat(asked)
    chat(asked, {"x-sim-fault": "503"})
    stats = json_of(ask(asked, "/sim/stats", method="GET"))
    assert stats["requests"] == 2
    assert stats["by_status"] == {"200": 1, "503": 1}
    assert stats["by_fault"] == {"503": 1}
    assert json_of(ask(asked, "/sim/reset")) == {"reset": True}
    assert json_of(ask(asked, "/sim/stats", method="GET"))["requests"] == 0
    assert ask(asked, "/sim/unknown", method="GET").status == 404


def test_rules_are_read_from_toml_json_and_a_line(tmp_path):
    toml = tmp_path / "rules.toml"
    toml.write_text('[[rule]]\nmodel = "gpt-*"\nfault = "429; retry_after=1"\ntimes = 3\n')
    as_json = tmp_path / "rules.json"
    as_json.write_text('{"rule": [{"model": "gpt-*", "fault": "429; retry_after=1", "times": 3}]}')
    (rule,) = load_rules(toml)
    assert load_rules(as_json) == (rule,)
    assert read_rule('model = "gpt-*", fault = "429; retry_after=1", times = 3') == rule


@pytest.mark.parametrize(
    "text", ['fault = "unheard-of"', "probability = 2", 'colour = "red"', 'style = "odd"', "= 1"]
)
def test_a_wrong_rule_is_refused(text, tmp_path):
    with pytest.raises(BadRules):
        read_rule(text)
    path = tmp_path / "rules.toml"
    path.write_text(f"[[rule]]\n{text}\n")
    with pytest.raises(BadRules, match=r"rules\.toml"):
        load_rules(path)


@pytest.fixture
def command():
    return [str(Path(sys.executable).with_name("farthing")), "sim", "--port", "0", "--instant"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_command_says_where_it_listens_and_ends_when_told(command, workers):
    with subprocess.Popen(
        [*command, "--workers", workers, "--rule", 'fault = "503"'],
        stdout=subprocess.PIPE,
        text=True,
    ) as sim:
        line = sim.stdout.readline()
        port = int(re.search(r"OPENAI_BASE_URL=http://127\.0\.0\.1:(\d+)/v1 ", line)[1])

        async def scenario():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request_bytes())
            status = await reader.readline()
            writer.close()
            return status

        assert b" 503 " in asyncio.run(scenario())
        sim.send_signal(signal.SIGTERM)
        assert sim.wait(10) == 0


def test_a_wrong_rule_on_the_command_line_is_bad_use(command):
    done = subprocess.run(
        [*command, "--rule", "fault = 3"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "Nothing was started" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--first-byte-ms", "-5"), ("--token-ms", "-1"), ("--port", "70000")]
)
def test_a_pace_or_a_port_that_cannot_be_is_refused(command, option, value):
    done = subprocess.run(
        [*command[:2], option, value], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr
