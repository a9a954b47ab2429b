"""How the operator came in, told by real processes: below sudo, in tmux that has left them, at the console."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wizard.host import Completed, LocalHost, SshSession

CONNECTION = "203.0.113.70 50000 192.0.2.10 22"
SOMEBODY = SshSession("", 0, "", 0, "")
CHECKOUT = Path(__file__).resolve().parent.parent.parent
SCOPE = b"0::/user.slice/user-1000.slice/session-7.scope\n"
# Writes down the session that it finds. The only connection of the machine is that of the process that is named.
LOOK = """
import json, os, sys
from dataclasses import asdict
from types import SimpleNamespace
import psutil
from wizard.host import LocalHost
answer, holder = sys.argv[1:]
psutil.net_connections = lambda kind: [SimpleNamespace(status="ESTABLISHED", pid=int(holder))]
found = LocalHost().ssh_session()
with open(answer + ".new", "w") as file:
    json.dump(asdict(found) if found else None, file)
os.rename(answer + ".new", answer)
"""


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[int]:
    """A process called as those of OpenSSH 9.8 are."""
    program = tmp_path / "sshd-session"
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    yield process.pid
    process.kill()
    process.wait()


def seen(folder: Path, start: list[str], holder: int) -> SshSession | None:
    """The session that a process finds whose command line follows `start`: as its words, or as one for a shell."""
    answer = folder / "answer"
    look = [sys.executable, "-c", LOOK, str(answer), str(holder)]
    argv = [word.replace("LOOK", shlex.join(look)) for word in start]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
    subprocess.run(argv, check=True, timeout=30, stdin=subprocess.DEVNULL, env=variables)
    until = time.monotonic() + 20
    while not answer.exists():
        assert time.monotonic() < until, "it said nothing"
        time.sleep(0.05)
    told = json.loads(answer.read_text())
    return SshSession(**told) if told else None


# As below `sudo -i`: no parent of the shell is left, and it has a terminal that is none of the machine's own.
TMUX = ["setsid", "--fork", "script", "-qec", "LOOK", "/dev/null"]


def test_below_sudo_a_process_above_knows_it(tmp_path: Path) -> None:
    sudo = f'SSH_CONNECTION="{CONNECTION}" exec sh -c "env -u SSH_CONNECTION $0; true"'
    found = seen(tmp_path, ["sh", "-c", sudo, "LOOK"], os.getpid())
    assert found is not None
    assert (found.client, found.client_port, found.server, found.server_port) == (
        "203.0.113.70",
        50000,
        "192.0.2.10",
        22,
    )


def test_in_tmux_somebody_is_there_while_sshd_has_a_connection(tmp_path: Path, sshd: int) -> None:
    assert seen(tmp_path, TMUX, sshd) == SOMEBODY


def test_in_tmux_nobody_is_there_while_sshd_has_none(tmp_path: Path) -> None:
    assert seen(tmp_path, TMUX, os.getpid()) is None


def test_without_a_terminal_of_that_kind_it_is_the_console(tmp_path: Path, sshd: int) -> None:
    assert seen(tmp_path, ["setsid", "--fork", "sh", "-c", "LOOK"], sshd) is None


class Logind(LocalHost):
    """A machine where we are in the scope of a login, of which logind says this."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.told = told

    def read(self, path: str, *, follow: bool = True) -> bytes | None:
        return SCOPE if path == "/proc/self/cgroup" else super().read(path, follow=follow)

    def ask(self, argv: object, *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        assert argv == ["loginctl", "show-session", "7", "-p", "Remote", "-p", "RemoteHost", "-p", "Name"]
        return Completed((), 0, self.told)


@pytest.mark.parametrize(
    ("told", "session"),
    [
        ("Name=boss\nRemote=yes\nRemoteHost=203.0.113.70\n", SshSession("203.0.113.70", 0, "", 0, "boss")),
        ("Name=boss\nRemote=yes\nRemoteHost=laptop.hearth.example\n", SshSession("", 0, "", 0, "boss")),
        ("Name=root\nRemote=no\nRemoteHost=\n", None),
        ("", None),
    ],
)
def test_what_logind_knows_of_it(told: str, session: SshSession | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.host._session_above", lambda: None)
    monkeypatch.setattr("wizard.host._session_elsewhere", lambda: None)
    assert Logind(told).ssh_session() == session
