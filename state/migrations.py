"""The store's schema, as the scripts that lead from each version to the next; their number is the schema version."""

from __future__ import annotations

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE answers (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL);
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, started TEXT NOT NULL, finished TEXT, status TEXT NOT NULL,
        exit INTEGER, pid INTEGER, request TEXT NOT NULL
    );
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs (id), body TEXT NOT NULL
    );
    CREATE INDEX events_of_run ON events (run, id);
    CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs (id), step TEXT NOT NULL,
        operation TEXT NOT NULL, at TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL
    );
    CREATE TABLE snapshots (
        change INTEGER NOT NULL REFERENCES changes (id), path TEXT NOT NULL, kind TEXT NOT NULL, content BLOB NOT NULL,
        mode INTEGER NOT NULL, owner TEXT NOT NULL, grp TEXT NOT NULL, target TEXT NOT NULL, parents TEXT NOT NULL,
        before_print TEXT NOT NULL, after_print TEXT, after_content BLOB,
        PRIMARY KEY (change, path)
    );
    CREATE TABLE observations (
        step TEXT PRIMARY KEY, status TEXT NOT NULL, at TEXT NOT NULL, verified_at TEXT, planned INTEGER NOT NULL
    );
    """,
    """
    CREATE TABLE guards (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs (id), state TEXT NOT NULL,
        since INTEGER NOT NULL, armed TEXT NOT NULL, ended TEXT, record TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE kept (
        step TEXT NOT NULL, operation TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (step, operation)
    );
    """,
)


def migrate(connection: sqlite3.Connection, version: int = len(MIGRATIONS)) -> None:
    """Lead a database to a schema version, the newest when none is named; a migration happens whole or not at all."""
    while (found := connection.execute("PRAGMA user_version").fetchone()[0]) < version:
        try:
            connection.executescript(f"BEGIN IMMEDIATE;{MIGRATIONS[found]};PRAGMA user_version = {found + 1};COMMIT;")
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.rollback()
            # Another process may have done it in the meantime.
            if connection.execute("PRAGMA user_version").fetchone()[0] == found:
                raise
