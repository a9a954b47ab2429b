"""Each field is judged by the validators of the answers file, while one types."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from screens import fields
from screens.questions import FieldBox
from screens.widgets import Choice
from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import at_the_desk
from tests.screens.pretend import fake_desk
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


async def test_answers_that_do_not_fit_together_hold_nobody(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, {"relay": ANSWERS["relay"]}) as operator:
        await operator.open("The way home")
        domains = operator.wizard.main.query(FieldBox).first()
        await operator.type("brightmail.example")
        await operator.press("tab")
        await operator.type("198.51.100.80")
        await operator.press("escape", "2")
        await operator.hears("Not saved; once more leaves it as it was.")
        assert "is the relay's own domain" in operator.said
        assert domains.query_one(Input).has_focus
        await operator.press("end", *["backspace"] * 30)
        await operator.press("escape", "n")
        await operator.hears("Which domains does your home server have? Needed first.")
        await operator.press("escape", "n")
        # The address alone is no home server: it is dropped, and the operator goes on.
        await operator.until(lambda: operator.wizard.main.open_id == "preflight")
        assert operator.desk.answers().home is None

        await operator.open("The way home")
        await operator.type("hearth.example")
        await operator.press("escape", "q")
        await operator.hears("Under which address or name is home reached? Needed first.")
        assert operator.wizard.main.query(FieldBox)[1].query_one(Input).has_focus
        await operator.press("ctrl+q")
        await operator.until(lambda: operator.wizard._exit)


async def test_a_time_zone_that_this_machine_does_not_know_is_not_saved(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    host.put("/usr/share/zoneinfo/Europe/Berlin", "TZif2")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("Clock")
        for name, word in (
            ("Europe/Berlim", "Not saved; once more leaves it as it was."),
            ("Europe/Berlin", "Saved: "),
        ):
            zone = operator.wizard.main.query(Input).first()
            zone.value = name
            await operator.press("escape", "2")
            await operator.hears(word)
        assert desk.answers().relay.timezone == "Europe/Berlin"


async def test_what_is_typed_ahead_lands_in_the_field_that_it_was_meant_for(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, {"relay": ANSWERS["relay"]}) as operator:
        await operator.open("The way home")
        domains, address, *_ = operator.wizard.main.query(FieldBox)
        # All at once, as a slow line brings it: nothing is drawn in between.
        for key in [*"hearth.example", "enter", *"home.example", "shift+tab", *".net"]:
            operator.wizard.post_message(events.Key(key, key if len(key) == 1 else None))
        await operator.until(lambda: domains.text == "hearth.example.net")
        assert address.text == "home.example"


async def test_one_wrong_answer_does_not_take_the_others_along(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("The way home")
        domains, _, port, *_ = operator.wizard.main.query(FieldBox)
        domains.query_one(Input).value = "hearth.example, grove.example"
        port.query_one(Input).value = "seventy"
        await operator.press("escape", "2")
        await operator.hears("Not saved; once more leaves it as it was. On which port")
        await operator.press("escape", "2")
        await operator.hears("Saved: Which domains does your home server have? hearth.example, grove.example")
        home = operator.desk.answers().home
        assert home is not None
        assert (home.domains, home.port) == (("hearth.example", "grove.example"), 10025)


async def test_a_key_in_a_field_adds_to_the_answer_and_can_be_taken_back(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS | {"ssh": {"port": 2222}}) as operator:
        await operator.open("SSH")
        line = operator.wizard.main.query(Input).first()
        await operator.press("2")
        assert line.value == "22222"
        await operator.until("Ctrl+Z As it was")
        await operator.press("ctrl+z", "escape", "2")
        await operator.until("[2 Plan]")
        assert operator.desk.answers().ssh.port == 2222


def everything_in(folder: Path) -> str:
    return "".join(path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file())


async def test_a_missing_password_is_asked_for_in_a_masked_field(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    real = {step.id: step.plan for step in STEPS}
    desk.steps = tuple(replace(step, plan=real[step.id]) if step.id == "home" else step for step in desk.steps)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "A")
        await operator.until("Apply all that is left?")
        await operator.press("y")
        await operator.hears("Which password shall home have? It is needed first.")
        await operator.until(lambda: isinstance(operator.wizard.focused, Input) and operator.wizard.focused.password)
        await operator.type("correct horse")
        await operator.press("tab")
        await operator.type("correct horse")
        await operator.press("escape", "2")
        await operator.hears("Saved: home's password is taken for this session")
        assert "correct horse" not in operator.seen
    assert "correct horse" not in everything_in(tmp_path)


async def test_a_missing_answer_opens_the_step_that_asks_for_it(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, {})
    settle = {"preflight": "verified"}
    Demo().settle(desk, host, settle)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.open("DNS records")
        await operator.press("escape", "2")
        await operator.until("Press a to go there.")
        await operator.press("v")
        await operator.until(lambda: operator.wizard.main.open_id == "hostname")
        assert operator.wizard.main.query(Input).first().has_focus
        await operator.hears("Which domain does this relay send for? Needed first.")


async def test_choices_turn_by_arrows_and_space(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("SSH")
        choices = operator.wizard.main.query(Choice)
        await operator.press("tab", "right", "tab", "space")
        assert [choice.value for choice in choices] == ["no", "yes"]
        await operator.press("2")
        await operator.hears("Saved 2 answers.")
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
    assert "the login of your server at home" in fields.user_complaint(user, [], "anna")
