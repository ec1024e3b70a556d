import pytest

from farthing.budgets.alerts import AlertSettings, check_targets, targets_named
from farthing.errors import ConfigError

HOOK = AlertSettings(name="hook", kind="webhook", url="https://h.example/x")
CHAT = AlertSettings(name="chat", kind="slack", url_env="SLACK_URL")


@pytest.mark.parametrize(
    ("fields", "lacking"),
    [
        ({"kind": "webhook"}, "url or url_env"),
        ({"kind": "slack"}, "url or url_env"),
        ({"kind": "email", "host": "h"}, "sender, recipients"),
        (
            {
                "kind": "email",
                "host": "h",
                "sender": "a@b",
                "recipients": ("c@d",),
                "username": "u",
            },
            "password_env",
        ),
    ],
)
def test_what_a_kind_needs_is_asked_for(fields, lacking):
    with pytest.raises(ValueError, match=lacking):
        AlertSettings(name="x", **fields)


def test_a_budget_that_names_no_target_reaches_every_one():
    assert targets_named((HOOK, CHAT), ()) == ("hook", "chat")
    assert targets_named((HOOK, CHAT), ("chat",)) == ("chat",)


def test_all_faults_of_the_targets_are_told_together():
    with pytest.raises(ConfigError) as refused:
        check_targets((HOOK, HOOK), [("search", ("hook", "chatt")), ("all", ())])
    assert "two alert targets are named 'hook'" in str(refused.value)
    assert "budget 'search' notifies 'chatt'" in str(refused.value)
    check_targets((HOOK, CHAT), [("search", ("hook",))])


def test_secrets_come_from_the_environment_and_never_show():
    secret = CHAT.address({"SLACK_URL": "https://hooks.example/T0/abc"})
    assert secret.reveal().endswith("abc")
    assert "abc" not in repr(secret) + str(secret) + repr(CHAT)
    two = AlertSettings(name="w", kind="webhook", url="https://h", secret_env="S")
    assert len(two.signing_secrets({"S": "whsec_a whsec_b"})) == 2
