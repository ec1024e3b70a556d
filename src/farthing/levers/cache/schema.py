"""The tables of `cache.sqlite`; what they hold of a tenant is under its secret."""

from __future__ import annotations

from typing import Final

__all__ = ["SCHEMA", "SEMANTIC", "SIGHTINGS", "VERSION"]

VERSION: Final = 3
SCHEMA: Final = """
CREATE TABLE entries (
    key BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    feature TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX entries_by_use ON entries (used_us);
CREATE INDEX entries_by_end ON entries (expires_us);
CREATE TABLE aliases (key BLOB PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX aliases_by_entry ON aliases (entry);
CREATE TABLE marks (mark BLOB, entry BLOB, PRIMARY KEY (mark, entry)) WITHOUT ROWID;
CREATE INDEX marks_by_entry ON marks (entry);
CREATE TRIGGER entries_end AFTER DELETE ON entries BEGIN
    DELETE FROM aliases WHERE entry = OLD.key;
    DELETE FROM marks WHERE entry = OLD.key;
END;
CREATE TABLE purges (
    id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL,
    tenant BLOB, feature TEXT, mark BLOB, before_us INTEGER
);
CREATE TABLE lookups (
    day TEXT, feature TEXT, result TEXT, reason TEXT, count INTEGER NOT NULL,
    PRIMARY KEY (day, feature, result, reason)
) WITHOUT ROWID;
"""

# What the semantic layer keeps beside the entries; it goes with them (version 2).
SEMANTIC: Final = """
CREATE TABLE questions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, entry BLOB NOT NULL UNIQUE, tenant BLOB NOT NULL,
    space BLOB NOT NULL, embedder TEXT NOT NULL, sealed BLOB NOT NULL
);
CREATE INDEX questions_by_space ON questions (space, embedder);
CREATE TABLE wordings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, entry BLOB NOT NULL,
    tenant BLOB NOT NULL, source TEXT NOT NULL, at_us INTEGER NOT NULL
);
CREATE INDEX wordings_by_entry ON wordings (entry);
CREATE TABLE apart (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, entry BLOB NOT NULL,
    tenant BLOB NOT NULL, at_us INTEGER NOT NULL, UNIQUE (key, entry)
);
CREATE INDEX apart_by_entry ON apart (entry);
CREATE TABLE labels (
    id INTEGER PRIMARY KEY AUTOINCREMENT, course BLOB NOT NULL, tenant BLOB NOT NULL,
    features TEXT NOT NULL, is_wrong INTEGER NOT NULL, propensity REAL NOT NULL,
    is_serving INTEGER NOT NULL, judge TEXT NOT NULL, at_us INTEGER NOT NULL, call_id TEXT NOT NULL
);
CREATE INDEX labels_by_course ON labels (course, id);
CREATE INDEX labels_by_call ON labels (call_id);
CREATE TABLE courses (
    course BLOB PRIMARY KEY, tenant BLOB NOT NULL, feature TEXT NOT NULL, model TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0, stopped_us INTEGER NOT NULL DEFAULT 0,
    stopped TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE asked (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, call_id TEXT NOT NULL,
    tenant BLOB NOT NULL, user BLOB, feature TEXT NOT NULL, course BLOB NOT NULL,
    key BLOB NOT NULL, entry BLOB, result TEXT NOT NULL, guard TEXT NOT NULL, cosine REAL,
    verdict TEXT NOT NULL DEFAULT '', judge TEXT NOT NULL DEFAULT '', told TEXT NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX asked_by_time ON asked (at_us);
CREATE INDEX asked_by_call ON asked (call_id);
CREATE TABLE accounts (
    day TEXT, course BLOB, tenant BLOB, feature TEXT, name TEXT, amount INTEGER NOT NULL,
    PRIMARY KEY (day, course, name)
) WITHOUT ROWID;
DROP TRIGGER entries_end;
CREATE TRIGGER entries_end AFTER DELETE ON entries BEGIN
    DELETE FROM aliases WHERE entry = OLD.key;
    DELETE FROM marks WHERE entry = OLD.key;
    DELETE FROM questions WHERE entry = OLD.key;
    DELETE FROM wordings WHERE entry = OLD.key;
    DELETE FROM apart WHERE entry = OLD.key;
END;
"""

# Who else asked for an entry, and whose wordings lead to it (version 3).
SIGHTINGS: Final = """
CREATE TABLE sightings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, entry BLOB NOT NULL, tenant BLOB NOT NULL,
    principal BLOB NOT NULL, answer BLOB NOT NULL, UNIQUE (entry, principal, answer)
);
CREATE INDEX sightings_by_principal ON sightings (principal);
ALTER TABLE wordings ADD COLUMN writer BLOB;
DROP TRIGGER entries_end;
CREATE TRIGGER entries_end AFTER DELETE ON entries BEGIN
    DELETE FROM aliases WHERE entry = OLD.key;
    DELETE FROM marks WHERE entry = OLD.key;
    DELETE FROM questions WHERE entry = OLD.key;
    DELETE FROM wordings WHERE entry = OLD.key;
    DELETE FROM apart WHERE entry = OLD.key;
    DELETE FROM sightings WHERE entry = OLD.key;
END;
"""
