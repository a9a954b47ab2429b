"""The guard: armed before the first change, ended by a proof alone, and falling by itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from state.store import Guard, Store
from tests.fake_sshd import ANSWERS, KEY, SESSION, SOMEBODY, SSHD, Killed, Machine, OpenPorts, later_step, ssh_step
from wizard import guard as guards
from wizard.answers import Answers, AnswersError, Firewall, parse
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


def test_a_login_that_only_runs_its_keys_command_proves_nothing(world: World) -> None:
    # As cloud images have it: no shell comes of it.
    keys = f'no-pty,command="echo Please login as \\"debian\\"" {KEY}\n'
    world.host.put("/root/.ssh/authorized_keys", keys)
    world.host.meanwhile[5.0] = lambda: world.host.login("root", "203.0.113.70", 2222)
    assert world.apply().steps["ssh"] == "failed"
    world.host.put("/root/.ssh/authorized_keys", f'{keys}from="203.0.113.70" {KEY}\n')
    world.host.meanwhile[world.host.ticks + 5.0] = lambda: world.host.login("root", "203.0.113.70", 2222)
    assert world.apply().steps["ssh"] == "verified"


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


@pytest.mark.parametrize(
    ("login", "session", "counts"),
    [
        (("ops", "203.0.113.70", 2222), replace(SESSION, client_port=50123, server_port=2222), True),
        (("ops", "203.0.113.70", 22), replace(SESSION, client_port=50123), False),
        (("ops", "203.0.113.71", 2222), replace(SESSION, client_port=50123, server_port=2222), False),
        (("ops", "203.0.113.70", 2222), SESSION, False),
        (("ops", "127.0.0.1", 2222), SshSession("127.0.0.1", 50123, "127.0.0.1", 2222, "root"), False),
        (("ops", "192.0.2.10", 2222), SshSession("192.0.2.10", 50123, "192.0.2.10", 2222, "root"), False),
        (None, SESSION, False),
        (None, SOMEBODY, False),
        (None, None, True),
    ],
    ids=["the new way", "old port", "another's login", "a neighbour's login", "loopback", "the machine itself",
         "one that goes on, or shares its connection", "tmux", "the console"],
)  # fmt: skip
def test_whose_word_counts(
    world: World,
    login: tuple[str, str, int] | None,
    session: SshSession | None,
    *,
    counts: bool,
) -> None:
    told: list[str] = []

    def ask() -> None:
        if login:
            world.host.login(*login, client_port=50123)
        told.append(guards.refusal(world.guard, session, world.engine.context()))

    # Its own login is in the journal, and older than the change.
    world.host.login("root", SESSION.client, 2222, client_port=SESSION.client_port)
    world.host.meanwhile[5.0] = ask
    world.apply()
    if counts:
        assert told == [""]
    else:
        assert "ssh -p 2222 root@192.0.2.10" in told[0]
    assert guards.refusal(world.guard, session, world.engine.context()) == "there is nothing to confirm"


def test_whoever_gives_the_word_the_login_of_an_administrator_counts(world: World) -> None:
    told: list[str] = []

    def ask() -> None:
        world.host.login("boss", "203.0.113.70", 2222)
        told.append(guards.refusal(world.guard, SOMEBODY, world.engine.context()))

    world.host.meanwhile[5.0] = ask
    world.apply()
    assert told == [""]


@pytest.mark.parametrize("session", [SESSION, None])
def test_no_word_counts_before_it_is_asked_for(world: World, session: SshSession | None) -> None:
    guard = guards.arm(world.store, world.host, _run(world), world.engine.context(), SESSION)
    assert "yet" in guards.refusal(guard, session, world.engine.context())
    world.store.turn_guard(guard.id, ("armed",), "reverting")
    assert "too late" in guards.refusal(world.guard, session, world.engine.context())


def test_where_sshd_was_not_moved_its_old_port_is_the_way_in(world: World) -> None:
    world.host.listening = (Listener("0.0.0.0", 22, "sshd"),)
    world.host.meanwhile[5.0] = lambda: world.host.login("boss", "203.0.113.70", 22)
    assert world.apply().steps["ssh"] == "verified"
    (waiting,) = world.heard("guard.waiting")
    assert (waiting["port"], waiting["command"]) == (22, "ssh -p 22 root@192.0.2.10")


@pytest.mark.parametrize("port", [0, 22, 2222])
def test_a_port_that_another_file_names_is_a_way_in_too(world: World, port: int) -> None:
    world.host.put("/etc/ssh/sshd_config", "Port 22\n")
    message = "Accepted publickey for boss from 203.0.113.70 port 40000 ssh2"
    world.host.meanwhile[5.0] = lambda: (
        world.host.login("boss", "203.0.113.70", port) if port else world.host.logs(message)
    )
    assert world.apply().steps["ssh"] == "verified"
    assert world.heard("guard.waiting")[0]["command"] == "ssh -p 2222 root@192.0.2.10"


def test_nothing_is_changed_where_sshd_does_not_tell_of_logins(world: World) -> None:
    world.host.commands["sshd", "-T"] = "loglevel ERROR\n"
    assert world.apply().steps["ssh"] == "failed"
    assert SSHD not in world.host.files
    assert world.host.falls is None
    assert "LogLevel INFO" in world.heard("step.failed")[0]["do"]


def test_who_began_is_an_administrator_whatever_the_groups_say(world: World) -> None:
    world.engine.session = replace(SESSION, user="ops")
    world.host.meanwhile[5.0] = lambda: world.host.login("ops", "203.0.113.70", 2222)
    assert world.apply().steps["ssh"] == "verified"


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
    [
        ("none", SESSION, False),
        ("login", None, True),
        ("auto", SESSION, True),
        ("auto", SOMEBODY, True),
        ("auto", None, False),
    ],
)
def test_what_the_choice_means(choice: str, session: SshSession | None, wanted: bool) -> None:  # noqa: FBT001 - a case
    assert guards.is_wanted(choice, session) is wanted


@pytest.mark.parametrize(
    ("root_key", "boss_key", "session", "user"),
    [
        (True, True, SESSION, "root"),
        (True, True, replace(SESSION, user="boss"), "boss"),
        # Root came by a password, which the answers take away.
        (False, True, SESSION, "boss"),
        (True, True, SOMEBODY, "root"),
        (False, True, SOMEBODY, "boss"),
        (False, False, replace(SESSION, user="boss"), "boss"),
        (False, False, None, "root"),
    ],
)
def test_the_line_to_type_names_who_may_log_in(
    *, root_key: bool, boss_key: bool, session: SshSession | None, user: str
) -> None:
    host = Machine()
    host.put("/etc/shadow", "root:$y$x:1:::::\nboss:!:1:::::\n")
    if root_key:
        host.put("/root/.ssh/authorized_keys", KEY)
    if boss_key:
        host.put("/home/boss/.ssh/authorized_keys", KEY, owner="boss")
    answers = replace(ANSWERS, relay=replace(ANSWERS.relay, ipv4="192.0.2.10"))
    context = Context(host, answers, Facts(host))
    assert guards.login_command(context, session, 2222) == f"ssh -p 2222 {user}@192.0.2.10"


@pytest.mark.parametrize(
    ("server", "ipv4", "place"),
    [
        ("192.0.2.10", "192.0.2.20", "192.0.2.10"),
        ("10.0.0.5", "192.0.2.10", "192.0.2.10"),
        ("10.0.0.5", "10.1.0.5", "10.0.0.5"),
        ("", "192.0.2.10", "192.0.2.10"),
    ],
)
def test_the_line_to_type_names_an_address_that_can_be_reached(server: str, ipv4: str, place: str) -> None:
    host = Machine()
    context = Context(host, replace(ANSWERS, relay=replace(ANSWERS.relay, ipv4=ipv4)), Facts(host))
    assert guards.login_command(context, replace(SESSION, server=server), 2222) == f"ssh -p 2222 root@{place}"


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
            guards.arm(world.store, world.host, _run(world), world.engine.context(), SESSION), world.engine.context(),
        )  # fmt: skip


def test_a_state_folder_of_any_name_is_one_word_of_the_unit(tmp_path: Path) -> None:
    world = World(tmp_path / "50% mine")
    guards.set_timer(world.store, world.host, 60)
    assert f'--state "{tmp_path}/50%% mine"\n' in world.host.text(f"{guards.UNITS}/{guards.SERVICE}")
