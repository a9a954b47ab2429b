"""Keys in moments in which nobody expects them: before anything is known, twice, above another screen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from screens.application import RelayWizard
from screens.desk import Place
from screens.dialogs import Confirm
from screens.verbs import VERBS
from screens.widgets import Rows
from screens.words import finished
from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import Operator, at_the_desk
from tests.screens.pretend import fake_desk, held
from wizard.answers import AnswersError, parse

EVERY_KEY = (
    *(verb.key for verb in VERBS if verb.action not in {"leave", "help", "looks"}),
    "1",
    "2",
    "3",
    "4",
    "enter",
    "escape",
)


async def test_no_key_breaks_anything_before_the_first_look_or_without_one(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    seen = threading.Event()
    desk.answers = held(desk.answers, seen)  # type: ignore[method-assign]
    wizard = RelayWizard(desk)
    async with wizard.run_test(size=(80, 24)) as pilot:
        operator = Operator(wizard, pilot, host, desk)
        await operator.press(*EVERY_KEY)
        assert "done" not in operator.said
        assert wizard.screen is wizard.main
        seen.set()
        await operator.until(lambda: wizard.main.open_id)
        await operator.leave()

    def broken() -> Any:
        raise OSError("the disk is gone")

    desk.answers = broken  # type: ignore[method-assign]
    wizard = RelayWizard(desk)
    async with wizard.run_test(size=(80, 24)) as pilot:
        operator = Operator(wizard, pilot, host, desk)
        await operator.hears("the disk is gone")
        await operator.press(*EVERY_KEY)
        await operator.hears("the disk is gone")
        await operator.press("q")
        await operator.until(lambda: wizard.return_code == 0)


async def test_a_verb_pressed_twice_asks_once_and_begins_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    Demo().settle(desk, host, {"preflight": "verified"})
    for slow in ("plan", "way_in", "back", "start"):
        monkeypatch.setattr(desk, slow, slowly(getattr(desk, slow)))
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Updates")
        for key in ("A", "a"):
            await asks_once(operator, key)
        await operator.press("a")
        await operator.until("make 1 change?")
        question = operator.wizard.screen
        question.dismiss(True)
        question.dismiss(True)
        await operator.hears("starting")
        await operator.press("a")
        await operator.hears("Done and verified")
        with operator.desk.engine() as engine:
            last = engine.store.last_run()
        assert last is not None
        assert last.id == 1
        assert operator.wizard.screen is operator.wizard.main
        for key in ("u", "U"):
            await asks_once(operator, key)


async def asks_once(operator: Operator, key: str) -> None:
    await operator.press("escape", key, key)
    await operator.until(lambda: isinstance(operator.wizard.screen, Confirm))
    await operator.pilot.pause(0.5)
    assert len(operator.wizard.screen_stack) == 2
    await operator.press("n")
    await operator.until(lambda: operator.wizard.screen is operator.wizard.main)


def slowly(work: Callable[..., Any]) -> Callable[..., Any]:
    def slow(*given: Any, **named: Any) -> Any:
        threading.Event().wait(0.2)
        return work(*given, **named)

    return slow


async def test_what_is_typed_survives_leaving_from_another_screen(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("SSH")
        await operator.type("77")
        await operator.press("f1")
        await operator.until("The keys")
        await operator.press("ctrl+q")
        await operator.hears("Not saved")
        assert operator.wizard.screen is operator.wizard.main
        await operator.press("backspace", "f1", "ctrl+q")
        await operator.until(lambda: operator.wizard.return_code == 0)
        assert desk.answers().ssh.port == 22227


async def test_quick_verbs_on_a_full_disk_drop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    full = threading.Event()

    def save(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        with monkeypatch.context() as broken:
            broken.setattr(desk, "save", held(save, full))
            await operator.open("Clock")
            line = operator.wizard.focused
            assert isinstance(line, Input)
            await operator.press("end", *["backspace"] * len(line.value))
            await operator.type("Asia/Tokyo")
            await operator.press("escape", "2", "n")
            full.set()
            await operator.hears("Not saved; once more leaves it as it was.")
            assert "No space left" in operator.said
            await operator.pilot.pause(0.2)
            assert line.value == "Asia/Tokyo"
            assert operator.wizard.main.open_id == "clock"
        await operator.press("escape", "2", "n")
        await operator.until(lambda: operator.wizard.main.open_id == "preflight")
        assert desk.answers().relay.timezone == "Asia/Tokyo"


async def test_a_password_is_not_taken_when_the_answers_beside_it_are_refused(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, {"relay": ANSWERS["relay"]}) as operator:
        await operator.open("The way home")
        await operator.type("brightmail.example")
        await operator.press("tab")
        await operator.type("198.51.100.80")
        form = operator.wizard.main.form
        assert form is not None
        form.passwords = lambda: {"home": "correct horse battery"}  # type: ignore[method-assign]
        await operator.press("escape", "2")
        await operator.hears("is the relay's own domain")
        assert not operator.desk.passwords


async def test_what_was_refused_is_not_said_any_more_once_it_is_mended(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("SSH")
        await operator.type("77")
        await operator.press("escape", "2")
        await operator.hears("Not saved; once more")
        await operator.press("x")
        assert "Not saved" in operator.said
        await operator.press("backspace", "backspace")
        await operator.until(lambda: not operator.said)


async def test_d_and_k_act_on_the_step_under_the_cursor(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    Demo().settle(desk, host, dict.fromkeys(("preflight", "updates", "clock"), "verified"))
    host.put("/etc/demo/updates.conf", "# mine\n")
    host.put("/etc/demo/clock.conf", "# mine\n")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        for key in ("d", "k"):
            await operator.open("Updates")
            await operator.press("escape", "2")
            await operator.until("1 change. Enter or d")
            await operator.press("escape")
            operator.wizard.main.query_one("#checklist", Rows).point_at("clock")
            await operator.press(key)
            await operator.until(lambda: operator.wizard.main.open_id == "clock")
            await operator.until("1 change. Enter or d")
            assert operator.wizard.screen is operator.wizard.main
        with desk.engine() as engine:
            assert not engine.store.kept()
        await operator.open("Before you begin")
        await operator.press("escape", "2")
        await operator.until("Nothing is changed by this step")
        await operator.press("k")
        await operator.hears("There is nothing of yours in it")


async def test_it_is_said_when_nobody_could_send(tmp_path: Path) -> None:
    alone = {"relay": ANSWERS["relay"]}
    desk, host = fake_desk(tmp_path, None, alone)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Host name")
        await operator.type("x")
        await operator.press("escape", "A")
        seen = await operator.until("But nobody can send mail yet")
        # As many as the new answers ask for.
        assert f"Left to do: {len(operator.desk.checklist().remaining)} steps" in seen
        await operator.press("n")
        rest = {step.id: "verified" for step in desk.steps}
        Demo().settle(desk, host, rest)
        operator.wizard.refresh_checklist()
        await operator.until(lambda: (found := operator.wizard.main.checklist) and found.next is None)
        for key in ("n", "A"):
            await operator.press(key)
            await operator.hears("Everything is done, but nobody can send mail yet")
    assert "h home's files" not in finished(parse({**alone, "users": [{"name": "anna", "role": "mail"}]}))
    assert "h home's files" in finished(parse(ANSWERS))


def test_a_place_that_makes_no_sense_is_forgotten(tmp_path: Path) -> None:
    desk, _ = fake_desk(tmp_path, None, ANSWERS)
    for words in ('{"step": [], "begun": true}', '{"looks": {}}', '{"begun": "yes"}', '{"else": 1}', "[]", "{"):
        (desk.state / "screens.json").write_text(words)
        assert desk.place() == Place()
    (desk.state / "screens.json").write_text('{"step": "ssh", "begun": true}')
    assert desk.place() == Place("ssh", begun=True)


async def test_a_narrow_terminal_names_every_key(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS, size=(40, 10)) as operator:
        keys = " ".join(operator.seen.splitlines()[-1].split())
        assert keys == "a Apply A Apply all v d r u n q"
        await operator.pilot.resize_terminal(80, 24)
        await operator.until("n Next  q Leave")


async def test_after_the_first_screen_it_is_said_what_to_press(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS, begun=False) as operator:
        await operator.until("Mail can leave this server")
        await operator.press("enter")
        await operator.hears("Enter opens a step and its questions")


async def test_a_complaint_about_no_answer_in_particular_is_only_said(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path)

    def unread() -> Any:
        raise AnswersError("the answers cannot be read")

    desk.answers = unread  # type: ignore[method-assign]
    wizard = RelayWizard(desk)
    async with wizard.run_test(size=(80, 24)) as pilot:
        operator = Operator(wizard, pilot, host, desk)
        await operator.hears("the answers cannot be read")
        await operator.press("q")
        await operator.until(lambda: wizard.return_code == 0)


async def test_a_new_answer_to_a_verified_step_is_work_to_do_at_once(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    Demo().settle(desk, host, {step.id: "verified" for step in desk.steps})
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "A")
        await operator.hears("Everything is done")
        for key, words in (("A", "Left to do: 1 step, from “Clock”"), ("n", "≠ drifted: 1 change planned")):
            await operator.open("Clock")
            await operator.press("1", "end", *["backspace"] * 20)
            await operator.type("Asia/Tokyo" if key == "A" else "Asia/Seoul")
            await operator.press("escape", key)
            await operator.until(words)
            await operator.press("n" if key == "A" else "escape")
            await operator.until(lambda: operator.status("clock") == "drifted")
