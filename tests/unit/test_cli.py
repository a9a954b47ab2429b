"""The command line's contract: exit statuses, JSON alone on standard output, messages that say what to do."""

from __future__ import annotations

import argparse
import errno
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from state.store import Store
from tests import fake_sshd
from wizard import cli
from wizard.cli import Exit, main
from wizard.engine import Engine
from wizard.host import LocalHost
from wizard.snapshot import fingerprint, take
from wizard.steps import STEPS

ANSWERS = """
[relay]
domain = "brightmail.example"
hostname = "mail.brightmail.example"
ipv4 = "192.0.2.10"
admin_email = "you@brightmail.example"
"""


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


@pytest.fixture
def answers(tmp_path: Path) -> str:
    path = tmp_path / "answers.toml"
    path.write_text(ANSWERS)
    return str(path)


def test_steps_as_json_has_a_row_for_each_step(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["steps", "--json", "--state", state]) == Exit.WELL
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == [step.id for step in STEPS]
    assert all(set(row) == {"id", "title", "status", "blocked_by", "last_verified"} for row in rows)
    assert rows[0]["id"] == "preflight"
    assert not Path(state).exists()


def test_options_may_stand_before_and_after_the_command(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--state", state, "steps"]) == Exit.WELL
    assert json.loads(capsys.readouterr().out)


def test_answers_are_taken_into_the_state_and_given_back(
    state: str, answers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["steps", "--answers", answers, "--state", state]) == Exit.WELL
    capsys.readouterr()
    assert main(["answers", "--state", state, "--json"]) == Exit.WELL
    assert json.loads(capsys.readouterr().out)["relay"]["hostname"] == "mail.brightmail.example"
    assert main(["answers", "--state", state]) == Exit.WELL
    assert 'domain = "brightmail.example"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [("[relay]\ndomian = 1", "did you mean relay.domain?"), ("[relay", "not TOML"), ("\xff", "not TOML")],
)
def test_a_wrong_answers_file_is_status_2_and_changes_nothing(
    tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(text.encode("latin-1"))
    assert main(["steps", "--answers", str(path), "--state", state]) == Exit.USAGE
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""
    assert not Path(state).exists()


def test_an_answers_file_that_is_not_there_is_status_2(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["steps", "--answers", "/nowhere/a.toml", "--state", state]) == Exit.USAGE
    assert "cannot be read" in capsys.readouterr().err


def test_an_unknown_step_names_the_nearest(
    state: str, answers: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_require_root", lambda _engine: None)
    assert main(["plan", "postfx", "--answers", answers, "--state", state]) == Exit.USAGE
    assert "did you mean postfix?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["records"], ["home", "/nowhere/at/all"], ["plan"], ["verify"]])
def test_what_cannot_be_computed_without_answers_names_the_first(
    command: list[str], state: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_require_root", lambda _engine: None)
    assert main([*command, "--state", state]) == Exit.USAGE
    assert "relay.domain: it is missing" in capsys.readouterr().err


def test_an_unknown_command_is_status_2() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["destroy"])
    assert ended.value.code == Exit.USAGE


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("45", 45)])
def test_durations(text: str, seconds: float, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def note(arguments: argparse.Namespace) -> int:
        seen.append(arguments.wait)
        return 0

    monkeypatch.setattr(cli, "_apply", note)
    assert main(["apply", "--wait", text, "--state", state]) == Exit.WELL
    assert seen == [seconds]


def test_attach_without_a_run_says_how_to_start_one(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attach", "--state", state]) == Exit.USAGE
    assert "relay-wizard apply" in capsys.readouterr().err


def test_attach_tells_the_last_run_again_with_its_exit_status(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(Path(state))
    run = store.add_run({"kind": "apply", "steps": [], "wait": 0}, "t")
    store.add_event(run, {"event": "run.started", "run": run, "kind": "apply", "steps": []})
    store.add_event(run, {"event": "run.finished", "status": "waiting", "changed": 3, "steps": {"dns": "applied"}})
    store.finish_run(run, "waiting", 6, "t")
    assert main(["attach", "--json", "--state", state]) == Exit.WAITING
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1] == {"event": "run.finished", "status": "waiting", "changed": 3, "steps": {"dns": "applied"}}


def test_a_run_whose_process_died_is_interrupted_and_says_so(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(Path(state))
    run = store.add_run({"kind": "apply", "steps": [], "wait": 0}, "t")
    store.begin_run(run, 999_999)
    assert main(["attach", "--state", state]) == Exit.OPERATION_FAILED
    assert "the run was killed" in capsys.readouterr().err
    assert store.run(run).status == "interrupted"


class FullDisk:
    """Opens in place of a store, on a disk without room."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: object, **__: object) -> Store:
        raise self.error


def _sqlite_full() -> sqlite3.OperationalError:
    """What SQLite says when a database may not grow any more."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("CREATE TABLE full (x)")
    return caught.value


@pytest.mark.parametrize("error", [_sqlite_full(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_state_without_room_is_status_3(
    error: Exception, state: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state.store._look", FullDisk(error))
    assert main(["verify", "clock", "--state", state]) == Exit.OPERATION_FAILED
    assert "df -h" in capsys.readouterr().err


def test_a_disk_that_fills_up_below_a_run_is_no_traceback(
    state: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_attach", FullDisk(OSError(errno.ENOSPC, "No space left on device", "/state/lock")))
    assert main(["attach", "--state", state]) == Exit.OPERATION_FAILED
    assert "df -h" in capsys.readouterr().err


def test_a_damaged_state_is_told_once_and_the_answers_are_still_there(
    state: str, answers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["steps", "--answers", answers, "--state", state]) == Exit.WELL
    path = Path(state) / "state.sqlite3"
    path.write_bytes(b"no database" * 200)
    assert main(["answers", "--json", "--state", state]) == Exit.WELL
    captured = capsys.readouterr()
    assert "is damaged" in captured.err
    assert json.loads(captured.out.splitlines()[-1])["relay"]["domain"] == "brightmail.example"
    assert path.read_bytes() == b"no database" * 200, "looking leaves it as it is"
    assert main(["steps", "--answers", answers, "--state", state]) == Exit.WELL
    assert "It is kept as state.sqlite3.damaged-" in capsys.readouterr().err
    assert main(["steps", "--state", state]) == Exit.WELL
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["rollback"], ["rollback", "ssh", "--all"]])
def test_rollback_wants_one_step_or_all(words: list[str], state: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--state", state]) == Exit.USAGE
    assert "--all" in capsys.readouterr().err


def test_each_conflict_is_shown_and_asked_about_before_anything_is_taken_back(
    state: str, answers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("first", "second")]
    store = Store.open(Path(state))
    run = store.add_run({"kind": "apply", "steps": [], "wait": 0}, "t")
    host = LocalHost()
    for path in paths:
        path.write_text("as shipped\n")
        path.chmod(0o644)
        before = take(host, str(path))
        change = store.intend(run, "ssh", f"file:{path}", {"summary": "x"}, [(before, fingerprint(before))], "t")
        path.write_text("as we wrote it\n")
        after = take(host, str(path))
        store.settle(change, "done", [(after, fingerprint(after))])
        path.write_text(f"as {path.name} is now\n")
    begun: list[dict[str, Any]] = []

    def note(_arguments: argparse.Namespace, _engine: object, request: dict[str, Any]) -> int:
        begun.append(request)
        return 0

    monkeypatch.setattr(cli, "_require_supported", lambda: None)
    monkeypatch.setattr(cli, "_start", note)
    typed = io.StringIO("o\n\ny\n")
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["rollback", "--all", "--answers", answers, "--state", state]) == Exit.WELL
    told = capsys.readouterr().err
    for line in (
        "-as we wrote it",
        "+as first is now",
        "+as second is now",
        "+as shipped",
        "ssh (2)",
        "without a countdown",
    ):
        assert line in told
    choices = {Path(path).name: word["choice"] for path, word in begun[0]["conflicts"].items()}
    assert (begun[0]["kind"], begun[0]["steps"]) == ("rollback", ["ssh"])
    assert choices == {"second": "original", "first": "keep"}


def test_a_rollback_that_would_lock_out_says_what_comes_first(
    state: str, answers: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_require_supported", lambda: None)
    monkeypatch.setattr(Engine, "refuses_rollback", lambda _, ids: f"First take back what needs {ids[0]}")
    words = ["rollback", "users", "--yes", "--answers", answers, "--state", state]
    assert main(words) == Exit.OPERATION_FAILED
    assert "First take back what needs users" in capsys.readouterr().err


@pytest.mark.parametrize(("confirm", "told"), [(True, "within 60 seconds"), (False, "nothing is put back by itself")])
def test_before_the_way_in_changes_it_is_said_whether_it_comes_back(
    state: str, *, confirm: bool, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine((fake_sshd.ssh_step(),), Store.open(Path(state)), fake_sshd.Machine(), fake_sshd.ANSWERS)
    typed = io.StringIO("n\n")
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)
    with pytest.raises(cli.Refused):
        cli._ask_first(engine, [*engine.steps], confirm=confirm)
    assert told in capsys.readouterr().out
