"""Runs that wait for DNS: others may work meanwhile, a new one takes their place, and they go on by themselves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.store import Locked, Run, Store
from tests.fake_host import FakeHost
from wizard import cli, detached
from wizard.answers import as_tables, parse
from wizard.check import Check, Finding, failed, passed
from wizard.engine import Engine
from wizard.host import Host
from wizard.operations.files import WriteFile
from wizard.secret import Secret
from wizard.step import Step

ANSWERS = parse({"relay": {"domain": "a.example", "hostname": "mail.a.example", "ipv4": "192.0.2.10"}})


def steps() -> tuple[Step, ...]:
    def published(host: Host) -> Finding:
        there = host.read("/world/dns")
        return passed("q", "yes", "yes") if there else failed("q", "no", "yes", "publish it")

    return (
        Step("dns", "DNS", "g", "", checks=lambda _: [Check("dns.live", "live", published, outside=True)]),
        Step(
            "cert", "Certificate", "g", "",
            plan=lambda context: [WriteFile("/etc/cert", context.answers.relay.admin_email)],
            checks=lambda _: [], requires=("dns",),
        ),
    )  # fmt: skip


class Waiting:
    """A run in a thread that waits, until the test changes the world."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = FakeHost()
        self.host.commands[("systemctl",)] = "active"
        self.asleep, self.wake = threading.Event(), threading.Event()
        self.host.sleep = self._sleep  # type: ignore[method-assign]
        self.store = Store.open(folder)
        self.store.save_answers(as_tables(ANSWERS))
        self.run = detached.begin(self.store, detached.request("apply", ["dns", "cert"], None, wait=86400), "t0")
        self.exit = -1
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        assert self.asleep.wait(10)

    def _sleep(self, seconds: float) -> None:
        self.host.ticks += seconds
        self.asleep.set()
        assert self.wake.wait(10)

    def _work(self) -> None:
        store = Store.open(self.folder)
        self.exit = detached.work(Engine(steps(), store, self.host, ANSWERS), self.host, self.run, str)

    def go_on(self) -> Run:
        self.wake.set()
        self.thread.join(10)
        return self.store.run(self.run)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, event in self.store.events(self.run)]


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    made = Waiting(tmp_path)
    yield made
    made.go_on()
    assert not made.thread.is_alive()


def test_a_run_that_waits_lives_without_the_lock_and_goes_on_with_the_answers_of_now(waiting: Waiting) -> None:
    assert waiting.store.lives(waiting.run)
    assert waiting.events[-1] == {**waiting.events[-1], "event": "run.waiting", "seconds_left": 86400, "missing": 1}
    with waiting.store.lock():
        waiting.host.put("/world/dns", "yes")
        tables = as_tables(ANSWERS)
        tables["relay"]["admin_email"] = "new@a.example"
        waiting.store.save_answers(tables)
    assert (waiting.go_on().status, waiting.exit) == ("ok", 0)
    assert waiting.host.text("/etc/cert") == "new@a.example"
    assert not waiting.store.lives(waiting.run)


def test_it_is_ended_on_request_and_touches_nothing_afterwards(waiting: Waiting) -> None:
    assert detached.stop_waiting(waiting.store, "t1") == waiting.run
    assert waiting.events[-1]["event"] == "run.finished"
    assert waiting.events[-1]["status"] == "waiting"
    assert waiting.events[-1]["steps"] == {"dns": "applied", "cert": "blocked"}
    told = len(waiting.events)
    waiting.host.put("/world/dns", "yes")
    ended = waiting.go_on()
    assert (ended.status, ended.exit, waiting.exit) == ("waiting", 6, 6)
    assert len(waiting.events) == told
    assert "/etc/cert" not in waiting.host.files
    assert detached.stop_waiting(waiting.store, "t2") is None


def test_a_new_run_takes_its_place(waiting: Waiting) -> None:
    new = detached.begin(waiting.store, detached.request("apply", ["cert"], None), "t1")
    assert new == waiting.run + 1
    assert waiting.store.run(waiting.run).status == "waiting"


def test_a_run_that_changes_something_is_never_ended(tmp_path: Path) -> None:
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    run = store.add_run(detached.request("apply", ["dns"], None), "t0")
    with store.lock(), store.alive(run):
        store.begin_run(run, 1)
        with pytest.raises(Locked):
            detached.stop_waiting(other, "t1")
        with pytest.raises(Locked):
            detached.begin(other, {}, "t1")
    assert store.run(run).status == "running"


def test_a_killed_run_gets_its_last_word_from_who_follows(tmp_path: Path) -> None:
    store, host = Store.open(tmp_path), FakeHost()
    for last, status in (("operation.started", "interrupted"), ("run.waiting", "waiting")):
        run = store.add_run(detached.request("apply", ["dns"], None), "t0")
        store.begin_run(run, 1)
        store.add_event(run, {"event": last})
        assert [event["event"] for event in detached.follow(store, host, run)] == [last, "run.finished"]
        assert store.run(run).status == status


def test_what_was_verified_meanwhile_wakes_it(tmp_path: Path) -> None:
    store, host = Store.open(tmp_path), FakeHost()
    run = store.add_run(detached.request("apply", ["dns"], None), "t0")
    sleep = host.sleep

    def verify(seconds: float) -> None:
        sleep(seconds)
        if host.ticks == 2 * detached.GLANCE:
            store.observe("dns", "verified", "t1", 0)

    host.sleep = verify  # type: ignore[method-assign]
    with contextlib.ExitStack() as lock:
        lock.enter_context(store.lock())
        detached._rest(store, host, run, lock, 300)
        assert host.ticks == 2 * detached.GLANCE
        with pytest.raises(Locked), Store.open(tmp_path).lock():
            pass


def test_the_command_line_ends_it(waiting: Waiting, capsys: pytest.CaptureFixture[str]) -> None:
    stop = ["stop", "--state", str(waiting.folder)]
    assert cli.main(stop) == 0
    assert f"Run {waiting.run}, which only waited, has ended" in capsys.readouterr().err
    assert cli.main(stop) == 0
    assert "no run that waits" in capsys.readouterr().err
    with waiting.store.lock():
        assert cli.main(stop) == cli.Exit.LOCKED


def test_passwords_are_handed_over_once_and_for_root_alone() -> None:
    host = FakeHost()
    path = detached.handed(7)
    detached.hand_over(host, path, {"anna": Secret("correct horse")})
    assert path.startswith("/run/"), "a disk would remember it"
    assert host.files[path].mode == 0o600
    assert {name: secret.reveal() for name, secret in detached.take_passwords(host, path).items()} == {
        "anna": "correct horse"
    }
    assert host.read(path) is None
    assert detached.take_passwords(host, path) == {}
