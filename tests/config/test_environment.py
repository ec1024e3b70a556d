"""Variables that begin with our prefix: a mistyped one is refused, what is no mistake passes."""

from __future__ import annotations

import pytest

from farthing.config import load_config
from farthing.errors import ConfigError


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("FARTHING_GATEWAY_PROT", "FARTHING_GATEWAY_PORT"),
        ("FARTHING_GATEWAY_WORKER", "FARTHING_GATEWAY_WORKERS"),
        ("FARTHING_LEDGER_DATADIR", "FARTHING_LEDGER_DATA_DIR"),
        ("FARTHING_DATADIR", "FARTHING_DATA_DIR"),
        ("FARTHING_PROVIDERS_OPENAI_BASEURL", "FARTHING_PROVIDERS_OPENAI_BASE_URL"),
        ("FARTHING_ROUTE_SECRETE", "FARTHING_ROUTE_SECRET"),
    ],
)
def test_a_mistyped_variable_is_refused_with_the_nearest_known_one(mistyped, meant):
    with pytest.raises(ConfigError) as raised:
        load_config({}, {mistyped: "1"})
    assert f"the environment variable {mistyped} sets nothing; did you mean {meant}?" in str(
        raised.value
    )


def test_a_variable_near_nothing_leads_to_the_list():
    with pytest.raises(ConfigError, match=r"FARTHING_XYZ sets nothing; docs/configuration\.md"):
        load_config({}, {"FARTHING_XYZ": "1"})


def test_variables_are_told_together_with_the_faults_of_the_file():
    with pytest.raises(ConfigError, match=r"3 fault\(s\)"):
        load_config({"gateway": {"prot": 1}}, {"FARTHING_A": "", "FARTHING_GATEWAY_PORT": "x"})


def test_a_wrong_variable_of_a_built_in_provider_is_told():
    environ = {"FARTHING_PROVIDERS_OPENAI_CONNECTIONS_MAX": "many"}
    with pytest.raises(ConfigError, match="FARTHING_PROVIDERS_OPENAI_CONNECTIONS_MAX"):
        load_config({}, environ)


def test_a_built_in_provider_with_faults_is_told_once():
    with pytest.raises(ConfigError, match=r"1 fault\(s\)"):
        load_config({"providers": {"openai": {"connections_max": "many"}}}, {})


def test_variables_for_tables_that_the_file_names_are_settings():
    document = {"providers": {"my-host": {"base_url": "http://127.0.0.1:1/v1"}}}
    config = load_config(document, {"FARTHING_PROVIDERS_MY_HOST_PRICE_AS": "openai"})
    assert config.providers["my-host"].price_as == "openai"


@pytest.mark.parametrize("text", ["gpt-*, o3", "gpt-*,o3,", '["gpt-*", "o3"]'])
def test_a_list_is_parted_by_commas_or_json(text):
    config = load_config({}, {"FARTHING_PROVIDERS_OPENAI_MODELS": text})
    assert config.providers["openai"].models == ["gpt-*", "o3"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("FARTHING_PROVIDERS_OPENAI_MODELS", '["gpt-*"', "Expected `array`"),
        ("FARTHING_PROVIDERS_OPENAI_MODELS", "[1]", "Expected `str`, got `int`"),
        ("FARTHING_RETRY_RETRY_AMBIGUOUS", "yes", "'yes' is none of true, false"),
    ],
)
def test_a_value_that_does_not_fit_says_what_would(name, text, told):
    with pytest.raises(ConfigError) as raised:
        load_config({}, {name: text})
    assert f"environment variable {name}: {told}" in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "FARTHING_CONFIG",
        "FARTHING_DATA_DIR",
        "FARTHING_ROUTE_SECRET",
        "FARTHING_TRACES",
        "FARTHING_SERVICE_HOST",
        "FARTHING_SERVICE_PORT_HTTP",
        "FARTHING_PORT",
        "FARTHING_PORT_4000_TCP_ADDR",
        "FARTHING_GATEWAY_SERVICE_HOST",
        "UNRELATED",
    ],
)
def test_what_is_no_setting_and_no_mistake_passes(name):
    load_config({}, {name: "1"})


def test_a_variable_that_the_file_names_for_a_secret_passes():
    document = {
        "providers": {
            "openai": {"api_key_env": "FARTHING_OPENAI_KEY"},
            "mine": {"base_url": "http://127.0.0.1:1/v1", "api_key_env": "FARTHING_MY_KEY"},
        },
        "alert": [
            {
                "name": "hook",
                "kind": "webhook",
                "url_env": "FARTHING_HOOK",
                "secret_env": "FARTHING_S",
            }
        ],
    }
    named = ("FARTHING_OPENAI_KEY", "FARTHING_MY_KEY", "FARTHING_HOOK", "FARTHING_S")
    load_config(document, dict.fromkeys(named, "x"))


def test_a_setting_that_kubernetes_made_of_a_services_name_says_so():
    with pytest.raises(ConfigError, match="enableServiceLinks: false"):
        load_config({}, {"FARTHING_GATEWAY_PORT": "tcp://10.0.0.7:4000"})
