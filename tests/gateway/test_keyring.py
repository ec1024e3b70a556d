import stat

import pytest

from farthing.errors import ConfigError
from farthing.gateway import KeyRing, UnknownKey, VirtualKey

WANTED = VirtualKey(id="", digest="", tenant="acme", feature="support")


def test_a_new_key_opens_the_door_and_only_its_hash_is_kept(tmp_path):
    ring = KeyRing(tmp_path)
    secret, made = ring.create(WANTED)
    assert secret.startswith("fk-")
    assert ring.find(secret.encode()) == made
    assert secret not in (tmp_path / "keys.json").read_text()
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_an_unknown_key_opens_nothing(tmp_path):
    ring = KeyRing(tmp_path)
    ring.create(WANTED)
    assert ring.find(b"fk-" + b"0" * 48) is None


def test_a_ring_without_keys_says_so(tmp_path):
    ring = KeyRing(tmp_path)
    assert ring.is_empty
    ring.create(WANTED)
    assert not ring.is_empty
    assert KeyRing.open_door().is_empty


def test_another_process_sees_new_and_revoked_keys_after_a_refresh(tmp_path):
    mine, other = KeyRing(tmp_path), KeyRing(tmp_path)
    secret, made = mine.create(WANTED)
    other.refresh()
    assert other.find(secret.encode()) == made
    mine.revoke(made.id)
    other.refresh()
    assert other.find(secret.encode()) is None


def test_revoking_an_unknown_id_names_the_known_ones(tmp_path):
    ring = KeyRing(tmp_path)
    _, made = ring.create(WANTED)
    with pytest.raises(UnknownKey, match=made.id):
        ring.revoke("key_nope")
    assert ring.keys() == [made]


def test_a_broken_file_leaves_the_known_keys_in_force(tmp_path):
    ring = KeyRing(tmp_path)
    secret, made = ring.create(WANTED)
    (tmp_path / "keys.json").write_text("{broken")
    with pytest.raises(ConfigError, match="stay in force"):
        ring.refresh()
    assert ring.find(secret.encode()) == made


def test_keys_vanish_with_their_file(tmp_path):
    ring = KeyRing(tmp_path)
    ring.create(WANTED)
    (tmp_path / "keys.json").unlink()
    ring.refresh()
    assert ring.is_empty
