"""The guard: armed before the first change, ended by a proof alone, and falling by itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from state.store import Guard, Store
from tests.fake_sshd import ANSWERS, SESSION, SSHD, Killed, Machine, OpenPorts, later_step, ssh_step
from wizard import guard as guards
from wizard.answers import Answers, AnswersError, Firewall, Ssh, User, parse
from wizard.applying import Outcome
from wizard.engine import Engine
from wizard.fact import Context, Facts
from wizard.host import Completed, Listener, SshSession
from wizard.operation import OperationFailed
from wizard.steps import firewall


@dataclass
class World:
    """An engine on such a machine."""

    folder: Path
    host: Machine = field(default_factory=Machine)
    events: list[dict[str, Any]] = field(default_factory=list)
    answers: Answers = ANSWERS

    def __post_init__(self) -> None:
        self.store = Store.open(self.folder)
        self.engine = Engine((ssh_step(), later_step()), self.store, self.host, self.answers, SESSION)

    def apply(self, *, confirm: bool = True) -> Outcome:
        run = self.store.add_run({"kind": "apply", "steps": [], "session": None}, self.engine.now())
        self.events.clear()
        return self.engine.apply(run, self.host, self.engine.steps, self.events.append, 0, confirm=confirm)

    @property
    def guard(self) -> Guard:
        guard = self.store.last_guard()
        assert guard is not None
        return guard

    def heard(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_new_login_proves_it_and_closes_the_old_way(world: World) -> None:
    world.host.meanwhile[5.0] = lambda: world.host.login("boss", "203.0.113.70", 2222)
    outcome = world.apply()
    assert (outcome.status, outcome.steps) == ("ok", {"ssh": "verified", "later": "verified"})
    assert world.host.text(SSHD) == "new"
    (waiting,) = world.heard("guard.waiting")
    assert (waiting["seconds_left"], waiting["command"]) == (60, "ssh -p 2222 root@192.0.2.10")
    assert world.heard("guard.proved")[0]["how"] == "boss from 203.0.113.70 on port 2222"
    assert world.guard.state == "proved"
    assert f"{guards.UNITS}/{guards.TIMER}" not in world.host.files
    assert world.host.falls is None


def test_the_next_step_waits_for_the_proof(world: World) -> None:
    world.host.meanwhile[5.0] = lambda: (
        pytest.fail("too early") if "/etc/later" in world.host.files else world.host.login("boss", "203.0.113.70", 2222)
    )
    assert world.apply().status == "ok"
    assert "/etc/later" in world.host.files


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ['Connection from 203.0.113.70 port 40000 on 192.0.2.10 port 22 rdomain ""',
         "Accepted publickey for boss from 203.0.113.70 port 40000 ssh2: ED25519 SHA256:abc"],
        ["Accepted publickey for boss from 203.0.113.70 port 40000 ssh2: ED25519 SHA256:abc"],
        ['Connection from 192.0.2.10 port 40000 on 192.0.2.10 port 2222 rdomain ""',
         "Accepted publickey for boss from 192.0.2.10 port 40000 ssh2: ED25519 SHA256:abc"],
        ['Connection from 203.0.113.70 port 40000 on 192.0.2.10 port 2222 rdomain ""',
         "Accepted password for you from 203.0.113.70 port 40000 ssh2"],
        ['Connection from 203.0.113.70 port 40000 on 192.0.2.10 port 2222 rdomain ""',
         "Invalid user Accepted publickey for root from 203.0.113.70 port 40000 ssh2"],
        ['Connection from 203.0.113.70 port 40000 on 192.0.2.10 port 2222 rdomain ""',
         "Failed publickey for boss from 203.0.113.70 port 40000 ssh2"],
    ],
    ids=["nobody", "old port", "port unknown", "the machine itself", "no administrator", "a forged name", "refused"],
)  # fmt: skip
def test_what_proves_nothing(world: World, messages: list[str]) -> None:
    world.host.meanwhile[5.0] = lambda: world.host.logs(*messages)
    outcome = world.apply()
    assert (outcome.exit, outcome.steps["ssh"]) == (3, "failed")
    assert SSHD not in world.host.files
    assert world.guard.state == "reverted"
    assert "/etc/later" in world.host.files, "what cuts nobody off goes on"
    state = world.engine.states()[0]
    assert state.status == "failed"
    assert "no new login was seen in time" in state.note
    told = world.heard("step.failed")[0]
    assert "2222" in told["do"]


def test_what_another_user_writes_as_sshd_is_no_proof(world: World) -> None:
    def forge() -> None:
        world.host.logs("Connection from 203.0.113.70 port 4 on 192.0.2.10 port 2222 rdomain", uid=1000)
        world.host.logs("Accepted publickey for boss from 203.0.113.70 port 4 ssh2: ED25519 SHA256:abc", uid=1000)

    world.host.meanwhile[5.0] = forge
    assert world.apply().steps["ssh"] == "failed"


def test_a_login_before_the_change_is_no_proof(world: World) -> None:
    world.host.login("boss", "203.0.113.70", 2222)
    assert world.apply().steps["ssh"] == "failed"


def test_without_an_old_port_any_new_login_counts(world: World) -> None:
    world.host.listening = (Listener("0.0.0.0", 2222, "sshd"),)
    message = "Accepted publickey for root from 203.0.113.70 port 40000 ssh2"
    world.host.meanwhile[5.0] = lambda: world.host.logs(message)
    assert world.apply().steps["ssh"] == "verified"


def test_nothing_is_changed_when_the_timer_cannot_be_set(world: World) -> None:
    world.host.broken = True
    outcome = world.apply()
    assert (outcome.exit, outcome.steps["ssh"]) == (3, "failed")
    assert SSHD not in world.host.files


def test_a_second_apply_asks_for_nothing(world: World) -> None:
    world.host.meanwhile[5.0] = lambda: world.host.login("boss", "203.0.113.70", 2222)
    world.apply()
    ticks = world.host.ticks
    assert (world.apply().changed, world.heard("guard.waiting"), world.host.ticks) == (0, [], ticks)


def test_more_time_can_be_asked_for(world: World) -> None:
    world.host.meanwhile[50.0] = lambda: guards.set_timer(world.store, world.host, 60)
    world.host.meanwhile[100.0] = lambda: world.host.login("boss", "203.0.113.70", 2222)
    assert world.apply().steps["ssh"] == "verified"
    assert [event["seconds_left"] for event in world.heard("guard.waiting")] == [60, 60]


def test_the_operators_word_ends_the_waiting(world: World) -> None:
    world.host.meanwhile[5.0] = lambda: guards.prove(world.store, world.host, world.guard, "the operator's word")
    assert world.apply().steps["ssh"] == "verified"
    assert world.heard("guard.proved")[0]["how"] == "the operator's word"


def test_whose_word_counts(world: World) -> None:
    told: list[str] = []

    def ask() -> None:
        asked = world.guard.record["asked"]
        for session in (SESSION, replace(SESSION, began=asked + 1), None):
            told.append(guards.refusal(world.guard, session))  # noqa: PERF401 - one a session

    world.host.meanwhile[5.0] = ask
    world.apply()
    assert "ssh -p 2222 root@192.0.2.10" in told[0]
    assert told[1:] == ["", ""]
    assert guards.refusal(world.guard, None) == "there is nothing to confirm"


def die() -> None:
    raise Killed


def test_the_timer_takes_back_what_a_killed_run_left(world: World) -> None:
    world.host.meanwhile[5.0] = die
    with pytest.raises(Killed):
        world.apply()
    assert world.host.text(SSHD) == "new and old"
    guards.fall(world.engine, world.host)
    assert SSHD not in world.host.files
    assert world.guard.state == "reverted"


def test_the_timer_keeps_what_a_login_has_proved(world: World) -> None:
    world.host.meanwhile[5.0] = die
    with pytest.raises(Killed):
        world.apply()
    world.host.login("root", "203.0.113.70", 2222)
    guards.fall(world.engine, world.host)
    assert world.host.text(SSHD) == "new and old"
    assert world.guard.state == "proved"
    # The next apply has nothing left but to close the old way.
    outcome = world.apply()
    assert (outcome.steps["ssh"], world.heard("guard.waiting")) == ("verified", [])
    assert world.host.text(SSHD) == "new"


def test_a_new_apply_takes_over_the_guard_of_a_killed_one(world: World) -> None:
    world.host.put(SSHD, "before")
    world.host.meanwhile[5.0] = die
    with pytest.raises(Killed):
        world.apply()
    first = world.guard
    outcome = world.apply()
    assert outcome.steps["ssh"] == "failed"
    assert (world.guard.id, world.guard.since, world.guard.state) == (first.id, first.since, "reverted")
    assert world.host.text(SSHD) == "before"


def test_only_what_was_changed_under_the_guard_is_taken_back(world: World) -> None:
    world.host.meanwhile[5.0] = lambda: world.host.login("boss", "203.0.113.70", 2222)
    world.apply()
    world.host.put(SSHD, "new")
    world.engine.steps = (replace(ssh_step(), plan=lambda _: [OpenPorts("newer and old")]),)
    world.store.turn_guard(world.guard.id, ("proved",), "proved", world.engine.now())
    assert world.apply().steps["ssh"] == "failed"
    assert world.host.text(SSHD) == "new"


def test_an_edit_in_these_minutes_does_not_keep_the_operator_out(world: World) -> None:
    world.host.put(SSHD, "before")
    world.host.meanwhile[5.0] = lambda: world.host.put(SSHD, "by hand")
    assert world.apply().steps["ssh"] == "failed"
    assert world.host.text(SSHD) == "before"
    (told,) = [body for _, body in world.store.events(world.guard.run) if body["event"] == "guard.overruled"]
    assert "+by hand" in told["diff"]


def test_a_timer_that_does_not_fall_is_not_waited_for_for_ever(world: World) -> None:
    world.host.meanwhile[5.0] = lambda: world.host.run(["systemctl", "stop", guards.TIMER])
    assert world.apply().steps["ssh"] == "failed"
    assert SSHD not in world.host.files
    assert world.host.ticks < 120


def test_who_asks_for_no_proof_gets_none(world: World) -> None:
    outcome = world.apply(confirm=False)
    assert outcome.steps["ssh"] == "verified"
    assert world.store.last_guard() is None
    assert world.host.text(SSHD) == "new"


def test_a_run_that_hangs_is_ended_by_the_timer(world: World) -> None:
    guard = guards.arm(world.store, world.host, _run(world), world.engine.context(), SESSION)
    guards.cover(world.store, guard, "ssh")
    with world.store.lock():
        world.host.commands["systemctl", "kill"] = ""
        guards.fall(world.engine, world.host)
    assert ("systemctl", "kill", "--signal=KILL", "relay-wizard-run-1.service") in world.host.ran
    assert world.guard.state == "reverted"


def _run(world: World) -> int:
    return world.store.add_run({"kind": "apply", "steps": []}, world.engine.now())


@pytest.mark.parametrize(
    ("choice", "session", "wanted"),
    [("none", SESSION, False), ("login", None, True), ("auto", SESSION, True), ("auto", None, False)],
)
def test_what_the_choice_means(choice: str, session: SshSession | None, wanted: bool) -> None:  # noqa: FBT001 - a case
    assert guards.is_wanted(choice, session) is wanted


def test_the_line_to_type_names_who_may_log_in() -> None:
    host = Machine()
    root = Context(host, ANSWERS, Facts(host))
    assert guards.login_command(root, SESSION) == "ssh -p 2222 root@192.0.2.10"
    closed = Answers(ssh=Ssh(permit_root_login="no"), users=(User("boss", "admin"),))
    assert guards.login_command(Context(host, closed, Facts(host)), SESSION) == "ssh -p 2222 boss@192.0.2.10"


def test_the_operators_own_network_is_not_blocked() -> None:
    host = Machine()
    answers = Answers(firewall=Firewall(block=("203.0.113.0/24",)))
    with pytest.raises(AnswersError, match=r"203\.0\.113\.70, the address that you are connected from"):
        firewall.plan(Context(host, answers, Facts(host, "203.0.113.70")))
    assert firewall.plan(Context(host, answers, Facts(host, "198.51.100.7")))


@pytest.mark.parametrize(("raw", "seconds"), [(300, 300), ("90", 90), ("5m", 300), ("45s", 45)])
def test_the_time_for_the_proof(raw: object, seconds: int) -> None:
    assert parse({"ssh": {"revert_after": raw}}).ssh.revert_after == seconds


@pytest.mark.parametrize("raw", [5, "2h", "", True, "5 m"])
def test_no_time_for_the_proof(raw: object) -> None:
    with pytest.raises(AnswersError, match="300"):
        parse({"ssh": {"revert_after": raw}})


def test_a_journal_that_cannot_be_read_is_said(world: World) -> None:
    world.host.commands["journalctl",] = Completed((), 1, "", "No journal files were found.")
    with pytest.raises(OperationFailed, match="No journal files"):
        guards.await_proof(
            world.store, world.host,
            guards.arm(world.store, world.host, _run(world), world.engine.context(), SESSION),
        )  # fmt: skip


def test_a_state_folder_of_any_name_is_one_word_of_the_unit(tmp_path: Path) -> None:
    world = World(tmp_path / "50% mine")
    guards.set_timer(world.store, world.host, 60)
    assert f'--state "{tmp_path}/50%% mine"\n' in world.host.text(f"{guards.UNITS}/{guards.SERVICE}")
