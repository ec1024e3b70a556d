"""Names: exact ids, explicit aliases, frames of a fixed form; never a prefix or a part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_samples import BOOK, NOW

from farthing.pricing import RateCard, Unpriced
from farthing.pricing.names import canonical_provider, maker_of, spellings


def model_of(provider, name):
    """The rates that a name leads to, or None."""
    card = BOOK.card(provider, name, NOW)
    return card.sets if isinstance(card, RateCard) else None


@pytest.mark.parametrize(
    ("written", "known"),
    [("xai", "x-ai"), ("Vertex_AI", "google"), ("bedrock", "aws"), ("openai", "openai"), ("", "")],
)
def test_providers_are_known_by_the_names_that_people_write(written, known):
    assert canonical_provider(written) == known


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("gpt-5.4", "openai"), ("o3", "openai"), ("claude-2", "anthropic"), ("glm-5", "zai"),
        ("gemini-2.5-pro", "google"), ("grok-4", "x-ai"), ("llama-3", ""), ("o365", ""), ("", ""),
        ("minimax-m2", "minimax"), ("qwen3-max", "alibaba"), ("qwen/qwen3-max", ""),
    ],
)  # fmt: skip
def test_a_maker_is_told_by_the_name_or_not_at_all(model, maker):
    assert maker_of(model) == maker


@pytest.mark.parametrize(
    ("model", "platform"),
    [
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", "aws"),
        ("us-gov.anthropic.claude-3-haiku-20240307-v1:0", "aws"),
        ("meta.llama3-70b-instruct-v1:0", "aws"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0",
            "aws",
        ),
        ("models/gemini-1.5-pro", "google"),
        ("publishers/anthropic/models/claude-sonnet-4-5@20250929", "google"),
        ("accounts/fireworks/models/minimax-m3", "fireworks"),
    ],
)
def test_the_form_of_an_id_tells_its_platform(model, platform):
    assert maker_of(model) == platform
    assert isinstance(BOOK.card("", model, NOW), RateCard)


def test_all_fine_tunes_of_gpt_35_turbo_have_their_one_price():
    tuned = model_of("openai", "ft:gpt-3.5-turbo-0125:acme::8Xyz")
    assert tuned is not None
    assert tuned == model_of("openai", "ft:gpt-3.5-turbo-")
    assert tuned != model_of("openai", "gpt-3.5-turbo-0125")


@pytest.mark.parametrize(
    "name",
    [
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "US.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ],
)
def test_a_bedrock_id_of_any_region_is_the_regional_price(name):
    regional = model_of("aws", "regional.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert regional is not None
    assert model_of("bedrock", name) == regional


def test_the_global_bedrock_price_is_its_own_and_lower():
    regional = BOOK.card("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", NOW)
    everywhere = BOOK.card("aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", NOW)
    ours, theirs = (card.sets[0].rates[0] for card in (regional, everywhere))
    assert ours == theirs.times(11, 10)


def test_a_global_id_without_a_price_never_takes_a_region_s():
    assert "regional.anthropic.claude-x" not in spellings("aws", "global.anthropic.claude-x-v1:0")
    assert isinstance(
        BOOK.card("aws", "global.anthropic.claude-3-opus-20240229-v1:0", NOW), Unpriced
    )


@pytest.mark.parametrize(
    "name",
    [
        "amazon.nova-pro-v1:0",
        "amazon.nova-pro-v1:0:300k",
        "amazon.nova-pro",
        "us.amazon.nova-pro-v1:0",
    ],
)
def test_a_bedrock_id_is_known_without_its_version(name):
    assert model_of("aws", name) == model_of("aws", "amazon.nova-pro-v1:0") is not None


@pytest.mark.parametrize(
    "name",
    [
        "gemini-2.5-pro",
        "models/gemini-2.5-pro",
        "google/gemini-2.5-pro",
        "gemini-2.5-pro@default",
        "publishers/google/models/gemini-2.5-pro",
        "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro",
    ],
)
def test_a_vertex_path_is_the_model_at_its_end(name):
    assert model_of("vertex_ai", name) == model_of("google", "gemini-2.5-pro") is not None


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("publishers/anthropic/models/claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
    ],
)
def test_a_vertex_version_or_date_is_taken_off(name, bare):
    assert model_of("vertex", name) == model_of("vertex", bare) is not None


def test_a_fine_tune_costs_what_fine_tunes_of_its_model_cost():
    tuned = model_of("openai", "ft:gpt-4o-mini-2024-07-18:acme::7qTVM5AR")
    assert tuned == model_of("openai", "ft:gpt-4o-mini") is not None
    assert tuned != model_of("openai", "gpt-4o-mini")


@pytest.mark.parametrize(
    ("snapshot", "model"),
    [
        ("gpt-5.2-2025-12-11", "gpt-5.2"),
        ("gpt-5.2-20251211", "gpt-5.2"),
        ("claude-sonnet-5-5-20261001", "claude-sonnet-5-5"),
    ],
)
def test_a_dated_snapshot_of_a_known_model_is_that_model(snapshot, model):
    assert model_of("", snapshot) == model_of("", model) is not None


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-nope", "gpt-5.4-mini-turbo", "gpt", "gpt-4o-2", "gpt-4o-2024", "my-gpt-4o",
        "claude-sonnet-5-5-turbo", "gemini-2.5-flash-ultra", "openai/nope", "", "-", "/", "ft:",
    ],
)  # fmt: skip
def test_a_name_that_only_begins_or_ends_like_a_known_one_is_unknown(name):
    assert isinstance(BOOK.card("", name, NOW), Unpriced)


@given(st.sampled_from(["aws", "google", "openai", "x"]), st.text(max_size=80))
def test_any_text_has_spellings_that_begin_with_itself(provider, name):
    found = spellings(provider, name)
    assert found[0] == name.lower()
    assert len(found) == len(set(found))
