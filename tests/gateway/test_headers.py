from hypothesis import given
from hypothesis import strategies as st

from farthing.gateway.headers import (
    Sieve,
    first,
    for_client,
    for_provider,
    telling,
    text,
)


def test_credentials_and_our_own_headers_stay_here():
    sent = for_provider(
        [
            (b"authorization", b"Bearer fk-secret"),
            (b"x-api-key", b"fk-secret"),
            (b"cookie", b"a=b"),
            (b"x-farthing-feature", b"support"),
            (b"anthropic-version", b"2023-06-01"),
            (b"anthropic-beta", b"output-128k"),
            (b"openai-organization", b"org-1"),
            (b"idempotency-key", b"abc"),
            (b"traceparent", b"00-1-2-01"),
            (b"user-agent", b"OpenAI/Python"),
        ],
        is_body_decoded=False,
    )
    names = [name for name, _ in sent]
    assert b"fk-secret" not in b"".join(value for _, value in sent)
    assert names == [
        b"anthropic-version",
        b"anthropic-beta",
        b"openai-organization",
        b"idempotency-key",
        b"traceparent",
        b"user-agent",
        b"accept-encoding",
    ]


def test_answers_are_asked_for_unencoded_so_that_usage_can_be_read():
    assert for_provider([(b"accept-encoding", b"gzip, br")], is_body_decoded=False) == [
        (b"accept-encoding", b"identity")
    ]


def test_a_decompressed_body_travels_without_its_encoding():
    sent = for_provider([(b"content-encoding", b"gzip")], is_body_decoded=True)
    assert first(sent, b"content-encoding") is None
    kept = for_provider([(b"content-encoding", b"gzip")], is_body_decoded=False)
    assert first(kept, b"content-encoding") == b"gzip"


def test_hop_by_hop_headers_end_here_and_rate_limits_pass():
    assert for_client(
        [
            (b"connection", b"keep-alive"),
            (b"transfer-encoding", b"chunked"),
            (b"content-length", b"5"),
            (b"set-cookie", b"__cf_bm=1"),
            (b"retry-after", b"3"),
            (b"x-ratelimit-remaining-requests", b"7"),
            (b"request-id", b"req_1"),
        ]
    ) == [
        (b"retry-after", b"3"),
        (b"x-ratelimit-remaining-requests", b"7"),
        (b"request-id", b"req_1"),
    ]


def test_header_text_survives_any_bytes():
    assert text("fünf".encode()) == "fünf"
    assert text(b"f\xfcnf") == "fünf"
    assert text(b"a\x01b") == "ab"


NAMES = st.sampled_from(
    [b"a", b"cookie", b"x-farthing-user", b"content-length", b"user-agent", b"set-cookie", b"host"]
)


@given(st.lists(st.lists(st.tuples(NAMES, st.binary(max_size=3))), max_size=5))
def test_a_sieve_keeps_what_it_would_keep_without_its_memory(answers):
    sieve = Sieve()
    for headers in answers:
        assert sieve(headers) == for_client(headers)


def test_a_sieve_forgets_rather_than_grows():
    sieve = Sieve()
    for number in range(3000):
        assert sieve([(b"x-%d" % number, b""), (b"set-cookie", b"")]) == [(b"x-%d" % number, b"")]
    assert len(sieve._known) <= 1000


def test_what_a_caller_named_is_told_in_one_line_of_bounded_length():
    assert telling("openai/gpt-4o") == b"openai/gpt-4o"
    assert telling("openai/fünf") == "openai/fünf".encode()
    assert telling("openai/gpt\r\nset-cookie: a\x1b") == b"openai/gpt??set-cookie: a?"
    assert len(telling("g" * 70_000)) == 256
