"""Keys that come faster than the machine answers: none is lost, doubled, or taken for another question's answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from screens.application import READ_AGAIN, RelayWizard, said_of
from screens.desk import Desk
from screens.parts import Progress
from screens.texts import LogScreen
from screens.user_form import UserForm
from screens.welcome import WelcomeScreen
from screens.widgets import Rows
from state.store import Run
from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import Operator, at_the_desk
from tests.screens.pretend import PatientHost, fake_desk, held

AT = "2026-11-24T00:00:00Z"


def a_desk(folder: Path, demo: Demo | None = None) -> tuple[Desk, PatientHost]:
    """A desk at which the first step is done."""
    desk, host = fake_desk(folder, demo, ANSWERS)
    Demo().settle(desk, host, {"preflight": "verified"})
    return desk, host


async def at_once(operator: Operator, *keys: str) -> None:
    """Keys that arrive together, as a slow line brings them."""
    for key in keys:
        operator.wizard.post_message(events.Key(key, key if len(key) == 1 else None))
    await operator.pilot.pause(0.3)


def last_run(desk: Desk) -> Run | None:
    with desk.engine() as engine:
        return engine.store.last_run()


@pytest.mark.parametrize(("key", "named"), [("enter", "UserForm"), ("r", "RecordsScreen"), ("w", "WelcomeScreen")])
async def test_a_key_that_comes_twice_opens_one_screen(tmp_path: Path, key: str, named: str) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("Users")
        if key != "enter":
            await operator.press("escape")
        await at_once(operator, key, key)
        assert [type(screen).__name__ for screen in operator.wizard.screen_stack] == ["MainScreen", named]


async def test_a_verb_acts_on_the_step_it_was_pressed_on_though_another_key_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = a_desk(tmp_path)
    asked: list[tuple[str, ...]] = []
    verify = desk.verify

    def told(ids: Sequence[str], heard: Any) -> Any:
        asked.append(tuple(ids))
        return verify(ids, heard)

    monkeypatch.setattr(desk, "verify", told)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape")
        operator.wizard.main.query_one("#checklist", Rows).point_at("clock")
        await at_once(operator, "v", "n")
        await operator.until(lambda: asked)
        assert asked == [("clock",)]
        await operator.until(lambda: operator.wizard.main.open_id == "updates")


@pytest.mark.parametrize("typed", ["y", "Asia/Tokyo"])
async def test_no_question_comes_up_under_the_fingers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    desk, host = a_desk(tmp_path)
    looked = threading.Event()
    monkeypatch.setattr(desk, "plan", held(desk.plan, looked))
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        await operator.press("escape", "a")
        await operator.hears("looking at the machine")
        await operator.press("1", "end")
        await operator.type(typed[:-1])
        looked.set()
        await operator.hears("Press the key again")
        await operator.type(typed[-1])
        assert operator.wizard.screen is operator.wizard.main
        assert operator.wizard.main.query(Input).first().value == f"Etc/UTC{typed}"
        assert last_run(desk) is None


async def test_what_is_typed_while_answers_are_saved_stays_and_is_saved_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = a_desk(tmp_path)
    may = threading.Event()
    monkeypatch.setattr(desk, "save", held(desk.save, may))
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Host name")
        first, second, *_ = (box.query_one(Input) for box in operator.wizard.main.form.boxes)  # type: ignore[union-attr]
        before = [first.value, second.value]
        await operator.press("end", "x", "escape", "1")
        second.focus()
        await operator.press("end", "y")
        may.set()
        await operator.hears("Saved")
        assert [first.value, second.value] == [f"{before[0]}x", f"{before[1]}y"]
        await operator.press("escape", "2")
        await operator.until("[2 Plan]")
        answers = desk.answers().relay
        assert f"{before[0]}x" in (answers.hostname, answers.domain)
        assert f"{before[1]}y" in (answers.hostname, answers.domain)


async def test_each_wrong_answer_is_named_before_it_is_left_as_it_was(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("Host name")
        boxes = operator.wizard.main.form.boxes  # type: ignore[union-attr]
        for box in boxes[:2]:
            box.query_one(Input).value = "a b!"
        for box in boxes[:2]:
            await operator.press("escape", "2")
            await operator.hears(f"Not saved; once more leaves it as it was. {box.question}")
        await operator.press("escape", "2")
        await operator.until("[2 Plan]")


async def test_a_half_typed_user_is_not_lost_below_the_help(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("Users")
        await operator.press("enter")
        await operator.until("Login name")
        await operator.type("anna")
        await operator.press("f1", "ctrl+q")
        await operator.until("not saved: Ctrl+S saves it")
        assert isinstance(operator.wizard.screen, UserForm)


async def test_the_wizard_is_not_left_while_a_run_is_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = a_desk(tmp_path)
    may = threading.Event()
    monkeypatch.setattr(desk, "start", held(desk.start, may))
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        await operator.press("escape", "a", "y")
        await operator.hears("starting")
        await operator.press("q")
        await operator.hears("The run is just being started")
        may.set()
        await operator.hears("Done and verified")


async def test_a_run_that_could_not_be_read_once_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert READ_AGAIN < 5
    desk, host = a_desk(tmp_path)
    follow, tries = desk.follow, [OSError(5, "Input/output error")]

    def once(run: int, heard: Any) -> Run:
        if tries:
            raise tries.pop()
        return follow(run, heard)

    monkeypatch.setattr(desk, "follow", once)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        await operator.press("escape", "a", "y")
        await operator.hears("Input/output error")
        await operator.hears("Done and verified")
        assert not operator.wizard.run_goes_on


async def test_who_comes_to_a_run_hears_of_no_login_that_has_been_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = a_desk(tmp_path)
    with desk.engine() as engine:
        number = engine.store.add_run({"kind": "apply", "steps": ["ssh", "dns"], "wait": 1}, engine.now())
        engine.store.begin_run(number, 1)
        run = engine.store.run(number)
    over = threading.Event()

    def follow(_: int, heard: Any) -> Run:
        heard({"event": "run.started", "run": number, "kind": "apply", "steps": ["ssh", "dns"], "at": AT})
        heard({"event": "guard.waiting", "command": "ssh -p 2222 you@x", "seconds_left": 300, "at": AT})
        heard({"event": "guard.proved", "how": "a login", "at": AT})
        heard({"event": "run.waiting", "missing": 1, "checks": ["dns.live"], "at": AT})
        over.wait(10)
        return run

    monkeypatch.setattr(desk, "follow", follow)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        operator.wizard.follow(run)
        await operator.until(lambda: operator.wizard.waits)
        assert "log in once more" not in operator.said
        over.set()


async def test_an_old_look_at_the_checklist_undoes_no_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        may, read, looks = threading.Event(), desk.checklist, [True]
        landed = threading.Event()

        def first_slow() -> Any:
            found = read()
            if looks and looks.pop():
                may.wait(10)
                landed.set()
            return found

        monkeypatch.setattr(desk, "checklist", first_slow)
        operator.wizard.refresh_checklist()
        await operator.until(lambda: not looks)
        Demo().settle(desk, host, {"preflight": "verified"})
        operator.wizard.refresh_checklist()
        await operator.until("✓ verified Before you begin")
        may.set()
        await operator.until(landed.is_set)
        await operator.pilot.pause(0.2)
        assert "✓ verified Before you begin" in operator.seen


async def test_the_look_can_be_changed_before_anything_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    seen = threading.Event()
    monkeypatch.setattr(desk, "answers", held(desk.answers, seen))
    wizard = RelayWizard(desk)
    async with wizard.run_test(size=(80, 24)) as pilot:
        operator = Operator(wizard, pilot, host, desk)
        await operator.press("t")
        seen.set()
        # A newcomer still sees the first screen.
        await operator.until(lambda: isinstance(wizard.screen, WelcomeScreen))
        await operator.leave()


async def test_a_log_without_output_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, host = a_desk(tmp_path)
    with desk.engine() as engine:
        run = engine.store.add_run({"kind": "apply", "steps": ["clock"], "wait": 0}, engine.now())
        engine.store.finish_run(run, "ok", 0, engine.now())
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "l")
        await operator.hears("Nothing was said yet")
        await operator.pilot.pause(0.3)
        tries: list[str] = []
        say = LogScreen.say

        def told(screen: LogScreen, text: str, tone: str = "") -> None:
            tries.append(text)
            say(screen, text, tone)

        monkeypatch.setattr(LogScreen, "say", told)
        drawn: list[object] = []
        monkeypatch.setattr(operator.wizard, "_display", lambda *given: drawn.append(given))
        await operator.until(lambda: len(tries) > 2)
        assert not drawn


async def test_a_narrower_terminal_keeps_what_one_is_in(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("Clock")
        await operator.press("escape", "tab", "tab", "tab")
        inside = operator.wizard.focused
        await operator.pilot.resize_terminal(60, 20)
        await operator.pilot.pause(0.3)
        assert operator.wizard.focused is inside is not None


def test_a_killed_undo_is_finished_by_undo(tmp_path: Path) -> None:
    desk, _ = a_desk(tmp_path)
    with desk.engine() as engine:
        number = engine.store.add_run({"kind": "rollback", "steps": ["clock"], "wait": 0}, engine.now())
        run = replace(engine.store.run(number), status="interrupted")
    said, tone = said_of(run, Progress(), desk.checklist(), "")
    assert (said.startswith("The run was killed. Undo again"), tone) == (True, "bad")
