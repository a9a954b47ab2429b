"""The engine on a machine in memory: order, blocking, waiting, failing, drifting, and doing nothing twice."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from state.store import Store
from tests.fake_host import FakeHost, with_apt
from wizard.answers import Answers, AnswersError, Relay
from wizard.applying import Outcome
from wizard.check import Check, CheckResult, Finding, failed, passed
from wizard.engine import Engine
from wizard.fact import Context
from wizard.host import Completed, Host
from wizard.operation import Change, Operation, OperationFailed
from wizard.operations.files import WriteFile
from wizard.operations.packages import InstallPackages
from wizard.platforms.debian import PLATFORM
from wizard.step import Step

ANSWERS = Answers(relay=Relay(domain="brightmail.example", hostname="mail.brightmail.example"))


def has_file(path: str, text: str) -> Callable[[Host], Finding]:
    def ask(host: Host) -> Finding:
        found = (host.read(path) or b"").decode()
        return passed(path, found, text) if found == text else failed(path, found, text, "apply")

    return ask


def step(step_id: str, *requires: str, content: str | None = None, outside: str = "") -> Step:
    """A step that writes /etc/ID, or waits for a file that only the world can write."""

    def plan(_context: Context) -> list[Operation]:
        return [WriteFile(f"/etc/{step_id}", content, notify=(step_id,))] if content is not None else []

    def checks(_context: Context) -> list[Check]:
        path, text = (outside, "yes") if outside else (f"/etc/{step_id}", content or "")
        return [Check(f"{step_id}.there", f"{path} is there", has_file(path, text), outside=bool(outside))]

    return Step(id=step_id, title=step_id, group="g", why="", plan=plan, checks=checks, requires=requires)


@dataclass
class World:
    """An engine over a fake host and a real store, and the events that it emits."""

    folder: Path
    steps: tuple[Step, ...]
    host: FakeHost = field(default_factory=FakeHost)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store.open(self.folder)
        self.host.commands[("systemctl",)] = "active"
        self.engine = Engine(self.steps, self.store, self.host, ANSWERS)

    def apply(self, *ids: str, wait: float = 0) -> Outcome:
        run = self.store.add_run({"kind": "apply", "steps": list(ids), "wait": wait}, self.engine.now())
        self.events.clear()
        return self.engine.apply(run, self.host, self.engine.choose(ids), self.events.append, wait)

    def status(self, step_id: str) -> str:
        return next(state.status for state in self.engine.states() if state.step.id == step_id)


def test_steps_are_applied_in_order_and_a_second_apply_does_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, (step("a", content="A"), step("b", "a", content="B")))
    first = world.apply()
    assert (first.status, first.exit, first.changed) == ("ok", 0, 2)
    assert first.steps == {"a": "verified", "b": "verified"}
    assert world.host.text("/etc/b") == "B"
    assert ("systemctl", "try-reload-or-restart", "a.service") in world.host.ran
    world.host.ran.clear()
    second = world.apply()
    assert (second.status, second.changed, world.host.ran) == ("ok", 0, [])


def test_what_waits_for_the_world_blocks_what_needs_it_and_only_that(tmp_path: Path) -> None:
    world = World(
        tmp_path, (step("dns", outside="/world/dns"), step("cert", "dns", content="C"), step("c", content="C"))
    )
    outcome = world.apply()
    assert (outcome.status, outcome.exit) == ("waiting", 6)
    assert outcome.steps == {"dns": "applied", "cert": "blocked", "c": "verified"}
    blocked = next(event for event in world.events if event["event"] == "step.blocked")
    assert blocked == {"event": "step.blocked", "step": "cert", "blocked_by": ["dns"]}
    assert "/etc/cert" not in world.host.files
    assert world.status("cert") == "blocked"
    world.host.put("/world/dns", "yes")
    again = world.apply()
    assert (again.status, again.steps["cert"]) == ("ok", "verified")


def test_wait_goes_on_by_itself_when_the_world_has_changed(tmp_path: Path) -> None:
    world = World(tmp_path, (step("dns", outside="/world/dns"), step("cert", "dns", content="C")))
    sleep = world.host.sleep

    def publish(seconds: float) -> None:
        sleep(seconds)
        if world.host.ticks > 20:
            world.host.put("/world/dns", "yes")

    world.host.sleep = publish  # type: ignore[method-assign]
    outcome = world.apply(wait=600)
    assert (outcome.status, outcome.steps) == ("ok", {"dns": "verified", "cert": "verified"})
    assert 20 < world.host.ticks < 100


def test_a_long_wait_asks_less_and_less_and_tells_what_is_new_alone(tmp_path: Path) -> None:
    world = World(tmp_path, (step("dns", outside="/world/dns"),))
    assert world.apply(wait=86400).exit == 6
    kinds = [event["event"] for event in world.events]
    assert kinds.count("check.finished") == 1
    assert 250 < kinds.count("run.waiting") < 400
    waits = [event for event in world.events if event["event"] == "run.waiting"]
    assert {(event["missing"], *event["checks"]) for event in waits} == {(1, "dns.there")}


def test_wait_ends_in_time(tmp_path: Path) -> None:
    world = World(tmp_path, (step("dns", outside="/world/dns"),))
    assert world.apply(wait=60).exit == 6
    assert 60 <= world.host.ticks < 61


@dataclass(frozen=True)
class Breaks(Operation):
    """An operation that fails half-way."""

    @property
    def id(self) -> str:
        return "breaks"

    @property
    def summary(self) -> str:
        return "break"

    def diff(self, host: Host) -> Change | None:
        return Change("break", paths=("/etc/broken",))

    def apply(self, host: Host) -> None:
        host.write("/etc/broken", b"half")
        raise OperationFailed("break it", "it broke", "mend it")


@dataclass(frozen=True)
class NoRoom(Operation):
    """It would keep something, if there were room."""

    id = "no-room"
    summary = "keep something"

    def diff(self, host: Host) -> Change | None:
        return Change(summary=self.summary, kept="something stays")

    def apply(self, host: Host) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/etc/x")


def test_the_first_failure_is_told_not_what_follows_from_it(tmp_path: Path) -> None:
    operations = [WriteFile("/etc/x", "X", notify=("d",)), NoRoom()]
    full = Step(id="x", title="x", group="g", why="", plan=lambda _: operations, checks=lambda _: [])
    world = World(tmp_path, (full,))
    world.host.commands["systemctl", "try-reload-or-restart"] = Completed((), 1, "Job for d.service failed.")
    world.apply()
    told = next(event for event in world.events if event["event"] == "step.failed")
    assert "No space left" in told["got"]
    assert ("systemctl", "try-reload-or-restart", "d.service") in world.host.ran


def test_a_full_disk_is_named_and_nothing_is_said_to_stay(tmp_path: Path) -> None:
    full = Step(id="x", title="x", group="g", why="", plan=lambda _: [NoRoom()], checks=lambda _: [])
    world = World(tmp_path, (full,))
    assert world.apply().exit == 3
    told = next(event for event in world.events if event["event"] == "step.failed")
    assert "No space left on device" in told["got"]
    assert "df -h" in told["do"]
    assert not any("kept" in event for event in world.events)


def test_a_failed_operation_fails_its_step_and_blocks_its_followers_alone(tmp_path: Path) -> None:
    broken = Step(id="x", title="x", group="g", why="", plan=lambda _: [Breaks()], checks=lambda _: [])
    steps = (broken, step("y", "x", content="Y"), step("yy", "y", content="Y"), step("z", content="Z"))
    world = World(tmp_path, steps)
    outcome = world.apply(wait=600)
    assert (outcome.status, outcome.exit) == ("failed", 3)
    assert outcome.steps == {"x": "failed", "y": "blocked", "yy": "blocked", "z": "verified"}
    assert world.host.ticks == 0, "there is nothing in the world to wait for"
    told = next(event for event in world.events if event["event"] == "step.failed")
    assert (told["asked"], told["got"], told["do"]) == ("break it", "it broke", "mend it")
    assert world.store.changes("x")[0].state == "failed"


def test_a_check_of_the_machine_that_fails_is_status_1(tmp_path: Path) -> None:
    wrong = Step(
        id="x", title="x", group="g", why="",
        checks=lambda _: [Check("x.no", "no", lambda _host: failed("q", "no", "yes", "do"))],
    )  # fmt: skip
    world = World(tmp_path, (wrong,))
    assert (world.apply().exit, world.status("x")) == (1, "failed")


def test_a_check_that_breaks_is_a_failed_check(tmp_path: Path) -> None:
    def breaks(_host: Host) -> Finding:
        raise ValueError("oops")

    broken = Step(id="x", title="x", group="g", why="", checks=lambda _: [Check("x.no", "no", breaks)])
    result = World(tmp_path, (broken,)).engine.verify([broken])[0]
    assert result.failed
    assert "oops" in result.finding.got


def test_a_service_hears_of_what_a_killed_run_wrote(tmp_path: Path) -> None:
    world = World(tmp_path, (step("a", content="A"),))

    class Killed(BaseException):
        """As SIGKILL between the write and the reload: nothing after it happens."""

    def die(_host: FakeHost, _argv: tuple[str, ...], _stdin: bytes) -> Completed:
        raise Killed

    world.host.commands["systemctl", "try-reload-or-restart"] = die
    with pytest.raises(Killed):
        world.apply()
    assert world.host.text("/etc/a") == "A"
    world.host.commands["systemctl", "try-reload-or-restart"] = ""
    world.host.ran.clear()
    assert world.apply().changed == 0
    assert world.host.ran == [("systemctl", "try-reload-or-restart", "a.service")]
    world.host.ran.clear()
    world.apply()
    assert world.host.ran == []


def test_what_a_later_step_mends_is_judged_again(tmp_path: Path) -> None:
    def leans_on_b(_context: Context) -> list[Check]:
        return [Check("a.b", "b is there", has_file("/etc/b", "B"))]

    leaning = Step(id="a", title="a", group="g", why="", checks=leans_on_b)
    world = World(tmp_path, (leaning, step("b", "a", content="B"), step("c", "a", content="C")))
    first = world.apply()
    assert (first.exit, first.steps) == (1, {"a": "failed", "b": "blocked", "c": "blocked"}), "b was never set up"
    world.host.put("/etc/b", "B")
    assert world.apply("a", "b").exit == 0
    world.host.remove("/etc/b")
    mended = world.apply()
    assert (mended.exit, mended.changed) == (0, 2)
    assert mended.steps == {"a": "verified", "b": "verified", "c": "verified"}


def test_a_hand_edit_is_drift_until_it_is_put_right(tmp_path: Path) -> None:
    world = World(tmp_path, (step("a", content="A"),))
    world.apply()
    assert world.status("a") == "verified"
    world.host.put("/etc/a", "mine")
    assert world.engine.plan(world.steps)[0].changes == 1
    assert world.status("a") == "drifted"
    world.apply()
    assert world.status("a") == "verified"


def test_a_step_outside_the_run_that_is_needed_is_asked_now(tmp_path: Path) -> None:
    world = World(tmp_path, (step("a", content="A"), step("b", "a", content="B")))
    first = world.apply("b", wait=60)
    assert first.steps == {"a": "failed", "b": "blocked"}
    assert first.exit == 1, "nothing outside is waited for"
    assert not [event for event in world.events if event["event"] == "run.waiting"]
    told = next(event for event in world.events if event["event"] == "check.finished")
    assert (told["step"], told["status"], told["do"]) == ("a", "fail", "apply")
    world.host.put("/etc/a", "A")
    assert world.apply("b").steps["b"] == "verified"


def test_a_step_that_was_never_applied_is_verified_only_when_nothing_would_change(tmp_path: Path) -> None:
    def agree(_context: Context) -> list[Check]:
        return [Check("lax.fine", "always fine", lambda _: passed("it", "fine", "fine"))]

    lax = Step(id="lax", title="lax", group="g", why="", plan=step("lax", content="1").plan, checks=agree)
    world = World(tmp_path, (lax,))
    engine = world.engine
    engine.verify([lax])
    assert [state.status for state in engine.states()] == ["ready"]
    world.host.put("/etc/lax", "1")
    engine.verify([lax])
    assert [state.status for state in engine.states()] == ["verified"]


def test_a_step_that_was_never_applied_is_not_verified_while_nobody_can_tell_what_it_would_change(
    tmp_path: Path,
) -> None:
    def unknown(_context: Context) -> list[Operation]:
        raise AnswersError("users: nobody")

    def agree(_context: Context) -> list[Check]:
        return [Check("lax.fine", "always fine", lambda _: passed("it", "fine", "fine"))]

    world = World(tmp_path, (Step(id="lax", title="lax", group="g", why="", plan=unknown, checks=agree),))
    world.engine.verify(world.steps)
    assert world.status("lax") == "ready"


def test_a_missing_answer_is_named(tmp_path: Path) -> None:
    world = World(tmp_path, (step("a", content="A"),))
    world.engine.answers = Answers()
    with pytest.raises(AnswersError, match=r"relay\.domain"):
        world.engine.plan(world.steps)
    assert world.status("a") == "pending"


def test_packages_of_all_chosen_steps_come_in_one_transaction(tmp_path: Path) -> None:
    def packages(step_id: str, *names: str) -> Step:
        return Step(
            id=step_id, title=step_id, group="g", why="", checks=lambda _: [],
            plan=lambda _: [InstallPackages(PLATFORM, names)],
        )  # fmt: skip

    world = World(tmp_path, (packages("a", "ufw"), packages("b", "postfix", "ufw")))
    with_apt(world.host)
    assert world.apply().changed == 1
    assert [argv[argv.index("install") + 1 :] for argv in world.host.ran if "install" in argv] == [("ufw", "postfix")]


@dataclass(frozen=True)
class Dies(Operation):
    """An operation in whose midst the run is killed."""

    @property
    def id(self) -> str:
        return "dies"

    @property
    def summary(self) -> str:
        return "dies"

    def diff(self, host: Host) -> Change | None:
        return None if host.read("/etc/alive") else Change("write half a file", paths=("/etc/half",))

    def apply(self, host: Host) -> None:
        host.write("/etc/half", b"half")
        raise KeyboardInterrupt


def test_a_step_in_whose_midst_a_run_was_killed_says_so(tmp_path: Path) -> None:
    dying = Step(id="a", title="a", group="g", why="", plan=lambda _: [Dies()], checks=lambda _: [])
    world = World(tmp_path, (dying,))
    with pytest.raises(KeyboardInterrupt):
        world.apply()
    (state,) = world.engine.states()
    assert state.status == "failed"
    assert state.note == "interrupted: write half a file. Apply finishes it, rollback takes it back"
    world.host.put("/etc/alive", "yes")
    assert world.apply().status == "ok"
    assert world.status("a") == "verified"


def test_a_broken_letter_in_the_record_of_the_last_run_hides_no_checklist(tmp_path: Path) -> None:
    world = World(tmp_path, (step("a", content="A"),))
    run = world.store.add_run({"kind": "apply", "steps": ["a"], "wait": 0}, world.engine.now())
    world.store.observe("a", "failed", world.engine.now(), 1)
    world.store.add_event(run, {"event": "step.failed", "step": "a", "at": world.engine.now()})
    world.store.add_event(run, {"event": "step.failed", "stap": "a", "at": world.engine.now()})
    assert [state.note for state in world.engine.states()] == ["a change was not made; Run says why, and what to do"]


def test_a_check_that_does_not_come_back_is_heard_of_too(tmp_path: Path) -> None:
    over = threading.Event()

    def never(_host: Host) -> Finding:
        over.wait(10)
        return passed("", "", "")

    slow = Check("a.never", "never", never, timeout=0.1)
    world = World(tmp_path, (Step(id="a", title="a", group="g", why="", plan=lambda _: [], checks=lambda _: [slow]),))
    heard: list[CheckResult] = []
    try:
        assert world.engine.verify(world.steps, heard.append) == heard
    finally:
        over.set()
    assert [(result.check.id, result.failed, result.finding.got) for result in heard] == [
        ("a.never", True, "no answer within 0 s")
    ]
