"""Can a budget of $1 be overspent by 128 streams at once over four workers, and how much is usable?

    python bench/overshoot.py          20 runs of each scene
    QUICK=1 python bench/overshoot.py  2 runs of each scene, about three minutes
    SCENES="plain after" python ...    only these; there are plain, after, killed and rolling

128 clients ask for streams through `farthing up` with four workers, from the simulator, without
max_tokens, until the budget is exceeded. Scenes: as it is; with all workers killed (SIGKILL) one
after another while it runs; across the rolls of a rolling minute, checked at each of its positions;
and for comparison the same load where spending is counted after the fact: each client looks at one
exact counter before it asks, and adds what its stream cost when it has ended. That counter is in
one process and costs no time, so it flatters that method.

Spent is what the store committed; before it is given it is compared with the sum of the ledger's
entries, and nothing may be leased any more. The last line printed is one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from farthing.budgets import Account, SqliteBudgets
from farthing.ledger import Ledger
from farthing.money import Money
from loopback import free_port, get, stop
from machine import machine_facts, tree
from streams import Crowd, Seen

QUICK = os.environ.get("QUICK") == "1"
RUNS = 2 if QUICK else 20
ROLL_S = 75 if QUICK else 150
FILLED_S = 25  # by then the first window is spent
CLIENTS, WORKERS = 128, 4
MODEL = "gpt-4-turbo"  # $10 and $30 a million tokens
LIMIT = Money.usd("1")
CONFIG = """
[gateway]
port = {port}
workers = {workers}
stream_cost = "always"
[ledger]
data_dir = "{folder}/ledger"
drain_interval_ms = 100
[providers.openai]
base_url = "http://127.0.0.1:{provider}/v1"
api_key = "sk-sim"
[[budget]]
name = "run"
scope = "feature=run session=*"
amount_usd = "1"
window = "lifetime"
[[budget]]
name = "rolling"
scope = "feature=rolling"
amount_usd = "1"
window = "1m"
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run: nanodollars spent beyond the limit, and the share of it that was spent.

    `is_full`: there was time to spend all of it.
    """

    overshoot_nanodollars: int
    usable_share: float
    is_full: bool
    seen: Seen


class Bench:
    """A simulator and a gateway, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, provider = free_port(), free_port()
        text = CONFIG.format(port=self.port, workers=WORKERS, folder=folder, provider=provider)
        config = folder / "farthing.toml"
        config.write_text(text)
        farthing = [sys.executable, "-m", "farthing"]
        pace = ["--first-byte-ms", "5", "--token-ms", "1"]
        self._log = (folder / "log").open("wb")
        self._sim = self._begun([*farthing, "sim", "--port", str(provider), *pace])
        self.gateway = self._begun([*farthing, "--config", str(config), "up"])
        _until(lambda: _answers(provider, "/v1/models") and _answers(self.port, "/healthz"))

    def close(self) -> None:
        """Stop both."""
        stop(self.gateway)
        stop(self._sim)
        self._log.close()

    def kill_a_worker(self, random: Random) -> None:
        """SIGKILL one of the gateway's workers; the supervisor starts another."""
        workers = [pid for pid in tree(self.gateway.pid) if _is_worker(pid)]
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)

    def accounts(self, budget: str, key: str = "") -> list[Account]:
        """The accounts of a budget, once nothing of them is leased any more."""
        store = SqliteBudgets(self.folder / "ledger")
        found: list[Account] = []

        def is_at_rest() -> bool:
            now_us = time.time_ns() // 1000
            found[:] = [a for a in store.accounts(now_us, budget) if key in ("", a.key)]
            return bool(found) and not any(account.leased for account in found)

        try:
            _until(is_at_rest, 90)
        finally:
            store.close()
        return found

    def booked(self) -> Counter[str]:
        """Nanodollars of the ledger's entries, by feature and session."""
        sums: Counter[str] = Counter()
        with Ledger.open(self.folder / "ledger") as ledger:
            for entry in ledger.entries():
                whom = entry.attribution
                sums[f"feature={whom.feature} session={whom.session}"] += entry.cost.nanodollars
        return sums

    def _begun(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=self._log, stderr=self._log)


def one_run(bench: Bench, number: int, *, is_killed: bool) -> Result:
    """Until the budget of this run's session is exceeded."""
    name = f"{'killed' if is_killed else 'plain'}-{number}"
    headers = {"x-farthing-feature": "run", "x-farthing-session": name}
    crowd = Crowd(
        port=bench.port, model=MODEL, headers=headers, clients=CLIENTS, random=Random(number)
    )

    async def played() -> Seen:
        running = asyncio.create_task(crowd.run())
        random = Random(number)
        while is_killed and not running.done():
            await asyncio.wait({running}, timeout=1.0)
            if not running.done():
                bench.kill_a_worker(random)
        return await running

    seen = asyncio.run(played())
    (account,) = bench.accounts("run", f"feature=run session={name}")
    return _judged(account.committed.nanodollars, seen)


def rolling_run(bench: Bench) -> list[Result]:
    """The load goes on over several minutes; one result for each position of the window."""
    crowd = Crowd(
        port=bench.port,
        model=MODEL,
        headers={"x-farthing-feature": "rolling"},
        clients=CLIENTS,
        random=Random(1),
        ends_at=time.monotonic() + ROLL_S,
    )
    spans: dict[str, Account] = {}
    store = SqliteBudgets(bench.folder / "ledger")

    async def watched() -> Seen:
        running = asyncio.create_task(crowd.run())
        while not running.done():
            await asyncio.wait({running}, timeout=5.0)
            for account in store.accounts(time.time_ns() // 1000, "rolling"):
                spans[account.id] = account
        return await running

    seen = asyncio.run(watched())
    spans |= {account.id: account for account in bench.accounts("rolling")}
    store.close()
    _check(spans.values(), bench.booked()["feature=rolling session="])
    began_us = min(account.span.start_us for account in spans.values())
    found: list[Result] = []
    for last in spans.values():
        inside = [
            one.committed.nanodollars
            for one in spans.values()
            if one.span.start_us <= last.span.start_us < one.span.counts_until_us
        ]
        is_full = last.span.start_us >= began_us + FILLED_S * 1_000_000
        found.append(_judged(sum(inside), seen, is_full=is_full))
    return found


def counted_after(bench: Bench, number: int) -> Result:
    """The same load, where each stream is counted once it has ended."""
    spent = [0.0]
    limit = LIMIT.nanodollars / 1e9

    def heard(cost: float) -> None:
        spent[0] += cost

    crowd = Crowd(
        port=bench.port,
        model=MODEL,
        headers={"x-farthing-feature": "after"},
        clients=CLIENTS,
        random=Random(number),
        may_ask=lambda: spent[0] < limit,
        heard=heard,
    )
    seen = asyncio.run(crowd.run())
    return _judged(round(spent[0] * 1e9), seen)


def _judged(spent: int, seen: Seen, *, is_full: bool = True) -> Result:
    limit = LIMIT.nanodollars
    return Result(
        overshoot_nanodollars=max(0, spent - limit),
        usable_share=spent / limit,
        is_full=is_full,
        seen=seen,
    )


def _check(accounts: Iterable[Account], booked: int) -> None:
    """Raises AssertionError: committed is not the sum of the ledger's entries."""
    committed = sum(account.committed.nanodollars for account in accounts)
    if committed != booked:
        raise AssertionError(f"committed {committed} n$ differs from the entries' {booked} n$")


def _is_worker(pid: int) -> bool:
    try:
        return b"farthing.gateway.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _answers(port: int, path: str) -> bool:
    try:
        return get(port, path)[0] in (200, 401)
    except OSError:
        return False


def _until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"not so after {seconds} s")
        time.sleep(0.1)


def _summary(results: list[Result]) -> dict[str, Any]:
    shares = sorted(result.usable_share for result in results if result.is_full)
    worst = max(result.overshoot_nanodollars for result in results)
    one = results[0].seen
    return {
        "runs": len(results),
        "overshoot_nanodollars_most": worst,
        "overshoot_share_most": worst / LIMIT.nanodollars,
        "overshoot_share_median": statistics.median(
            result.overshoot_nanodollars / LIMIT.nanodollars for result in results
        ),
        "usable_share_least": shares[0],
        "usable_share_median": statistics.median(shares),
        "first_run": asdict(one),
    }


STRICT = ("plain", "killed", "rolling")
SCENES: dict[str, Callable[[Bench, int], Result]] = {
    "plain": lambda bench, number: one_run(bench, number, is_killed=False),
    "after": counted_after,
    "killed": lambda bench, number: one_run(bench, number, is_killed=True),
}
WANTED = os.environ.get("SCENES", "plain after killed rolling").split()


def main() -> int:
    """Play all scenes; exit 1 if a budget was overspent."""
    found: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory(prefix="farthing-overshoot-") as folder:
        bench = Bench(Path(folder))
        try:
            for name, play in SCENES.items():
                for number in range(RUNS if name in WANTED else 0):
                    result = play(bench, number)
                    found.setdefault(name, []).append(result)
                    _say(name, result)
            booked = bench.booked()
            for account in bench.accounts("run") if {"plain", "killed"} & found.keys() else ():
                _check([account], booked[account.key])
            if "rolling" in WANTED:
                found["rolling"] = rolling_run(bench)
                _say("rolling", found["rolling"][-1])
        finally:
            bench.close()
            if os.environ.get("KEEP_LOG"):
                Path(os.environ["KEEP_LOG"]).write_bytes((Path(folder) / "log").read_bytes())
    summary = {name: _summary(results) for name, results in found.items()}
    print(_table(summary))
    print(json.dumps({"machine": machine_facts(), "clients": CLIENTS, "scenes": summary}))
    strict = [found[name] for name in STRICT if name in found]
    return int(any(r.overshoot_nanodollars for results in strict for r in results))


def _say(name: str, result: Result) -> None:
    over, share = result.overshoot_nanodollars, result.usable_share
    print(
        f"{name}: over by {over:,} n$, used {share:.2%}, {result.seen}", file=sys.stderr, flush=True
    )


def _table(summary: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| scene | runs | most over the limit | median over it | least used | median used |",
        "|---|---|---|---|---|---|",
    ]
    for name, scene in summary.items():
        lines.append(
            f"| {name} | {scene['runs']} | {scene['overshoot_nanodollars_most']:,} n$"
            f" ({scene['overshoot_share_most']:.2%}) | {scene['overshoot_share_median']:.2%}"
            f" | {scene['usable_share_least']:.2%} | {scene['usable_share_median']:.2%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
