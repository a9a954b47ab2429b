"""Quick tests can neither start a process nor open a connection: whoever tries breaks the test, loudly."""

from __future__ import annotations

import socket
import subprocess
from typing import Any, NoReturn

import pytest

from wizard.host import LocalHost

# These suites are about real processes and sockets (of loopback); each has its own rules.
REAL = ("tests/lab/", "tests/terminal/", "tests/outside/")


class TouchedTheMachine(BaseException):
    """Not an Exception, so that no code under test can swallow it."""


@pytest.fixture(autouse=True)
def no_real_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(request.node.path)
    if not any(f"/{folder}" in path for folder in REAL):

        def refuse_process(*arguments: Any, **_: Any) -> NoReturn:
            raise TouchedTheMachine(f"a quick test started a process: {arguments[:1]}")

        def refuse_connection(_self: socket.socket, address: Any) -> NoReturn:
            raise TouchedTheMachine(f"a quick test opened a connection to {address}")

        monkeypatch.setattr(subprocess, "Popen", refuse_process)
        # Wherever somebody runs the tests: logind would be asked.
        monkeypatch.setattr(LocalHost, "ssh_session", lambda _self: None)
        monkeypatch.setattr(socket.socket, "connect", refuse_connection)
