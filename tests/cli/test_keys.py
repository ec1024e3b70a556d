"""`farthing keys`: made once, shown once, listed without secrets, revoked by id."""

from __future__ import annotations

import json

import pytest
from ledger_cli_samples import run, run_json

from farthing.errors import CallerError
from farthing.gateway import KeyRing


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FARTHING_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


ALL = (
    *("--tenant", "acme", "--feature", "support", "--user", "bot", "--env", "prod"),
    *("--tag", "team=a", "--tag", "k=v=w", "--model", "gpt-*", "--model", "claude-*"),
    *("--name", "the bot's"),
)


def test_a_key_carries_all_it_was_given(data_dir):
    made = run_json("keys", "create", *ALL)
    given = {
        "name": "the bot's",
        "tenant": "acme",
        "feature": "support",
        "user": "bot",
        "environment": "prod",
        "tags": {"team": "a", "k": "v=w"},
        "models": ["gpt-*", "claude-*"],
        "may_administer": False,
    }
    assert given.items() <= made.items()
    assert KeyRing(data_dir).find(made["key"].encode()).id == made["id"]


def test_people_see_the_key_alone_on_the_first_line():
    found = run("keys", "create", "--tenant", "acme")
    first = found.stdout.splitlines()[0]
    assert (found.exit_code, first[:3], len(first)) == (0, "fk-", 51)
    assert "only time it is shown" in found.stdout


def test_a_list_never_holds_a_secret_or_its_hash(data_dir):
    made = run_json("keys", "create", *ALL)
    (listed,) = run_json("keys", "list")
    assert listed == {name: value for name, value in made.items() if name != "key"}
    shown = run("keys", "list").stdout
    assert made["id"] in shown
    assert made["key"] not in shown + (data_dir / "keys.json").read_text()


def test_only_the_owner_may_read_the_hashes(data_dir):
    run_json("keys", "create", "--tenant", "acme")
    assert (data_dir / "keys.json").stat().st_mode & 0o777 == 0o600


def test_a_revoked_key_is_gone(data_dir):
    made = run_json("keys", "create", "--tenant", "acme")
    kept = run_json("keys", "create", "--tenant", "beta")
    found = run("keys", "revoke", made["id"])
    assert (found.exit_code, "tenant acme is revoked" in found.stdout) == (0, True)
    assert [key["id"] for key in run_json("keys", "list")] == [kept["id"]]
    assert KeyRing(data_dir).find(made["key"].encode()) is None


def test_revoking_tells_as_json_what_is_gone():
    made = run_json("keys", "create", "--tenant", "acme")
    assert run_json("keys", "revoke", made["id"])["id"] == made["id"]


def test_an_unknown_id_names_the_known_ones():
    made = run_json("keys", "create", "--tenant", "acme")
    error = run("keys", "revoke", "key_none").exception
    assert isinstance(error, CallerError)
    assert f"Known ids: {made['id']}" in str(error)


def test_looking_for_keys_makes_no_folder(data_dir):
    assert run_json("keys", "list") == []
    assert isinstance(run("keys", "revoke", "key_none").exception, CallerError)
    assert not data_dir.exists()


@pytest.mark.parametrize(
    "arguments", [(), ("--tenant", ""), ("--tenant", "acme", "--tag", "team"), ("--tenant", " ")]
)
def test_bad_use_exits_with_2_and_makes_nothing(arguments, data_dir):
    found = run("keys", "create", *arguments, "--json")
    assert (found.exit_code, found.stdout) == (2, "")
    assert not data_dir.exists()


def test_the_json_is_one_document_and_nothing_else():
    found = run("keys", "create", "--tenant", "acme", "--json")
    assert found.stderr == ""
    assert json.loads(found.stdout)["tenant"] == "acme"
