"""Coming back: each status is shown with its word, and the wizard opens where the operator left."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from screens.parts import operation_text
from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import at_the_desk
from tests.screens.pretend import fake_desk
from wizard.drift import Drift
from wizard.engine import PlannedOperation
from wizard.operation import Change
from wizard.operations.files import WriteFile


def settle(desk: Any, step: str, status: str, planned: int = 0) -> None:
    with desk.engine() as engine:
        if status == "drifted":
            engine.store.observe(step, "verified", engine.now(), planned=1)
        else:
            engine.store.observe(step, status, engine.now(), planned)


@pytest.mark.parametrize(
    ("status", "section", "words"),
    [
        ("verified", "Checks", "its checks passed"),
        ("drifted", "Plan", "1 change planned"),
        ("failed", "Checks", "a check or a change failed"),
        ("applied", "Checks", "something outside"),
    ],
)
async def test_a_step_opens_at_the_part_that_its_status_asks_for(
    status: str, section: str, words: str, tmp_path: Path
) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    made = "# Clock\nrelay.timezone = Etc/UTC\n"
    host.put("/etc/demo/clock.conf", made if status == "verified" else "# changed by hand\n")
    settle(desk, "preflight", "verified")
    settle(desk, "clock", status)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        assert operator.wizard.main.section == section
        assert words in " ".join(operator.seen.split())
        assert f" {status}" in operator.seen


async def test_ready_pending_blocked_and_skipped_are_told_apart(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path)
    settle(desk, "preflight", "verified")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("○ ready    Updates")
        assert "? pending  Host name" in operator.seen
        assert "· blocked  SSH" in operator.seen
    with desk.engine() as engine:
        engine.store.save_answers({"relay": ANSWERS["relay"]})
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "end")
        await operator.until(lambda: operator.status("transport") == "skipped")


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
