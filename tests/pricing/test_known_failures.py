"""The failures that price catalogues and cost calculators are known for, each against this book.

Every test names the failure and where it was seen. Those about real models run against the
packaged catalogue; counts come through the codecs, as they do from a provider's answer.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from pricing_samples import BOOK, MILLION, NOW, TODAY, book_of, cost, own, row, usd

from farthing.codecs.counts import (
    ChatCounts,
    GeminiCounts,
    MessageCounts,
    read_chat,
    read_gemini,
    read_messages,
)
from farthing.codecs.counts.anthropic import read_terms
from farthing.pricing import RateCard, Unpriced, UnpricedReason, cost_gap
from farthing.pricing.rows import Layer
from farthing.usage import Terms, Usage

IN, OUT = Usage(input=MILLION // 10), Usage(output=MILLION // 10)
BATCH = Terms(is_batch=True)


def per_million(model, usage=IN, **given):
    """USD per million of what `usage` counts a hundred thousand of; None: no price."""
    found = cost(model, usage, **given)
    return None if isinstance(found, Unpriced) else str(Fraction(str(found.total)) * 10)


def claude(**usage):
    return read_messages(msgspec.convert(usage, MessageCounts))


def openai(**usage):
    return read_chat(msgspec.convert(usage, ChatCounts))


class TestCatalogueErrors:
    """What catalogues got wrong."""

    @pytest.mark.parametrize("provider", ["novita", "cloudflare", "together", "groq", "aws"])
    def test_unit_slips(self, provider):
        """LiteLLM had 82 Novita models at 8,000 to 10,000 times their price for four days
        (0575bd2d1ceb, 2026-01-09), watsonx llama-3.3-70b at $2000/$6000 for eleven; models.dev a
        Cloudflare row at $290,000/$2,250,000. What the compiler holds back is in
        test_catalogue.py; nothing of the kind is packaged."""
        cards = BOOK.models(NOW, provider=provider)
        assert cards
        for card in cards:
            for price in card.sets[0].rates[:6]:
                assert price is None or Fraction(3, 1000) / 4 <= Fraction(price.per_million) <= 700

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("2024-06-05", "7/20"),
            ("2024-06-30", "7/20"),
            ("2024-10-16", "3/40"),
            ("2025-01-13", "3/40"),
        ],
    )
    def test_prices_per_character_taken_for_prices_per_token(self, at, expected):
        """tokencost and LiteLLM had Vertex's gemini-1.5-flash, quoted per character, at $0.0047,
        $0.03, $0.5 and 0 per million tokens between June and November 2024."""
        assert per_million("gemini-1.5-flash-001", at=at) == expected

    def test_an_input_price_ten_times_too_low(self):
        """LiteLLM had gpt-4 at $3 of input until 2023-09-18; it was $30."""
        assert per_million("gpt-4", at="2023-09-10") == "30"
        assert per_million("gpt-4-0613", at="2023-09-10") == "30"

    @pytest.mark.parametrize(
        ("model", "before", "on", "old", "new"),
        [
            # llm-prices noticed by 2024-10-16, OpenRouter by 2024-11-04, LiteLLM on 2024-11-13
            ("gpt-4o", "2024-10-01", "2024-10-02", "5", "5/2"),
            # OpenRouter noticed by 2024-04-18, langfuse on 2024-10-24, LiteLLM on 2025-09-26
            ("gpt-3.5-turbo", "2024-01-24", "2024-01-25", "1", "1/2"),
            # langfuse noticed on 2025-02-01, OpenRouter by 2025-02-13, models.dev on 2025-06-11
            ("o1-mini", "2025-01-30", "2025-01-31", "3", "11/10"),
            ("o3", "2025-06-09", "2025-06-10", "10", "2"),
            ("claude-3-5-haiku-20241022", "2024-12-02", "2024-12-03", "1", "4/5"),
            # llm-prices, Portkey and langfuse missed the cut
            ("gpt-5.6-sol", "2026-08-20", "2026-08-21", "5", "4"),
        ],
    )
    def test_changes_noticed_late(self, model, before, on, old, new):
        """LiteLLM's lag on documented changes had a tail of 106 to 201 days, models.dev's of 239."""
        assert (per_million(model, at=before), per_million(model, at=on)) == (old, new)

    def test_announced_changes_hidden_by_an_older_snapshot(self):
        """Gemini 4 Argon doubles on 2026-12-01, Gemini 3.8 Flash on 2027-01-01; a snapshot of
        October that says today's price must not outlive them."""
        assert per_million("gemini-4-argon", at="2026-11-30") == "2"
        assert per_million("gemini-4-argon", at="2026-12-01") == "4"
        assert per_million("gemini-3.8-flash", at="2026-12-31") == "3/4"
        assert per_million("gemini-3.8-flash", at="2027-01-01") == "3/2"

    def test_batch_prices_leaked_into_standard_listings(self):
        """OpenRouter's snapshots of 2026-08-03 and 2026-09-02 had gpt-5.6-luna and gpt-5.6-sol at
        exactly half of OpenAI's price: the batch price, or a promotion."""
        found = cost("openai/gpt-5.6-sol", IN, provider="openrouter", at="2026-09-02")
        assert isinstance(found, Unpriced)
        assert "in quarantine ($2 per million input tokens is half of openai's $4)" in found.detail
        assert per_million("openai/gpt-5.6-luna", provider="openrouter") == "1/5"
        assert per_million("openai/gpt-5.6-luna:batch", provider="openrouter") == "1/10"

    def test_router_prices_taken_from_a_third_party(self):
        """41 of LiteLLM's 85 `openrouter/*` entries disagreed with OpenRouter's own, by -89 % to
        +3025 % (BerriAI/litellm #39501); llama-3.3-70b moved four times. None of LiteLLM's are
        here, and what OpenRouter itself charges beyond 1 % of the card is told."""
        for _, _, rows in BOOK.listings(provider="openrouter"):
            assert {found.source for found in rows} == {"genai-prices 0.2.3"}
        assert cost_gap(usd("0.0110"), usd("0.0100")).ratio == "1.1"

    @pytest.mark.parametrize(
        ("model", "at", "expected"),
        [
            ("claude-3-haiku-20240307", "2024-06-01", "1/4"),
            ("claude-2.1", "2024-06-01", "8"),
            ("gpt-4-32k", "2024-01-01", "60"),
            ("gpt-4", "2026-10-22", "30"),
            ("o1-preview", "2024-12-01", "15"),
            ("gemini-1.5-pro", "2024-12-01", "5/4"),
            ("claude-3-opus-20240229", "2025-06-01", "15"),
        ],
    )
    def test_retired_models_that_can_no_longer_be_priced(self, model, at, expected):
        """LiteLLM deletes retired models, and a consumer silently took gpt-4o's price instead
        (headroom #3732). Past calls keep their price, and so does a late one."""
        assert per_million(model, at=at) == expected
        assert per_million(model, at=TODAY) is not None

    @pytest.mark.parametrize(
        ("model", "at", "expected"),
        [
            ("gpt-5.4-mini", TODAY, "3/4"),  # billed as gpt-5 in defog #273
            ("gpt-5.4-nano", TODAY, "1/5"),
            ("gpt-5", TODAY, "5/4"),
            ("gemini-2.5-flash-preview-09-2025", "2025-10-01", "3/10"),  # genai-prices #173
            ("gemini-2.5-flash-preview-05-20", "2025-06-01", "3/20"),
            ("gpt-4o-mini", TODAY, "3/20"),
            ("gpt-4.1-nano-2025-04-14", TODAY, "1/10"),
        ],
    )
    def test_prefix_matches(self, model, at, expected):
        """gpt-5.4-mini billed as gpt-5 (defog #273); gemini-2.5-flash-preview-09-2025 at the price
        of an older preview (genai-prices #173)."""
        assert per_million(model, at=at) == expected

    @pytest.mark.parametrize(
        ("when", "times"),
        [
            ("2026-11-20T02:00:00+00:00", 2),  # Friday
            ("2026-11-22T02:00:00+00:00", 1),  # Sunday: charged twice by genai-prices 0.2.3
            ("2026-10-02T02:00:00+00:00", 1),  # National Day, a Friday
            ("2026-11-20T12:00:00+00:00", 1),  # evening in Beijing
        ],
    )
    def test_peak_hours_blind_to_weekends_and_holidays(self, when, times):
        """genai-prices charges DeepSeek's peak on Sunday 2026-11-22 02:00 UTC; the official peak
        is Monday to Friday except Chinese public holidays."""
        assert per_million("deepseek-v4-pro", at=when) == str(Fraction("0.66") * times)

    def test_a_base_price_stored_as_the_peak(self):
        """LiteLLM keeps DeepSeek's peak price as the base, genai-prices the reverse."""
        assert per_million("deepseek-flash", at="2026-11-22T02:00:00+00:00") == "3/20"
        assert per_million("deepseek-flash", at="2026-11-23T02:00:00+00:00") == "3/10"

    def test_a_free_listing_taken_for_a_price_of_nothing(self):
        """Catalogues list zero where a price is missing: gpt-3.5-turbo's cache at $0 in models.dev,
        gemini-1.5-flash-8b at 0 in LiteLLM."""
        assert per_million("gpt-3.5-turbo", Usage(cache_read=MILLION // 10)) == "1/2"
        assert per_million("gemini-1.5-flash-8b", at="2025-01-13") == "3/80"

    def test_a_long_context_threshold_of_another_maker(self):
        """models.dev had OpenAI's threshold at 200,000 until 2026-05-12; it is 272,000."""
        long = Usage(input=250_000)
        assert cost("gpt-5.4", long, at="2026-04-01").total == usd("0.625")


class TestCalculationErrors:
    """What calculators got wrong, with the right prices in hand."""

    def test_cached_tokens_charged_twice(self):
        """litellm #14849 ($0.764 for $0.185), #6215, #40006; LibreChat #12855; langchainjs #10440:
        OpenAI's prompt_tokens include the cached ones."""
        usage = openai(
            prompt_tokens=100_000,
            completion_tokens=0,
            prompt_tokens_details={"cached_tokens": 90_000},
        )
        assert cost("gpt-4o", usage).total == usd("0.1375")  # 10k at 2.5 and 90k at 1.25

    def test_cache_writes_charged_twice(self):
        """litellm #9812 (1.7x): Anthropic's input_tokens exclude what is written and read."""
        usage = claude(
            input_tokens=1000, cache_creation_input_tokens=10_000, cache_read_input_tokens=100_000
        )
        assert cost("claude-haiku-4-5", usage).total == usd("0.0235")  # 0.001 + 0.0125 + 0.01

    def test_an_hour_s_cache_write_at_the_price_of_five_minutes(self):
        """langfuse plugin #34 (-25 %), claude-powerline #104 (-16.5 %), agentistics #565 ($1,041
        in 30 days)."""
        usage = claude(
            input_tokens=0,
            cache_creation_input_tokens=100_000,
            cache_creation={
                "ephemeral_5m_input_tokens": 0,
                "ephemeral_1h_input_tokens": 100_000,
            },
        )
        assert cost("claude-haiku-4-5", usage).total == usd("0.2")

    @pytest.mark.parametrize(
        ("model", "batched", "long"),
        [
            ("claude-opus-4", "15", "30"),
            ("claude-opus-4-1", "15", "30"),
            ("claude-3-7-sonnet", "3", "6"),
            ("claude-sonnet-4", "3", "12"),
            ("claude-haiku-4-5", "1", "2"),
        ],
    )
    def test_an_hour_s_cache_write_in_batches_and_long_prompts(self, model, batched, long):
        """Catalogues that list no price for it were read as if it kept the standard one; it is
        twice the input of the terms that served."""
        written = Usage(cache_write_1h=MILLION // 10)
        assert per_million(model, written, terms=BATCH) == batched
        held = cost(model, Usage(cache_write_1h=MILLION // 4))
        assert Fraction(str(held.total)) * 4 == Fraction(long)

    def test_an_hour_s_cache_write_beside_the_total_that_holds_it(self):
        """`cache_creation_input_tokens` is a total; the hour's writes are a part of it."""
        usage = claude(
            input_tokens=0,
            cache_creation_input_tokens=100_000,
            cache_creation={
                "ephemeral_5m_input_tokens": 40_000,
                "ephemeral_1h_input_tokens": 60_000,
            },
        )
        assert (usage.cache_write_5m, usage.cache_write_1h) == (40_000, 60_000)
        assert cost("claude-haiku-4-5", usage).total == usd("0.17")  # 0.05 + 0.12

    @pytest.mark.parametrize(
        ("provider", "model"),
        [("aws", "us.anthropic.claude-haiku-4-5-20251001-v1:0"), ("google", "claude-haiku-4-5"),
         ("openrouter", "anthropic/claude-haiku-4.5"), ("azure", "claude-haiku-4-5")],
    )  # fmt: skip
    def test_an_hour_s_cache_write_on_another_platform(self, provider, model):
        """The same model writes for an hour at twice its input price wherever it is served."""
        fresh = cost(model, IN, provider=provider).total
        hour = cost(model, Usage(cache_write_1h=MILLION // 10), provider=provider).total
        assert hour.nanodollars == 2 * fresh.nanodollars

    def test_flex_at_full_price(self):
        """litellm #13810."""
        assert per_million("gpt-5", OUT, terms=Terms(service_tier="flex")) == "5"

    def test_priority_at_the_default_price(self):
        """litellm #37046."""
        assert per_million("gpt-5", OUT, terms=Terms(service_tier="priority")) == "20"

    def test_the_requested_tier_instead_of_the_one_that_served(self):
        """litellm #31837: a priority request that was served as standard costs the standard price.
        Terms are read from the answer alone."""
        answered = msgspec.convert({"service_tier": "standard"}, MessageCounts)
        assert read_terms(answered) == Terms()
        asked = cost("gpt-5", OUT, terms=Terms(service_tier="priority")).total
        assert cost("gpt-5", OUT).total != asked

    def test_an_unknown_tier_at_the_base_price(self):
        """genai-prices bills `service_tier='bogus'` at base."""
        found = cost("gpt-5", OUT, terms=Terms(service_tier="bogus"))
        assert found.reason is UnpricedReason.CONDITION

    def test_bedrock_batch_for_nothing(self):
        """litellm #37077: batch on Bedrock priced at $0. Where no batch price is known there is
        none, and a price of one's own fills the gap."""
        model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
        found = cost(model, OUT, provider="aws", terms=BATCH)
        assert isinstance(found, Unpriced) or found.total.nanodollars > 0
        mine = own(model, provider="aws", output="2.75", batch=True)
        book = book_of(row("1.1", "5.5"), provider="aws", model=model, overrides=(mine,))
        assert cost(model, OUT, provider="aws", terms=BATCH, book=book).total == usd("0.275")

    def test_batches_of_long_prompts_at_the_short_price(self):
        """litellm #39861: batch above 272k undercounted twofold."""
        long = Usage(input=272_001)
        assert cost("gpt-5.4", long, terms=BATCH).total == usd("0.6800025")  # 2.5 per million
        assert cost("gpt-5.4", Usage(input=272_000), terms=BATCH).total == usd("0.34")

    @pytest.mark.parametrize(
        ("model", "terms", "expected"),
        [
            ("gpt-5.5-pro", BATCH, "30"),  # 60 above 272k, half of it
            ("gpt-5.5-pro", Terms(service_tier="flex"), "30"),
            ("gpt-5.4", Terms(service_tier="priority"), "10"),  # twice of 5
            ("claude-sonnet-4-20250514", BATCH, "3"),  # 6 above 200k, half of it
            ("gemini-1.5-pro", BATCH, "5/4"),
        ],
    )
    def test_long_prompts_on_terms_whose_table_forgets_them(self, model, terms, expected):
        """The catalogues list these terms for short prompts only."""
        found = cost(model, Usage(input=300_000), terms=terms)
        assert Fraction(str(found.total)) / Fraction(300_000, MILLION) == Fraction(expected)

    def test_a_long_context_price_that_no_catalogue_lists(self):
        """Claude Sonnet 4 from 2025-08-12: $6 and $22.50 above 200,000 tokens, caches included."""
        model, at = "claude-sonnet-4-20250514", TODAY
        assert cost(model, Usage(input=200_000), at=at).total == usd("0.6")
        assert cost(model, Usage(input=200_001), at=at).total == usd("1.200006")
        mixed = Usage(cache_read=250_000, cache_write_5m=1000, cache_write_1h=1000, output=1000)
        assert cost(model, mixed, at=at).total == usd("0.15") + usd("0.0075") + usd("0.012") + usd(
            "0.0225"
        )

    def test_gemini_s_thoughts_left_out(self):
        """langfuse #12531: `thoughtsTokenCount` is beside `candidatesTokenCount`, not in it."""
        usage = read_gemini(
            msgspec.convert(
                {"promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 800,
                 "totalTokenCount": 2000},
                GeminiCounts,
            )
        )  # fmt: skip
        assert usage == Usage(input=1000, output=200, reasoning=800)
        assert cost("gemini-2.5-flash", usage).total == usd("0.0028")  # 0.0003 + 1000 at 2.5

    def test_reasoning_left_out_or_charged_twice(self):
        """OpenAI's completion_tokens include the reasoning."""
        usage = openai(
            prompt_tokens=0,
            completion_tokens=1000,
            completion_tokens_details={"reasoning_tokens": 900},
        )
        assert cost("gpt-5", usage).total == usd("0.01")

    def test_a_fallback_priced_as_the_model_that_was_asked(self):
        """pi #8285, chatlas #380: the model in the answer is the one that is billed. A name that
        the book does not know is never taken for the one asked."""
        asked, served = cost("gpt-6-astra", OUT).total, cost("gpt-6-luna", OUT).total
        assert asked.nanodollars > served.nanodollars
        assert isinstance(cost("gpt-6-astra-substitute", OUT), Unpriced)

    def test_a_regional_uplift_missed(self):
        """claude-code #60641, litellm #28622, #31136, #38369, bifrost #5088, dust #30528: 1.1x,
        from Claude Opus 4.6 and GPT-5.4 on, and not for the models before."""
        us, eu = Terms(region="us"), Terms(region="eu")
        assert per_million("claude-opus-4-6", OUT, terms=us) == "55/2"
        assert per_million("claude-opus-4-5", OUT, terms=us) == "25"
        assert per_million("gpt-5.4", OUT, terms=eu) == "33/2"
        assert per_million("gpt-5.2", OUT, terms=eu) == per_million("gpt-5.2", OUT)

    @pytest.mark.parametrize("model", ["my-own-model", "gpt-99", "claude-nobody", ""])
    def test_an_unknown_model_for_nothing(self, model):
        """litellm #36561, #35914 (150 times under-reported), iterion #473: unknown is a state of
        its own, never 0, or budgets never fire."""
        found = cost(model, IN)
        assert found.reason is UnpricedReason.MODEL
        assert BOOK.substitute("", model, NOW).total(IN) == usd("7.5")

    def test_the_provider_s_own_cost_ignored(self):
        """litellm #38802: DeepInfra's `estimated_cost` was 1.5 times what was booked."""
        assert cost_gap(usd("0.0015"), usd("0.001")).difference == usd("0.0005")
        assert cost_gap(usd("0.00101"), usd("0.001")) is None

    def test_audio_at_the_price_of_text(self):
        """Audio has its own price, or none: never that of text."""
        audio = Usage(audio_input=MILLION // 10)
        assert per_million("gemini-2.5-flash", audio) == "1"
        assert per_million("gpt-realtime-2", audio) == "32"
        assert per_million("gpt-realtime-2", Usage(audio_output=MILLION // 10)) == "64"
        assert isinstance(cost("gpt-4o", audio), Unpriced)

    def test_audio_left_out_of_a_model_that_hears_and_speaks(self):
        """genai-prices and models.dev list the text of OpenAI's audio previews alone."""
        both = Usage(input=1000, audio_input=1000, output=100, audio_output=100)
        assert cost("gpt-4o-audio-preview", both).total == usd("0.0515")
        assert cost("gpt-4o-mini-audio-preview", both).total == usd("0.01221")
        autumn = "2024-11-01"
        assert cost("gpt-4o-audio-preview", both, at=autumn).total == usd("0.1235")

    def test_web_searches_for_nothing(self):
        """Searches are billed per thousand beside the tokens, at Anthropic $10."""
        usage = claude(input_tokens=0, server_tool_use={"web_search_requests": 3})
        assert cost("claude-haiku-4-5", usage).total == usd("0.03")
        assert per_million("gpt-4o", Usage(web_search=100)) == "10"
        for model in ("claude-3-7-sonnet-20250219", "claude-3-5-haiku-20241022"):
            assert cost(model, usage).total == usd("0.03")
        for model in ("claude-sonnet-4-20250514", "claude-opus-4-20250514"):
            assert cost(model, usage).total == usd("0.03")

    def test_a_long_prompt_billed_in_two_parts(self):
        """Tiers are cliffs: one token over and the whole call costs the higher price. Cached
        tokens count towards it."""
        assert cost("gpt-5.4", Usage(input=272_000)).total == usd("0.68")
        assert cost("gpt-5.4", Usage(input=272_001)).total == usd("1.360005")
        cached = cost("gpt-5.4", Usage(input=1000, cache_read=300_000))
        assert cached.total == usd("0.155")  # 1k at 5, 300k at 0.5

    def test_sums_of_floats_that_drift(self):
        """LiteLLM's floats give 0.0026899999999999997, and a million one-token calls at $0.15 per
        million 0.15000000000209981."""
        one = cost("gpt-4o-mini", Usage(input=1)).total
        assert one.nanodollars * MILLION == usd("0.15").nanodollars

    def test_a_price_taken_from_two_price_lists_at_once(self):
        """gpt-4o of May 2024 had no cache; the cache price of October is not its own."""
        usage = Usage(cache_read=MILLION // 10)
        assert per_million("gpt-4o", usage, at="2024-06-01") == "5"
        assert per_million("gpt-4o", OUT, at="2024-06-01", terms=BATCH) == "15/2"


def test_every_layer_below_the_contract_is_in_the_packaged_book():
    layers = {found.layer for _, _, rows in BOOK.listings() for found in rows}
    assert layers == {Layer.CATALOGUE, Layer.HISTORY, Layer.VERIFIED}


def test_no_packaged_card_prices_a_token_at_nothing():
    for card in BOOK.models(NOW):
        assert isinstance(card, RateCard)
        assert all(price is None or price.nanodollars > 0 for s in card.sets for price in s.rates)
