"""Coming back: each status is shown with its word, and the wizard opens where the operator left."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from screens.parts import Progress, operation_text
from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import at_the_desk
from tests.screens.pretend import fake_desk
from wizard.drift import Drift
from wizard.engine import PlannedOperation
from wizard.operation import Change
from wizard.operations.files import WriteFile


def settle(desk: Any, step: str, status: str, planned: int = 0) -> None:
    with desk.engine() as engine:
        engine.store.observe(step, status, engine.now(), planned)


def change(desk: Any, step: str, at: str, state: str) -> None:
    """A change to a step: "done", or "intended" by a run that was killed before it was made."""
    with desk.engine() as engine:
        run = engine.store.add_run({"kind": "apply", "steps": [step], "wait": 0}, at)
        number = engine.store.intend(run, step, "file", {"summary": "create /etc/demo/x"}, [], at)
        engine.store.settle(number, state)
        engine.store.finish_run(run, "ok", 0, at)


LONG_AGO, LATER = "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
# Step, its word, the part that it opens at, why it stands so.
EACH_STATUS = (
    ("preflight", "verified", "Checks", "done, and its checks passed. Verified "),
    ("updates", "drifted", "Plan", "1 change planned"),
    ("root_password", "failed", "Run", "a change was not made; Run says why, and what to do"),
    ("hostname", "failed", "Checks", "a check or a change failed"),
    ("clock", "failed", "Run", "interrupted: create /etc/demo/x. Apply finishes it, rollback takes it back"),
    ("ssh", "stale", "Checks", "what it builds on has changed since (Users); verify asks again. Verified "),
    ("dns", "applied", "Checks", "done here; something outside has still to happen"),
    ("web", "ready", "Questions", "to be done"),
    ("certbot", "blocked", "Questions", "needs first: DNS records, Port 80 and Firewall"),
    ("transport", "skipped", "Questions", "there is no home server in the answers"),
)


async def test_a_step_opens_at_the_part_that_its_status_asks_for_and_says_why(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, {"relay": ANSWERS["relay"]})
    Demo().settle(desk, host, dict.fromkeys(("preflight", "updates", "users", "ssh"), "verified"))
    host.put("/etc/demo/updates.conf", "# changed by hand\n")
    settle(desk, "hostname", "failed", 1)
    settle(desk, "dns", "applied")
    change(desk, "users", LATER, "done")
    change(desk, "clock", LONG_AGO, "intended")
    settle(desk, "root_password", "failed", 1)
    with desk.engine() as engine:
        run = engine.store.add_run({"kind": "apply", "steps": ["root_password"], "wait": 0}, engine.now())
        told = {"event": "step.failed", "step": "root_password", "asked": "a", "got": "b", "do": "c"}
        engine.store.add_event(run, {**told, "at": engine.now()})
        engine.store.finish_run(run, "failed", 3, engine.now())
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("≠ drifted  Updates")
        assert "2 of 22 done" in operator.seen
        for step_id, word, section, why in EACH_STATUS:
            await operator.open(desk.step(step_id).title)
            assert f" {word}: {why}" in operator.stands
            assert (step_id, operator.wizard.main.section) == (step_id, section)
            await operator.until(f" {word:<8} {desk.step(step_id).title}")
        await operator.press("escape", "home")
        await operator.until("   verified 2")
        await operator.press("end", "up")
        await operator.until("   first: DKIM and SPF")


def test_a_step_is_stale_by_what_has_changed_under_it_and_no_more_once_it_is_asked_again(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    Demo().settle(desk, host, {"clock": "verified"})
    desk.verify(["clock"], lambda _: None)
    assert desk.checklist().state("clock").done, "what was never looked at has not changed"
    with desk.engine() as engine:
        engine.store.observe("preflight", "failed", LATER, 0)
    assert desk.checklist().state("clock").stale == ("preflight",)
    assert desk.checklist().state("clock").note.endswith("do that first: Before you begin")
    settle(desk, "preflight", "failed")
    desk.verify(["clock"], lambda _: None)
    assert not desk.checklist().state("clock").stale
    change(desk, "preflight", LATER, "done")
    assert desk.checklist().state("clock").stale == ("preflight",)


async def test_why_a_step_failed_stands_at_the_end_of_a_run_that_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    settle(desk, "preflight", "verified")
    write = host.write

    def full(path: str, *rest: Any, **more: Any) -> None:
        if path == "/etc/demo/updates.conf":
            raise OSError(28, "No space left on device")
        write(path, *rest, **more)

    monkeypatch.setattr(host, "write", full)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "A", "y")
        await operator.until("x stops the")
        await operator.press("x")
        await operator.hears("The run waits no more. Something failed: 3 says what")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Updates")
        assert operator.wizard.main.section == "Run"
        await operator.until("Updates failed:")
        assert "No space left on" in operator.seen
        assert "The disk is full. Look" in operator.seen


async def test_what_has_no_answers_yet_is_pending(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path)
    settle(desk, "preflight", "verified")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Host name")
        assert "? pending: needs answers first" in operator.stands
        assert operator.wizard.main.section == "Questions"


async def test_a_hand_edit_is_found_when_the_wizard_starts(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    settle(desk, "clock", "verified")
    host.put("/etc/demo/clock.conf", "# changed by hand\n")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("≠ drifted  Clock")


async def test_it_opens_where_the_operator_left(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Firewall")
        await operator.until(lambda: desk.place().step == "firewall")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        assert operator.wizard.main.open_id == "firewall"


async def test_a_run_that_goes_on_is_attached_to_and_goes_on_after_leaving(tmp_path: Path) -> None:
    release = threading.Event()
    demo = Demo(hold=release)
    desk, host = fake_desk(tmp_path, demo, ANSWERS)
    settle(desk, "preflight", "verified")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        await operator.press("escape", "a")
        await operator.until("Apply (y)")
        await operator.press("y")
        await operator.until("▸ running  Clock")
        await operator.press("q")
        await operator.until("goes on without this window")
        await operator.press("y")
        await operator.until(lambda: operator.wizard._exit)
        assert "The work goes on" in operator.wizard.farewell
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("You are watching it")
        assert operator.wizard.main.section == "Run"
        await operator.press("a")
        await operator.until("A run is going on; it has to end first")
        release.set()
        await operator.until("Done and verified")
        assert operator.wizard.return_code is None
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        await operator.press("3")
        await operator.until("create /etc/demo/clock.conf")


async def test_what_the_last_run_asked_is_shown_at_once_unless_it_was_asked_again_since(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    settle(desk, "preflight", "verified")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        # The checks are turned to while nothing has been asked yet: what comes is seen as it comes.
        await operator.press("escape", "a", "y")
        await operator.press("4")
        await operator.until("pass  Clock is as planned")
        await operator.until(lambda: not operator.wizard.run_goes_on)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("[4 Checks]")
        assert operator.wizard.main.open_id == "clock"
        await operator.until("pass  Clock is as planned")
    with desk.engine() as engine:
        engine.store.observe("clock", "verified", LATER, 0)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("Last verified: ")
        await operator.until(lambda: operator.wizard.progress.status == "ok")
        assert "Clock is as planned" not in operator.seen


async def test_an_interrupted_run_is_told(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    with desk.engine() as engine:
        run = engine.store.add_run({"kind": "apply", "steps": ["clock"], "wait": 0}, engine.now())
        engine.store.begin_run(run, 1)
        engine.store.finish_run(run, "interrupted", 3, engine.now())
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("ended: interrupted")


async def test_a_state_that_had_to_be_put_right_is_told_once(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    settle(desk, "preflight", "verified")
    (desk.state / "state.sqlite3").write_bytes(b"no database at all" * 300)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("The state was put right")
        assert "state.sqlite3.damaged-" in operator.seen
        await operator.press("y")
        await operator.until(lambda: "The state was put right" not in operator.seen)
        assert desk.answers().relay.domain == "brightmail.example"


def test_what_has_become_of_a_setting_stands_before_what_apply_would_make() -> None:
    operation = WriteFile("/etc/a", "ours\n")
    drift = Drift("/etc/a", "hand", "changed by hand on 21 Nov 13:04", diff="-ours\n+mine\n")
    change = Change("change /etc/a", diff="-mine\n+ours\n")
    text = operation_text(PlannedOperation(operation, change, drift=(drift,)))
    assert text.index("/etc/a: changed by hand") < text.index("+mine") < text.index("+ours")
    assert "Kept as you have it" in operation_text(PlannedOperation(operation, change, kept=True))


def test_a_wait_that_an_older_version_recorded_is_told_without_its_reason() -> None:
    progress = Progress()
    progress.take({"event": "run.waiting", "missing": 1})
    assert progress.awaits == "something outside"
    progress.take({"event": "run.waiting", "missing": 2, "checks": ["home.answers", "ptr.ipv4"]})
    assert (progress.awaits, progress.doing) == (
        "PTR and the server at home",
        "for PTR and the server at home: 2 to come",
    )
    assert progress.where == "r shows the records; h has its files"


def test_what_failed_and_was_mended_is_no_longer_said_to_have_failed() -> None:
    progress = Progress()
    progress.take({"event": "step.finished", "step": "home", "status": "failed"})
    assert (progress.failed, progress.settled) == ({"home"}, {"home"})
    progress.take({"event": "step.finished", "step": "home", "status": "applied"})
    assert (progress.failed, progress.settled) == (set(), set())
