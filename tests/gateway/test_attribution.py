from farthing.call import Attribution
from farthing.gateway.attribution import Attributor
from farthing.gateway.keyring import VirtualKey


def attribute(headers, body, user, key, environment):
    return Attributor(dict(headers), key, environment).attribute(body, user)


KEY = VirtualKey(
    id="key_1",
    digest="",
    tenant="acme",
    feature="support",
    environment="prod",
    tags={"team": "care"},
)


def test_nobody_said_anything():
    assert attribute([], {}, "", None, "") == Attribution()


def test_headers_say_it_all():
    headers = [
        (b"x-farthing-feature", b"search"),
        (b"x-farthing-user", b"u1"),
        (b"x-farthing-session", b"s1"),
        (b"x-farthing-trace", b"t1"),
        (b"x-farthing-step", b"2"),
        (b"x-farthing-env", b"dev"),
        (b"x-farthing-tags", b"team=care, beta ,region=eu"),
    ]
    assert attribute(headers, {}, "", None, "prod") == Attribution(
        feature="search",
        user="u1",
        session="s1",
        trace="t1",
        step="2",
        environment="dev",
        tags={"team": "care", "beta": "true", "region": "eu"},
    )


def test_the_body_serves_where_headers_cannot_be_set():
    said = attribute([], {"feature": "search", "farthing_session": "s1", "x": "y"}, "u1", None, "")
    assert said == Attribution(feature="search", session="s1", user="u1")


def test_headers_win_over_the_body_and_the_body_over_the_key():
    headers = [(b"x-farthing-feature", b"from-header")]
    assert attribute(headers, {"feature": "from-body"}, "", KEY, "").feature == "from-header"
    assert attribute([], {"feature": "from-body"}, "", KEY, "").feature == "from-body"
    assert attribute([], {}, "", KEY, "").feature == "support"


def test_tags_in_the_body_serve_too_and_headers_win_over_them():
    body = {"farthing_tags": "team=care,tier=gold", "tags": "plan=b"}
    assert attribute([], body, "", None, "").tags == {"team": "care", "tier": "gold", "plan": "b"}
    headers = [(b"x-farthing-tags", b"team=search")]
    assert attribute(headers, body, "", None, "").tags["team"] == "search"
    assert attribute([], {"tags": "team=other"}, "", KEY, "").tags == {"team": "care"}


def test_each_tag_is_kept_whole_up_to_256_characters_and_32_of_them():
    written = ",".join(f"key{number}={'v' * 300}" for number in range(40))
    tags = attribute([(b"x-farthing-tags", written.encode())], {}, "", None, "").tags
    assert list(tags) == [f"key{number}" for number in range(32)]
    assert set(tags.values()) == {"v" * 256}


def test_a_tag_without_a_name_is_none():
    assert attribute([(b"x-farthing-tags", b"=v, = ,,a=")], {}, "", None, "").tags == {"a": ""}


def test_who_says_unattributed_names_nothing_so_that_the_bucket_stays_one():
    headers = [(b"x-farthing-feature", b"unattributed"), (b"x-farthing-user", b"  ")]
    assert attribute(headers, {"session": "unattributed"}, "", None, "") == Attribution()
    assert attribute(headers, {}, "", KEY, "").feature == "support"


def test_only_a_trace_as_w3c_writes_it_is_taken_from_traceparent():
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for written, found in (
        (f"00-{trace}-00f067aa0ba902b7-01", trace),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        ("a-b-c-d", ""),
    ):
        headers = [(b"traceparent", written.encode())]
        assert attribute(headers, {}, "", None, "").trace == found


def test_the_tenant_comes_from_the_key_alone():
    headers = [(b"x-farthing-tenant", b"other")]
    assert attribute(headers, {"tenant": "other"}, "", KEY, "").tenant == "acme"
    assert attribute(headers, {"tenant": "other"}, "", None, "").tenant == ""


def test_a_caller_cannot_overwrite_the_tags_of_its_key():
    headers = [(b"x-farthing-tags", b"team=other,new=1")]
    assert attribute(headers, {}, "", KEY, "").tags == {"team": "care", "new": "1"}


def test_other_products_headers_are_understood_and_ours_win():
    headers = [(b"x-farthing-user", b"ours"), (b"helicone-user-id", b"theirs")]
    assert attribute(headers, {}, "", None, "").user == "ours"
    assert attribute([(b"helicone-property-feature", b"chat")], {}, "", None, "").feature == "chat"


def test_a_w3c_trace_is_the_trace_where_none_is_named():
    headers = [(b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    assert attribute(headers, {}, "", None, "").trace == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert attribute([(b"traceparent", b"junk")], {}, "", None, "").trace == ""


def test_values_and_tags_are_bounded():
    headers = [
        (b"x-farthing-feature", b"f" * 5000),
        (b"x-farthing-tags", b",".join(b"t%d=1" % n for n in range(100))),
    ]
    said = attribute(headers, {}, "", None, "")
    assert len(said.feature) == 256
    assert len(said.tags) == 32


def test_the_gateways_environment_is_the_last_resort():
    assert attribute([], {}, "", None, "prod").environment == "prod"
    assert attribute([(b"x-farthing-env", b"dev")], {}, "", KEY, "prod").environment == "dev"
