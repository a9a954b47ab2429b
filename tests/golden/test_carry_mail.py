"""What the steps that carry mail write, for the versions of Postfix and Dovecot that differ, as files to read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fake_host import FakeHost
from tests.fake_postfix import install
from wizard import home_folder
from wizard.answers import parse
from wizard.fact import Context, Facts
from wizard.operations.files import WriteFile
from wizard.operations.postfix import MAIN, MASTER, SetPostfixParameters, SetPostfixService
from wizard.steps import clients, dovecot, postfix, transport

Golden = Callable[[str, str], None]
RAW = {
    "relay": {
        "domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10",
        "ipv6": "2001:db8:2::10", "admin_email": "you@brightmail.example",
    },
    "home": {"domains": ["hearth.example", "stove.example"], "address": "198.51.100.80"},
    "users": [{"name": "you"}, {"name": "boss", "role": "admin"}],
}  # fmt: skip
LISTED = {
    "domains": ["hearth.example"], "address": "2001:db8:80::1", "recipients": ["anna@hearth.example"],
    "networks": ["198.51.100.80/32", "2001:db8:80::/64"],
}  # fmt: skip
ALMA = {"id": "almalinux", "id_like": "rhel centos fedora", "version_id": "9.6"}


def context(host: FakeHost, raw: dict[str, object] | None = None) -> Context:
    return Context(host, parse({**RAW, **(raw or {})}), Facts(host))


def files(operations: object) -> dict[str, str]:
    return {entry.path: entry.content for entry in operations if isinstance(entry, WriteFile)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "version", "release", "raw"),
    [
        ("3.5-redhat", "3.5.25", ALMA, {}),
        ("3.7", "3.7.11", {"id": "debian"}, {}),
        ("3.10", "3.10.13", {"id": "debian"}, {}),
        ("3.10-listed", "3.10.13", {"id": "debian"}, {"home": LISTED}),
        ("3.10-without-home", "3.10.13", {"id": "debian"}, {"home": None}),
    ],
)
def test_postfix(golden: Golden, name: str, version: str, release: dict[str, str], raw: dict[str, object]) -> None:
    host = install(FakeHost(release=release), version)
    answers = {key: value for key, value in {**RAW, **raw}.items() if value is not None}
    made = Context(host, parse(answers), Facts(host))
    for operation in (*postfix.plan(made), *transport.plan(made)):
        if isinstance(operation, SetPostfixParameters | SetPostfixService):
            operation.apply(host)
            assert operation.diff(host) is None
        elif isinstance(operation, WriteFile):
            golden(f"postfix/{name}/{operation.path.rpartition('/')[2]}", operation.content)
    golden(f"postfix/{name}/main.cf", host.text(MAIN))
    golden(f"postfix/{name}/master.cf", host.text(MASTER))


@pytest.mark.parametrize(
    ("name", "version", "release"),
    [
        ("2.3", "2.3.19.1 (9b53102964)", {"id": "debian"}),
        ("2.4", "2.4.1-4 (7d8c0e5759)", {"id": "debian"}),
        ("2.3-redhat", "2.3.16 (7e2e900c1a)", ALMA),
    ],
)
def test_dovecot(golden: Golden, name: str, version: str, release: dict[str, str]) -> None:
    host = FakeHost(release=release)
    host.commands["dovecot", "--version"] = version
    for path, content in files(dovecot.plan(context(host))).items():
        golden(f"dovecot/{name}/{path.rpartition('/')[2]}", content)


def test_settings_for_mail_programs(golden: Golden) -> None:
    golden("clients/settings.txt", clients.settings(context(FakeHost())))


@pytest.mark.parametrize("name", ["README.md", "setup.sh"])
def test_home_folder(golden: Golden, name: str) -> None:
    golden(f"home/{name}", home_folder.files(context(FakeHost()))[name].decode())


def test_home_folder_brings_a_private_authority() -> None:
    host = FakeHost()
    host.put("/root/ca.pem", "-----BEGIN CERTIFICATE-----\n")
    found = home_folder.files(context(host, {"certbot": {"ca_bundle": "/root/ca.pem"}}))
    assert found["ca.pem"].startswith(b"-----BEGIN")
    assert b"ca.pem" in found["README.md"]
    assert "ca.pem" not in home_folder.files(context(FakeHost()))
