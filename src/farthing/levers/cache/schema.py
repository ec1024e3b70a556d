"""The tables of `cache.sqlite`; what they hold of a tenant is under its secret."""

from __future__ import annotations

from typing import Final

__all__ = ["SCHEMA", "VERSION"]

VERSION: Final = 1
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
