"""The pages beside the metered endpoints: health, metrics, a call by its id, the models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import msgspec

from farthing.clock import Clock
from farthing.codecs import add_models, keep_models, write_models
from farthing.errors import CallerError
from farthing.evidence.store import EvidenceStore
from farthing.gateway.budget_pages import BudgetPages, NotAdministrator
from farthing.gateway.desk import Desk
from farthing.gateway.engine import NoSuchPage, Page
from farthing.gateway.feedback import FeedbackDesk
from farthing.gateway.headers import first, for_client
from farthing.gateway.identify import check_model, identify, is_allowed
from farthing.gateway.keyring import KeyRing, VirtualKey
from farthing.gateway.metrics import write_metrics
from farthing.gateway.targets import Targets
from farthing.gateway.upstreams import Upstream
from farthing.gateway.vitals import WorkerVitals, read_drainer, read_workers
from farthing.ledger import Entry, Ledger, LedgerMissing, StoreState
from farthing.wire import Reply, Request

__all__ = ["Pages"]

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_SILENT_US = 5_000_000


class UnknownCall(CallerError):
    """No such call for this caller."""

    code = "unknown_call"
    status = 404


class Pages:
    """What the gateway answers itself."""

    def __init__(  # noqa: PLR0913 - wired once, at start
        self,
        *,
        directory: Path,
        ring: KeyRing,
        desk: Desk,
        upstreams: Mapping[str, Upstream],
        targets: Targets,
        clock: Clock,
        vitals: Callable[[], WorkerVitals],
        budgets: BudgetPages,
        evidence: EvidenceStore,
        virtual: Sequence[str] = (),
    ) -> None:
        """`virtual` are the models that lead to a pool."""
        self._virtual = tuple(virtual)
        self._budgets = budgets
        self.feedback = FeedbackDesk(evidence, self._found, clock)
        self._directory = directory
        self._run = directory / "run"
        self._ring = ring
        self._desk = desk
        self._upstreams = upstreams
        self._targets = targets
        self._clock = clock
        self._vitals = vitals

    def table(self) -> dict[tuple[str, str], Page]:
        """The pages by method and first part of the path."""
        return {
            ("GET", "/healthz"): self.healthz,
            ("HEAD", "/healthz"): self.healthz,  # as balancers ask
            ("GET", "/metrics"): self.metrics,
            ("GET", "/api"): self.api,
            ("PUT", "/api"): self.api,
            ("DELETE", "/api"): self.api,
            ("POST", "/feedback"): self.take_feedback,
            ("GET", "/v1"): self.models,
            ("GET", "/openai"): self.models,
            ("GET", "/anthropic"): self.models,
        }

    async def healthz(self, request: Request) -> Reply:
        """200 while calls are served; `degraded` tells that the store is behind or away."""
        del request
        status = read_drainer(self._run)
        now_us = self._clock.now_us()
        store = "unknown" if status is None else status.store.value
        is_silent = status is None or now_us - status.at_us > _SILENT_US
        is_well = store == StoreState.OK.value and not is_silent
        return _json(
            {
                "status": "ok" if is_well else "degraded",
                "store": store,
                "drainer": "silent" if is_silent else "running",
                "spooled_bytes": 0 if status is None else status.lag_bytes,
                "calls_running": self._desk.running,
                "breakers": {n: u.breaker.state.value for n, u in self._upstreams.items()},
            }
        )

    async def metrics(self, request: Request) -> Reply:
        """Prometheus text: counters from the ledger's drainer, gauges from every worker."""
        if self._tenant(request) is not None:
            raise NotAdministrator(
                "The metrics are over all tenants, and this key may not see them. Make one that may "
                "with `farthing keys create --admin`."
            )
        own = self._vitals()
        others = [vitals for vitals in read_workers(self._run) if vitals.slot != own.slot]
        body = write_metrics(self._run, [own, *others], read_drainer(self._run))
        return Reply(status=200, headers=[_TEXT], body=body)

    async def api(self, request: Request) -> Reply:
        """`/api/calls/ID` and `/api/budgets`."""
        if request.path.split("/")[2:3] == ["budgets"]:
            act = {"GET": self._budgets.get, "PUT": self._budgets.put}
            return await act.get(request.method, self._budgets.delete)(request)
        if request.method != "GET":
            raise NoSuchPage(f"There is no {request.method} {request.path}. Nothing was changed.")
        return await self.call(request)

    async def call(self, request: Request) -> Reply:
        """`/api/calls/ID`: one call as it stands in the ledger."""
        tenant = self._tenant(request)
        parts = request.path.strip("/").split("/")
        if len(parts) != 3 or parts[1] != "calls":
            raise NoSuchPage(
                f"There is no page {request.path} here. Try /api/calls/ID or /api/budgets."
            )
        entry = await self._found(parts[2])
        if entry is None or (tenant is not None and entry.attribution.tenant != tenant):
            raise UnknownCall(
                f"There is no call {parts[2]} in the ledger, or it is another tenant's. Nothing "
                "was changed. A call appears here once it has ended."
            )
        told = msgspec.to_builtins(entry) | {
            "cost_usd": None if entry.unpriced else str(entry.cost),
            "baseline_usd": None if entry.baseline is None else str(entry.baseline),
        }
        return _json(told)

    async def take_feedback(self, request: Request) -> Reply:
        """`/feedback`: what people say of a call of their own tenant."""
        tenant = self._tenant(request)
        if request.path.rstrip("/") != "/feedback":
            raise NoSuchPage(f"There is no POST {request.path} here. Try /feedback.")
        return await self.feedback.take(request, tenant)

    async def models(self, request: Request) -> Reply:
        """`/v1/models`: the provider's own list; a key that is limited sees its models only."""
        prefix, _, path = request.target.partition("/v1/")
        if path.partition("?")[0].partition("/")[0] != "models":
            raise NoSuchPage(f"There is no GET {request.path} here. Nothing was sent.")
        identity = identify(request.named, self._ring)
        is_anthropic = prefix == "/anthropic" or (
            first(request.headers, b"anthropic-version") is not None
        )
        protocol = "anthropic" if is_anthropic else "openai"
        asked = unquote(path.partition("?")[0].strip("/").partition("/")[2])
        allowed = identity.key.models if identity.key is not None else ()
        if asked:
            check_model(identity.key, asked)
        elif allowed and not any(map(_is_pattern, allowed)):
            names = [*allowed, *self._virtual]
            return Reply(status=200, headers=[_JSON], body=write_models(protocol, names))
        upstream = next((u for u in self._upstreams.values() if u.protocol == protocol), None)
        if upstream is None:
            names = [*self._targets.aliases, *self._virtual]
            return Reply(status=200, headers=[_JSON], body=write_models(protocol, names))
        below = f"/v1/{path}" if is_anthropic else f"/{path}"
        response = await upstream.get(below, request.headers, identity.passed_on)
        body = await response.read(16_777_216)
        if response.status == 200 and not asked:
            body = self._listed(protocol, body, identity.key)
        return Reply(status=response.status, headers=for_client(response.headers), body=body)

    def _listed(
        self, protocol: Literal["openai", "anthropic"], body: bytes, key: VirtualKey | None
    ) -> bytes:
        """A provider's list as the holder of `key` sees it: what it may use, and our own names."""
        ours = list(self._virtual)
        if key is not None and key.models:
            named = [model for model in key.models if not _is_pattern(model)]
            body = keep_models(body, lambda m: m not in named and is_allowed(key, m))
            ours += named
        return add_models(protocol, body, ours) if ours else body

    async def _found(self, call_id: str) -> Entry | None:
        """A call that has ended, at this worker or in the ledger."""
        return self._desk.recent(call_id) or await asyncio.to_thread(self._stored, call_id)

    def _stored(self, call_id: str) -> Entry | None:
        try:
            with Ledger.open(self._directory) as ledger:
                return ledger.call(call_id)
        except LedgerMissing:
            return None

    def _tenant(self, request: Request) -> str | None:
        """The tenant the caller is limited to; None: it sees all.

        A caller's address says nothing once keys exist: a proxy on this machine speaks for others.

        Raises:
            BadKey: keys exist, and it came with none of them.
        """
        key = identify(request.named, self._ring).key
        return None if key is None or key.may_administer else key.tenant


def _is_pattern(model: str) -> bool:
    return bool(set(model) & set("*?["))


def _json(document: object) -> Reply:
    return Reply(status=200, headers=[_JSON], body=msgspec.json.encode(document))
