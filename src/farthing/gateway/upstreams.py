"""The providers as places to send to: address, credentials, headers, breaker."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from pathlib import Path

from farthing.call import Endpoint
from farthing.config import Config, ProviderSettings
from farthing.gateway.breaker import Breaker
from farthing.gateway.headers import Headers, first, for_provider
from farthing.gateway.inbound import Inbound
from farthing.wire import Client, ClientLimits, Origin, Response, Timeouts, request_head, trust

__all__ = ["Upstream", "make_upstreams"]

# The path below a base URL as SDKs take it: OpenAI's holds /v1, Anthropic's does not.
_PATHS: Mapping[Endpoint, str] = {
    Endpoint.OPENAI_CHAT: "/chat/completions",
    Endpoint.OPENAI_EMBEDDINGS: "/embeddings",
    Endpoint.ANTHROPIC_MESSAGES: "/v1/messages",
    Endpoint.ANTHROPIC_COUNT_TOKENS: "/v1/messages/count_tokens",
}
# Anthropic takes its API keys in x-api-key alone, and tokens of other kinds as bearers alone
# (https://docs.claude.com/en/api/overview, from memory, not checked against the page).
_ANTHROPIC_KEY = b"sk-ant-api"


class Upstream:
    """One configured provider."""

    def __init__(self, name: str, settings: ProviderSettings, config: Config, key: str) -> None:
        """Raises ConfigError: the base URL or the file of authorities can't be used."""
        self.name = name
        self.protocol = settings.protocol
        self.breaker = Breaker(config.breaker)
        self._own = self._credential(key.encode("latin-1")) if key else None
        self._output_limit = settings.output_limit
        self._client = Client(
            ClientLimits(connections_most=settings.connections_max),
            tls=trust(Path(settings.ca_file)) if settings.ca_file else None,
        )
        times = config.timeouts
        self._timeouts = Timeouts(
            connect_s=times.connect_s,
            first_byte_s=times.first_byte_s,
            idle_s=times.idle_s,
            total_s=times.total_s,
        )
        self._origin = Origin.parse(settings.base_url)
        self._targets = {e: self._origin.prefix + path for e, path in _PATHS.items()}

    def send(self, inbound: Inbound, model: str) -> Awaitable[Response]:
        """Send the call under the model name `model`; done when the answer's head is in."""
        body = inbound.codec.write_request(inbound.body, inbound.view, model)
        hold = inbound.settlement.hold
        if hold is not None and hold.output_limit:
            body = inbound.codec.limit_output(body, hold.output_limit, self._output_limit)
        heads = inbound.caller.heads
        head = heads.get(self.name) or heads.setdefault(self.name, self._head(inbound))
        return self._client.send_head(self._origin, head, body, self._timeouts)

    def _head(self, inbound: Inbound) -> bytes:
        """The head of all requests from callers with the same head."""
        caller = inbound.caller
        headers = for_provider(caller.headers, is_body_decoded=inbound.is_body_decoded)
        headers += self._authority(caller.headers, caller.credential)
        target = self._targets[inbound.call.endpoint] + caller.query
        return request_head(self._origin, "POST", target, headers)

    async def get(self, target: str, inbound_headers: Headers, credential: bytes) -> Response:
        """Fetch a listing, for example of models; nothing that is billed."""
        headers = for_provider(inbound_headers, is_body_decoded=False)
        headers += self._authority(inbound_headers, credential)
        return await self._client.send(
            self._origin, "GET", self._origin.prefix + target, headers, b"", self._timeouts
        )

    def close(self) -> None:
        """Drop all connections."""
        self._client.close()

    def _authority(self, headers: Headers, credential: bytes) -> Headers:
        """Our key for this provider, else the caller's `credential`, else nothing."""
        if self._own is not None:
            return [self._own]
        if not credential:
            return []
        given = first(headers, b"authorization")
        is_token = given is not None and not credential.startswith(_ANTHROPIC_KEY)
        if is_token and self.protocol == "anthropic":  # as an SDK's auth_token is sent
            return [(b"authorization", b"Bearer " + credential)]
        return [self._credential(credential)]

    def _credential(self, key: bytes) -> tuple[bytes, bytes]:
        if self.protocol == "anthropic":
            return (b"x-api-key", key)
        return (b"authorization", b"Bearer " + key)


def make_upstreams(config: Config, environ: Mapping[str, str]) -> dict[str, Upstream]:
    """All configured providers, by name; belongs to the running event loop."""
    return {
        name: Upstream(name, settings, config, settings.secret(environ).reveal())
        for name, settings in config.providers.items()
        if settings.base_url
    }
