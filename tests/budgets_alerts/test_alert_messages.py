import re

import msgspec
import pytest
from alert_doubles import DAY_US, HOUR_US, NOON_US, an_event, usd

from farthing.budgets.alerts import Alert, Drivers, Kind
from farthing.budgets.alerts.alert import cents, headline, link_to
from farthing.budgets.alerts.drivers import Driver, TopCall
from farthing.budgets.alerts.forms import as_mail, as_slack, as_text, as_webhook
from farthing.budgets.pace import status_of
from farthing.budgets.standing import Standing

STANDING = Standing(
    budget="search",
    scope="tenant=*",
    key="tenant=acme",
    window="month 2026-11",
    start_us=NOON_US - 12 * DAY_US - 12 * HOUR_US,
    end_us=NOON_US + 17 * DAY_US + 12 * HOUR_US,
    limit=usd("100"),
    spent=usd("84.20"),
    reserved=usd("1.50"),
)
HOURS = [usd("0.25").nanodollars] * (12 * 24)
ALERT = Alert(
    event=an_event(80),
    status=status_of(STANDING, HOURS, NOON_US),
    drivers=Drivers(
        features=(Driver("answer", usd("60.5"), 1200), Driver("triage", usd("23.7"), 9000)),
        models=(Driver("gpt-4o", usd("70"), 9000),),
        top_calls=(TopCall("call_1", "answer", "gpt-4o", usd("1.25")),),
        calls=10_200,
    ),
    link="https://ops.example/budgets/search?key=tenant%3Dacme",
)


def test_plain_text_says_who_how_much_what_drives_it_the_forecast_and_the_link():
    text = as_text(ALERT)
    assert text.startswith('Budget "search" (tenant=acme) reached 80 %: $84.20 of $100.00\n\n')
    assert "Spent $84.20 of $100.00 (84.2 %) in month 2026-11." in text
    assert "$1.50 reserved, $14.30 free" in text
    assert "Pace: $0.25 in the last hour, $6.00 in 24 hours." in text
    assert "the limit is reached 2026-11-16T03:12:00Z" in text
    assert "Forecast for 2026-12-01T00:00:00Z: $189.20 (80 % interval $" in text
    assert "of 10,200 calls since the window began" in text
    assert "features: answer $60.50 (1,200 calls), triage $23.70 (9,000 calls)" in text
    assert "dearest calls: call_1 $1.25 (gpt-4o)" in text
    assert "Look closer: https://ops.example/budgets/search?key=tenant%3Dacme" in text


def test_a_webhook_has_the_documented_shape_with_money_as_decimal_texts():
    told = msgspec.json.decode(as_webhook(ALERT))
    assert told["type"] == "budget.threshold"
    assert told["timestamp"] == "2026-11-13T12:00:00Z"
    data = told["data"]
    assert data["threshold_percent"] == 80
    assert (data["spent_usd"], data["limit_usd"], data["spent_share"]) == ("84.20", "100.00", 0.842)
    assert data["now"]["burn"] == {"last_hour_usd": "0.25", "last_day_usd": "6.00"}
    assert data["now"]["window_ends"] == "2026-12-01T00:00:00Z"
    assert data["forecast"]["basis"] == "history"
    assert float(data["forecast"]["low_usd"]) <= 189.2 <= float(data["forecast"]["high_usd"])
    assert data["drivers"]["features"][0] == {"name": "answer", "cost_usd": "60.50", "calls": 1200}
    assert data["drivers"]["dearest_calls"][0]["call"] == "call_1"


def test_slack_gets_blocks_within_its_limits_and_its_control_signs_escaped():
    nasty = msgspec.structs.replace(
        ALERT, event=an_event(80, key="tenant=<!channel> & co " + "x" * 4000)
    )
    told = msgspec.json.decode(as_slack(nasty))
    header, section = told["blocks"]
    assert header["type"] == "header"
    assert len(header["text"]["text"]) <= 150
    assert section["text"]["type"] == "mrkdwn"
    assert len(section["text"]["text"]) <= 3000
    assert "<!channel>" not in told["text"]
    assert "&lt;!channel&gt; &amp; co" in told["text"]


def test_mail_is_text_and_simple_html_under_a_stable_message_id():
    mail = as_mail(
        msgspec.structs.replace(ALERT, event=an_event(80, key="tenant=<script>")),
        sender="Farthing <alerts@ops.example>",
        recipients=("a@ops.example", "b@ops.example"),
        message_id="msg_1",
        now_us=NOON_US,
    )
    assert mail["Message-ID"] == "<msg_1@ops.example>"
    assert mail["To"] == "a@ops.example, b@ops.example"
    assert mail["Date"] == "Fri, 13 Nov 2026 12:00:00 +0000"
    assert "reached 80 %" in mail["Subject"]
    plain, html = (part.get_content() for part in mail.iter_parts())
    assert "Forecast for" in plain
    assert "<script>" not in html
    assert '<a href="https://ops.example/budgets/search?key=tenant%3Dacme">' in html


def test_a_line_break_in_a_key_reaches_no_header():
    event = an_event(80, key="tenant=a\r\nBcc: all@evil.example")
    assert "\n" not in headline(Alert(event=event))
    mail = as_mail(
        Alert(event=event), sender="a@b.c", recipients=("d@e.f",), message_id="m", now_us=NOON_US
    )
    assert mail["Bcc"] is None


def test_without_details_the_alert_still_says_the_essential():
    text = as_text(Alert(event=an_event(100, key="all"), detail="Details are missing: no ledger"))
    assert text.startswith('Budget "search" reached 100 %')
    assert "Details are missing: no ledger" in text
    assert "farthing budget status search" in text
    assert msgspec.json.decode(as_webhook(Alert(event=an_event())))["data"]["now"] is None


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_headline_of_one_line(kind):
    event = an_event(100 if kind in (Kind.THRESHOLD, Kind.FORECAST) else 0, kind=kind)
    assert re.fullmatch(r".{10,200}", headline(Alert(event=event)))


def test_a_kind_from_a_later_version_is_told_all_the_same():
    assert "novelty" in headline(Alert(event=an_event(0, kind="novelty")))


def test_a_link_escapes_what_it_names():
    event = an_event(budget="a/b", key="tenant=x&y")
    assert link_to("https://ops.example/", event) == (
        "https://ops.example/budgets/a%2Fb?key=tenant%3Dx%26y&window=month%202026-11"
    )
    assert link_to("", event) == ""


@pytest.mark.parametrize(
    ("amount", "shown"), [("0", "0.00"), ("1.005", "1.01"), ("12.3449", "12.34"), ("-3.5", "-3.50")]
)
def test_estimates_are_shown_to_the_cent(amount, shown):
    assert cents(usd(amount)) == shown
