"""The loop that drains: what keeps calls from being posted stands in the log."""

from __future__ import annotations

from fakes import Clock

from farthing.config import load_config
from farthing.gateway.drain import DrainLoop


class Steps:
    """A stop event that, each time the loop waits for it, takes the next step; then it is set."""

    def __init__(self, *steps):
        self._steps = list(steps)

    def is_set(self):
        return not self._steps

    def wait(self, seconds):
        del seconds
        self._steps.pop(0)()


def nothing():
    pass


def test_a_store_that_fails_is_told_once_and_so_is_its_return(tmp_path, caplog):
    store = tmp_path / "ledger.sqlite"
    store.write_text("this is no store")
    config = load_config({"ledger": {"data_dir": str(tmp_path)}}, {})
    loop = DrainLoop(config, Clock(), has_metrics=False)
    loop.run(Steps(nothing, nothing, store.unlink, nothing, nothing))
    told = [
        record.getMessage() for record in caplog.records if "could not be sealed" not in record.msg
    ]
    assert len(told) == 2
    assert told[0].startswith(
        f"calls wait in the journals: The ledger's store {store} is not usable"
    )
    assert told[1] == "calls are posted to the ledger's store again"


def test_a_store_that_works_is_no_news(tmp_path, caplog):
    config = load_config({"ledger": {"data_dir": str(tmp_path)}}, {})
    DrainLoop(config, Clock(), has_metrics=False).run(Steps(nothing, nothing))
    assert caplog.records == []
