"""Real commands on this machine, harmless ones: time limits, whole groups stopped, secrets kept out of the log."""

from __future__ import annotations

import stat
import threading
import time
from pathlib import Path

from wizard.host import NOT_FOUND, TIMED_OUT, LocalHost
from wizard.secret import HIDDEN, Secret


def test_output_errors_and_status_come_apart() -> None:
    done = LocalHost().ask(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin=b"in")
    assert (done.status, done.out, done.err) == (3, "in", "oops\n")


def test_a_missing_program_is_127() -> None:
    done = LocalHost().ask(["no-such-program"])
    assert done.status == NOT_FOUND
    assert "no-such-program" in done.complaint


def test_a_command_that_hangs_is_stopped_with_its_children() -> None:
    start = time.monotonic()
    done = LocalHost().ask(["sh", "-c", "sleep 60 & sleep 60"], timeout=0.5)
    assert done.status == TIMED_OUT
    assert time.monotonic() - start < 5


def test_the_environment_is_ours_and_holds_no_secret() -> None:
    names = {line.partition("=")[0] for line in LocalHost().ask(["env"]).out.splitlines()}
    assert {"LC_ALL", "DEBIAN_FRONTEND", "PATH"} <= names
    assert not names & {"SSH_CONNECTION", "PIP_FIND_LINKS", "PYTHONPATH"}


def test_what_was_run_is_in_a_private_log_without_secrets(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    host = LocalHost(log=log)
    secret = host.learn(Secret("correct horse battery staple"))
    done = host.run(["sh", "-c", "echo before; cat; echo after"], stdin=secret.reveal().encode())
    assert done.out == f"before\n{HIDDEN}after\n"
    assert "correct horse" not in log.read_text()
    assert "before" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_log_of_a_command_that_still_runs_has_no_secrets_either(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    host = LocalHost(log=log)
    host.learn(Secret("correct horse battery staple"))
    script = b"printf 'one correct horse '; sleep 0.5; echo 'battery staple'; echo two; sleep 1.5; echo three"
    seen = set()
    command = threading.Thread(target=host.run, args=(["sh"],), kwargs={"stdin": script})
    command.start()
    while command.is_alive():
        seen.add(log.read_text() if log.exists() else "")
        time.sleep(0.02)
    assert f"\n$ sh\none {HIDDEN}\ntwo\n" in seen, "it comes while the command runs"
    assert not any("correct" in text for text in seen)
    assert log.read_text() == f"\n$ sh\none {HIDDEN}\ntwo\nthree\n"
    assert [path.name for path in tmp_path.iterdir()] == ["output.log"]


def test_crypt_is_the_systems_own() -> None:
    host = LocalHost()
    hashed = host.crypt(Secret("secret"), "$6$saltsalt$")
    assert hashed.startswith("$6$saltsalt$")
    assert host.crypt(Secret("secret"), hashed) == hashed
    assert host.crypt(Secret("other"), hashed) != hashed
