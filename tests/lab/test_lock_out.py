"""Nobody is locked out: what cuts the operator off is taken back by itself, and the state says so.

Over real SSH sessions. One VPS for all of it: each fault is injected, runs out its countdown, and the operator has to
be able to log in as before.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from . import lab as labs
from . import network
from .lab import PROGRAM, Lab
from .product import ANSWERS, OK, USAGE
from .shell import LabError, Result, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM_THERE = f"{PROGRAM}/relay-wizard"
TRIED = "/root/tried.toml"
NEW_PORT = 2222
# Long enough for the logins that each proof tries; then the timer's own second, and the work of taking back.
COUNTDOWN, TAKING_BACK = 12, 15
TIMER = "relay-wizard-revert.timer"
# Somebody's key, whose private half nobody here has.
LOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKPq8cBtgkXEAX8mSHlB6MpzbuQY1o1cT4y2n0rQk3Zf lost@laptop"


@dataclass
class Reached:
    """A VPS that its operator reaches by SSH alone."""

    lab: Lab

    def answers(self, **ssh: object) -> None:
        """The answers to be tried: those of the lab, with settings of SSH."""
        text = self.lab.vps.read(ANSWERS)
        kept = text[: text.index("[ssh]")] + text[text.index("[firewall]") :]
        settings = {"port": NEW_PORT, "revert_after": COUNTDOWN, **ssh}
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        self.lab.vps.write(TRIED, f"{kept}\n[ssh]\n{lines}", 0o600)

    def logs_in(self, port: int, user: str = "root", *command: str) -> Result:
        """Try a session of its own."""
        argv = [*self.lab.ssh(user, port), *(command or ("true",))]
        argv[argv.index("ssh") + 1 : argv.index("ssh") + 1] = ["-o", "ConnectTimeout=3", "-o", "BatchMode=yes"]
        # Patient: right after its engine was killed, a busy VPS once took more than half a minute for it.
        return run(argv, check=False, timeout=90)

    @contextmanager
    def applying(self, *steps: str) -> Iterator[Callable[[str], dict[str, Any]]]:
        """Apply over SSH, in a session that stays; yields what waits for an event of the run."""
        words = ["apply", *steps, "--answers", TRIED, "--yes", "--confirm-ssh", "auto", "--json"]
        session = subprocess.Popen(
            [*self.lab.ssh("root", 22), PROGRAM_THERE, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def until(event: str) -> dict[str, Any]:
            assert session.stdout is not None
            heard: list[str] = []
            for line in session.stdout:
                heard.append(line)
                found: dict[str, Any] = json.loads(line)
                if found["event"] == event:
                    return found
            raise AssertionError(f"wanted {event}, heard:\n{''.join(heard)}")

        try:
            yield until
        finally:
            session.kill()
            session.wait(timeout=10)
            session.stdout.close()  # type: ignore[union-attr]

    def in_tmux(self, words: str, wanted: str) -> str:
        """Start the wizard where tmux has it after `sudo -i`; what it has said once `wanted` is among that."""
        start = f"env -i PATH=$PATH setsid --fork script -qefc '{PROGRAM_THERE} {words}' /root/tmux < /dev/null"
        waited = f"for _ in $(seq 100); do grep -q '{wanted}' /root/tmux && break; sleep 0.1; done"
        asked = self.logs_in(22, "root", f"rm -f /root/tmux; {start}; {waited}")
        assert asked.ok, asked.told()
        return self.lab.vps.read("/root/tmux")

    def status(self, step: str) -> str:
        """What the checklist says of a step."""
        asked = self.lab.vps.run(PROGRAM_THERE, "steps", "--json", check=False)
        assert asked.status == OK, asked.told()
        return next(str(found["status"]) for found in json.loads(asked.out) if found["id"] == step)

    def kill_the_engine(self) -> None:
        """Without a word: systemd may complain, of a process that has just died with the other."""
        engine = "relay-wizard-run-*.service"
        killed = self.lab.vps.run("systemctl", "kill", "--signal=KILL", engine, check=False)
        left = ["systemctl", "list-units", "--state=active", "--plain", "--no-legend", engine]
        until = time.monotonic() + 10
        while (alive := self.lab.vps.run(*left).out) and time.monotonic() < until:
            time.sleep(0.1)
        assert not alive, f"the engine is still alive: {alive}\n{killed.told()}"

    def is_as_before(self) -> None:
        """All came back by itself: the operator gets in on the old port, and the state says what happened."""
        until = time.monotonic() + COUNTDOWN + TAKING_BACK
        while (
            time.monotonic() < until and self.lab.vps.run("test", "-e", f"/etc/systemd/system/{TIMER}", check=False).ok
        ):
            time.sleep(0.5)
        assert self.logs_in(22).ok, "locked out: no login on port 22 after the countdown"
        vps = self.lab.vps
        assert not vps.run("test", "-e", "/etc/ssh/sshd_config.d/00-relay-wizard.conf", check=False).ok
        assert vps.run("ufw", "status", check=False).out.strip() in {"", "Status: inactive"}
        assert not vps.run("test", "-e", f"/etc/systemd/system/{TIMER}", check=False).ok, "the timer is still there"
        assert self.status("ssh") == "failed"
        assert "no new login was seen in time" in vps.run(PROGRAM_THERE, "steps").out


@pytest.fixture(scope="module")
def reached(release: str) -> Iterator[Reached]:
    """A VPS on which the steps before SSH are done."""
    made = Lab(f"lock-{os.getpid()}", release)
    try:
        made.up()
        # The wheels' folder, which a session from outside does not know of, is needed by the first start alone.
        made.vps.run(PROGRAM_THERE, "apply", "preflight", "users", "--answers", ANSWERS, "--yes")
        yield Reached(made)
    except LabError as error:
        pytest.fail(f"THE LAB DID NOT RUN: {error}", pytrace=False)
    finally:
        if not os.environ.get("RELAY_WIZARD_LAB_KEEP"):
            labs.down(made.id)


@contextmanager
def provider_drops(lab: Lab, port: int) -> Iterator[None]:
    """A firewall in front of the VPS that nobody thought of."""
    rule = ["ipproto", "tcp", "dport", str(port), "blackhole"]
    router = ["ip", "-n", network.namespace(lab.id, "inet"), "rule"]
    run([*router, "add", *rule])
    try:
        yield
    finally:
        run([*router, "del", *rule])


def test_without_a_word_on_the_proof_nothing_is_applied(reached: Reached) -> None:
    reached.answers()
    asked = reached.logs_in(22, "root", PROGRAM_THERE, "apply", "ssh", "firewall", "--answers", TRIED, "--yes")
    assert asked.status == USAGE, asked.told()
    assert "--confirm-ssh" in asked.err
    assert not reached.lab.vps.run("test", "-e", "/etc/ssh/sshd_config.d/00-relay-wizard.conf", check=False).ok


def test_a_port_that_the_provider_drops(reached: Reached) -> None:
    reached.answers()
    with provider_drops(reached.lab, NEW_PORT), reached.applying("ssh", "firewall") as until:
        asked = until("guard.waiting")
        assert asked["command"] == f"ssh -p {NEW_PORT} root@192.0.2.10"
        assert not reached.logs_in(NEW_PORT).ok, "the fault was not injected"
        assert reached.logs_in(22).ok, "the old port has to stay open meanwhile"
        assert until("run.finished")["status"] == "failed"
        reached.is_as_before()


def test_a_wrong_port_in_the_firewall(reached: Reached) -> None:
    reached.answers()
    with reached.applying("ssh", "firewall") as until:
        until("guard.waiting")
        # As if the rules had been written for another port: neither way in is open any more.
        for port in (22, NEW_PORT):
            reached.lab.vps.run("ufw", "delete", "allow", f"{port}/tcp")
        reached.lab.vps.run("ufw", "allow", "2223/tcp")
        assert not reached.logs_in(22).ok
        assert not reached.logs_in(NEW_PORT).ok
        reached.is_as_before()


def test_settings_that_refuse_the_operators_key(reached: Reached) -> None:
    mine = reached.lab.vps.read("/root/.ssh/authorized_keys")
    reached.answers(permit_root_login="no")
    reached.lab.vps.write(TRIED, reached.lab.vps.read(TRIED).replace(mine.strip(), LOST_KEY), 0o600)
    boss = "/home/boss/.ssh/authorized_keys"
    reached.lab.vps.write(boss, f"{LOST_KEY}\n", 0o600)
    reached.lab.vps.run("chown", "boss:boss", boss)
    with reached.applying("ssh") as until:
        assert until("guard.waiting")["command"] == f"ssh -p {NEW_PORT} boss@192.0.2.10"
        assert not any(reached.logs_in(port, user).ok for port in (22, NEW_PORT) for user in ("root", "boss"))
        assert until("run.finished")["status"] == "failed"
        reached.is_as_before()
    reached.lab.vps.write(boss, mine, 0o600)
    reached.lab.vps.run("chown", "boss:boss", boss)


def test_an_engine_that_is_killed_inside_the_countdown(reached: Reached) -> None:
    reached.answers()
    with provider_drops(reached.lab, NEW_PORT), reached.applying("ssh", "firewall") as until:
        until("guard.waiting")
        reached.kill_the_engine()
        reached.is_as_before()


def test_a_reboot_inside_the_countdown(reached: Reached) -> None:
    reached.answers()
    with provider_drops(reached.lab, NEW_PORT), reached.applying("ssh", "firewall") as until:
        until("guard.waiting")
    reached.lab.vps.reboot()
    reached.is_as_before()


def test_a_login_proves_it_and_closes_the_old_port(reached: Reached) -> None:
    reached.answers()
    with reached.applying("ssh", "firewall") as until:
        until("guard.waiting")
        old = reached.logs_in(22, "root", PROGRAM_THERE, "confirm", "--extend")
        assert old.ok, old.told()
        assert until("guard.waiting")["seconds_left"] > COUNTDOWN - 5
        assert reached.logs_in(NEW_PORT, "boss").ok
        assert until("guard.proved")["how"] == f"boss from 203.0.113.70 on port {NEW_PORT}"
        assert until("run.finished")["status"] == "ok"
    assert not reached.logs_in(22).ok, "the old port has to be closed once the new one is proved"
    assert reached.logs_in(NEW_PORT).ok
    assert reached.status("ssh") == reached.status("firewall") == "verified"
    again = reached.logs_in(NEW_PORT, "root", PROGRAM_THERE, "apply", "ssh", "firewall", "--yes", "--json")
    assert again.status == OK, again.told()
    assert json.loads(again.out.splitlines()[-1])["changed"] == 0
    taken = reached.logs_in(NEW_PORT, "root", PROGRAM_THERE, "rollback", "firewall", "--yes")
    assert taken.ok, taken.told()
    taken = reached.logs_in(NEW_PORT, "root", PROGRAM_THERE, "rollback", "ssh", "--yes")
    assert taken.ok, taken.told()


def test_the_operators_word_counts_from_a_session_by_the_new_way_alone(reached: Reached) -> None:
    reached.answers(revert_after=60)
    shared = ["-o", f"ControlPath=/tmp/relay-wizard-lock-{os.getpid()}", *reached.lab.ssh("root", 22)[-1:]]
    ssh = reached.lab.ssh("root", 22)[:-1]
    master = subprocess.Popen([*ssh, "-M", "-N", *shared], stdin=subprocess.DEVNULL)
    try:
        with reached.applying("ssh") as until:
            until("guard.waiting")
            assert f"ssh -p {NEW_PORT}" in reached.in_tmux("confirm", f"ssh -p {NEW_PORT}")
            for old in (
                reached.logs_in(22, "root", PROGRAM_THERE, "confirm"),
                run([*ssh, *shared, PROGRAM_THERE, "confirm"], check=False, timeout=30),
            ):
                assert old.status == USAGE, old.told()
                assert f"ssh -p {NEW_PORT}" in old.err
            # Nobody but `confirm` is left to see the login.
            reached.kill_the_engine()
            new = reached.logs_in(NEW_PORT, "root", PROGRAM_THERE, "confirm")
            assert new.ok, new.told()
    finally:
        master.kill()
        master.wait(timeout=10)
    assert not reached.lab.vps.run("test", "-e", f"/etc/systemd/system/{TIMER}", check=False).ok
    assert reached.logs_in(22).ok, "the next apply closes the old port, not the word"
    again = reached.logs_in(22, "root", PROGRAM_THERE, "apply", "ssh", "--yes", "--confirm-ssh", "auto")
    assert again.status == OK, again.told()
    assert not reached.logs_in(22).ok
    taken = reached.logs_in(NEW_PORT, "root", PROGRAM_THERE, "rollback", "ssh", "--yes")
    assert taken.ok, taken.told()


def test_in_tmux_below_sudo_the_proof_is_asked_for_as_well(reached: Reached) -> None:
    reached.answers()
    words = f"apply ssh --answers {TRIED} --yes --confirm-ssh auto --json"
    assert f"ssh -p {NEW_PORT} root@192.0.2.10" in reached.in_tmux(words, "guard.waiting")
    assert reached.logs_in(22).ok
    reached.is_as_before()


def test_a_firewall_alone_asks_for_a_login_where_sshd_is(reached: Reached) -> None:
    reached.answers()
    with reached.applying("firewall") as until:
        assert until("guard.waiting")["command"] == "ssh -p 22 root@192.0.2.10"
        assert reached.logs_in(22, "boss").ok
        assert until("run.finished")["status"] == "ok"
    taken = reached.logs_in(22, "root", PROGRAM_THERE, "rollback", "firewall", "--yes")
    assert taken.ok, taken.told()


def test_a_port_of_another_file_asks_for_one_login_alone(reached: Reached) -> None:
    reached.answers()
    other = "/etc/ssh/sshd_config.d/50-other.conf"
    reached.lab.vps.write(other, "Port 22\n")
    with reached.applying("ssh") as until:
        assert until("guard.waiting")["command"] == f"ssh -p {NEW_PORT} root@192.0.2.10"
        assert reached.logs_in(NEW_PORT, "boss").ok
        until("run.finished")
    again = reached.logs_in(22, "root", PROGRAM_THERE, "apply", "ssh", "--yes", "--confirm-ssh", "auto", "--json")
    assert json.loads(again.out.splitlines()[-1])["changed"] == 0, again.told()
    assert "guard.waiting" not in again.out
    reached.lab.vps.run("rm", other)
    taken = reached.logs_in(22, "root", PROGRAM_THERE, "rollback", "ssh", "--yes")
    assert taken.ok, taken.told()
    assert reached.logs_in(22).ok


def test_the_operators_word_counts_at_the_console(reached: Reached) -> None:
    reached.answers()
    with reached.applying("ssh") as until:
        until("guard.waiting")
        # From the machine's own console: no session of SSH at all.
        assert reached.lab.vps.run(PROGRAM_THERE, "confirm").status == OK
        assert until("guard.proved")["how"] == "the operator's word"
        assert until("run.finished")["status"] == "ok"
    late = reached.lab.vps.run(PROGRAM_THERE, "confirm", check=False)
    assert late.status == OK


def test_a_port_that_systemds_socket_owns_moves_there_and_back(reached: Reached) -> None:
    vps = reached.lab.vps
    vps.run(PROGRAM_THERE, "rollback", "ssh", "--yes")
    vps.run("systemctl", "disable", "--now", "ssh.service")
    vps.run("systemctl", "enable", "--now", "ssh.socket")
    reached.answers()
    # From the first login on sshd has the socket's ports: the one that starts the run.
    with provider_drops(reached.lab, NEW_PORT), reached.applying("ssh") as until:
        until("guard.waiting")
        assert not reached.logs_in(NEW_PORT).ok, "the fault was not injected"
        assert reached.logs_in(22).ok, "the old port has to stay open meanwhile"
        assert until("run.finished")["status"] == "failed"
        reached.is_as_before()
    assert vps.run("systemctl", "is-active", "ssh.socket", check=False).ok
    with reached.applying("ssh") as until:
        until("guard.waiting")
        assert reached.logs_in(NEW_PORT, "boss").ok
        assert until("run.finished")["status"] == "ok"
    assert not reached.logs_in(22).ok, "the old port has to be closed once the new one is proved"
    assert reached.status("ssh") == "verified"
    taken = reached.logs_in(NEW_PORT, "root", PROGRAM_THERE, "rollback", "ssh", "--yes")
    assert taken.ok, taken.told()
    assert reached.logs_in(22).ok
    assert not reached.logs_in(NEW_PORT).ok
