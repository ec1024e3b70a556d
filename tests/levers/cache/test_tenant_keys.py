"""What follows from a tenant's secret: HMAC-SHA256, and nothing in common between tenants."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from farthing.levers.cache import TenantKeys

SECRETS = st.binary(min_size=16, max_size=200)
PARTS = st.lists(st.text(max_size=20), max_size=4)


@given(SECRETS, PARTS)
def test_a_scope_is_the_hmac_of_its_parts(secret, parts):
    encoded = [part.encode("utf-8", "surrogatepass") for part in ("scope", *parts)]
    told = b"".join(b"%d:%b" % (len(part), part) for part in encoded)
    keys = TenantKeys(tenant="acme", secret=secret)
    assert keys.scope(*parts) == hmac.digest(secret, told, "sha256")
    assert keys.scope(*parts) == keys.scope(*parts)


@given(SECRETS, PARTS, PARTS)
def test_no_two_descriptions_have_one_scope(secret, parts, others):
    keys = TenantKeys(tenant="acme", secret=secret)
    assert (keys.scope(*parts) == keys.scope(*others)) is (parts == others)


@given(SECRETS, SECRETS)
def test_keys_are_equal_where_tenant_and_secret_are(secret, other):
    one, two = TenantKeys(tenant="acme", secret=secret), TenantKeys(tenant="acme", secret=other)
    assert (one == two) is (secret == other)
    assert one != TenantKeys(tenant="globex", secret=secret)
    assert len({one, TenantKeys(tenant="acme", secret=secret)}) == 1
    assert secret.hex() not in repr(one)
    if secret != other and hmac.digest(secret, b"", "sha256") != hmac.digest(other, b"", "sha256"):
        assert one.tenant_mark != two.tenant_mark
        assert one.payload_key != two.payload_key
