import base64

import pytest
from alert_doubles import NOON_US, SECRET

from farthing.budgets.alerts import signing_key, verify
from farthing.budgets.alerts.signing import webhook_headers
from farthing.errors import ConfigError
from farthing.secret import Secret

BODY = b'{"test": 2432232314}'


def test_the_signature_is_that_of_the_specifications_own_libraries():
    # The test vector of standard-webhooks/standard-webhooks, libraries/php/tests/WebhookTest.php.
    key = signing_key(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    at_us = 1_614_265_330_000_000
    assert webhook_headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", at_us, BODY) == [
        (b"webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (b"webhook-timestamp", b"1614265330"),
        (b"webhook-signature", b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]


def test_while_a_secret_is_replaced_both_sign_and_either_verifies():
    old, new = signing_key(Secret(SECRET)), b"n" * 32
    headers = dict(webhook_headers([new, old], "msg_1", NOON_US, BODY))
    assert verify(old, headers, BODY, NOON_US)
    assert verify(new, headers, BODY, NOON_US)
    assert not verify(b"x" * 32, headers, BODY, NOON_US)


def test_a_changed_body_an_old_message_and_a_missing_header_do_not_verify():
    key = signing_key(Secret(SECRET))
    headers = dict(webhook_headers([key], "msg_1", NOON_US, BODY))
    assert not verify(key, headers, BODY + b" ", NOON_US)
    assert verify(key, headers, BODY, NOON_US + 300_000_000)
    assert not verify(key, headers, BODY, NOON_US + 301_000_000)
    assert not verify(key, headers | {b"webhook-id": b"msg_2"}, BODY, NOON_US)
    assert not verify(key, {}, BODY, NOON_US)


@pytest.mark.parametrize(
    "secret",
    ["", "password", "whsec_" + base64.b64encode(b"x" * 23).decode(), "é" * 40],
)
def test_a_weak_or_broken_secret_is_refused_without_being_shown(secret):
    with pytest.raises(ConfigError, match="24 to 64 random bytes") as refused:
        signing_key(Secret(secret))
    assert not secret or secret not in str(refused.value)
