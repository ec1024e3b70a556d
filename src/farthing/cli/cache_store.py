"""The cache in the data folder, as the commands open it, and what its semantic layer stands at."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from farthing.cli.output import console, table, usd
from farthing.config import Config
from farthing.errors import CallerError, ConfigError
from farthing.levers.cache import SqliteAnswers, TenantKeys, Vault, cache_file, open_vault
from farthing.levers.cache.seal import BadSeal, Sealer
from farthing.levers.cache.semantic.calibration import WORDS_NEEDED
from farthing.levers.cache.semantic.course import Course, course_id, terms_of
from farthing.levers.cache.semantic.earning import earned
from farthing.levers.cache.semantic.shelf import QUESTION_PLACE, Question, unpacked
from farthing.levers.cache.semantic_extra import embedder_of
from farthing.levers.cache.semantic_labels import course_of, label_of, words_on_drawn
from farthing.levers.cache.semantic_settings import semantic_rules
from farthing.levers.cache.semantic_tables import CourseRow, SemanticTables
from farthing.money import Money

__all__ = ["NoCache", "opened", "owners", "print_semantic", "semantic_accounts", "stored_texts"]


class NoCache(CallerError):
    """There is no cache in the data folder."""

    code = "no_cache"
    status = 404


@contextlib.contextmanager
def opened(config: Config) -> Generator[tuple[SqliteAnswers, Vault]]:
    """The cache in the data folder.

    Raises:
        NoCache: there is none.
    """
    directory = Path(config.ledger.data_dir)
    path = cache_file(directory)
    if config.cache.store == "memory" or not path.exists():
        raise NoCache(
            f"There is no cache in {directory}. Nothing was changed. It is kept there once a "
            'gateway runs with cache.mode = "on" and cache.store = "sqlite".'
        )
    with contextlib.closing(SqliteAnswers(path)) as answers:
        yield answers, open_vault(config.cache, directory)


def owners(vault: Vault) -> dict[bytes, TenantKeys]:
    """The tenants by what stands for them in the file."""
    return {keys.tenant_mark: keys for keys in vault.tenants()}


def stored_texts(answers: SqliteAnswers, vault: Vault, embedder: str) -> list[tuple[str, Any]]:
    """All stored questions that can be read, with their vectors."""
    tables, sealer = SemanticTables(answers), Sealer()
    found: dict[str, Any] = {}
    for keys in vault.tenants():
        for row in tables.questions_of(keys.tenant_mark, embedder):
            try:
                plain = sealer.open(keys.payload_key, row.sealed, QUESTION_PLACE + row.entry)
            except BadSeal:
                continue
            question = msgspec.msgpack.decode(plain, type=Question)
            found[question.text] = unpacked(question.vector)
    return list(found.items())


def semantic_accounts(
    config: Config, answers: SqliteAnswers, vault: Vault, now_us: int, days: int
) -> list[dict[str, Any]]:
    """Each namespace: what it has proven, what it may do, what it earned over some days."""
    settings = config.cache.semantic
    try:
        identity = embedder_of(settings.embedder)[0]
    except (ConfigError, ModuleNotFoundError):
        identity = ""
    tables, known = SemanticTables(answers), owners(vault)
    since = datetime.fromtimestamp(now_us / 1e6, UTC).date() - timedelta(days - 1)
    told: list[dict[str, Any]] = []
    for row in tables.courses():
        counts = tables.account(row.course, since.isoformat())
        rules = semantic_rules(settings, row.feature)
        account = earned(counts, error=rules.delta, loss=rules.loss, sampling=settings.sampling)
        keys = known.get(row.tenant)
        terms = terms_of(settings, rules, identity, row.model)
        is_current = keys is not None and course_id(keys, row.feature, terms) == row.course
        labels = tables.labels(row.course, tables.last_label()) if is_current else []
        course = course_of(terms, labels)
        for one in labels:
            course.take(label_of(one, course))
        standing = course.standing
        told.append(
            {
                "tenant": "forgotten" if keys is None else keys.tenant,
                "feature": row.feature,
                "model": row.model,
                "mode": rules.mode,
                "state": _state(row, course, is_current=is_current),
                "certified_from": standing.threshold,
                "delta": rules.delta,
                "labels": standing.labels,
                "wrong": standing.wrong,
                "labels_needed": standing.labels_needed,
                "breaches": standing.breaches,
                "judge_corrected": standing.is_corrected,
                "judge_words": words_on_drawn(labels),
                "judge_words_needed": WORDS_NEEDED,
                "stopped": row.stopped,
                "lookups": account.lookups,
                "hits": account.hits,
                "alias_hits": account.alias_hits,
                "checks": account.checks,
                "held_back": counts.get("held_back", 0),
                "not_indexed": counts.get("not_indexed", 0),
                "would_hits": counts.get("would_hits", 0),
                "would_save_usd": Money(counts.get("would_save_nd", 0)),
                "saved_usd": account.saved,
                "call_saved_usd": account.call_cost,
                "loss_usd": rules.loss,
                "judging_usd": account.judging,
                "lookups_usd": account.embedding,
                "wrong_answers_usd": account.wrong_answers,
                "net_usd": account.net,
                "error_max": account.error_max,
            }
        )
    return told


def _state(row: CourseRow, course: Course, *, is_current: bool) -> str:
    if not is_current:
        return "other terms"  # settings, embedder, guards or tenant have changed since
    if row.stopped:
        return "stopped"
    if course.standing.threshold is not None:
        return "certified"
    if course.standing.breaches:
        return "back in shadow"
    return "certifying" if course.standing.is_fitted else "learning"


def print_semantic(told: Sequence[dict[str, Any]], days: int) -> None:
    """The namespaces as a table, and in words what each still needs."""
    made = table(
        f"Semantic look-ups of {days} days",
        *("feature", "model", "mode", "state", "look-ups", "would hit", "hits", "net USD"),
        numeric=4,
    )
    for row in told:
        made.add_row(
            row["feature"] or "unattributed",
            row["model"],
            row["mode"],
            row["state"],
            f"{row['lookups']:,}",
            f"{row['would_hits']:,}",
            f"{row['hits'] + row['alias_hits']:,}",
            usd(row["net_usd"]),
        )
    out = console()
    out.print(made)
    for row in told:
        name = row["feature"] or "unattributed"
        out.print(f"{name}: {_in_words(row)}", markup=False)
        if row["held_back"]:
            out.print(
                f"{name}: {row['held_back']:,} calls were not served because another user's question "
                "was not confirmed yet, or asked once only",
                markup=False,
            )
        if row["not_indexed"]:
            out.print(
                f"{name}: {row['not_indexed']:,} questions are found in the same words only: one "
                "user or key asked many that say nearly the same",
                markup=False,
            )
    out.print()


def _in_words(row: dict[str, Any]) -> str:
    if row["state"] == "other terms":
        return "recorded under other settings, embedder or guards; it counts no more"
    if row["stopped"]:
        return row["stopped"]
    would = f"would have saved ${row['would_save_usd']} on {row['would_hits']:,} calls"
    if row["state"] == "certified":
        bound = f"at most {row['delta']:.2%} of what it serves is wrong (95 %), {_of_judge(row)}"
        return f"{bound}; net = saved - judging - processor time - wrong answers at that bound"
    needed = row["labels_needed"]
    wants = f", {needed:,} without an error prove {row['delta']:.2%}" if needed else ""
    return f"{would}; {row['labels']:,} compared, {row['wrong']:,} wrong or unjudged{wants}, {_of_judge(row)}"


def _of_judge(row: dict[str, Any]) -> str:
    """Whether the judge's own errors are allowed for."""
    words, needed = row["judge_words"], row["judge_words_needed"]
    if row["judge_corrected"]:
        return f"the judge's errors allowed for by {words:,} words of people"
    return (
        f"by the judge's word, whose errors are not corrected for ({words:,} of {needed:,} drawn "
        "pairs labelled: cache near --drawn)"
    )
