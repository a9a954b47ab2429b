"""A database that is damaged, or newer than the program: found out, kept aside, and all that can be read taken over.

Nothing is destroyed: the old file stays beside the new one under a telling name. What it does not give any more comes
from the copy of the database that is made before and after each run, and from the mirror of the answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from state.image import Image, fingerprint
from state.migrations import MIGRATIONS, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    # A row as it was found: its values by the names of their columns.
    Row = dict[str, Any]

DATABASE, COPY, MIRROR = "state.sqlite3", "state.sqlite3.copy", "answers.json"
# What SQLite says of a file that is there but is not what it was, and '' where Python cannot read a value. Everything
# else (rights, room, locks, a failing disk) is not mended by writing a new file.
BROKEN = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_FORMAT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", ""}
# How Python says that SQLite gave it something that cannot be.
UNREADABLE = (sqlite3.Error, ValueError, OverflowError, MemoryError)
# Columns that hold JSON, and what it is the text of.
JSON: dict[str, type] = {"body": dict, "request": dict, "record": dict, "parents": list}
# Rows that are taken over even when some of their values are lost: the way back hangs on them.
PRECIOUS = ("runs", "changes", "snapshots")
LOST_RUN = '{"kind": "lost", "steps": [], "session": null, "wait": 0, "confirm": false}'
LOST_VALUE: dict[str, Any] = {"request": LOST_RUN, "record": "{}", "parents": "[]"}
LOST_STEP = "lost"
# Too many rows to be read at each opening, and each of them can be missed.
NOT_LOOKED_AT = ("events",)
TYPES: dict[str, tuple[type, Any]] = {"INTEGER": (int, 0), "TEXT": (str, ""), "BLOB": (bytes, b"")}
# Rows that are asked for one by one behind a page that cannot be read; seconds that one database may take.
MOST_LOST_ROWS = 50_000
MOST_SECONDS = 20.0


class Busy(Exception):  # noqa: N818 - it says what is
    """The database has to be put right, and another process is working with it."""


@dataclass(frozen=True)
class Wrong:
    """Why a database cannot be used as it is: `kind` is "damaged", "newer" or "lost"."""

    kind: str
    why: str


@dataclass(frozen=True)
class Column:
    """A column as the schema declares it."""

    name: str
    type: str
    needed: bool
    key: bool

    def holds(self, value: object) -> bool:
        """Whether `value` can be what was once written there."""
        if value is None:
            return not self.needed
        if not isinstance(value, TYPES[self.type][0]):
            return False
        return not isinstance(value, str) or (
            _is_text(value) and (self.name not in JSON or _is_json(value, JSON[self.name]))
        )

    @property
    def lost(self) -> Any:
        """What stands for a value that was lost."""
        return LOST_VALUE.get(self.name, TYPES[self.type][1]) if self.needed else None


# What every table of a database is made of.
Schema = dict[str, tuple[Column, ...]]


def schema_of(connection: sqlite3.Connection) -> Schema:
    """The tables of a database with their columns."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        table: tuple(
            Column(name, kind, needed=bool(needed or key), key=bool(key))
            for _, name, kind, needed, _, key in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))
        )
        for table in tables
        if not table.startswith("sqlite_")
    }


@lru_cache
def _schema(version: int) -> Schema:
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        migrate(empty, version)
        return schema_of(empty)


# Finding out


def diagnose(folder: Path, connection: sqlite3.Connection, *, thorough: bool) -> Wrong | None:
    """What is wrong with the database of `folder`, or nothing.

    Args:
        folder: where it lies.
        connection: open on it.
        thorough: also hold every image against its fingerprint (some 2 ms a megabyte).

    Raises:
        sqlite3.Error: when it cannot be opened for a reason that is not its own: rights, room, locks.
    """
    connection.text_factory = _escaped
    try:
        # One view of it, whatever others write meanwhile.
        _begin(folder, connection)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            return Wrong("newer", f"it has schema {version}, and this relay-wizard knows {len(MIGRATIONS)}")
        found = schema_of(connection)
        if version == 0 and not found:
            return Wrong("lost", "there is nothing in it") if left_beside(folder) else None
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "delete":
            return Wrong("damaged", "its first page is not as it was written")
        verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if verdict != "ok":
            return Wrong("damaged", verdict.splitlines()[-1])
        if found != _schema(version):
            return Wrong("damaged", "its tables are not those of its schema")
        return _misread(connection, found, thorough=thorough)
    except UNREADABLE as error:
        if isinstance(error, sqlite3.Error) and _name(error) not in BROKEN:
            raise
        return Wrong("damaged", str(error))
    finally:
        connection.rollback()


def left_beside(folder: Path) -> bool:
    """Whether something is there from which a database that is gone could be made again."""
    return (folder / COPY).exists() or (folder / MIRROR).exists()


def _begin(folder: Path, connection: sqlite3.Connection) -> None:
    """Begin a transaction that may write: a damaged first page can forbid that, as can the file system."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if _name(error) != "SQLITE_READONLY":
            raise
        if os.access(folder, os.W_OK) and os.access(folder / DATABASE, os.W_OK):
            raise sqlite3.DatabaseError("it says that nobody may write it") from None
        connection.execute("BEGIN")


def _escaped(data: bytes) -> str:
    """Text that is no text comes with its bytes escaped, and is known by them."""
    return data.decode(errors="surrogateescape")


def _name(error: sqlite3.Error) -> str:
    """The name of its primary error code: "SQLITE_CORRUPT_INDEX" → "SQLITE_CORRUPT"."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])


def _misread(connection: sqlite3.Connection, schema: Schema, *, thorough: bool) -> Wrong | None:
    """Read the rows as the program will: SQLite knows when a page is broken, not when a value is."""
    for table, there in schema.items():
        if table in NOT_LOOKED_AT:
            continue
        images = thorough and table == "snapshots"
        for values in connection.execute(f"SELECT {_asked(there, whole=images)} FROM {table}"):  # noqa: S608 - our names
            if bad := _bad(table, there, values, images=images):
                return Wrong("damaged", f"{', '.join(bad)} in a row of {table} cannot be read")
    return None


def _asked(there: Sequence[Column], *, whole: bool) -> str:
    """What to select: without its bytes a row is read from one page, however long they are."""
    return ", ".join(
        column.name if whole or column.type != "BLOB"
        else f"CASE typeof({column.name}) WHEN 'blob' THEN x'' ELSE {column.name} END"
        for column in there
    )  # fmt: skip


def _bad(table: str, there: Sequence[Column], values: Sequence[Any], *, images: bool) -> list[str]:
    """The columns of a row that cannot hold what was written."""
    bad = [column.name for column, value in zip(there, values, strict=True) if not column.holds(value)]
    if images and not bad and table == "snapshots":
        row = {column.name: value for column, value in zip(there, values, strict=True)}
        image = Image(row["path"], row["kind"], row["content"], row["mode"], row["owner"], row["grp"], row["target"])
        return [] if fingerprint(image) == row["before_print"] else ["content"]
    return bad


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_json(text: str, kind: type) -> bool:
    try:
        return isinstance(json.loads(text), kind)
    except (ValueError, RecursionError):
        return False


# Putting right


def rescue(folder: Path, wrong: Wrong, *, keep: bool) -> tuple[sqlite3.Connection, Path | None, str]:
    """A sound database with all that can still be read, its folder (None: in memory), and what to tell the operator.

    Args:
        folder: where the database lies.
        wrong: what is wrong with it.
        keep: True puts the new one in its place and keeps the old one aside; False leaves the folder as it is, and
            the new one lives in memory: looking changes nothing.

    Raises:
        Busy: when a run is going on with it.
        OSError, sqlite3.Error: when the new one cannot be written; the old one is where it was.
    """
    said = {
        "damaged": f"The state in {folder} is damaged: {wrong.why}.",
        "newer": f"The state in {folder} was written by a newer relay-wizard: {wrong.why}.",
        "lost": f"The state in {folder} is gone: {wrong.why}.",
    }[wrong.kind]
    if not keep:
        target = sqlite3.connect(":memory:")
        migrate(target)
        had = _fill(folder, target)
        return target, None, f"{said} This command only looks, and leaves it as it is. To be had of it: {had}."
    fresh = folder / f"{DATABASE}.new"
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(fresh)) as target:
        migrate(target)
        had = _fill(folder, target)
    aside = _set_aside(folder, wrong.kind)
    fresh.replace(folder / DATABASE)
    _sync(folder)
    kept = f" It is kept as {aside}." if aside else ""
    from_where = "Taken over into a new one" if aside else "Made again from what is kept beside it"
    return sqlite3.connect(folder / DATABASE, timeout=10), folder, f"{said}{kept} {from_where}: {had}."


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one that puts the database right; others wait until it is done.

    Raises:
        Busy: when a run is going on, or waits with the database open.
    """
    runs = sorted(folder.glob("runs/*/alive"))
    with contextlib.ExitStack() as stack:
        for path in (folder / "rescue", folder / "lock", *runs):
            how = fcntl.LOCK_EX | (0 if path.name == "rescue" else fcntl.LOCK_NB)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, fd)
            try:
                fcntl.flock(fd, how)
            except BlockingIOError:
                raise Busy from None
        yield


def _set_aside(folder: Path, kind: str) -> str:
    """Keep the database under another name as well; nothing when there is nothing to keep."""
    database = folder / DATABASE
    if kind == "lost":
        return ""
    stem = f"{DATABASE}.{kind}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    names = (stem, *(f"{stem}-{number}" for number in range(2, 100)))
    aside = next(name for name in names if not (folder / name).exists())
    # A second name first and the new file over the old name then, so that a kill in between loses neither.
    os.link(database, folder / aside)
    # SQLite would play a journal that is left over into whatever stands under the old name.
    for suffix in ("-journal", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{DATABASE}{suffix}").rename(folder / f"{aside}{suffix}")
    return aside


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# Taking over


def _fill(folder: Path, target: sqlite3.Connection) -> str:
    """Write all that is left into a new database; in words, what that was."""
    target.execute("PRAGMA foreign_keys = OFF")
    schema = schema_of(target)
    sources = [_readable(folder / name, schema) for name in (DATABASE, COPY)]
    with target:
        # What is whole in the copy is better than what is half broken in the database.
        for mend in (False, True):
            for source in sources:
                for table, rows in source.items():
                    _insert(target, table, schema[table], rows, mend=mend)
        _adopt_orphans(target)
        if (answers := read_mirror(folder)) is not None:
            target.execute("INSERT OR IGNORE INTO answers VALUES (1, ?)", (json.dumps(answers),))
    target.execute("PRAGMA foreign_keys = ON")
    count = {table: target.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in schema}  # noqa: S608
    answers_too = "the answers" if count["answers"] else "no answers"
    if not count["snapshots"]:
        return f"{answers_too}, but no image of a file that rollback could put back"
    return f"{answers_too}, {count['changes']} changes and {count['snapshots']} images of files for rollback"


def _insert(
    target: sqlite3.Connection, table: str, there: tuple[Column, ...], rows: Sequence[Row], *, mend: bool
) -> None:
    """Insert the rows that are whole or, with `mend`, the precious others with something in place of what is lost."""
    marks = ", ".join("?" * len(there))
    for row in rows:
        # A column that the other schema does not have is no damage.
        values = [row.get(column.name, column.lost) for column in there]
        if _bad(table, there, values, images=True):
            lost = {column.name for column, value in zip(there, values, strict=True) if not column.holds(value)}
            if not mend or table not in PRECIOUS or any(column.key and column.name in lost for column in there):
                continue
            values = [
                column.lost if column.name in lost else value for column, value in zip(there, values, strict=True)
            ]
        target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)  # noqa: S608 - our own names


def _adopt_orphans(target: sqlite3.Connection) -> None:
    """Images whose change is lost get one that says so, so that they can still be put back; changes get a run."""
    orphans = target.execute("SELECT DISTINCT change FROM snapshots WHERE change NOT IN (SELECT id FROM changes)")
    target.executemany(
        "INSERT INTO changes (id, run, step, operation, at, state, record) VALUES (?, 0, ?, 'lost', '', 'done', '{}')",
        [(number, LOST_STEP) for (number,) in orphans.fetchall()],
    )
    target.execute(
        "INSERT INTO runs (id, started, status, request)"
        " SELECT DISTINCT run, '', 'interrupted', ?"
        " FROM (SELECT run FROM changes UNION SELECT run FROM events UNION SELECT run FROM guards)"
        " WHERE run NOT IN (SELECT id FROM runs)",
        (LOST_RUN,),
    )


def _readable(source: Path, schema: Schema) -> dict[str, list[Row]]:
    """All rows of a database that can be had, by table."""
    until = time.monotonic() + MOST_SECONDS
    for look in (_look_into, _look_behind_first_page):
        rows: dict[str, list[Row]] = {}
        with contextlib.suppress(*UNREADABLE, OSError), contextlib.closing(look(source)) as connection:
            connection.text_factory = _escaped
            connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
            there = schema_of(connection)
            for table, wanted in schema.items():
                has = {column.name for column in there.get(table, ())}
                if names := [column.name for column in wanted if column.name in has]:
                    rows[table] = _rows(connection, table, names)
        if any(rows.values()):
            return rows
    return {}


def _look_into(source: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=10)


def _look_behind_first_page(source: Path) -> sqlite3.Connection:
    """The database with the first page of an empty one in place of its own, which says where every table begins."""
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        migrate(empty)
        size = empty.execute("PRAGMA page_size").fetchone()[0]
        first = bytearray(empty.serialize()[:size])
    data = source.read_bytes()
    pages = len(data) // size
    first[28:32] = pages.to_bytes(4, "big")
    connection = sqlite3.connect(":memory:")
    connection.deserialize(bytes(first) + data[size : pages * size])
    return connection


def _rows(connection: sqlite3.Connection, table: str, names: list[str]) -> list[Row]:
    """The rows of a table in their order: from both ends as far as it goes, then one by one in between."""
    asked = f"SELECT rowid, {', '.join(names)} FROM {table}"  # noqa: S608 - names of our own schema
    found: dict[int, Row] = {}

    def read(which: str, *arguments: int) -> bool:
        """Whether all that was asked for came."""
        try:
            for number, *values in connection.execute(f"{asked} {which}", arguments):
                found[number] = dict(zip(names, values, strict=True))
        except UNREADABLE:
            return False
        return True

    if not read("ORDER BY rowid"):
        low = max(found, default=0)
        read("ORDER BY rowid DESC")
        high = min((number for number in found if number > low), default=low + MOST_LOST_ROWS)
        for number in range(low + 1, min(high, low + MOST_LOST_ROWS)):
            read("WHERE rowid = ?", number)
    return [found[number] for number in sorted(found)]


# What is kept beside


def keep_copy(folder: Path, connection: sqlite3.Connection) -> None:
    """Copy the database, so that the way back does not hang on one file; a broken one does not replace a sound copy."""
    fresh = folder / f"{COPY}.new"
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(fresh)) as copy:
            connection.backup(copy)
            sound = copy.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        if sound:
            _replace(fresh, folder / COPY)
    finally:
        fresh.unlink(missing_ok=True)


def keep_mirror(folder: Path, answers: dict[str, Any]) -> None:
    """Keep the answers in a file of their own as well."""
    fresh = folder / f"{MIRROR}.new"
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(answers, file, indent=1)
    _replace(fresh, folder / MIRROR)


def read_mirror(folder: Path) -> dict[str, Any] | None:
    """The answers of that file, None when it cannot be read."""
    try:
        answers = json.loads((folder / MIRROR).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return answers if isinstance(answers, dict) else None


def _replace(fresh: Path, old: Path) -> None:
    fd = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.replace(old)
    _sync(old.parent)
