"""The settings of the gateway; each key says its unit in its name and its meaning in its type."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from farthing.secret import Secret

__all__ = [
    "BreakerSettings",
    "GatewaySettings",
    "ModelSettings",
    "ProviderSettings",
    "RetrySettings",
    "Secret",
    "TimeoutSettings",
]

# What a browser sends of a page: small letters, no path, no port that goes without saying; other
# schemes are those of browser extensions and of apps that show pages.
_ORIGIN = re.compile(
    r"(?!https://.*:443$|http://.*:80$)https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?"
    r"|(?!https?:)[a-z][a-z0-9+.-]*://[^\s/?#@*]+"
)


class GatewaySettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The server: where it listens, how large a request may be, what it adds to answers."""

    host: Annotated[
        str, Meta(description="Address to listen on; other than loopback needs at least one key.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 picks a free one.")] = 4000
    unix: Annotated[str, Meta(description="Path of a unix socket to listen on instead.")] = ""
    workers: Annotated[
        int, Meta(ge=1, le=256, description="Worker processes, each with its own journal.")
    ] = 1
    browser_origins: Annotated[
        list[str],
        Meta(
            description="Origins of web pages that may call from a browser, such as "
            '`["https://app.example"]`; `*`: all. Without keys a page of another origin is refused.'
        ),
    ] = []
    body_bytes_max: Annotated[
        int, Meta(ge=1024, description="Largest request body; above it the answer is 413.")
    ] = 104_857_600
    answer_bytes_max: Annotated[
        int, Meta(ge=1024, description="Largest unstreamed answer taken from a provider.")
    ] = 268_435_456
    drain_s: Annotated[
        float, Meta(ge=0, description="How long running calls may finish after SIGTERM.")
    ] = 30.0
    environment: Annotated[
        str, Meta(description="Environment of calls that name none, for example `prod`.")
    ] = ""
    stream_cost: Annotated[
        Literal["auto", "always", "never"],
        Meta(
            description="Whether a stream ends with an SSE comment that tells its cost; `auto`: "
            "for clients that sent an x-farthing header, so that all others get the provider's bytes."
        ),
    ] = "auto"
    reserve_output_tokens: Annotated[
        int,
        Meta(ge=1, description="Output assumed for a lost call that set no maximum of its own."),
    ] = 4096
    budget_output_tokens: Annotated[
        int,
        Meta(
            ge=64,
            description="Under a budget: the limit on output given to an unstreamed chat that "
            "names none, so that what it may cost is known.",
        ),
    ] = 16_384
    budget_slice_tokens: Annotated[
        int,
        Meta(
            ge=64,
            description="Under a budget: output paid for at a time while a stream that names no "
            "limit flows.",
        ),
    ] = 1024

    def __post_init__(self) -> None:
        for origin in self.browser_origins:
            if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin.rstrip("/")):
                raise ValueError(
                    f"browser_origins: {origin!r} is no origin; write it as a browser sends it, in "
                    'small letters and without a path, like "https://app.example" or '
                    '"http://localhost:3000" (443 for https and 80 for http left out), or "*" for '
                    "all pages"
                )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect: a unix socket, or a loopback address."""
        if self.unix or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class TimeoutSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How long a provider may take."""

    connect_s: Annotated[float, Meta(gt=0, description="TCP and TLS set-up.")] = 5.0
    first_byte_s: Annotated[
        float, Meta(gt=0, description="From the request sent to the answer's first byte.")
    ] = 600.0
    idle_s: Annotated[float, Meta(gt=0, description="Between two reads of an answer.")] = 300.0
    total_s: Annotated[float, Meta(gt=0, description="From start to end of one try.")] = 3600.0


class RetrySettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Retries; Farthing owns them, and tells SDKs not to add their own once it gave up."""

    retries_max: Annotated[
        int, Meta(ge=0, le=10, description="Further tries at the same target.")
    ] = 2
    backoff_s: Annotated[
        float, Meta(ge=0, description="Wait before the first retry; doubles, with jitter.")
    ] = 0.5
    wait_s_max: Annotated[
        float,
        Meta(ge=0, description="Longest wait; a longer Retry-After goes to the client instead."),
    ] = 8.0
    retry_ambiguous: Annotated[
        bool,
        Meta(
            description="Also retry a call that the provider may have run (it would be billed twice)."
        ),
    ] = False


class BreakerSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The circuit breaker of each provider; errors that the client caused never trip it."""

    failures: Annotated[
        int, Meta(ge=1, description="Failures in a row that take a provider out.")
    ] = 5
    open_s: Annotated[float, Meta(gt=0, description="How long it stays out before one probe.")] = (
        15.0
    )


class ProviderSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One upstream: any base URL that speaks OpenAI's or Anthropic's protocol."""

    protocol: Annotated[
        Literal["openai", "anthropic"], Meta(description="The wire format it speaks.")
    ] = "openai"
    base_url: Annotated[
        str, Meta(description="As an SDK takes it: OpenAI's with /v1, Anthropic's without.")
    ] = ""
    api_key_env: Annotated[
        str, Meta(description="Environment variable that holds its API key.")
    ] = ""
    api_key: Annotated[
        str, Meta(description="The API key itself; prefer api_key_env.", extra={"secret": True})
    ] = ""
    price_as: Annotated[
        str, Meta(description="Provider name in the price book; empty: this provider's name.")
    ] = ""
    models: Annotated[
        list[str], Meta(description="Models it is the target for; shell patterns allowed.")
    ] = []
    output_limit: Annotated[
        Literal["max_completion_tokens", "max_tokens"],
        Meta(
            description="The member by which its chats limit their output; older hosts know "
            "`max_tokens` only."
        ),
    ] = "max_completion_tokens"
    ca_file: Annotated[str, Meta(description="PEM file of certificate authorities to trust.")] = ""
    connections_max: Annotated[
        int, Meta(ge=1, description="Open connections a worker may hold to it.")
    ] = 1024

    def secret(self, environ: Mapping[str, str]) -> Secret:
        """The API key: from the variable named, else from the file; empty where there is none."""
        return Secret(environ.get(self.api_key_env, "") or self.api_key)


class ModelSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A model name of your own and where it goes."""

    targets: Annotated[
        list[str],
        Meta(
            min_length=1,
            description="`provider/model`, in order; the next is tried before the first byte.",
        ),
    ]
