"""An engine killed anywhere, any number of times: one more apply reaches the same end, and rollback the same start."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from state.image import Image
from state.rescue import DATABASE
from state.store import Store
from tests.fake_host import FakeHost
from wizard.answers import Answers, Relay
from wizard.check import Check
from wizard.engine import Engine
from wizard.host import Completed
from wizard.operation import Operation
from wizard.operations.files import MakeDirectory, RemoveFile, WriteFile
from wizard.operations.services import RunService
from wizard.rollback import roll_back
from wizard.step import Step

ANSWERS = Answers(relay=Relay(domain="brightmail.example", hostname="mail.brightmail.example"))
# A disk that is memory: thousands of stores are written here, and no power cut is tried.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
# Who reads a file; "e" runs from the beginning, "d" since a step has started it.
READERS = {"/etc/new/deep": "e"}
SHIPPED = {"/etc/main.cf": b"shipped\n", "/etc/stale": b"stale\n"}


class Killed(BaseException):
    """SIGKILL: nothing in the program sees it."""


@dataclass
class MortalHost(FakeHost):
    """A machine on which the program dies before or after its nth change."""

    lives: int = 10**9
    running: dict[str, str] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)

    def _spend(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed

    def write(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        self._spend()
        super().write(path, data, mode=mode, owner=owner, group=group)
        self.stale |= {READERS.get(path, "d")} & set(self.running)
        self._spend()

    def make_directory(self, path: str, *, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        self._spend()
        super().make_directory(path, mode=mode, owner=owner, group=group)
        self._spend()

    def remove(self, path: str) -> None:
        self._spend()
        super().remove(path)
        self.stale |= {READERS.get(path, "d")} & set(self.running)
        self._spend()

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        self._spend()
        done = super().run(argv, stdin=stdin)
        self._spend()
        return done


def systemctl(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
    assert isinstance(host, MortalHost)
    verb, unit = argv[1], argv[-1].removesuffix(".service")
    if verb in {"is-active", "is-enabled"}:
        word = ("active" if verb == "is-active" else "enabled") if unit in host.running else "disabled"
        return Completed(argv, 0, word)
    if verb == "enable":
        host.running[unit] = "yes"
        host.stale.discard(unit)
    elif verb in {"stop", "disable"}:
        host.running.pop(unit, None)
    elif verb.startswith("try-"):
        host.stale.discard(unit)
    return Completed(argv, 0)


def steps() -> tuple[Step, ...]:
    def step(step_id: str, *operations: Operation, requires: tuple[str, ...] = ()) -> Step:
        def checks(_context: object) -> list[Check]:
            return []

        return Step(
            id=step_id, title=step_id, group="g", why="", plan=lambda _: operations, checks=checks, requires=requires
        )

    one = (MakeDirectory("/etc/one", mode=0o700), WriteFile("/etc/one/a", "A", notify=("d",)), RunService("d"))
    two = (WriteFile("/etc/main.cf", "ours\n", mode=0o600, notify=("d",)), RemoveFile("/etc/stale"))
    three = WriteFile("/etc/new/deep", "C", restart=("e",))
    return step("one", *one), step("two", *two, requires=("one",)), step("three", three, requires=("two",))


def machine() -> MortalHost:
    host = MortalHost(running={"e": "yes"})
    host.commands[("systemctl",)] = systemctl
    for path, data in SHIPPED.items():
        host.put(path, data)
    return host


def apply(folder: Path, host: MortalHost) -> str:
    """One `apply` in a process of its own: nothing but the store and the machine outlives it."""
    store = Store.open(folder)
    try:
        engine = Engine(steps(), store, host, ANSWERS)
        run = store.add_run({"kind": "apply", "steps": [], "wait": 0}, engine.now())
        return engine.apply(run, host, engine.choose([]), lambda _: None, 0).status
    finally:
        store.close()


def files(host: MortalHost) -> dict[str, tuple[bytes, int]]:
    return {path: (entry.data, entry.mode) for path, entry in host.files.items()}


def undisturbed() -> dict[str, tuple[bytes, int]]:
    with TemporaryDirectory(dir=MEMORY) as folder:
        host = machine()
        assert apply(Path(folder), host) == "ok"
        return files(host)


def take_back(folder: Path, host: MortalHost) -> list[str]:
    """One `rollback --all` in a process of its own; what it could not do."""
    store = Store.open(folder)
    try:
        return [
            word for step in reversed(steps()) for word in roll_back(store, host, step.id, lambda _: None).conflicts
        ]
    finally:
        store.close()


def last(work: Callable[[Path, MortalHost], object], folder: Path, host: MortalHost, lives: int) -> None:
    """Do it as far as it comes."""
    host.lives = lives
    with contextlib.suppress(Killed):
        work(folder, host)
    host.lives = 10**9


@settings(max_examples=120, deadline=None)
@given(st.lists(st.integers(0, 14), max_size=6), st.lists(st.integers(0, 14), max_size=6))
def test_killed_anywhere_again_and_again(deaths: list[int], undoing_deaths: list[int]) -> None:
    with TemporaryDirectory(dir=MEMORY) as name:
        folder, host = Path(name), machine()
        for lives in deaths:
            last(apply, folder, host, lives)
        assert apply(folder, host) == "ok"
        assert files(host) == undisturbed()
        assert host.running == {"d": "yes", "e": "yes"}
        assert host.stale == set(), "a service still runs with what it read before"
        for lives in undoing_deaths:
            last(take_back, folder, host, lives)
        assert take_back(folder, host) == []
        assert {path: entry.data for path, entry in host.files.items()} == SHIPPED
        assert host.running == {"e": "yes"}
        assert host.stale == set()


class Operators(RuleBasedStateMachine):
    """Applies, rollbacks and hand edits in any order, each killed anywhere: what was there first is never lost."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory(dir=MEMORY)
        self.folder, self.host = Path(self._folder.name), machine()
        self.first = {path: entry.data for path, entry in self.host.files.items()}

    @rule(lives=st.integers(0, 30))
    def apply(self, lives: int) -> None:
        last(apply, self.folder, self.host, lives)

    @rule(lives=st.integers(0, 30))
    def take_back(self, lives: int) -> None:
        last(take_back, self.folder, self.host, lives)

    @rule(
        path=st.sampled_from(["/etc/main.cf", "/etc/stale", "/etc/one/a"]), text=st.sampled_from(["mine\n", "other\n"])
    )
    def edit(self, path: str, text: str) -> None:
        if not self._written(path):
            self.first[path] = text.encode()
        self.host.put(path, text)

    def _written(self, path: str) -> bool:
        return any(entry.path == path for entry in self._originals())

    def _originals(self) -> list[Image]:
        """Every path that was ever written, as it was before the first time, taken back or not."""
        store = Store.open(self.folder)
        try:
            store._connection.execute("UPDATE changes SET state = 'done' WHERE state = 'undone'")
            oldest_first = [entry.before for change in reversed(store.changes()) for entry in change.snapshots]
            return list({image.path: image for image in reversed(oldest_first)}.values())
        finally:
            store.close()

    @invariant()
    def the_first_bytes_can_be_had(self) -> None:
        for image in self._originals():
            before = None if image.kind == "absent" else image.content
            assert image.kind == "directory" or before == self.first.get(image.path)

    @rule()
    def nothing_that_is_there_is_lost(self) -> None:
        """What a rollback finds is still there afterwards or in the store, and what it leaves was there before."""
        there = {path: entry.data for path, entry in self.host.files.items() if entry.kind == "file"}
        take_back(self.folder, self.host)
        for path, data in there.items():
            found = self.host.files[path].data if path in self.host.files else None
            assert data == found or data in self._kept(path)
            assert found in {data, self.first.get(path)} | self._kept(path)

    def _kept(self, path: str) -> set[bytes | None]:
        connection = sqlite3.connect(self.folder / DATABASE)
        rows = connection.execute("SELECT content, after_content FROM snapshots WHERE path = ?", (path,)).fetchall()
        connection.close()
        return {data for row in rows for data in row}

    def teardown(self) -> None:
        self._folder.cleanup()


Operators.TestCase.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
TestOperators = Operators.TestCase
