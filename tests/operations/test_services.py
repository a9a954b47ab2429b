"""Services: started once, and with the daemon's own words when it does not start."""

from __future__ import annotations

import pytest

from tests.fake_host import FakeHost
from wizard.host import Completed
from wizard.operation import OperationFailed
from wizard.operations.services import RunService, reload_services

NOISE = "fail2ban.service: Failed with result 'exit-code'.\nFailed to start fail2ban.service.\n"


def machine(*, enabled: str = "disabled", active: str = "inactive", breaks: bool = False) -> FakeHost:
    """A systemd with one unit."""
    state = {"is-enabled": enabled, "is-active": active}

    def systemctl(_host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        verb = argv[1]
        if verb in state:
            return Completed(argv, 0, f"{state[verb]}\n")
        if verb == "show":
            return Completed(argv, 0, "0123abcd\n")
        if breaks or (verb == "enable" and state["is-enabled"] == "masked"):
            return Completed(argv, 1, "Job for fail2ban.service failed.\n")
        if verb == "unmask":
            state["is-enabled"] = "disabled"
        if verb == "enable":
            state.update({"is-enabled": "enabled", "is-active": "active"})
        return Completed(argv, 0)

    return FakeHost(commands={("systemctl",): systemctl, ("journalctl", "-q", "-u"): NOISE})


@pytest.mark.parametrize("enabled", ["disabled", "enabled", "masked", "not-found"])
@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_a_service_is_started_once(enabled: str, active: str) -> None:
    host, operation = machine(enabled=enabled, active=active), RunService("fail2ban")
    assert operation.diff(host) is not None
    operation.apply(host)
    assert operation.diff(host) is None


@pytest.mark.parametrize(
    ("own", "told"),
    [("ERROR no such filter\n", "ERROR no such filter"), ("", "Failed to start fail2ban.service.")],
    ids=["the daemon said why", "it said nothing"],
)
def test_a_daemon_that_does_not_start_is_quoted(own: str, told: str) -> None:
    host = machine(breaks=True)
    host.commands[("journalctl", "-q", "_SYSTEMD_INVOCATION_ID=0123abcd")] = own
    with pytest.raises(OperationFailed) as caught:
        RunService("fail2ban").apply(host)
    assert told in caught.value.got
    assert "journalctl -u fail2ban.service" in caught.value.do


def test_without_a_journal_systemctl_is_quoted() -> None:
    host = machine(active="active", breaks=True)
    del host.commands["journalctl", "-q", "-u"]
    with pytest.raises(OperationFailed, match="Job for fail2ban"):
        reload_services(host, ("fail2ban",), ())
