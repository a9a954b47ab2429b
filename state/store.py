"""The store: one SQLite file below a folder that is root's alone.

It keeps what cannot be observed again: the operator's answers, the history of runs, and the bytes of every file as it
was before the wizard first wrote it. It knows nothing of steps or operations: they are text to it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sqlite3
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from state import rescue
from state.image import Image
from state.migrations import migrate
from state.rescue import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# What this process has found sound: each database with its time and size then.
_sound: dict[Path, tuple[int, int]] = {}


class StoreError(Exception):
    """The store cannot be used; the text says why and what to do."""


class StoreFullError(StoreError):
    """There is no room for the store; the text says what to do."""


class Locked(Exception):  # noqa: N818 - it says what is, and no error happened
    """Another run holds the lock."""


@dataclass(frozen=True)
class Run:
    """One run of the engine.

    Attributes:
        status: "running", "ok", "failed", "waiting" or "interrupted".
        exit: the exit status of the command line for it, None while it goes on.
        request: what was asked of it: {"kind": "apply", "steps": [...], "wait": seconds, ...}.
    """

    id: int
    started: str
    finished: str | None
    status: str
    exit: int | None
    pid: int | None
    request: dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """The image of a path before a change, and what the change left there (None: it never ended)."""

    before: Image
    before_print: str
    after_print: str | None
    after_content: bytes | None


@dataclass(frozen=True)
class Done:
    """A change that was made, or begun, by an operation of a step.

    Attributes:
        state: "intended" (begun, never ended), "made" (written, but the services do not know yet), "done", "failed" or
            "undone".
        record: the parts of the Change that rollback needs, as the engine wrote them.
    """

    id: int
    run: int
    step: str
    operation: str
    at: str
    state: str
    record: dict[str, Any]
    snapshots: tuple[Snapshot, ...]


@dataclass(frozen=True)
class Written:
    """What the wizard last left at a path: when, its fingerprint, its bytes (None: nothing was left there)."""

    at: str
    fingerprint: str
    content: bytes | None


@dataclass(frozen=True)
class Guard:
    """A timed revert: what it takes back unless the operator's way in is proved.

    Attributes:
        run: the run that it stands over.
        state: "armed" (changes are being made), "waiting" (for the proof), "reverting", or how it ended: "proved",
            "reverted".
        since: the number of the last change before it; those above are taken back.
        record: the parts that the engine needs, as it wrote them.
    """

    id: int
    run: int
    state: str
    since: int
    armed: str
    ended: str | None
    record: dict[str, Any]

    @property
    def is_open(self) -> bool:
        """True until it has ended, one way or the other."""
        return self.ended is None


@dataclass(frozen=True)
class Observation:
    """What was last seen of a step: `status` of its checks then, when, when they last passed, changes still planned."""

    step: str
    status: str
    at: str
    verified_at: str | None
    planned: int


class Store:
    """An open store. Everything is written at once; a power cut loses nothing that was reported.

    Attributes:
        folder: where it lies, None for one in memory.
        notice: what the operator has to be told about how it was opened, mostly nothing.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path | None, notice: str = "") -> None:
        """Wrap an open connection; `Store.open` is the way to one."""
        self._connection = connection
        self.folder = folder
        self.notice = notice
        connection.execute("PRAGMA foreign_keys = ON")
        # Only events are not looked at when it is opened: one with a broken letter is still worth reading.
        connection.text_factory = lambda data: data.decode(errors="replace")

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> Store:
        """Open the store in `folder`.

        A database that is damaged or newer than this program is kept aside, and all that can be read of it is taken
        over into a new one; `notice` says so.

        Args:
            folder: made 0700 when absent, the database in it 0600.
            create: False opens an empty store in memory when there is none, and leaves one that is damaged as it is:
                looking leaves no trace.

        Raises:
            StoreError: when it cannot be read or written, or has no room.
        """
        path = folder / DATABASE
        try:
            if not create and not path.exists() and not rescue.left_beside(folder):
                return cls(_in_memory(), None)
            if create and not path.exists():
                _make_private(folder)
                # Created 0600 here, since SQLite would follow the umask.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _need_private(folder)
            return cls._open_sound(folder, create=create)
        except rescue.Busy:
            raise StoreError(
                f"the state in {folder} has to be put right, and a run is going on with it. "
                "Try again when it has ended."
            ) from None
        except (OSError, sqlite3.Error) as error:
            raise _unusable(folder, error) from error

    @classmethod
    def _open_sound(cls, folder: Path, *, create: bool) -> Store:
        connection, wrong = _look(folder, writing=create)
        if wrong is None:
            return cls(connection, folder)
        connection.close()
        if not create:
            return cls(*rescue.rescue(folder, wrong, keep=False))
        with rescue.alone(folder):
            connection, wrong = _look(folder, writing=True)
            if wrong is None:  # another process has put it right in the meantime
                return cls(connection, folder)
            connection.close()
            return cls(*rescue.rescue(folder, wrong, keep=True))

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    # Answers

    def save_answers(self, tables: dict[str, Any]) -> None:
        """Keep the answers, in a file of their own as well: they can then be had whatever becomes of the database."""
        with self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO answers VALUES (1, ?)", (json.dumps(tables),))
        if self.folder is not None:
            rescue.keep_mirror(self.folder, tables)

    def answers(self) -> dict[str, Any] | None:
        """The answers that were kept last."""
        row = self._connection.execute("SELECT body FROM answers").fetchone()
        return None if row is None else json.loads(row[0])

    # Runs and their events

    def add_run(self, request: dict[str, Any], at: str) -> int:
        """Note that a run was asked for; its number."""
        with self._connection as connection:
            done = connection.execute(
                "INSERT INTO runs (started, status, request) VALUES (?, 'running', ?)", (at, json.dumps(request))
            )
            return int(done.lastrowid or 0)

    def begin_run(self, run: int, pid: int) -> None:
        """Note the process that does the run."""
        with self._connection as connection:
            connection.execute("UPDATE runs SET pid = ? WHERE id = ?", (pid, run))

    def finish_run(self, run: int, status: str, exit_status: int, at: str) -> None:
        """Note how a run ended."""
        with self._connection as connection:
            connection.execute(
                "UPDATE runs SET status = ?, exit = ?, finished = ? WHERE id = ?", (status, exit_status, at, run)
            )

    def run(self, run: int) -> Run:
        """One run.

        Raises:
            KeyError: when there is no such run.
        """
        row = self._connection.execute(f"{_SELECT_RUN} WHERE id = ?", (run,)).fetchone()
        if row is None:
            raise KeyError(run)
        return _run(row)

    def last_run(self) -> Run | None:
        """The newest run."""
        row = self._connection.execute(f"{_SELECT_RUN} ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else _run(row)

    def add_event(self, run: int, body: dict[str, Any]) -> None:
        """Record an event of a run."""
        with self._connection as connection:
            connection.execute("INSERT INTO events (run, body) VALUES (?, ?)", (run, json.dumps(body)))

    def events(self, run: int, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """The events of a run with a number above `after`, in order, with their numbers."""
        rows = self._connection.execute(
            "SELECT id, body FROM events WHERE run = ? AND id > ? ORDER BY id", (run, after)
        )
        return [(number, event) for number, body in rows if (event := _event(body)) is not None]

    # Changes and the images that take them back

    def intend(  # noqa: PLR0917 - the columns of one row
        self, run: int, step: str, operation: str, record: dict[str, Any], images: Sequence[tuple[Image, str]], at: str
    ) -> int:
        """Keep the images of what a change may write, before it is made; its number.

        Args:
            run: the run's number.
            step: the step's id.
            operation: the operation's id.
            record: what rollback needs besides the images.
            images: each image with its fingerprint.
            at: the time.
        """
        with self._connection as connection:
            done = connection.execute(
                "INSERT INTO changes (run, step, operation, at, state, record) VALUES (?, ?, ?, ?, 'intended', ?)",
                (run, step, operation, at, json.dumps(record)),
            )
            change = int(done.lastrowid or 0)
            connection.executemany(
                "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                [
                    (
                        change, image.path, image.kind, image.content, image.mode, image.owner, image.group,
                        image.target, json.dumps(image.parents), fingerprint,
                    )
                    for image, fingerprint in images
                ],
            )  # fmt: skip
            return change

    def settle(self, change: int, state: str, left: Sequence[tuple[Image, str]] = ()) -> None:
        """Note how a change ended, with the image and fingerprint of each path afterwards."""
        with self._connection as connection:
            connection.execute("UPDATE changes SET state = ? WHERE id = ?", (state, change))
            connection.executemany(
                "UPDATE snapshots SET after_print = ?, after_content = ? WHERE change = ? AND path = ?",
                [(fingerprint, image.content, change, image.path) for image, fingerprint in left],
            )

    def close_changes(self, step: str) -> None:
        """Note that the services know of all that a step has changed."""
        with self._connection as connection:
            connection.execute(
                "UPDATE changes SET state = 'done' WHERE step = ? AND state IN ('intended', 'made', 'failed')", (step,)
            )

    def changes(self, step: str | None = None) -> list[Done]:
        """Changes that are not taken back, of one step or of all, the newest first."""
        rows = self._connection.execute(
            "SELECT id, run, step, operation, at, state, record FROM changes"
            " WHERE state != 'undone' AND (? IS NULL OR step = ?) ORDER BY id DESC",
            (step, step),
        ).fetchall()
        return [
            Done(number, run, of, operation, at, state, json.loads(record), self._snapshots(number))
            for number, run, of, operation, at, state, record in rows
        ]

    def changed_at(self) -> dict[str, str]:
        """When each step last changed something on the machine."""
        return dict(self._connection.execute("SELECT step, MAX(at) FROM changes GROUP BY step").fetchall())

    def unfinished(self) -> dict[str, str]:
        """What was begun and never ended, or made and not told to the services: the newest change of each step."""
        rows = self._connection.execute(
            "SELECT step, record FROM changes WHERE state IN ('intended', 'made') ORDER BY id"
        )
        return {step: str(json.loads(record)["summary"]) for step, record in rows}

    def last_written(self, path: str) -> Written | None:
        """What was last left at a path, None when it was never written or is taken back."""
        row = self._connection.execute(
            "SELECT at, after_print, after_content FROM snapshots JOIN changes ON id = change"
            " WHERE path = ? AND state NOT IN ('undone', 'back') AND after_print IS NOT NULL ORDER BY id DESC LIMIT 1",
            (path,),
        ).fetchone()
        return None if row is None else Written(row[0], row[1], None if row[1] == "absent" else row[2])

    def last_done(self, step: str, operation: str) -> str | None:
        """When an operation last made a change that is not taken back."""
        row = self._connection.execute(
            "SELECT max(at) FROM changes WHERE step = ? AND operation = ? AND state IN ('made', 'done')",
            (step, operation),
        ).fetchone()
        return None if row is None else row[0]

    # What the operator keeps

    def keep(self, step: str, operation: str, at: str) -> None:
        """Remember that an operation of a step is left undone: the operator has it another way."""
        with self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (step, operation, at))

    def let_go(self, step: str, operation: str | None = None) -> int:
        """Forget that, for one operation of a step or for all; how many there were."""
        with self._connection as connection:
            return connection.execute(
                "DELETE FROM kept WHERE step = ? AND (? IS NULL OR operation = ?)", (step, operation, operation)
            ).rowcount

    def kept(self) -> dict[tuple[str, str], str]:
        """The operations that are left undone, by step and id, with the time of that word."""
        rows = self._connection.execute("SELECT step, operation, at FROM kept ORDER BY step, at")
        return {(step, operation): at for step, operation, at in rows}

    def _snapshots(self, change: int) -> tuple[Snapshot, ...]:
        rows = self._connection.execute(
            "SELECT path, kind, content, mode, owner, grp, target, parents, before_print, after_print,"
            " after_content"
            " FROM snapshots WHERE change = ? ORDER BY rowid",
            (change,),
        )
        return tuple(_snapshot(row) for row in rows)

    # Guards

    def add_guard(self, run: int, record: dict[str, Any], at: str) -> int:
        """Note that a guard stands over all changes from now on; its number."""
        with self._connection as connection:
            done = connection.execute(
                "INSERT INTO guards (run, state, since, armed, record)"
                " SELECT ?, 'armed', COALESCE(MAX(id), 0), ?, ? FROM changes",
                (run, at, json.dumps(record)),
            )
            return int(done.lastrowid or 0)

    def keep_guard(self, guard: int, run: int, record: dict[str, Any]) -> None:
        """Note what has become of an open guard: the run that it stands over now, and its record."""
        with self._connection as connection:
            connection.execute("UPDATE guards SET run = ?, record = ? WHERE id = ?", (run, json.dumps(record), guard))

    def turn_guard(self, guard: int, before: Sequence[str], after: str, ended: str | None = None) -> bool:
        """Lead a guard from one of the states `before` to `after`; False when it is in none of them any more.

        Run, timer and operator may all want to: whoever comes first does.
        """
        marks = ", ".join("?" * len(before))
        with self._connection as connection:
            done = connection.execute(
                f"UPDATE guards SET state = ?, ended = ? WHERE id = ? AND state IN ({marks})",  # noqa: S608 - marks alone
                (after, ended, guard, *before),
            )
            return done.rowcount == 1

    def last_guard(self) -> Guard | None:
        """The newest guard."""
        row = self._connection.execute(
            "SELECT id, run, state, since, armed, ended, record FROM guards ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        number, run, state, since, armed, ended, record = row
        return Guard(number, run, state, since, armed, ended, json.loads(record))

    # Observations

    def observe(self, step: str, status: str, at: str, planned: int) -> None:
        """Note what was seen of a step; a "verified" moves its time of verification."""
        verified = at if status == "verified" else None
        with self._connection as connection:
            connection.execute(
                "INSERT INTO observations VALUES (?, ?, ?, ?, ?) ON CONFLICT (step) DO UPDATE SET"
                " status = excluded.status, at = excluded.at, planned = excluded.planned,"
                " verified_at = COALESCE(excluded.verified_at, verified_at)",
                (step, status, at, verified, planned),
            )

    def forget(self, step: str) -> None:
        """Drop what was seen of a step."""
        with self._connection as connection:
            connection.execute("DELETE FROM observations WHERE step = ?", (step,))

    def observations(self) -> dict[str, Observation]:
        """What was last seen, by step."""
        rows = self._connection.execute("SELECT step, status, at, verified_at, planned FROM observations")
        return {row[0]: Observation(*row) for row in rows}

    # The database itself

    def keep_copy(self) -> None:
        """Copy the database to a file beside it, from which a damaged one is mended.

        It is a second line: where there is no room for it, the work goes on without.
        """
        if self.folder is not None:
            with contextlib.suppress(OSError, sqlite3.Error):
                rescue.keep_copy(self.folder, self._connection)

    # The lock

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run lock. The kernel drops it when the process ends, however it ends.

        Raises:
            Locked: when another process holds it.
        """
        if self.folder is None:
            raise StoreError("there is no state folder to lock")
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Locked from None
            yield
        finally:
            os.close(fd)

    def is_locked(self) -> bool:
        """True while another process holds the run lock."""
        try:
            with self.lock():
                return False
        except Locked:
            return True

    @contextlib.contextmanager
    def alive(self, run: int) -> Iterator[None]:
        """Show, while it lasts, that the process of a run is there: also while it only waits, without the run lock."""
        fd = os.open(self.run_folder(run) / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def lives(self, run: int) -> bool:
        """True while the process of a run is there, at work or waiting."""
        if self.folder is None:
            return False
        try:
            fd = os.open(self.folder / "runs" / str(run) / "alive", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(fd)

    def run_folder(self, run: int) -> Path:
        """The 0700 folder for the files of a run, made when absent."""
        if self.folder is None:
            raise StoreError("there is no state folder")
        path = self.folder / "runs" / str(run)
        _make_private(path)
        return path


_SELECT_RUN = "SELECT id, started, finished, status, exit, pid, request FROM runs"


def _run(row: tuple[Any, ...]) -> Run:
    number, started, finished, status, exit_status, pid, request = row
    return Run(number, started, finished, status, exit_status, pid, json.loads(request))


def _snapshot(row: tuple[Any, ...]) -> Snapshot:
    path, kind, content, mode, owner, group, target, parents, before_print, after_print, after_content = row
    image = Image(path, kind, content, mode, owner, group, target, tuple(json.loads(parents)))
    return Snapshot(image, before_print, after_print, after_content)


def _make_private(folder: Path) -> None:
    """Make a folder, and those above it that are not there: 0700 from the start, whatever the umask."""
    for part in (*reversed(folder.parents), folder):
        if not part.exists():
            part.mkdir(mode=0o700, exist_ok=True)


def _need_private(folder: Path) -> None:
    """Refuse a folder in which somebody else could put another database in place of ours.

    Raises:
        StoreError: saying who could.
    """
    found = folder.stat()
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
        raise StoreError(
            f"the state in {folder} is not root's alone: it belongs to user {found.st_uid}, its mode is "
            f"{stat.S_IMODE(found.st_mode):04o}. Look at what is in it, then: chown root {folder}; chmod 0700 {folder}"
        )


def _unusable(folder: Path, error: OSError | sqlite3.Error) -> StoreError:
    full = getattr(error, "errno", None) == errno.ENOSPC or getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
    if full:
        return StoreFullError(
            f"open the state in {folder}: {error}. The disk is full. Look with: df -h {folder}   and make room."
        )
    return StoreError(f"open the state in {folder}: {error}. Run as root (sudo), or name another folder with --state.")


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    migrate(connection)
    return connection


def _event(body: str) -> dict[str, Any] | None:
    """An event, None for one that cannot be read any more: it is missed, the others are not."""
    try:
        event = json.loads(body)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _look(folder: Path, *, writing: bool) -> tuple[sqlite3.Connection, rescue.Wrong | None]:
    """Open the database of a folder, and say what is wrong with it; what was sound a moment ago still is."""
    path = folder / DATABASE
    if not path.exists():
        return sqlite3.connect(":memory:"), rescue.Wrong("lost", f"{path} is not there")
    connection = sqlite3.connect(path, timeout=10)
    try:
        wrong = None
        if _sound.get(path) != _stamp(path):
            wrong = rescue.diagnose(folder, connection, thorough=writing and path not in _sound)
        if wrong is None:
            migrate(connection)
            _sound[path] = _stamp(path)
    except BaseException:
        connection.close()
        raise
    return connection, wrong


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
