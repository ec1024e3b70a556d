"""C1, C5: what is kept on disk, how it goes, and that trouble there is a miss."""

from __future__ import annotations

import contextlib
import sqlite3

import msgspec
import pytest

from farthing.call import Endpoint
from farthing.codecs import canonical_request
from farthing.errors import ConfigError
from farthing.levers.cache import (
    Answers,
    Asked,
    CacheSettings,
    CacheStoreError,
    Directives,
    FeatureCache,
    NoSuchTenant,
    Purge,
    SqliteAnswers,
    Stored,
    Vault,
    Verdict,
    cache_file,
    marked,
    prints_of,
    rules_of,
)
from farthing.levers.cache.seal import BadSeal, Sealer

NOW = 1_790_000_000_000_000
DAY = 86_400_000_000
SETTINGS = CacheSettings(mode="on")


@contextlib.contextmanager
def opened(folder, **settings):
    answers = Answers(msgspec.structs.replace(SETTINGS, **settings), folder)
    try:
        yield answers
    finally:
        answers.close()


def asked(answers, *, tenant="acme", feature="faq", text="Hi", marks=(), **directives):
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text}]})
    keys = answers.vault.keys(tenant, NOW)
    request = canonical_request(Endpoint.OPENAI_CHAT, body)
    return Asked(
        verdict=Verdict(),
        rules=rules_of(SETTINGS, feature),
        directives=Directives(**directives),
        prints=prints_of(keys.scope(feature), marked(request), is_canonical=True),
        keys=keys,
        feature=feature,
        request=request,
        marks=tuple(keys.mark(kind, value) for kind, value in marks),
    )


def stored(body=b"{}", created_us=NOW, ttl_us=DAY):
    return Stored(
        call_id="call_1",
        created_us=created_us,
        expires_us=created_us + ttl_us,
        is_stream=False,
        body=body,
        headers=(),
        tried=(),
    )


def keep(answers, what, body=b"{}", started_us=None, **more):
    begun_us = more.get("created_us", NOW) if started_us is None else started_us
    answers.keep(what, stored(body, **more), begun_us)
    answers.flush()


def found(folder, what, now_us=NOW):
    """What another worker, or this one after a restart, finds."""
    with opened(folder) as fresh:
        hit = fresh.find(what, now_us)
        return None if hit is None else hit.answer.stored.body


def purged_elsewhere(folder, at_us, **what):
    with (
        contextlib.closing(SqliteAnswers(cache_file(folder))) as other,
        other.transaction(),
    ):
        other.purge(Purge(at_us=at_us, **what))


def test_another_worker_finds_what_one_has_kept(tmp_path):
    with opened(tmp_path) as answers:
        what = asked(answers)
        keep(answers, what, b'{"a":1}')
        assert found(tmp_path, what) == b'{"a":1}'
        assert found(tmp_path, asked(answers, text=" Hi.")) == b'{"a":1}'
        assert found(tmp_path, asked(answers, text=" Hi.", is_exact_only=True)) is None


def test_an_answer_expires_on_disk_as_in_memory(tmp_path):
    with opened(tmp_path) as answers:
        what = asked(answers)
        keep(answers, what)
        assert answers.find(what, NOW + DAY) is None
        assert found(tmp_path, what, NOW + DAY) is None


def test_times_to_live_differ_by_up_to_a_tenth_so_that_not_all_expire_at_once(tmp_path):
    with opened(tmp_path) as answers:
        ends = [answers.expires_us(bytes([n]) * 32, 1000, NOW) - NOW for n in range(256)]
    assert len(set(ends)) > 200
    assert all(900_000_000 <= end <= 1_000_000_000 for end in ends)


def test_the_answers_of_two_tenants_lie_under_keys_of_their_own(tmp_path):
    with opened(tmp_path) as answers:
        mine, yours = asked(answers), asked(answers, tenant="globex")
        keep(answers, mine, b'"mine"')
        assert answers.find(yours, NOW) is None
        stolen = msgspec.structs.replace(yours, prints=mine.prints)  # were the scopes to collide
        assert found(tmp_path, stolen) is None


@pytest.mark.parametrize(
    ("purge", "gone"),
    [
        ({"feature": "faq"}, {"faq", "tagged"}),
        ({"mark": ("tag", "team=a")}, {"tagged"}),
        ({"mark": ("user", "u1")}, {"user"}),
        ({"mark": ("document", "kb@7")}, {"seven"}),
        ({"mark": ("document", "kb")}, {"seven", "eight"}),
        ({"before_us": NOW}, {"old"}),
        ({"feature": "faq", "before_us": NOW}, set()),
        ({}, {"faq", "tagged", "user", "seven", "eight", "old"}),
    ],
    ids=["feature", "tag", "user", "revision", "document", "age", "both", "all"],
)
def test_answers_go_by_feature_tag_user_document_and_age(tmp_path, purge, gone):
    kept = {
        "faq": {"feature": "faq"},
        "tagged": {"feature": "faq", "marks": [("tag", "team=a")]},
        "user": {"feature": "b", "marks": [("user", "u1")]},
        "seven": {"feature": "b", "marks": [("document", "kb@7"), ("document", "kb")]},
        "eight": {"feature": "b", "marks": [("document", "kb@8"), ("document", "kb")]},
        "old": {"feature": "b"},
    }
    with opened(tmp_path) as answers:
        whats = {name: asked(answers, text=name, **facts) for name, facts in kept.items()}
        for name, what in whats.items():
            keep(answers, what, created_us=NOW - DAY // 2 if name == "old" else NOW)
        keys = answers.vault.keys("acme", NOW)
        mark = keys.mark(*purge.pop("mark")) if "mark" in purge else None
        with (
            contextlib.closing(SqliteAnswers(cache_file(tmp_path))) as other,
            other.transaction(),
        ):
            assert other.purge(Purge(at_us=NOW + 1, mark=mark, **purge)) == len(gone)
        left = {n for n, what in whats.items() if found(tmp_path, what, NOW + 2)}
        later = {n for n, what in whats.items() if answers.find(what, NOW + 1_000_001)}
        assert left == later == set(kept) - gone


def test_an_answer_that_began_before_a_purge_is_not_stored_after_it(tmp_path):
    with opened(tmp_path) as answers:
        what = asked(answers)
        purged_elsewhere(tmp_path, NOW, feature="faq")
        answers.keep(what, stored(created_us=NOW + 5), NOW - 5)
        answers.flush()
        assert found(tmp_path, what, NOW + 6) is None
        answers.keep(what, stored(created_us=NOW + 5), NOW + 1)
        answers.flush()
        assert found(tmp_path, what, NOW + 6) == b"{}"


def test_a_forgotten_tenants_answers_can_be_read_by_nobody(tmp_path):
    with opened(tmp_path) as answers:
        what = asked(answers)
        keep(answers, what, b'"secret"')
        copy = (
            (tmp_path / "cache.sqlite").read_bytes(),
            (tmp_path / "cache.sqlite-wal").read_bytes(),
        )
        key_file = next((tmp_path / "cache-keys").glob("*.key"))
        before = key_file.read_bytes()
        assert what.keys is not None
        Vault(tmp_path / "cache-keys").forget("acme")
        assert not key_file.exists()
        assert before not in (p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        again = answers.vault.keys("acme", NOW + 1_000_001)
        assert again.secret != what.keys.secret
        assert b"secret" not in b"".join(copy)
        assert answers.find(asked(answers), NOW + 1_000_001) is None
        with pytest.raises(NoSuchTenant):
            Vault(tmp_path / "cache-keys").forget("globex")


def test_two_workers_agree_on_a_tenants_secret(tmp_path):
    one, two = Vault(tmp_path), Vault(tmp_path)
    assert one.keys("acme", 0) == two.keys("acme", 0)
    assert one.keys("acme", 0).secret != one.keys("globex", 0).secret
    assert {keys.tenant for keys in two.tenants()} == {"acme", "globex"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("*.key"))


def test_a_seal_opens_only_with_its_key_and_at_its_place():
    sealer = Sealer()
    sealed = sealer.seal(b"k" * 32, b"plain", b"place")
    assert sealer.open(b"k" * 32, sealed, b"place") == b"plain"
    for key, what, place in (
        (b"x" * 32, sealed, b"place"),
        (b"k" * 32, sealed, b"elsewhere"),
        (b"k" * 32, sealed[:-1] + b"!", b"place"),
        (b"k" * 32, b"short", b"place"),
    ):
        with pytest.raises(BadSeal):
            sealer.open(key, what, place)


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ConfigError, match=r"pip install 'farthing\[cache\]'"):
        Sealer()


def test_a_broken_file_is_a_miss(tmp_path, caplog):
    with opened(tmp_path) as answers:
        what = asked(answers)
        keep(answers, what)
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.sqlite")) as db:
        db.execute("UPDATE entries SET payload = x'00'")
        db.commit()
    assert found(tmp_path, what) is None
    assert "not used" in caplog.text
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(CacheStoreError, match="another version"):
        SqliteAnswers(tmp_path / "cache.sqlite")


def test_a_file_that_can_not_be_opened_serves_nothing_and_fails_nothing(tmp_path, caplog):
    (tmp_path / "cache.sqlite").mkdir()
    with opened(tmp_path) as answers:
        what = asked(answers)
        keep(answers, what)
        assert answers.find(what, NOW) is None
    assert "Calls go on without it" in caplog.text


def test_many_workers_may_start_at_once(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        opening = [pool.submit(SqliteAnswers, cache_file(tmp_path)) for _ in range(8)]
        for opened_ in opening:
            opened_.result().close()


def test_memory_holds_no_more_than_it_may(tmp_path):
    with opened(tmp_path, store="memory", memory_bytes_max=10_000) as answers:
        whats = [asked(answers, text=f"question {n}") for n in range(20)]
        for what in whats:
            keep(answers, what)
        assert sum(answers.find(what, NOW) is not None for what in whats) == 9
        assert answers.find(whats[-1], NOW) is not None
        assert answers.find(whats[0], NOW) is None
    assert list(tmp_path.iterdir()) == []


def test_the_file_holds_no_more_than_it_may_and_what_was_used_last_stays(tmp_path):
    with opened(tmp_path) as answers:
        whats = [asked(answers, text=f"question {n}") for n in range(10)]
        for place, what in enumerate(whats):
            keep(answers, what, b"x" * 1000, created_us=NOW + place)
        assert whats[0].prints is not None
        answers.used(whats[0].prints.key, NOW + 100)
        answers.flush()
        with (
            contextlib.closing(SqliteAnswers(cache_file(tmp_path))) as other,
            other.transaction(),
        ):
            other.tidy(NOW, 6000)
    left = [n for n, what in enumerate(whats) if found(tmp_path, what)]
    assert left[0] == 0
    assert 2 <= len(left) < 7
    assert left[1:] == list(range(10))[1 - len(left) :]


def test_an_answer_that_is_too_large_is_not_kept(tmp_path):
    with opened(tmp_path, entry_bytes_max=2000) as answers:
        what = asked(answers)
        keep(answers, what, b"x" * 1500)
        assert answers.find(what, NOW) is None


@pytest.mark.parametrize(
    ("settings", "feature", "ttl_s"),
    [
        ({}, {}, 86_400),
        ({"volatility": "static"}, {}, 30 * 86_400),
        ({"ttl_s": 5}, {}, 5),
        ({"ttl_s": 5}, {"volatility": "fast"}, 600),
        ({"volatility": "static"}, {"ttl_s": 7}, 7),
        ({}, {"volatility": "live"}, 0),
    ],
)
def test_what_is_set_for_a_feature_counts_over_what_is_set_for_all(settings, feature, ttl_s):
    whole = CacheSettings(features={"f": FeatureCache(**feature)}, **settings)
    assert rules_of(whole, "f").ttl_s == ttl_s


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_a_form_before_is_taken_over_with_its_answers(tmp_path, version):
    from farthing.levers.cache.schema import SCHEMA, SEMANTIC

    with sqlite3.connect(cache_file(tmp_path)) as db:
        db.executescript(SCHEMA + SEMANTIC * (version - 1) + f"PRAGMA user_version = {version};")
        db.execute("INSERT INTO entries VALUES (x'01', x'02', 'faq', 1, 2, 1, 0, 1, x'00')")
    db.close()
    with contextlib.closing(SqliteAnswers(cache_file(tmp_path))) as answers:
        assert answers.find(b"\x01", 1) == (b"\x01", b"\x00")
        for table in ("questions", "sightings"):
            count = f"SELECT COUNT(*) FROM {table}"
            assert answers.connection.execute(count).fetchone() == (0,)
        assert answers.connection.execute("SELECT writer FROM wordings").fetchall() == []
    SqliteAnswers(cache_file(tmp_path)).close()


def test_what_began_before_a_purge_is_not_at_hand_after_it_either(tmp_path):
    with opened(tmp_path) as answers:
        what = asked(answers)
        purged_elsewhere(tmp_path, NOW, feature="faq")
        assert answers.find(what, NOW + 1_000_000) is None
        keep(answers, what, created_us=NOW + 2_000_000, started_us=NOW - 5)
        assert answers.find(what, NOW + 2_000_000) is None
        keep(answers, what, created_us=NOW + 2_000_000, started_us=NOW + 1_500_000)
        assert answers.find(what, NOW + 2_000_000) is not None


def test_what_others_changed_is_seen_though_the_clock_was_set_back(tmp_path):
    hour_us = 3_600_000_000
    with opened(tmp_path) as answers:
        what = asked(answers)
        keep(answers, what)
        assert answers.find(what, NOW + hour_us) is not None
        purged_elsewhere(tmp_path, NOW + 1, feature="faq")
        assert answers.find(what, NOW + 2) is None
        old = answers.vault.keys("acme", NOW + hour_us)
        Vault(tmp_path / "cache-keys").forget("acme")
        assert answers.vault.keys("acme", NOW + 3) != old


def test_an_answer_stands_no_longer_than_the_rules_of_now_allow(tmp_path):
    with opened(tmp_path) as answers:
        what = asked(answers)
        keep(answers, what)
        stricter = msgspec.structs.replace(what, verdict=Verdict(ttl_s=60))
        assert answers.find(stricter, NOW + 60_000_000) is not None
        assert answers.find(stricter, NOW + 60_000_001) is None
        assert answers.find(what, NOW + 60_000_001) is not None
