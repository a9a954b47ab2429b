"""What the steps that earn trust write, as files to read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fake_host import FakeHost
from tests.fake_postfix import install
from wizard.answers import parse
from wizard.fact import Context, Facts
from wizard.hooks import HOOKS
from wizard.operations.files import WriteFile
from wizard.operations.postfix import MAIN, MASTER, SetPostfixParameters, SetPostfixService
from wizard.step import Step
from wizard.steps import access, dkim, dmarc, mail_test, spf

Golden = Callable[[str, str], None]
RAW = {
    "relay": {
        "domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10",
        "ipv6": "2001:db8:2::10", "admin_email": "you@brightmail.example",
    },
    "home": {
        "domains": ["hearth.example", "stove.example"], "address": "198.51.100.80",
        "networks": ["198.51.100.80/32", "2001:db8:80::/64"],
    },
    "access": {
        "reject": ["aol.example", "spammer@mixed.example", "203.0.113.66", "203.0.113.128/25", "2001:db8:bad::/48"],
    },
    "dkim": {"selector": "s2026"},
}  # fmt: skip
DEBIAN = {"id": "debian"}
ALMA = {"id": "almalinux", "id_like": "rhel centos fedora", "version_id": "9.6"}
ACCOUNTS = "root:x:0:0::/root:/bin/sh\npolicyd-spf:x:104:108::/nonexistent:/usr/sbin/nologin\n"


def machine(release: dict[str, str], version: str) -> FakeHost:
    host = install(FakeHost(release=release), version)
    SetPostfixParameters((), define=HOOKS).apply(host)
    host.put("/etc/passwd", ACCOUNTS if release is DEBIAN else "root:x:0:0::/root:/bin/sh\n")
    host.put("/etc/resolv.conf", "search example\nnameserver 203.0.113.55\nnameserver 2001:db8::53\n")
    return host


@pytest.mark.parametrize(
    "step", [spf.STEP, access.STEP, dkim.STEP, dmarc.STEP, mail_test.STEP], ids=lambda step: step.id
)
@pytest.mark.parametrize(
    ("name", "version", "release"),
    [("3.5-redhat", "3.5.25", ALMA), ("3.7", "3.7.11", DEBIAN), ("3.10", "3.10.13", DEBIAN)],
)
def test_step(golden: Golden, step: Step, name: str, version: str, release: dict[str, str]) -> None:
    host = machine(release, version)
    before = {path: host.text(path) for path in (MAIN, MASTER)}
    for operation in step.plan(Context(host, parse(RAW), Facts(host))):
        if isinstance(operation, SetPostfixParameters | SetPostfixService):
            operation.apply(host)
            assert operation.diff(host) is None
        elif isinstance(operation, WriteFile):
            golden(f"{step.id}/{name}/{operation.path.rpartition('/')[2]}", operation.content)
    for path, text in before.items():
        added = [line for line in host.text(path).splitlines() if line not in text.splitlines()]
        if added:
            golden(f"{step.id}/{name}/{path.rpartition('/')[2]}", "".join(f"{line}\n" for line in added))


def test_without_home_and_without_anybody_to_refuse(golden: Golden) -> None:
    host = machine(DEBIAN, "3.10.13")
    context = Context(host, parse({"relay": RAW["relay"]}), Facts(host))
    for step in (access.STEP, dkim.STEP, dmarc.STEP):
        for operation in step.plan(context):
            if isinstance(operation, WriteFile):
                golden(f"{step.id}/without-home/{operation.path.rpartition('/')[2]}", operation.content)
