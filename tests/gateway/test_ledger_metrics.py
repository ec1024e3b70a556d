from prometheus_client.parser import text_string_to_metric_families

from farthing.call import Attempt, AttemptStatus, Attribution, Endpoint
from farthing.gateway.metrics import LedgerMetrics, write_metrics
from farthing.ledger import CallStatus, Entry
from farthing.money import Money
from farthing.usage import Usage


def a_call(number, *attempts, feature="support", duration_us=300_000):
    return Entry(
        call_id=f"call-{number}",
        endpoint=Endpoint.OPENAI_CHAT,
        model="gpt-4o",
        is_streamed=False,
        status=CallStatus.OK,
        started_us=number,
        duration_us=duration_us,
        overhead_us=0,
        attribution=Attribution(feature=feature),
        attempts=attempts,
    )


A_DOLLAR_AND_A_HALF = Money(1_500_000_000)


def an_attempt(cost=A_DOLLAR_AND_A_HALF, model="gpt-4o", **usage):
    return Attempt(
        number=1,
        provider="openai",
        model=model,
        status=AttemptStatus.OK,
        usage=Usage(**usage),
        cost=cost,
    )


def samples(metrics, directory):
    metrics.save(directory)
    text = write_metrics(directory, [], None).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_money_tokens_and_calls_are_the_sums_of_what_was_posted(tmp_path):
    metrics = LedgerMetrics()
    metrics.count([a_call(1, an_attempt(input=10, output=4)), a_call(2)])
    metrics.count([a_call(3, an_attempt(input=5), an_attempt(cost=None, output=1))])
    found = samples(metrics, tmp_path)
    assert found["farthing_calls_total", "ok", "support"] == 3
    assert found["farthing_attempts_total", "gpt-4o", "ok", "openai"] == 3
    assert found["farthing_cost_usd_total", "gpt-4o", "openai", "support"] == 3.0
    assert found["farthing_unpriced_attempts_total", "gpt-4o", "openai", "support"] == 1
    assert found["farthing_tokens_total", "gpt-4o", "input", "openai", "support"] == 15
    assert found["farthing_tokens_total", "gpt-4o", "openai", "output", "support"] == 5


def test_durations_fall_into_cumulative_buckets(tmp_path):
    metrics = LedgerMetrics()
    metrics.count([a_call(n, duration_us=us) for n, us in enumerate((50_000, 50_001, 400_000_000))])
    found = samples(metrics, tmp_path)
    name = "farthing_call_duration_seconds"
    assert found[f"{name}_bucket", "0.05", "support"] == 1
    assert found[f"{name}_bucket", "0.1", "support"] == 2
    assert found[f"{name}_bucket", "300.0", "support"] == 2
    assert found[f"{name}_bucket", "+Inf", "support"] == 3
    assert found[f"{name}_sum", "support"] == 400.100001


def test_names_that_callers_invent_do_not_become_labels_without_end(tmp_path):
    metrics = LedgerMetrics()
    metrics.count([a_call(n, an_attempt(model=f"m{n}"), feature=f"f{n}") for n in range(600)])
    found = samples(metrics, tmp_path)
    assert found["farthing_calls_total", "ok", "other"] == 100
    assert sum(key[0] == "farthing_calls_total" for key in found) == 501
