import pytest

from farthing.config import Secret, load_config
from farthing.errors import ConfigError


def test_every_key_has_a_default():
    config = load_config({}, {})
    assert config.gateway.port == 4000
    assert config.providers["openai"].base_url == "https://api.openai.com/v1"
    assert config.providers["anthropic"].api_key_env == "ANTHROPIC_API_KEY"


def test_a_file_is_read(tmp_path):
    path = tmp_path / "farthing.toml"
    path.write_text("[gateway]\nport = 5000\n[timeouts]\nconnect_s = 1\n")
    config = load_config(str(path), {})
    assert (config.gateway.port, config.timeouts.connect_s) == (5000, 1.0)


def test_the_environment_wins_over_the_file():
    environ = {"FARTHING_GATEWAY_PORT": "6000", "FARTHING_RETRY_RETRY_AMBIGUOUS": "true"}
    config = load_config({"gateway": {"port": 5000}}, environ)
    assert config.gateway.port == 6000
    assert config.retry.retry_ambiguous is True


def test_a_built_in_provider_keeps_what_is_not_overridden():
    config = load_config({}, {"FARTHING_PROVIDERS_OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    assert config.providers["openai"].base_url == "http://127.0.0.1:9/v1"
    assert config.providers["openai"].api_key_env == "OPENAI_API_KEY"


def test_an_unknown_key_names_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"unknown key `gateway\.prot`; did you mean `port`\?"):
        load_config({"gateway": {"prot": 1}}, {})


def test_all_faults_are_told_at_once():
    faulty = {
        "gateway": {"port": "many", "workers": 0},
        "timeouts": {"connect_s": -1},
        "providers": {"x": {"protocol": "smtp"}, "y": 3},
        "models": {"fast": {}},
        "unknown": {},
    }
    with pytest.raises(ConfigError) as raised:
        load_config(faulty, {})
    text = str(raised.value)
    for fragment in (
        "gateway.port",
        "gateway.workers",
        "timeouts.connect_s",
        "providers.x.protocol",
        "providers.y must be a table",
        "models.fast.targets is missing",
        "unknown key `unknown`",
        "7 fault(s)",
    ):
        assert fragment in text


def test_a_wrong_environment_variable_is_named():
    with pytest.raises(ConfigError, match="environment variable FARTHING_GATEWAY_PORT"):
        load_config({}, {"FARTHING_GATEWAY_PORT": "many"})


def test_a_file_that_is_not_there_or_not_toml_says_so(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(str(tmp_path / "none.toml"), {})
    (tmp_path / "bad.toml").write_text("= 1")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(str(tmp_path / "bad.toml"), {})


def test_a_secret_never_shows():
    secret = load_config({}, {}).providers["openai"].secret({"OPENAI_API_KEY": "sk-1"})
    assert secret.reveal() == "sk-1"
    assert "sk-1" not in f"{secret!r}{secret}"
    assert not Secret("")


def test_price_rows_must_be_an_array_of_tables():
    with pytest.raises(ConfigError, match=r"\[\[price\]\]"):
        load_config({"price": {"model": "x"}}, {})


def test_faults_that_only_a_start_would_show_are_told_before_it():
    faulty = {
        "providers": {
            "openai": {"base_url": "ftp://x"},
            "corp": {"protocol": "openai"},
            "other": {"base_url": "https://user:hunter2@other.example/v1"},
            "fourth": {"protocol": "smtp"},
        },
        "pricing": {"unknown": "alow"},
        "price": [{"model": "a", "input": "1", "valid_from": "2026-13-01"}],
    }
    with pytest.raises(ConfigError) as raised:
        load_config(faulty, {})
    text = str(raised.value)
    for fragment in (
        "6 fault(s)",
        "providers.openai.base_url: 'ftp://x' is no upstream address",
        "providers.corp.base_url is missing",
        "providers.other.base_url: 'other.example/v1' is no upstream address",
        "providers.fourth.protocol: 'smtp' is none of openai, anthropic",
        "pricing.unknown: 'alow' is none of allow, estimate, refuse",
        "price.1: month must be in 1..12",
    ):
        assert fragment in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("section", "row", "said"),
    [
        ("price", {"model": "m", "input": "cheap"}, 'input: write a number in digits, like "0.25"'),
        ("price", {"model": "m", "input": 0.25}, "got `float`; write it in quotes"),
        ("price", {"model": "m", "input": "1", "valid_from": "May"}, "write a day like"),
        ("budget", {"amount_usd": "1,000"}, 'amount_usd: write USD in digits, like "12.50"'),
        ("budget", {"name": "a b"}, "name: write a name of letters, digits"),
    ],
)
def test_a_fault_says_what_to_write_and_shows_no_regular_expression(section, row, said):
    whole = {"name": "a", "scope": "all", "amount_usd": "1", "window": "day"}
    with pytest.raises(ConfigError) as raised:
        load_config({section: [(whole if section == "budget" else {}) | row]}, {})
    assert said in str(raised.value)
    assert "regex" not in str(raised.value)
    assert "1 fault(s)" in str(raised.value)


@pytest.mark.parametrize("wrong", ["abc", "-5", ""])
@pytest.mark.parametrize("key", ["ceiling_input", "ceiling_output"])
def test_a_ceiling_that_is_no_price_is_refused_at_start(key, wrong):
    with pytest.raises(ConfigError, match=f"pricing.{key}: write a number in digits"):
        load_config({"pricing": {"unknown": "estimate", key: wrong}}, {})


def test_a_model_of_ones_own_that_leads_nowhere_is_refused_at_start():
    with pytest.raises(ConfigError, match=r"models\.fast\.targets"):
        load_config({"models": {"fast": {"targets": []}}}, {})


def test_a_value_of_a_wrong_type_is_one_fault_and_not_missing_besides():
    with pytest.raises(ConfigError, match=r"1 fault\(s\)") as raised:
        load_config({"models": {"fast": {"targets": 3}}}, {})
    assert "missing" not in str(raised.value)


def test_an_amount_may_be_a_whole_number_and_a_fraction_stands_in_quotes():
    budget = {"name": "a", "scope": "all", "window": "month"}
    (found,) = load_config({"budget": [budget | {"amount_usd": 500}]}, {}).budget
    assert found.amount_usd == "500"
    with pytest.raises(ConfigError, match=r'write it in quotes, "0\.5", so that it stays exact'):
        load_config({"budget": [budget | {"amount_usd": 0.5}]}, {})


def _mine(**fields: object) -> dict[str, object]:
    return {"model": "gpt-4o", "provider": "openai", **fields}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_mine(input="1"), _mine(input="2")),
        (_mine(input="1"), _mine(input="1")),
        (_mine(input="1", output="3"), _mine(output="4", model="GPT-4o")),
        (_mine(input="1", provider="azure"), _mine(input="2", provider="azure_openai")),
        (_mine(input="1", valid_from="2026-10-01"), _mine(input="2", valid_from="2026-10-01")),
        (_mine(input="1", batch=True), _mine(input="2", batch=True)),
    ],
)
def test_two_prices_for_the_same_are_refused_and_both_named(first, second):
    with pytest.raises(ConfigError, match=r"price\.1 and price\.3 both give (input|output) of "):
        load_config({"price": [first, {"model": "other", "input": "1"}, second]}, {})


def test_a_price_given_in_both_of_its_places_is_refused():
    tables = {"pricing": {"overrides": [_mine(input="1")]}, "price": [_mine(input="2")]}
    with pytest.raises(
        ConfigError,
        match=r"pricing\.overrides\.1 and price\.1 both give input of 'gpt-4o' at openai, for the "
        r"same terms and days; keep one, or give the later price its valid_from\n",
    ):
        load_config(tables, {})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_mine(input="1"), _mine(input="2", valid_from="2026-10-01")),
        (_mine(input="1"), _mine(input="2", valid_to="2026-10-01")),
        (_mine(input="1"), _mine(output="2")),
        (_mine(input="1"), _mine(input="2", provider="")),
        (_mine(input="1"), _mine(input="2", service_tier="flex")),
        (_mine(input="1"), _mine(input="2", batch=True)),
        (_mine(input="1"), _mine(input="2", context_above=200_000)),
        (_mine(input="1"), _mine(discount_percent="5")),
        (_mine(discount_percent="5"), _mine(discount_percent="5")),
    ],
)
def test_prices_that_follow_or_complete_each_other_are_kept(first, second):
    config = load_config({"price": [first, second]}, {})
    assert len(config.pricing_settings().overrides) == 2


@pytest.mark.parametrize(
    "written",
    ["foo", "", "app.example", "https://", "https:///", "https://app.example/chat", "*.example",
     "https://*.example", "https://App.example", "HTTPS://app.example", "https://app.example:443",
     "http://app.example:80", "https://me@app.example", "https://app.example?x", "**",
     "https://app.example:port", "https://a.example https://b.example", "//app.example"],
)  # fmt: skip
def test_a_page_that_no_browser_would_name_like_that_is_refused(written):
    with pytest.raises(ConfigError) as raised:
        load_config({"gateway": {"browser_origins": ["https://good.example", written]}}, {})
    assert f"gateway: browser_origins: {written!r} is no origin; write it" in str(raised.value)


def test_a_wrong_page_in_the_environment_is_refused_too():
    with pytest.raises(ConfigError, match="browser_origins: 'foo' is no origin"):
        load_config({}, {"FARTHING_GATEWAY_BROWSER_ORIGINS": "https://app.example,foo"})


@pytest.mark.parametrize(
    "written",
    ["*", "null", "https://app.example", "https://app.example/", "http://localhost:3000",
     "http://127.0.0.1:8043", "http://[::1]:8080", "http://app.example:443", "https://a_b.example:80",
     "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "tauri://localhost",
     "safari-web-extension://4C1B2A66-0D3F-4E5A-9A51-6A2B0F1D7C11"],
)  # fmt: skip
def test_pages_as_browsers_name_them_may_be_listed(written):
    config = load_config({"gateway": {"browser_origins": [written]}}, {})
    assert config.gateway.browser_origins == [written]
