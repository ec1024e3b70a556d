import pytest

from farthing.config import load_config
from farthing.errors import ConfigError
from farthing.gateway.targets import NoTarget, Target, Targets


def targets(**tables):
    return Targets(load_config(tables, {}))


def test_the_first_provider_of_the_protocol_serves_any_model():
    assert targets().find("gpt-4o", "openai") == (Target("openai", "gpt-4o"),)
    assert targets().find("claude-x", "anthropic") == (Target("anthropic", "claude-x"),)


def test_provider_slash_model_names_its_provider():
    assert targets().find("openai/gpt-4o", "openai") == (Target("openai", "gpt-4o"),)


def test_a_slash_that_names_no_provider_belongs_to_the_model():
    assert targets().find("meta/llama", "openai") == (Target("openai", "meta/llama"),)


def test_model_patterns_choose_a_provider():
    table = targets(
        providers={"router": {"base_url": "http://router/v1", "models": ["meta/*", "qwen*"]}}
    )
    assert table.find("meta/llama", "openai") == (Target("router", "meta/llama"),)
    assert table.find("gpt-4o", "openai") == (Target("openai", "gpt-4o"),)


def test_a_name_of_ones_own_has_targets_in_order():
    table = targets(
        providers={"backup": {"base_url": "http://backup/v1", "models": ["none"]}},
        models={"fast": {"targets": ["openai/gpt-4o-mini", "backup/gpt-4o-mini"]}},
    )
    assert table.find("fast", "openai") == (
        Target("openai", "gpt-4o-mini"),
        Target("backup", "gpt-4o-mini"),
    )
    assert table.aliases == ["fast"]


@pytest.mark.parametrize("written", ["openai/", "openai/ "])
def test_a_target_without_a_model_refuses_to_start(written):
    with pytest.raises(ConfigError, match=r"models\.fast: the target 'openai/ ?' names no model"):
        targets(models={"fast": {"targets": [written]}})


def test_a_target_of_an_unknown_provider_refuses_to_start():
    with pytest.raises(ConfigError, match="provider/model"):
        targets(models={"fast": {"targets": ["nowhere/gpt-4o"]}})


def test_no_provider_for_a_model_says_what_to_do():
    table = targets(providers={"openai": {"models": ["gpt-*"]}})
    with pytest.raises(NoTarget, match="Nothing was sent"):
        table.find("claude-x", "openai")
