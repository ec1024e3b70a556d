"""Configuration: `farthing.toml` and the environment, read once into frozen types."""

from farthing.config.faults import fault_in_words
from farthing.config.load import Config, load_config
from farthing.config.reference import write_reference
from farthing.config.settings import (
    BreakerSettings,
    GatewaySettings,
    ModelSettings,
    ProviderSettings,
    RetrySettings,
    Secret,
    TimeoutSettings,
)

__all__ = [
    "BreakerSettings",
    "Config",
    "GatewaySettings",
    "ModelSettings",
    "ProviderSettings",
    "RetrySettings",
    "Secret",
    "TimeoutSettings",
    "fault_in_words",
    "load_config",
    "write_reference",
]
