"""Callers: what a head tells is worked out once, and never outlives the keys it was worked out by."""

import re
from pathlib import Path

import pytest

from farthing.codecs import RequestView
from farthing.gateway.caller import READ, Callers
from farthing.gateway.identify import BadKey
from farthing.gateway.keyring import KeyRing, VirtualKey
from farthing.wire import Request

NEW = VirtualKey(id="", digest="", tenant="acme", feature="support")


def request(*headers, target="/v1/chat/completions", memo=None):
    return Request(
        method="POST",
        target=target,
        headers=list(headers),
        body=b"",
        peer="",
        is_kept_alive=True,
        is_http_10=False,
        named=dict(headers),
        memo={} if memo is None else memo,
    )


def bearer(secret):
    return (b"authorization", b"Bearer " + secret.encode())


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path)


def test_equal_heads_meet_the_same_caller(ring):
    secret, _ = ring.create(NEW)
    callers = Callers(ring, "prod")
    first = request(bearer(secret))
    assert callers.meet(first) is callers.meet(request(bearer(secret), memo=first.memo))


def test_a_key_that_is_revoked_opens_no_door_to_a_head_that_is_known(ring):
    secret, key = ring.create(NEW)
    ring.create(NEW)
    callers = Callers(ring, "")
    known = request(bearer(secret))
    callers.meet(known)
    ring.revoke(key.id)
    with pytest.raises(BadKey):
        callers.meet(known)


def test_once_a_first_key_exists_known_heads_must_show_one_too(ring):
    callers = Callers(ring, "")
    known = request(bearer("sk-own"))
    assert callers.meet(known).credential == b"sk-own"
    ring.create(NEW)
    with pytest.raises(BadKey):
        callers.meet(known)


def test_once_the_last_key_is_gone_the_callers_own_credential_is_passed_on(ring, tmp_path):
    secret, _ = ring.create(NEW)
    callers = Callers(ring, "")
    known = request(bearer(secret))
    assert callers.meet(known).key.tenant == "acme"
    (tmp_path / "keys.json").unlink()
    ring.refresh()
    assert callers.meet(known).key is None


def test_where_other_machines_can_connect_nobody_comes_in_once_the_last_key_is_gone(tmp_path):
    ring = KeyRing(tmp_path, is_local=False)
    secret, key = ring.create(NEW)
    callers = Callers(ring, "")
    callers.meet(request(bearer(secret)))
    ring.revoke(key.id)
    for head in (request(bearer(secret)), request(bearer("sk-own")), request()):
        with pytest.raises(BadKey):
            callers.meet(head)


def test_what_the_body_says_belongs_to_its_call_alone(ring):
    caller = Callers(ring, "prod").meet(request((b"x-farthing-feature", b"search")))
    ann = caller.attribution_of(RequestView(model="m", user="ann", session="s1"))
    assert (ann.feature, ann.user, ann.session, ann.environment) == ("search", "ann", "s1", "prod")
    ben = caller.attribution_of(RequestView(model="m", metadata={"user": "ben"}))
    assert (ben.user, ben.session) == ("ben", "")
    assert caller.attribution_of(RequestView(model="m")).user == ""


def test_the_query_goes_on_and_our_own_headers_are_noticed(ring):
    callers = Callers(ring, "")
    assert callers.meet(request(target="/v1/messages?beta=true")).query == "?beta=true"
    assert callers.meet(request()).query == ""
    assert callers.meet(request((b"x-farthing-user", b"u"))).knows_farthing
    assert not callers.meet(request((b"x-other", b"u"))).knows_farthing


def test_a_header_that_looks_like_ours_and_is_read_by_nothing_is_told_once(ring, caplog):
    callers = Callers(ring, "prod")
    for trace in (b"1", b"2"):
        callers.meet(request((b"x-farthing-faeture", b"a"), (b"x-farthing-trace", trace)))
    (told,) = [record.getMessage() for record in caplog.records]
    assert "x-farthing-faeture, which is not read here; did you mean x-farthing-feature?" in told


def test_callers_cannot_fill_the_log_with_headers_of_their_making(ring, caplog):
    callers = Callers(ring, "prod")
    for number in range(1000):
        callers.meet(request((b"x-farthing-%d" % number, b"")))
    assert len(caplog.records) == 100


def test_the_headers_that_are_read_are_those_of_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()
    table = page.partition("| request header | says |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = {name.encode() for row in rows for name in re.findall(r"`(x-farthing-[a-z-]+)`", row)}
    assert named == READ
