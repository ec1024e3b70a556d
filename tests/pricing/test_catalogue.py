"""The packaged catalogue: small, made again byte for byte, and free of what looks wrong."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from importlib import metadata, resources
from pathlib import Path

import msgspec
import pytest
from pricing_samples import row

from farthing.pricing import Catalogue, read_catalogue
from farthing.pricing.rows import Layer, day_us
from farthing.usage import Unit

ROOT = Path(__file__).parents[2]
CATALOGUE = read_catalogue()
ROWS = [
    (who, model, found)
    for who, models in CATALOGUE.rows.items()
    for model, rows in models.items()
    for found in rows
]


@pytest.fixture(scope="module")
def compiler():
    """The compiler's modules, where the packages it reads are installed."""
    for package in ("genai-prices", "model-prices"):
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed (dependency group `catalogue`)")
    sys.path.insert(0, str(ROOT / "tools"))
    import compile_catalogue

    yield compile_catalogue
    sys.path.remove(str(ROOT / "tools"))


def test_compiling_again_gives_the_same_bytes(compiler, tmp_path):
    made = []
    for seed in ("0", "1"):
        out = tmp_path / f"{seed}.json.gz"
        subprocess.run(
            [sys.executable, "tools/compile_catalogue.py", str(out)],
            cwd=ROOT, check=True, capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        made.append(out.read_bytes())
    assert made[0] == made[1]
    packaged = resources.files("farthing.pricing").joinpath("data/catalogue.json.gz").read_bytes()
    assert gzip.decompress(made[0]) == gzip.decompress(packaged)
    assert len(packaged) < 80_000


def test_a_catalogue_reads_back_as_it_was_written():
    assert msgspec.json.decode(msgspec.json.encode(CATALOGUE), type=Catalogue) == CATALOGUE


def test_every_row_is_well_formed():
    units = {unit.value for unit in Unit}
    for who, model, found in ROWS:
        assert found.quotes, (who, model)
        assert len({(q.service_tier, q.is_batch, q.speed) for q in found.quotes}) == 1
        overs = [q.context_over for q in found.quotes]
        assert overs == sorted(set(overs)), (who, model)
        for quote in found.quotes:
            assert set(quote.rates) <= units
            assert all(Fraction(amount) > 0 for amount in quote.rates.values()), (who, model)
        for day in (found.valid_from, found.recorded, found.superseded, found.checked):
            assert not day or day_us(day)


def test_every_row_names_its_source():
    sources = Counter(found.source.partition(":")[0] for _, _, found in ROWS)
    assert set(sources) == {"genai-prices 0.2.3", "model-prices 0.0.5"}
    assert {found.layer for _, _, found in ROWS} == {Layer.CATALOGUE, Layer.HISTORY}


def test_names_and_aliases_are_lower_case_and_lead_to_models():
    for who, names in CATALOGUE.aliases.items():
        for alias, model in names.items():
            assert alias == alias.lower()
            assert alias not in CATALOGUE.rows[who], (who, alias)
            assert model == model.lower()


def test_no_alias_is_a_pattern():
    for names in CATALOGUE.aliases.values():
        assert not [alias for alias in names if set(alias) & set("^$*\\")]


@pytest.mark.parametrize(
    ("amounts", "reason"),
    [
        (("2000", "6000"), "$2000 per million input tokens"),  # watsonx in LiteLLM, 11 days
        (("290000", "2250000"), "$290000 per million input tokens"),  # Cloudflare in models.dev
        (("0.00003", "0.0001"), "$0.00003 per million input tokens"),  # per token for per million
        (("1", "900"), "$900 per million output tokens"),
        (("150", "600"), ""),  # o1-pro, the dearest there was
        (("0.003", "0.003"), ""),
    ],
)
def test_a_price_that_no_model_ever_had_is_a_unit_slip(compiler, amounts, reason):
    slips = compiler.unit_slips({"house": {"m": [row(*amounts)]}})
    assert [slip.detail for slip in slips] == ([reason] if reason else [])


def test_a_price_a_hundred_times_off_three_hosts_is_a_unit_slip(compiler):
    """LiteLLM added 82 Novita models at ~8,000 times their price (0575bd2d1ceb, 2026-01-09)."""
    rows = {host: {"org/m": [row("0.05", "0.1")]} for host in ("a", "b", "c")}
    rows["novita"] = {"m": [row("400", "600")]}
    (slip,) = compiler.unit_slips(rows)
    assert (slip.provider, slip.reason) == ("novita", "unit_slip")
    assert slip.detail == "$400 per million input tokens, elsewhere $0.05"
    rows["novita"] = {"m": [row("4", "6")]}
    assert compiler.unit_slips(rows) == []


def test_a_reseller_at_exactly_half_of_a_closed_model_s_price_is_held(compiler):
    """OpenRouter's snapshot of 2026-09-02 had gpt-5.6-sol at half of OpenAI's price."""
    maker = {"gpt-x": [row("5", "30"), row("4", "20", valid_from="2026-08-21")]}
    rows = {name: {} for name in ("openai", "anthropic", "google", "x-ai")} | {"openai": maker}
    rows["openrouter"] = {
        "openai/gpt-x": [row("2", "10", checked="2026-11-24")],
        "openai/gpt-x:batch": [row("2", "10", checked="2026-11-24")],
    }
    rows["other"] = {
        "gpt-x": [
            row("2.5", "15", valid_from="2026-01-01"),  # half of what it was then
            row("2", "10.1", valid_from="2026-10-01"),  # half in one rate only
            row("2.5", "15", valid_from="2026-10-01"),  # half of what it no longer is
            row("2", "10", valid_from="2026-10-01", terms={"is_batch": True}),
        ]
    }
    held = compiler.half_prices(rows)
    assert [(q.provider, q.model, q.row.valid_from) for q in held] == [
        ("openrouter", "openai/gpt-x", ""),
        ("other", "gpt-x", "2026-01-01"),
    ]
    assert held[0].detail == "$2 per million input tokens is half of openai's $4"


def test_a_float_artefact_is_cut_off(compiler):
    import catalogue_genai

    assert catalogue_genai.text(0.18000000000000002) == "0.18"
    assert catalogue_genai.text("10") == "10"
    assert catalogue_genai.text(0) == "0"


def test_hours_that_no_schedule_knows_stop_the_compiler(compiler):
    import catalogue_genai
    from genai_prices.data import providers

    deepseek = next(p for p in providers if p.id == "deepseek")
    model = next(m for m in deepseek.models if m.id == "deepseek-v4-pro")
    with pytest.raises(SystemExit, match="no schedule knows"):
        catalogue_genai.rows("elsewhere", model, Counter())
