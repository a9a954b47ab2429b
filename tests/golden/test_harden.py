"""What the hardening steps write, as files to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fake_host import FakeHost
from tests.fake_sshd import KEY
from wizard import guard
from wizard.answers import Answers, parse
from wizard.fact import Context, Facts, WayIn
from wizard.host import Listener
from wizard.operations.files import WriteFile
from wizard.operations.ssh import DROP_IN, SOCKET_DROP_IN, MoveSshSocket
from wizard.render import render
from wizard.steps import fail2ban, hostname, ssh, updates, users

Golden = Callable[[str, str], None]
RAW = {
    "relay": {
        "domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10",
        "ipv6": "2001:db8:2::10",
    },
    "home": {"domains": ["hearth.example"], "address": "198.51.100.80"},
    "users": [{"name": "boss", "role": "admin", "ssh_keys": [f"{KEY} boss@laptop"]}, {"name": "you"}],
}  # fmt: skip
ALMA = {"id": "almalinux", "id_like": "rhel centos fedora", "version_id": "9.6"}


def context(host: FakeHost, raw: dict[str, object] | None = None, operator: str = "203.0.113.70") -> Context:
    answers: Answers = parse({**RAW, **(raw or {})})
    return Context(host, answers, Facts(host, operator))


def files(operations: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for operation in operations if isinstance(operations, list) else []:
        inner = operation.files if isinstance(operation, MoveSshSocket) else (operation,)
        found |= {entry.path: entry.content for entry in inner if isinstance(entry, WriteFile)}
    return found


@pytest.mark.parametrize(("name", "unattended"), [("by-itself", True), ("by-hand", False)])
def test_updates(golden: Golden, name: str, *, unattended: bool) -> None:
    written = files(updates.plan(context(FakeHost(), {"updates": {"unattended": unattended}})))
    golden(f"updates/{name}", written[updates.PERIODIC])


def test_sudoers_of_an_administrator_with_a_key_and_no_password(golden: Golden) -> None:
    golden("users/sudoers", files(users.plan(context(FakeHost())))[users.SUDOERS])


def test_host_files(golden: Golden) -> None:
    host = FakeHost()
    host.put("/etc/cloud/cloud.cfg", "")
    host.put("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tmail.brightmail.example mail\n::1 localhost\n")
    written = files(hostname.plan(context(host)))
    golden("hostname/hosts", written["/etc/hosts"])
    golden("hostname/cloud.cfg", written[hostname.CLOUD])
    golden("hostname/mailname", written["/etc/mailname"])


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("keys-only", {}),
        ("passwords", {"port": 2244, "password_authentication": True, "permit_root_login": "no"}),
    ],
)
def test_sshd(golden: Golden, name: str, answers: dict[str, object]) -> None:
    written = files(ssh.plan(context(FakeHost(), {"ssh": answers})))
    assert list(written) == [DROP_IN]
    golden(f"ssh/{name}.conf", written[DROP_IN])


def test_sshd_behind_a_socket(golden: Golden) -> None:
    host = FakeHost(commands={("systemctl", "is-active", "ssh.socket"): "active\n"})
    written = files(ssh.plan(context(host)))
    golden("ssh/socket.conf", written["/etc/systemd/system/ssh.socket.d/relay-wizard.conf"])
    golden("ssh/service.conf", written["/etc/systemd/system/ssh.service.d/relay-wizard.conf"])
    golden("ssh/tmpfiles.conf", written[ssh.TMPFILES])
    host.put("/usr/lib/systemd/system-generators/sshd-socket-generator", "")
    assert not [path for path in files(ssh.plan(context(host))) if path.startswith("/etc/systemd/")]


@pytest.mark.parametrize(("name", "release"), [("debian", None), ("redhat", ALMA)])
def test_jails(golden: Golden, name: str, release: dict[str, str] | None) -> None:
    host = FakeHost(release=release) if release else FakeHost()
    golden(f"fail2ban/{name}.local", files(fail2ban.plan(context(host)))[fail2ban.JAIL_FILE])


def test_the_guard(golden: Golden) -> None:
    for unit in (guard.TIMER, guard.SERVICE):
        text = render(
            f"guard{guard.UNITS}/{unit}.j2", seconds=300, checkout="/opt/relay-wizard",
            python="/opt/relay-wizard/.venv/bin/python", state="/var/lib/relay-wizard",
        )  # fmt: skip
        golden(f"guard/{unit}", text)


def test_sshd_until_the_new_port_is_proved(golden: Golden) -> None:
    host = FakeHost(commands={("sshd", "-T"): "port 22\n"}, listening=(Listener("0.0.0.0", 22, "sshd"),))
    unproved = replace(context(host), way_in=WayIn.UNPROVED)
    golden("ssh/unproved.conf", files(ssh.plan(unproved))[DROP_IN])
    host.commands["systemctl", "is-active", "ssh.socket"] = "active\n"
    unproved = replace(context(host), way_in=WayIn.UNPROVED)
    golden("ssh/unproved-socket.conf", files(ssh.plan(unproved))[SOCKET_DROP_IN])
