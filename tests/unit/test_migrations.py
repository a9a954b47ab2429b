"""Every schema that was ever released leads to today's, with all that was in it.

`schemas/N.sql` is a store of schema N with something in each table. Whoever adds a migration adds the dump of the
schema before it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from state.migrations import MIGRATIONS, migrate
from state.rescue import DATABASE
from state.store import Store

DUMPS = sorted((Path(__file__).parent / "schemas").glob("*.sql"), key=lambda path: int(path.stem))


def rows(connection: sqlite3.Connection) -> dict[str, list[dict[str, object]]]:
    connection.row_factory = sqlite3.Row
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
        for table in tables
        if not table.startswith("sqlite_")
    }


def test_there_is_a_store_of_each_schema_to_migrate_from() -> None:
    assert {int(path.stem) for path in DUMPS} >= set(range(1, len(MIGRATIONS)))


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_a_released_store_is_led_to_todays_schema(dump: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.executescript(dump.read_text())
    before = rows(connection)
    assert all(before.values()), "each table of the dump has something in it"
    connection.close()
    store = Store.open(tmp_path)
    assert store.notice == ""
    assert store.answers() == {
        "schema": 1, "relay": {"domain": "brightmail.example", "hostname": "mail.brightmail.example"}
    }  # fmt: skip
    newest, oldest = store.changes()
    assert (newest.step, newest.snapshots[0].before.parents) == ("ssh", ("/etc/ssh/sshd_config.d",))
    assert (oldest.snapshots[0].before.content, oldest.record["undo"]) == (b"vps\n", [["hostname", "vps"]])
    store.close()
    connection = sqlite3.connect(tmp_path / DATABASE)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    after = rows(connection)
    for table, entries in before.items():
        for entry, now in zip(entries, after[table], strict=True):
            assert now.items() >= entry.items()


def test_two_that_migrate_at_once_do_it_once(tmp_path: Path) -> None:
    one, two = (sqlite3.connect(tmp_path / "x", timeout=1) for _ in range(2))

    class Slow:
        """A connection that learns the version, and is overtaken before it does anything about it."""

        def __init__(self) -> None:
            self.overtaken = False

        def __getattr__(self, name: str) -> object:
            return getattr(two, name)

        def executescript(self, script: str) -> None:
            if not self.overtaken:
                self.overtaken = True
                migrate(one)
            two.executescript(script)

    migrate(Slow())  # type: ignore[arg-type]
    assert two.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
