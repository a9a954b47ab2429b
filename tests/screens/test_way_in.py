"""A change of the operator's way in: asked beforehand, counted down, proved by a login or a word, or put back."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from screens.desk import Desk
from state.store import Store
from tests.fake_sshd import ANSWERS, SESSION, SSHD, Machine, later_step, ssh_step
from tests.screens.operator import Operator, at_the_desk
from tests.screens.pretend import in_a_thread
from wizard import guard as guards
from wizard.answers import as_tables


class SlowMachine(Machine):
    """Its clock is the real one."""

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))  # noqa: TID251 - following a run must not spin
        self.ticks += 0.02


@pytest.fixture
def machine() -> SlowMachine:
    return SlowMachine()


@pytest.fixture
def desk(tmp_path: Path, machine: SlowMachine) -> Desk:
    steps = (ssh_step(), later_step())
    Store.open(tmp_path / "state").save_answers(as_tables(ANSWERS))
    return Desk(
        tmp_path / "state", steps, machine, in_a_thread(steps, tmp_path / "state", machine), machine, session=SESSION
    )


async def change_the_way_in(operator: Operator) -> None:
    await operator.press("escape", "a")
    await operator.until("From a second terminal")
    assert "1 minute" in operator.seen
    await operator.press("y")
    await operator.until("ssh -p 2222 root@192.0.2.10")
    await operator.until("log in again: 0:")


async def test_a_login_turns_it_green(tmp_path: Path, desk: Desk, machine: SlowMachine) -> None:
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        await change_the_way_in(operator)
        await operator.until("e More time  v Verify")
        await operator.press("e")
        await operator.until("1 minute from now")
        # This session is the old one: its word proves nothing.
        await operator.press("o")
        await operator.until("this session did not come in by the new way")
        # Leaving stops neither run nor countdown: who leaves has to know, and what to type.
        await operator.press("q")
        await operator.until("Leave before your new login?")
        for words in ("does not stop the countdown: ", "all is put back", "ssh -p 2222 root@192.0.2.10"):
            assert words in operator.seen
        await operator.press("y")
        await operator.until(lambda: operator.wizard._exit)
        assert "Log in before the countdown ends, or all is put back: ssh -p 2222 root@" in operator.wizard.farewell
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        await operator.until("ssh -p 2222 root@192.0.2.10")
        machine.login("boss", "203.0.113.70", 2222)
        await operator.until("Your new way in works: boss from")
        await operator.until("Done and verified")
        assert machine.text(SSHD) == "new"
        await operator.press("escape", "u")
        await operator.until("SSH and firewall go back")


async def test_a_countdown_that_begins_under_the_question_whether_to_leave_is_told(
    tmp_path: Path, desk: Desk, machine: SlowMachine
) -> None:
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        await change_the_way_in(operator)
        login, operator.wizard.progress.login = operator.wizard.progress.login, None
        await operator.press("q")
        await operator.until("Leave while the work goes on?")
        operator.wizard.progress.login = login
        await operator.press("y")
        await operator.until("Leave before your new login?")
        await operator.press("y")
        await operator.until(lambda: operator.wizard._exit)
        assert "Log in before the countdown ends" in operator.wizard.farewell


async def test_who_comes_in_by_the_new_way_may_give_the_word(tmp_path: Path, desk: Desk, machine: SlowMachine) -> None:
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        await change_the_way_in(operator)
    # Whom no group makes an administrator, but who became root.
    machine.login("ops", SESSION.client, 2222, client_port=50123)
    desk.session = replace(SESSION, client_port=50123, server_port=2222)
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        await operator.until("ssh -p 2222 root@192.0.2.10")
        await operator.until("e More time  o I am in")
        await operator.press("o")
        await operator.until("Your new way in works: the operator's")
        await operator.until("Done and verified")


async def test_without_a_login_all_is_said_to_be_back(tmp_path: Path, desk: Desk, machine: SlowMachine) -> None:
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        machine.put(SSHD, "old")
        await change_the_way_in(operator)
        with desk.engine() as engine:
            guards.fall(engine, machine)
        await operator.until("No new login was seen in time")
        await operator.until("Something failed")
        assert machine.text(SSHD) == "old"


async def test_there_is_nothing_to_prolong_or_confirm_otherwise(
    tmp_path: Path, desk: Desk, machine: SlowMachine
) -> None:
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        await operator.press("escape", "e")
        await operator.until("Nothing is counted down")
        await operator.press("o")
        await operator.until("nothing to confirm")


async def test_at_the_console_it_is_said_that_nothing_puts_it_back(
    tmp_path: Path, desk: Desk, machine: SlowMachine
) -> None:
    desk.session = None
    async with at_the_desk(tmp_path, desk=(desk, machine)) as operator:
        for key in ("a", "A"):
            await operator.press("escape", key)
            await operator.until("nothing is put back by itself")
            assert "second terminal" not in operator.seen
            await operator.press("escape")
