"""A gateway in a process of its own, for clients that block."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager

# One that no call fits in, and one that runs out in the midst of a long stream.
SMALL_BUDGETS = """
[gateway]
budget_slice_tokens = 256
[[budget]]
name = "tiny"
scope = "feature=tiny"
amount_usd = "0.000001"
window = "day"
[[budget]]
name = "flow"
scope = "feature=flow"
amount_usd = "0.009"
window = "day"
"""


@contextmanager
def running_gateway(folder, upstream, *, retries=0, extra=""):
    """`farthing up` on a free port in front of `upstream`; gives its address.

    The providers' keys are not configured, so that the client's own pass through to them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "farthing.toml"
    config.write_text(
        f'[ledger]\ndata_dir = "{folder / "ledger"}"\ndrain_interval_ms = 50\n'
        f"[retry]\nretries_max = {retries}\nbackoff_s = 0.01\n"
        f'[providers.openai]\nbase_url = "{upstream}/v1"\napi_key_env = ""\n'
        f'[providers.anthropic]\nbase_url = "{upstream}"\napi_key_env = ""\n{extra}'
    )
    command = [sys.executable, "-m", "farthing", "--config", str(config), "up", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield re.search(r"http://127\.0\.0\.1:\d+", line).group()
        finally:
            process.terminate()
