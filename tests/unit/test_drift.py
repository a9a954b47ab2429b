"""Drift: what has become of a file, who it could have been, and what the operator keeps."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fake_host import FakeHost
from tests.unit.test_engine import World, step
from wizard import cli
from wizard.cli import Exit
from wizard.drift import Drift
from wizard.host import Completed
from wizard.report import plan as report

LOG = """2026-11-21 12:03:00 startup archives unpack
2026-11-21 12:03:01 upgrade postfix:amd64 3.7.10 3.7.11
2026-11-21 12:03:02 status half-installed postfix:amd64 3.7.10
2026-11-21 12:03:05 upgrade libc-bin:amd64 2.36-9 2.36-9
2026-11-21 12:03:09 configure postfix:amd64 3.7.11 <none>
2026-11-21 12:03:12 status installed postfix:amd64 3.7.11
2026-11-21 12:03:13 configure libc-bin:amd64 2.36-9 <none>
2026-11-21 12:03:14 status installed libc-bin:amd64 2.36-9
a line that is none
"""


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def seconds(clock: str) -> str:
    return str(int(datetime.fromisoformat(f"2026-11-21T{clock}").replace(tzinfo=UTC).timestamp()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, (step("a", content="ours\n"),))
    made.apply()
    return made


def edit(world: World, clock: str, text: str = "mine\n", log: str = LOG, owner: str = "") -> Drift:
    """The file is changed at a time; what is said about it."""
    world.host.put("/etc/a", text)
    world.host.put("/var/log/dpkg.log", log)
    world.host.commands["stat", "--format=%Z"] = seconds(clock)
    if owner:
        world.host.commands["dpkg-query", "-S"] = f"{owner}: /etc/a\n"
    [entry] = world.engine.plan(world.steps)[0].operations
    [drift] = entry.drift
    return drift


def test_a_change_while_no_package_was_at_work_is_by_hand(world: World) -> None:
    drift = edit(world, "13:04:00")
    assert (drift.by, drift.changed) == ("hand", "2026-11-21T13:04:00Z")
    assert drift.said == "changed by hand on 21 Nov 13:04 (no package was upgraded then)"
    assert "-ours" in drift.diff
    assert "+mine" in drift.diff


@pytest.mark.parametrize(
    ("clock", "owner", "said"),
    [
        ("12:03:10", "", "probably by the upgrade of postfix on 21 Nov 12:03"),
        ("12:03:14", "", "probably by the reinstallation of libc-bin on 21 Nov 12:03"),
        ("12:03:10", "libc-bin", "probably by the reinstallation of libc-bin on 21 Nov 12:03"),
        ("12:03:11", "vim", "probably by the upgrade of postfix on 21 Nov 12:03"),
    ],
)
def test_a_change_while_dpkg_was_at_work_is_the_packages(clock: str, owner: str, said: str, world: World) -> None:
    drift = edit(world, clock, owner=owner)
    assert (drift.by, drift.said) == ("package", said)


def test_a_change_before_the_log_begins_is_nobodys(world: World) -> None:
    assert edit(world, "11:00:00").by == "unknown"
    assert edit(world, "13:00:00", log="").by == "unknown"


def test_a_file_that_is_gone_is_said_to_be(world: World) -> None:
    world.host.remove("/etc/a")
    [drift] = world.engine.plan(world.steps)[0].operations[0].drift
    assert (drift.by, drift.is_foreign) == ("gone", True)


def test_what_is_as_it_was_left_has_not_drifted_by_anybody(world: World) -> None:
    world.steps = (step("a", content="another answer"),)
    world.engine.steps = world.steps
    [entry] = world.engine.plan(world.steps)[0].operations
    assert (entry.drift[0].by, entry.is_drifted) == ("plan", False)


def test_what_was_never_ours_has_no_drift(tmp_path: Path) -> None:
    world = World(tmp_path, (step("a", content="ours"),))
    world.host.put("/etc/a", "theirs")
    [entry] = world.engine.plan(world.steps)[0].operations
    assert (entry.drift, entry.as_json()["drift"]) == ((), None)


def test_what_not_everybody_may_read_is_not_shown(world: World) -> None:
    world.host.put("/etc/a", "a password", mode=0o600)
    [drift] = world.engine.plan(world.steps)[0].operations[0].drift
    assert "a password" not in drift.diff


def test_the_plan_tells_it_with_both_versions_and_what_can_be_done(world: World) -> None:
    edit(world, "13:04:00")
    text = "\n".join(report(world.engine.plan(world.steps)))
    assert "~ /etc/a: changed by hand on 21 Nov 13:04" in text
    assert "+mine" in text
    assert "relay-wizard keep a file:/etc/a" in text
    assert "would change" not in text, "it is what was changed, the other way round"
    row = world.engine.plan(world.steps)[0].operations[0].as_json()
    assert row["drift"]["said"].startswith("/etc/a: changed by hand")
    assert row["drift"]["paths"][0]["by"] == "hand"
    assert json.dumps(row)


def test_an_edit_and_another_answer_are_shown_apart(world: World) -> None:
    world.engine.steps = world.steps = (step("a", content="another answer\n"),)
    edit(world, "13:04:00")
    text = "\n".join(report(world.engine.plan(world.steps)))
    assert text.index("+mine") < text.index("To put it back would change") < text.index("+another answer")


def test_what_is_kept_is_left_alone_and_said_to_be_and_the_checks_say_the_truth(world: World) -> None:
    edit(world, "13:04:00")
    assert world.status("a") == "drifted"
    world.store.keep("a", "file:/etc/a", "t")
    plan = world.engine.plan(world.steps)
    assert (plan[0].changes, plan[0].operations[0].kept) == (0, True)
    assert "kept as you have it" in "\n".join(report(plan))
    assert world.status("a") == "verified"
    outcome = world.apply()
    assert world.host.text("/etc/a") == "mine\n"
    told = [event for event in world.events if event["event"] == "operation.finished"]
    assert [event["status"] for event in told] == ["kept"]
    assert (outcome.changed, outcome.steps) == (0, {"a": "failed"}), "its check wants what the plan wants"
    [asked] = [event for event in world.events if event["event"] == "check.finished"]
    assert asked["do"].endswith("No longer: relay-wizard keep --forget a"), asked
    assert world.store.let_go("a") == 1
    assert world.apply().steps == {"a": "verified"}
    assert world.host.text("/etc/a") == "ours\n"


@pytest.fixture
def at_the_line(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The command line over this world."""
    monkeypatch.setattr(cli, "_engine", lambda *_, **__: world.engine)
    return world


def keep(*words: str, forget: bool = False, as_json: bool = False) -> int:
    named: list[Any] = [*words, None, None]
    return cli._keep(argparse.Namespace(step=named[0], operation=named[1], forget=forget, json=as_json))


def test_keep_takes_all_that_somebody_changed_and_forget_lets_it_go(
    at_the_line: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(cli.Refused, match="nothing of a was changed"):
        keep("a")
    edit(at_the_line, "13:04:00")
    assert keep("a", as_json=True) == Exit.WELL
    assert json.loads(capsys.readouterr().out)["kept"][0]["operation"] == "file:/etc/a"
    assert at_the_line.status("a") == "verified"
    assert keep() == Exit.WELL
    assert "a file:/etc/a: kept as you have it since" in capsys.readouterr().out
    assert keep("a", forget=True) == Exit.WELL
    assert "nothing is kept" in capsys.readouterr().out
    assert at_the_line.status("a") == "drifted"
    with pytest.raises(cli.Refused, match="nothing of a is kept"):
        keep("a", forget=True)


def test_keep_names_what_can_be_kept(at_the_line: World) -> None:
    edit(at_the_line, "13:04:00")
    with pytest.raises(cli.Refused, match=r"is no setting of a.*file:/etc/a"):
        keep("a", "file:/etc/b")
    at_the_line.apply()
    with pytest.raises(cli.Refused, match="is as planned"):
        keep("a", "file:/etc/a")


def test_a_service_that_was_started_and_is_no_longer_so_is_told(tmp_path: Path) -> None:
    from wizard.operations.services import RunService
    from wizard.step import Step

    running = Step(id="s", title="s", group="g", why="", plan=lambda _: [RunService("d")], checks=lambda _: [])
    world = World(tmp_path, (running,))
    state = {"is-active": "inactive"}

    def systemctl(_host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        if argv[1] == "enable":
            state["is-active"] = "active"
        return Completed(argv, 0, state.get(argv[1], "enabled"))

    world.host.commands[("systemctl",)] = systemctl
    assert world.engine.plan(world.steps)[0].operations[0].drift == ()
    world.apply()
    state["is-active"] = "inactive"
    [drift] = world.engine.plan(world.steps)[0].operations[0].drift
    assert drift.said == "done on 23 Nov 12:00, and no longer so; by whom cannot be told"
