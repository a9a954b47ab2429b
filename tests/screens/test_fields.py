"""Each field is judged by the validators of the answers file, while one types."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from screens import fields
from screens.questions import FieldBox
from screens.widgets import Choice
from tests.screens.demo import ANSWERS
from tests.screens.operator import at_the_desk
from wizard.answers import Answers
from wizard.steps import STEPS

FIELDS = [(step, field) for step in STEPS for field in step.fields]
WRONG = {
    "relay.ipv4": "300.1.1.1", "relay.ipv6": "nonsense", "relay.domain": "nodots", "relay.hostname": "a b",
    "relay.timezone": "!", "ssh.port": "25", "firewall.block": "0.0.0.0/0", "home.domains": "x",
    "home.address": "not a host", "home.port": "70000", "home.networks": "10.0.0.1/8", "home.recipients": "nobody",
    "home.login": "Root", "dkim.selector": "_", "dmarc.rua": "you@a.example", "access.reject": "x",
    "ssh.revert_after": "soon",
    "certbot.server": "http://a", "certbot.ca_bundle": "relative", "relay.admin_email": "nobody",
}  # fmt: skip


def test_every_field_of_every_step_can_be_asked() -> None:
    for _, field in FIELDS:
        kind = fields.kind_of(field.key)
        if kind == "choice":
            for word in fields.words_of(field.key):
                assert not fields.complaint(field.key, word)
        elif kind in {"text", "list"}:
            assert not fields.complaint(field.key, fields.shown(Answers(), field.key)), field.key


@pytest.mark.parametrize(
    "key", sorted({field.key for _, field in FIELDS if fields.kind_of(field.key) in {"text", "list"}})
)
async def test_a_wrong_answer_is_told_while_one_types_and_never_saved(key: str, tmp_path: Path) -> None:
    step = next(step for step, field in FIELDS if field.key == key)
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        before = operator.desk.answers()
        await operator.open(step.title)
        box = next(box for box in operator.wizard.main.query(FieldBox) if box.field.key == key)
        box.query_one(Input).value = ""
        box.query_one(Input).focus()
        await operator.type(WRONG[key])
        await operator.until(lambda: "complaint" in box.query_one(".note").classes)
        await operator.press("escape", "2")
        await operator.until("Not saved")
        assert operator.wizard.main.section == "Questions"
        assert operator.desk.answers() == before


async def test_answers_must_fit_together(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("The way home")
        operator.wizard.main.query(Input).first().value = "brightmail.example"
        await operator.press("escape", "2")
        await operator.until("is the relay's own domain")


async def test_choices_turn_by_arrows_and_space(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("SSH")
        choices = operator.wizard.main.query(Choice)
        await operator.press("tab", "right", "tab", "space")
        assert [choice.value for choice in choices] == ["no", "yes"]
        await operator.press("2")
        await operator.until("Saved.")
        assert operator.desk.answers().ssh.permit_root_login == "no"
        assert operator.desk.answers().ssh.password_authentication


@pytest.mark.parametrize(
    ("first", "again", "word"),
    [
        ("short", "short", "at least 8"),
        ("long enough", "long enouff", "not the same"),
        ("tab\there!!", "", "cannot be typed"),
    ],
)
def test_passwords_are_judged(first: str, again: str, word: str) -> None:
    assert word in fields.password_complaint(first, again)


def test_no_password_at_all_is_no_mistake() -> None:
    assert not fields.password_complaint("", "")


def test_users_are_judged() -> None:
    user = {"name": "anna", "role": "mail", "ssh_keys": []}
    assert not fields.user_complaint(user, ["berta"])
    assert "another user" in fields.user_complaint(user, ["anna"])
    assert "missing" in fields.user_complaint({**user, "name": ""}, [])
    assert "SSH key" in fields.user_complaint({**user, "ssh_keys": ["nonsense"]}, [])
