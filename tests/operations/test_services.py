"""Services: what systemd says of a unit while it is on its way is not taken for its end."""

from __future__ import annotations

import pytest

from tests.fake_host import FakeHost
from wizard.host import Completed
from wizard.operation import OperationFailed
from wizard.operations.services import PASSING_SECONDS, RunService, reload_services


def host_saying(*words: str) -> FakeHost:
    """A machine whose unit goes through these states, one each time it is asked, and stays in the last."""
    host, left = FakeHost(), list(words)

    def say(_host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        return Completed(argv, 0, left.pop(0) if len(left) > 1 else left[0])

    host.commands |= {
        ("systemctl", "is-active"): say, ("systemctl", "is-enabled"): "enabled",
        ("systemctl", "try-reload-or-restart"): "", ("journalctl",): "it broke\n",
    }  # fmt: skip
    return host


def test_a_service_that_is_still_reloading_is_waited_for() -> None:
    host = host_saying("active", "reloading", "reloading", "active")
    reload_services(host, ("ssh",), ())
    assert 0 < host.ticks < 1


def test_a_service_that_does_not_come_back_is_told() -> None:
    with pytest.raises(OperationFailed, match="it broke"):
        reload_services(host_saying("active", "failed"), ("ssh",), ())
    stuck = host_saying("active", "reloading")
    with pytest.raises(OperationFailed):
        reload_services(stuck, ("ssh",), ())
    assert PASSING_SECONDS <= stuck.ticks < PASSING_SECONDS + 1


def test_a_service_that_is_reloading_is_not_planned_to_be_started() -> None:
    assert RunService("ssh").diff(host_saying("reloading", "active")) is None
