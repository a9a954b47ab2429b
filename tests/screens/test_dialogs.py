"""Dialogs on a very small screen: read from their beginning, answered by the keys that they name, with help."""

from __future__ import annotations

from pathlib import Path

from screens.desk import users_merged
from screens.dialogs import Confirm, Conflicting
from screens.user_form import UserForm
from state.image import Image
from tests.screens.demo import ANSWERS
from tests.screens.operator import at_the_desk
from tests.screens.pretend import fake_desk
from wizard.answers import as_tables
from wizard.rollback import Conflict

SMALL = (40, 10)
OURS, MINE = "\n".join("abcdefghij"), "\n".join("klmnopqrst")


def conflict() -> Conflict:
    now, original = (Image("/etc/a", "file", text.encode(), 0o644, "root", "root") for text in (MINE, ""))
    return Conflict("/etc/a", OURS.encode(), now, original)


async def test_a_question(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS, size=SMALL) as operator:
        answers: list[bool | None] = []
        question = Confirm("Make 12 changes?", [f"+ change {n}" for n in range(12)], "Apply", careful=True)
        operator.wizard.push_screen(question, answers.append)
        seen = await operator.until("Make 12 changes?")
        for words in ("+ change 0", "Apply (y)", "No (n)", "y/n Answer  Esc No"):
            assert words in seen
        await operator.press("pagedown")
        seen = await operator.until("+ change 11")
        assert "Apply (y)" in seen
        for key in ("f1", "question_mark"):
            await operator.press(key)
            await operator.until("A question whose answer matters")
            await operator.press("escape")
            await operator.until("Make 12 changes?")
        # The palette would lie over a question.
        await operator.press("ctrl+p", "left", "enter")
        assert answers == [True]


async def test_a_file_that_somebody_has_changed(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS, size=SMALL) as operator:
        answers: list[str | None] = []
        for keys, answer in (
            (("right", "enter"), "original"),
            (("left", "enter"), None),
            (("k",), "keep"),
            (("o",), "original"),
        ):
            operator.wizard.push_screen(Conflicting(conflict(), "File 1 of 1: "), answers.append)
            seen = await operator.until("Somebody has changed this file")
            for words in ("Keep it as it is (k)", "Put the original back (o)", "Cancel (Esc)", "k/o Answer"):
                assert words in seen
            await operator.press("f1")
            await operator.until("it was written here")
            await operator.press("escape", *keys)
            assert answers[-1] == answer


async def test_the_entry_of_a_user(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS, size=SMALL) as operator:
        form = UserForm({"name": "you", "role": "mail"}, [], has_password=True)
        operator.wizard.push_screen(form)
        seen = await operator.until("Login name")
        for words in ("you", "Tab Next  Space Role  Ctrl+S Sa"):
            assert words in seen
        await operator.press("question_mark")
        assert form.table()["name"] == "you?"
        # One leaves without a question only where nothing is lost, and a password stays with its name.
        for key in ("escape", "ctrl+c", "ctrl+q"):
            await operator.press(key)
            await operator.until("not saved: Ctrl+S saves it")
            assert operator.wizard.screen is form
            await operator.press("end", "x")
            await operator.until(lambda: "not saved" not in operator.seen)
        await operator.press("end", *["backspace"] * 4)
        await operator.type("a")
        await operator.until("! a mail user needs a password")
        await operator.press("backspace")
        await operator.press("f1")
        await operator.until("One of the role mail can send")
        await operator.press("escape", "tab", "space")
        assert form.table()["role"] == "admin"
        await operator.press(*["tab"] * 3)
        await operator.until("The same again")
        await operator.press(*["tab"] * 3)
        await operator.until("Save     Remove    Cancel")
        await operator.press("enter")
        await operator.until("not saved: Ctrl+S saves it")
        await operator.until(lambda: not form.query(".-active"))
        await operator.press("enter")
        await operator.until(lambda: operator.wizard.screen is operator.wizard.main)


async def test_users_are_named_saved_and_removed_beside_another_terminal(tmp_path: Path) -> None:
    two = [{"name": "anna", "role": "mail"}, {"name": "berta", "role": "mail"}]
    desk, host = fake_desk(tmp_path, None, {**ANSWERS, "users": two})
    before = desk.answers()
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Users")
        await operator.press("enter")
        await operator.until("Login name")
        await operator.press("end", "x", "tab", "tab", "tab")
        for _ in range(2):
            await operator.type("correct horse battery")
            await operator.press("tab")
        await operator.press("ctrl+s")
        await operator.until(lambda: operator.wizard.screen is operator.wizard.main)
        # Meanwhile, at another terminal.
        desk.save({"users": [*as_tables(before)["users"], {"name": "late", "role": "mail"}]}, before)
        await operator.press("escape", "2")
        await operator.hears("Saved: ")
        assert [user.name for user in desk.answers().users] == ["annax", "berta", "late"]
        assert set(desk.passwords) == {"annax"}
        # Nor does a saved password wait for whoever gets the name next.
        await operator.press("1")
        await operator.until("annax        mail, password typed")
        await operator.press("home", "enter")
        await operator.until("Another password (empty")
        await operator.press(*["tab"] * 6, "enter")
        await operator.until(lambda: operator.wizard.screen is operator.wizard.main)
        await operator.press("escape", "2")
        await operator.hears("Saved: the users: berta, late")
        assert not desk.passwords


def test_users_that_two_terminals_change_are_put_together_by_name() -> None:
    anna, berta, carl = ({"name": name, "role": "mail"} for name in ("anna", "berta", "carl"))
    admin = {**anna, "role": "admin"}
    assert users_merged([anna], [anna, berta], [anna, carl]) == [anna, berta, carl]
    assert users_merged([anna], [anna], [admin]) == [admin]
    assert users_merged([anna], [admin], [anna]) == [admin]
    assert users_merged([anna, berta], [berta], [anna, berta]) == [berta]
    assert users_merged([anna, berta], [anna, berta], [berta]) == [berta]
