"""An engine killed anywhere, any number of times: one more apply reaches the same end, and rollback the same start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

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
        self.stale |= set(self.running)
        self._spend()

    def make_directory(self, path: str, *, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        self._spend()
        super().make_directory(path, mode=mode, owner=owner, group=group)
        self._spend()

    def remove(self, path: str) -> None:
        self._spend()
        super().remove(path)
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
    three = WriteFile("/etc/new/deep", "C", restart=("d",))
    return step("one", *one), step("two", *two, requires=("one",)), step("three", three, requires=("two",))


def machine() -> MortalHost:
    host = MortalHost()
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
    with TemporaryDirectory() as folder:
        host = machine()
        assert apply(Path(folder), host) == "ok"
        return files(host)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 14), max_size=6))
def test_killed_anywhere_again_and_again(deaths: list[int]) -> None:
    with TemporaryDirectory() as name:
        folder, host = Path(name), machine()
        for lives in deaths:
            host.lives = lives
            try:
                apply(folder, host)
            except Killed:
                continue
        host.lives = 10**9
        assert apply(folder, host) == "ok"
        assert files(host) == undisturbed()
        assert host.running == {"d": "yes"}
        assert host.stale == set(), "a service still runs with what it read before"
        store = Store.open(folder)
        for step in reversed(steps()):
            assert roll_back(store, host, step.id, lambda _: None).conflicts == []
        store.close()
        assert {path: entry.data for path, entry in host.files.items()} == SHIPPED
