"""A second opinion on requests per second, from wrk, where it is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess

from loopback import Site
from peers import program_environment, program_path
from steps import SERIAL, Step, request_bytes
from targets import Running

__all__ = ["wrk_rate"]

_STEP = Step(name="wrk", about="JSON, 2 kB, c=16", body_bytes=2_000, connections=16)


def wrk_rate(site: Site, target: Running) -> float | None:
    """Requests per second that wrk gets at 16 connections in three seconds; None without wrk.

    wrk cuts its last requests off, so this comes after all that counts requests.
    """
    program = program_path("wrk")
    if not program:
        return None
    site.set_manner(_STEP)
    request = request_bytes(_STEP, target.port, target.headers)
    head, _, body = request.decode().replace(SERIAL, "0" * len(SERIAL)).partition("\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.splitlines()[1:]]
    script = site.folder / "wrk.lua"
    text = [
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}"
        for name, value in lines
        if name not in {"host", "content-length"}  # wrk writes these itself
    ]
    text += ['wrk.method = "POST"', f"wrk.body = [==[{body}]==]"]
    script.write_text("\n".join(text))
    url = f"http://127.0.0.1:{target.port}/v1/chat/completions"
    load = ["-t", "1", "-c", str(_STEP.connections), "-d", "3s", "--timeout", "10s"]
    done = subprocess.run(
        [*site.pins.load(), program, *load, "-s", str(script), url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **program_environment()},
    )
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    return float(found[1]) if found and "Non-2xx" not in done.stdout else None
