"""The tables of `evidence.sqlite`."""

from __future__ import annotations

from typing import Final

__all__ = ["SCHEMA", "VERSION"]

VERSION: Final = 1
SCHEMA: Final = (
    """CREATE TABLE comparisons (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        lever TEXT NOT NULL,
        scope TEXT NOT NULL,
        version TEXT NOT NULL,
        mode TEXT NOT NULL,
        call_id TEXT NOT NULL,
        candidate_call TEXT NOT NULL,
        reference_call TEXT NOT NULL,
        judge TEXT NOT NULL,
        score REAL NOT NULL,
        reference REAL NOT NULL,
        probability REAL NOT NULL,
        cost_nanodollars INTEGER NOT NULL,
        at_us INTEGER NOT NULL,
        reason TEXT NOT NULL,
        UNIQUE (lever, scope, call_id, judge)
    )""",
    "CREATE INDEX comparisons_scope ON comparisons (lever, scope, id)",
    """CREATE TABLE states (
        lever TEXT NOT NULL,
        scope TEXT NOT NULL,
        mode TEXT NOT NULL,
        version TEXT NOT NULL,
        generation INTEGER NOT NULL,
        watched_from INTEGER NOT NULL,
        mode_from INTEGER NOT NULL,
        since_us INTEGER NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (lever, scope)
    )""",
    """CREATE TABLE trail (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_us INTEGER NOT NULL,
        lever TEXT NOT NULL,
        scope TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL
    )""",
    """CREATE TABLE switch (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        is_stopped INTEGER NOT NULL
    )""",
    "INSERT INTO switch VALUES (0, 0)",
    "CREATE TABLE spent (day INTEGER PRIMARY KEY, nanodollars INTEGER NOT NULL)",
    """CREATE TABLE feedback (
        call_id TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        feature TEXT NOT NULL,
        score REAL NOT NULL,
        comment TEXT NOT NULL,
        at_us INTEGER NOT NULL
    )""",
    """CREATE TABLE labels (
        comparison INTEGER PRIMARY KEY,
        is_good INTEGER NOT NULL,
        at_us INTEGER NOT NULL
    )""",
)
