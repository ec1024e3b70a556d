"""A scope says which calls a budget counts, and which account each belongs to."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.budgets import Scope
from farthing.call import Attribution
from farthing.errors import ConfigError

SUPPORT = Attribution(feature="support", tenant="acme", tags={"team": "north star"})


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("all", "all"),
        ("feature=support", "feature=support"),
        ("feature=search", None),
        ("tenant=*", "tenant=acme"),
        ("user=*", "user=unattributed"),
        ("user=unattributed", "user=unattributed"),
        ("model=gpt-*", "model=gpt-*"),
        ("model=claude-*", None),
        ("model=*", "model=gpt-4o"),
        ("feature=support tenant=* model=gpt-*", "feature=support tenant=acme model=gpt-*"),
        ("tag:team=*", "'tag:team=north star'"),
        ("'tag:team=north star'", "'tag:team=north star'"),
        ("env=*", "environment=unattributed"),
        ("feature=support tenant=other", None),
    ],
)
def test_a_scope_gives_the_key_of_a_call_or_none(scope, key):
    assert Scope.parse(scope).key(SUPPORT, "gpt-4o") == key


def test_a_pattern_matches_without_splitting_and_a_lone_star_splits():
    one = Scope.parse("model=gpt-*")
    each = Scope.parse("model=*")
    assert one.key(SUPPORT, "gpt-4o") == one.key(SUPPORT, "gpt-4o-mini")
    assert each.key(SUPPORT, "gpt-4o") != each.key(SUPPORT, "gpt-4o-mini")


def test_the_first_call_of_an_unknown_user_is_in_scope_from_its_first_token():
    scope = Scope.parse("user=*")
    assert scope.key(Attribution(user="never-seen"), "gpt-4o") == "user=never-seen"
    assert scope.key(Attribution(), "gpt-4o") == "user=unattributed"


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("", "must not be empty"),
        ("feature", "is no condition"),
        ("feature=", "is no condition"),
        ("featur=a", "did you mean 'feature'"),
        ("tag:=a", "is unknown"),
        ("tenant=a tenant=b", "twice"),
        ("env=a environment=b", "twice"),
        ("feature='a", "open quote"),
    ],
)
def test_a_scope_that_is_not_understood_is_refused(scope, said):
    with pytest.raises(ConfigError, match=said):
        Scope.parse(scope)


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda w: w != "*")


@given(tenant=words, user=words)
def test_no_two_callers_share_a_key_whatever_they_are_called(tenant, user):
    scope = Scope.parse("tenant=* user=*")
    key = scope.key(Attribution(tenant=tenant, user=user), "m")
    assert shlex.split(key) == [f"tenant={tenant}", f"user={user}"]


@given(st.dictionaries(st.sampled_from(["feature", "tenant", "tag:a", "model"]), words, min_size=1))
def test_a_scope_is_written_as_it_is_read(conditions):
    text = " ".join(shlex.quote(f"{name}={value}") for name, value in conditions.items())
    assert Scope.parse(str(Scope.parse(text))) == Scope.parse(text)


@given(words, words)
def test_rotating_a_key_keeps_the_tenants_account(first_key, second_key):
    # The tenant comes from the key ring; the key itself is in no account's name.
    scope = Scope.parse("tenant=*")
    before = scope.key(Attribution(tenant="acme", tags={"key": first_key}), "m")
    assert scope.key(Attribution(tenant="acme", tags={"key": second_key}), "m") == before
