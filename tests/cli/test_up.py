"""`farthing up`: says where it listens, refuses what cannot work, ends in order."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading

import pytest
from commands import address, finished, running_in, started


def config(folder, upstream="http://127.0.0.1:9", extra=""):
    path = folder / "farthing.toml"
    path.write_text(
        f'[ledger]\ndata_dir = "{folder / "ledger"}"\ndrain_interval_ms = 50\n'
        f'[providers.openai]\nbase_url = "{upstream}/v1"\napi_key = "sk-x"\n{extra}'
    )
    return path


def connected(port):
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30))


def asked(port, method, path, body=None, **headers):
    """The status and the body of one request."""
    with connected(port) as link:
        link.request(method, path, body and json.dumps(body), headers)
        answer = link.getresponse()
        return answer.status, answer.read()


def test_it_says_where_to_point_sdks_and_which_keys_are_missing(tmp_path):
    config(tmp_path, extra='[providers.anthropic]\nbase_url = "http://127.0.0.1:9"\n')
    with started("up", "--port", "0", folder=tmp_path, ANTHROPIC_API_KEY="") as process:
        port = address(process)
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=30)
    assert f"base_url=http://127.0.0.1:{port}/v1" in lines[0]
    assert f"base_url=http://127.0.0.1:{port}" in lines[1]
    assert "/healthz" in lines[2]
    assert "anthropic: no API key in ANTHROPIC_API_KEY" in lines[3]
    assert (process.returncode, errors) == (0, "")
    assert "all calls are settled; goodbye" in rest
    assert running_in(tmp_path) == []


def test_every_fault_of_a_configuration_is_listed_with_the_nearest_key(tmp_path):
    (tmp_path / "farthing.toml").write_text(
        '[gateway]\nprot = 1\nworkers = "two"\n[ledgr]\nx = 1\n[retry]\nretries_max = -3\n'
        '[providers.openai]\napi_kye = "k"\n[[price]]\nmodel = "x"\ninptu = "3"\n'
    )
    found = finished("up", folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    for told in (
        "6 fault(s)",
        "`ledgr`; did you mean `ledger`?",
        "`gateway.prot`; did you mean `port`?",
        "gateway.workers: Expected `int`, got `str`",
        "retry.retries_max: Expected `int` >= 0",
        "`providers.openai.api_kye`; did you mean `api_key`?",
        "`price.1.inptu`; did you mean `input`?",
        "Nothing was started",
    ):
        assert told in found.stderr


def test_a_cache_whose_extra_is_missing_is_told_before_anything_starts(tmp_path):
    missing = tmp_path / "missing" / "cryptography"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ModuleNotFoundError(__name__)")
    config(tmp_path, extra='[cache]\nmode = "on"\n')
    found = finished("up", "--port", "0", folder=tmp_path, PYTHONPATH=str(missing.parent))
    assert (found.returncode, found.stdout) == (2, "")
    assert "Nothing was started. Install it with pip install 'farthing[cache]'" in found.stderr
    assert "Traceback" not in found.stderr


SEMANTIC = '[cache]\nmode = "on"\n[cache.semantic]\nmode = "shadow"\nembedder = "{}"\n'


@pytest.mark.parametrize(
    ("embedder", "told"),
    [
        ("mine:gone", "module 'mine' has no attribute 'gone'"),
        ("not_there:made", "No module named 'not_there'"),
        ("minilmm", "No module named 'minilmm'"),
        ("mine:half", "has no identity and no dimensions"),
        ("mine:nameless", "its identity is '' and no text"),
        (
            "mine:text",
            "what it gives is of type str and has no identity and no dimensions and no embed",
        ),
        ("needy:made", "Install that with pip install 'farthing[wordllama]'"),
        ("broken:made", "RuntimeError: no such GPU"),
        ("ends:made", "ended the process with code 7"),
    ],
)
def test_an_embedder_that_can_be_none_is_told_before_it_listens(embedder, told, tmp_path):
    (tmp_path / "mine.py").write_text(
        "class Half:\n    def embed(self, texts): ...\n"
        "class Nameless(Half):\n    identity, dimensions = '', 3\n"
        "half, nameless, text = Half(), Nameless(), 'minilm'\nprint('is imported')\n"
    )
    (tmp_path / "needy.py").write_text("raise ModuleNotFoundError('none', name='wordllama')")
    (tmp_path / "broken.py").write_text("raise RuntimeError('no such GPU')")
    (tmp_path / "ends.py").write_text("import os; os._exit(7)")
    config(tmp_path, extra=SEMANTIC.format(embedder))
    found = finished("up", "--port", "0", folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert f"cache.semantic.embedder is '{embedder}': " in found.stderr
    assert told in found.stderr
    assert "Nothing was started." in found.stderr
    assert "Traceback" not in found.stderr


def test_an_embedder_in_the_folder_that_it_is_started_in_is_found(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from farthing.levers.cache.semantic import SuppliedEmbedder\n"
        "def made(): return SuppliedEmbedder(lambda t: [[1.0]] * len(t), identity='m', dimensions=1)\n"
    )
    config(tmp_path, extra=SEMANTIC.format("mine:made"))
    with started("up", "--port", "0", folder=tmp_path) as process:
        status, _ = asked(address(process), "GET", "/healthz")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (status, process.returncode, errors) == (200, 0, "")


def test_what_makes_no_embedder_ends_the_first_worker_and_all_with_it(tmp_path):
    (tmp_path / "mine.py").write_text("def made(): return object()\n")
    config(tmp_path, extra=SEMANTIC.format("mine:made"))
    found = finished("up", "--port", "0", "--workers", "1", folder=tmp_path)
    assert found.returncode == 2
    assert (
        found.stderr.count("of type object and has no identity and no dimensions and no embed") == 1
    )
    assert "can't start by these settings" in found.stderr
    assert "Traceback" not in found.stderr
    assert running_in(tmp_path) == []


def test_a_port_in_use_is_told(tmp_path):
    config(tmp_path)
    with started("up", "--port", "0", folder=tmp_path) as first:
        found = finished("up", "--port", address(first), folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "Address already in use. Nothing was started." in found.stderr


def test_other_machines_are_served_only_where_there_are_keys(tmp_path):
    config(tmp_path)
    found = finished("up", "--host", "0.0.0.0", "--port", "0", folder=tmp_path)
    assert found.returncode == 2
    assert "there is no key yet. Nothing was started." in found.stderr


def test_it_serves_on_a_unix_socket_that_only_its_owner_can_open(tmp_path):
    config(tmp_path)
    path = tmp_path / "farthing.sock"
    with started("up", "--unix", path, folder=tmp_path) as process:
        assert f"unix socket {path}" in process.stdout.readline()
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(30)
            link.connect(str(path))
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert link.recv(100).startswith(b"HTTP/1.1 200 OK")
        found = finished("up", "--unix", path, folder=tmp_path)
        assert found.returncode == 2
        assert "Something listens on" in found.stderr


def test_a_socket_left_behind_is_taken_over_and_a_file_is_not(tmp_path):
    config(tmp_path)
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(left))
    with started("up", "--unix", left, folder=tmp_path) as process:
        assert f"unix socket {left}" in process.stdout.readline()
    (tmp_path / "notes.txt").write_text("mine")
    found = finished("up", "--unix", tmp_path / "notes.txt", folder=tmp_path)
    assert found.returncode == 2
    assert "is no socket" in found.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_balancer_may_ask_for_its_health_either_way(method, tmp_path):
    config(tmp_path)
    with started("up", "--port", "0", folder=tmp_path) as process:
        status, body = asked(address(process), method, "/healthz")
    assert status == 200
    assert (body == b"") == (method == "HEAD")


def test_running_streams_end_whole_before_it_does(tmp_path):
    """SIGTERM: no new connection is taken, the stream goes on to its last event and is posted."""
    with started("sim", "--port", "0", "--token-ms", "30", folder=tmp_path) as sim:
        config(tmp_path, f"http://127.0.0.1:{address(sim)}")
        with (
            started("up", "--port", "0", folder=tmp_path) as process,
            connected(address(process)) as link,
        ):
            body = {
                "model": "gpt-4o",
                "messages": [{"role": "user", "content": "Tell me a story"}],
                "max_tokens": 40,
                "stream": True,
            }
            link.request("POST", "/v1/chat/completions", json.dumps(body))
            answer = link.getresponse()
            begun = answer.read1(100)
            process.send_signal(signal.SIGTERM)
            whole = begun + answer.read()
            assert process.wait(30) == 0
    assert whole.endswith(b"data: [DONE]\n\n")
    found = json.loads(finished("report", "--by", "status", "--json", folder=tmp_path).stdout)
    assert found["statuses"] == {"ok": 1}
    assert found["output_tokens"] == 40


def test_workers_end_with_a_supervisor_that_was_killed(tmp_path):
    config(tmp_path)
    with started("up", "--port", "0", folder=tmp_path) as process:
        port = address(process)
        assert asked(port, "GET", "/healthz")[0] == 200
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        ended = threading.Event()
        for _ in range(300):
            if not running_in(tmp_path):
                break
            ended.wait(0.05)
        assert running_in(tmp_path) == []


def test_a_target_of_no_provider_is_told_before_it_listens(tmp_path):
    config(tmp_path, extra='[models.fast]\ntargets = ["nope/x"]\n')
    found = finished("up", "--port", "0", folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "models.fast: the target 'nope/x' must read provider/model" in found.stderr


def test_a_ledger_that_cannot_be_made_is_told_before_it_listens(tmp_path):
    found = finished("up", "--port", "0", folder=tmp_path, FARTHING_DATA_DIR="/proc/none")
    assert (found.returncode, found.stdout) == (2, "")
    assert "can't be made: No such file or directory. Nothing was started." in found.stderr


def test_keys_that_cannot_be_read_are_told_before_it_listens(tmp_path):
    config(tmp_path)
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "keys.json").write_text('{"keys":')
    found = finished("up", "--port", "0", folder=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "keys.json can't be read as keys" in found.stderr
    assert "gave up" not in found.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_ledger_that_cannot_be_written_is_told_before_it_listens(tmp_path):
    (tmp_path / "ledger" / "journal").mkdir(parents=True)
    (tmp_path / "ledger").chmod(0o555)
    found = finished("up", "--port", "0", folder=tmp_path, FARTHING_DATA_DIR="ledger")
    assert (found.returncode, found.stdout) == (2, "")
    assert "Nothing can be written to the ledger's folder ledger" in found.stderr
