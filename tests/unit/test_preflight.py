"""Preflight: each check shown passing and failing, and what it tells the operator to do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fake_host import FakeHost
from wizard.answers import parse
from wizard.check import Finding, Severity, Status
from wizard.checks import host_system, network, reputation
from wizard.checks.host_system import GIB, MIB
from wizard.fact import Context, Facts
from wizard.host import DnsRecord, DnsReply, Listener
from wizard.steps import preflight

ROUTE = '[{"dst":"192.88.99.1","prefsrc":"%s"}]'
PASS, WARN, FAIL, SKIP = Status.PASS, Status.WARN, Status.FAIL, Status.SKIP


def context(host: FakeHost, **answers: Any) -> Context:
    relay = {"domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10"}
    raw = {"relay": relay | answers.pop("relay", {}), "probe": {"smtp": ["mx1.example", "mx2.example"]}, **answers}
    return Context(host, parse(raw), Facts(host))


MX1, MX2 = "203.0.113.21", "203.0.113.22"


def online(source: str = "192.0.2.10", source6: str = "2001:db8:2::10") -> FakeHost:
    host = FakeHost(own_addresses=("127.0.0.1", "192.0.2.10", "2001:db8:2::10"))
    host.commands = {("ip", "-j", "-4"): ROUTE % source, ("ip", "-j", "-6"): ROUTE % source6}
    host.put("/proc/1/comm", "systemd\n")
    host.put("/etc/resolv.conf", "# here\nnameserver 203.0.113.55\nsearch x\n")
    for number in (1, 2):
        host.dns["*", f"mx{number}.example", "A"] = answer(f"203.0.113.2{number}")
        host.dns["*", f"mx{number}.example", "AAAA"] = answer(f"2001:db8:a::2{number}", rdtype="AAAA")
    return host


def answer(*texts: str, rcode: str = "NOERROR", rdtype: str = "A", authenticated: bool = False) -> DnsReply:
    return DnsReply(rcode, tuple(DnsRecord("x.", rdtype, 60, text) for text in texts), authenticated=authenticated)


# --- the machine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("root", "status"), [(True, PASS), (False, FAIL)])
def test_root(status: Status, *, root: bool) -> None:
    assert host_system.is_root(FakeHost(root=root)).status is status


@pytest.mark.parametrize(("comm", "status"), [("systemd\n", PASS), ("init\n", FAIL), (None, FAIL)])
def test_systemd(comm: str | None, status: Status) -> None:
    host = FakeHost()
    if comm:
        host.put("/proc/1/comm", comm)
    assert host_system.systemd_is_first(host).status is status


@pytest.mark.parametrize(
    ("release", "today", "status", "words"),
    [
        ({"id": "debian", "version_id": "13"}, "2026-11-23", PASS, "2030-06-30"),
        ({"id": "debian", "version_id": "12"}, "2028-03-01", WARN, "2028-06-30"),
        ({"id": "debian", "version_id": "12"}, "2028-07-01", FAIL, "without security updates"),
        ({"id": "debian", "version_id": "11"}, "2026-11-23", FAIL, "older"),
        ({"id": "debian", "version_id": "14"}, "2026-11-23", WARN, "never tried"),
        ({"id": "debian"}, "2026-11-23", WARN, "never tried"),
        ({"id": "almalinux", "version_id": "9.6"}, "2026-11-23", PASS, "2032"),
        ({"id": "linuxmint", "id_like": "ubuntu debian", "version_id": "22"}, "2026-11-23", WARN, "never tried"),
        ({"id": "arch"}, "2026-11-23", FAIL, "arch"),
    ],
)
def test_system(release: dict[str, str], today: str, status: Status, words: str) -> None:
    host = FakeHost(release=release, clock=datetime.fromisoformat(today).replace(tzinfo=UTC))
    found = host_system.system_supported(host)
    assert found.status is status
    assert words in found.got


@pytest.mark.parametrize(("ram", "status"), [(256 * MIB, FAIL), (512 * MIB, WARN), (2048 * MIB, PASS)])
def test_memory(ram: int, status: Status) -> None:
    assert host_system.enough_memory(FakeHost(ram=ram)).status is status


@pytest.mark.parametrize(("disk", "status"), [(GIB // 2, FAIL), (2 * GIB, WARN), (20 * GIB, PASS)])
def test_disk(disk: int, status: Status) -> None:
    assert host_system.enough_disk(FakeHost(disk=disk)).status is status


@pytest.mark.parametrize(
    ("programs", "status"),
    [((), PASS), (("master",), PASS), (("exim4",), WARN), (("smtpd",), FAIL), (("",), FAIL), (("exim4", "x"), FAIL)],
)
def test_port_25_free(programs: tuple[str, ...], status: Status) -> None:
    listening = tuple(Listener("0.0.0.0", 25, program) for program in programs)
    host = FakeHost(listening=(*listening, Listener("0.0.0.0", 80, "nginx")))
    assert host_system.port_25_free(host).status is status


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"root": False}, "sudo"),
        ({"release": {"id": "alpine", "pretty_name": "Alpine Linux"}}, "Alpine Linux"),
    ],
)
def test_unsupported(change: dict[str, Any], words: str) -> None:
    host = FakeHost(**change)
    host.put("/proc/1/comm", "systemd\n")
    found = preflight.unsupported(context(host))
    assert (words in found) if words else found == ""


def test_another_first_process_is_unsupported() -> None:
    host = FakeHost()
    host.put("/proc/1/comm", "tini\n")
    assert "tini" in preflight.unsupported(context(host))


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relay", "source", "status", "words"),
    [
        ({}, "192.0.2.10", PASS, "192.0.2.10"),
        ({"ipv4": ""}, "", FAIL, "no IPv4 route"),
        ({"ipv4": ""}, "10.0.0.5", FAIL, "private"),
        ({"ipv4": "10.0.0.5"}, "10.0.0.5", FAIL, "private"),
        ({"ipv4": "198.51.100.1"}, "10.0.0.5", WARN, "NAT"),
        ({"ipv4": "198.51.100.1"}, "192.0.2.10", FAIL, "198.51.100.1"),
    ],
)
def test_public_address(relay: dict[str, str], source: str, status: Status, words: str) -> None:
    host = online(source)
    found = network.public_address(context(host, relay=relay), host)
    assert found.status is status
    assert words in found.got


@pytest.mark.parametrize(("ipv6", "status"), [("2001:db8:2::10", PASS), ("2001:db8:2::11", FAIL), ("fd00::1", FAIL)])
def test_public_ipv6(ipv6: str, status: Status) -> None:
    host = online()
    assert network.public_ipv6(context(host, relay={"ipv6": ipv6}), host).status is status


@pytest.mark.parametrize(
    ("source", "bound", "status"),
    [
        ("192.0.2.10", "", PASS),
        ("", "", FAIL),
        ("192.0.2.11", "", FAIL),
        ("192.0.2.11", "192.0.2.10", PASS),
        ("192.0.2.10", "192.0.2.11", FAIL),
        ("10.0.0.5", "", WARN),
    ],
)
def test_source_address(source: str, bound: str, status: Status) -> None:
    host = online(source)
    host.commands[("postconf", "-h", "smtp_bind_address")] = f"{bound}\n"
    found = network.leaves_from(context(host), 4, host)
    assert found.status is status


def test_a_route_that_cannot_be_read_is_none() -> None:
    assert network.source_address(FakeHost(commands={("ip",): "not json"}), 4) == ""


# --- outgoing port 25 -------------------------------------------------------------------------------------------------


def says(line: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.sendall(line)
        connection.close()

    return serve


@pytest.mark.parametrize(
    ("servers", "status", "words"),
    [
        ({MX1: b"220 mx1 ESMTP\r\n", MX2: b"220 mx2\r\n"}, PASS, "220 mx1 ESMTP"),
        ({MX2: b"220 mx2\r\n"}, PASS, "connection refused"),
        ({MX1: b"554 go away\x1b[2J\r\n"}, WARN, "554 go away\\x1b[2J"),
        ({MX1: b"HTTP/1.1 200\r\n", MX2: b""}, FAIL, "hung up"),
        ({}, FAIL, "connection refused"),
    ],
)
def test_port_25_out(servers: dict[str, bytes], status: Status, words: str) -> None:
    host = online()
    host.servers = {(address, 25): says(line) for address, line in servers.items()}
    found = network.port_25_out(context(host), 4, host)
    assert found.status is status
    assert words in found.got
    if status is FAIL:
        assert "open outbound TCP port 25 for 192.0.2.10" in found.do


class Shut(FakeHost):
    """A machine whose connections are lost on the way."""

    def connect(self, address: str, port: int, *, timeout: float = 10.0, source: str = "") -> socket.socket:
        raise TimeoutError


@pytest.mark.parametrize("version", [4, 6])
def test_a_provider_that_drops_mail(version: int) -> None:
    whole = online()
    host = Shut(files=whole.files, commands=whole.commands, dns=whole.dns)
    found = network.port_25_out(context(host, relay={"ipv6": "2001:db8:2::10"}), version, host)
    assert found.status is FAIL
    assert "panel" in found.do


@pytest.mark.parametrize(
    ("rcode", "version", "status", "words"),
    [
        ("NXDOMAIN", 4, FAIL, "resolv.conf"),
        ("SERVFAIL", 4, FAIL, "resolv.conf"),
        ("NOERROR", 6, SKIP, ""),
        # A resolver that is silent has not said that there is no IPv6 address.
        ("TIMEOUT", 6, FAIL, "resolv.conf"),
    ],
)
def test_names_of_the_probe_that_are_not_found(rcode: str, version: int, status: Status, words: str) -> None:
    host = online()
    host.dns = {("*", f"mx{number}.example", rdtype): DnsReply(rcode) for number in (1, 2) for rdtype in ("A", "AAAA")}
    found = network.port_25_out(context(host, relay={"ipv6": "2001:db8:2::10"}), version, host)
    assert found.status is status
    assert words in found.do


def test_a_target_may_be_an_address() -> None:
    host = online()
    host.servers = {(MX2, 25): says(b"220 mx2\r\n")}
    found = network.port_25_out(context(host, probe={"smtp": [MX2]}), 4, host)
    assert found.status is PASS, found


def test_without_a_route_nothing_is_tried() -> None:
    host = online(source="")
    assert "route" in network.port_25_out(context(host), 4, host).do


# --- the resolver -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "rcodes", "status"),
    [
        (["203.0.113.55"], ["NOERROR"], PASS),
        (["203.0.113.55"], ["NXDOMAIN"], PASS),
        (["203.0.113.55"], ["TIMEOUT"], FAIL),
        (["203.0.113.55", "203.0.113.56"], ["TIMEOUT", "NOERROR"], WARN),
        ([], [], FAIL),
    ],
)
def test_resolver(servers: list[str], rcodes: list[str], status: Status) -> None:
    host = online()
    host.put("/etc/resolv.conf", "".join(f"nameserver {server}\n" for server in servers))
    host.dns = {
        (server, "brightmail.example", "NS"): DnsReply(rcode) for server, rcode in zip(servers, rcodes, strict=True)
    }
    assert network.resolver_answers(context(host), host).status is status


@pytest.mark.parametrize(
    ("server", "reply", "status"),
    [
        ("203.0.113.55", answer("a. b.", authenticated=True), PASS),
        ("203.0.113.55", answer("a. b."), WARN),
        ("203.0.113.55", DnsReply("REFUSED"), SKIP),
        ("8.8.8.8", answer("a. b.", authenticated=True), WARN),
        ("", DnsReply("REFUSED"), SKIP),
    ],
)
def test_own_resolver(server: str, reply: DnsReply, status: Status) -> None:
    host = online()
    host.put("/etc/resolv.conf", f"nameserver {server}\n" if server else "")
    host.dns = {("*", "", "SOA"): reply}
    assert network.resolver_is_own(host).status is status


# --- block lists ------------------------------------------------------------------------------------------------------

ZONE = "bl.example"
MINE, MINE6 = "192.0.2.10", "2001:db8:2::10"


def blocking(*listed: str, refusing: str = "", everything: str = "") -> FakeHost:
    """A list that follows RFC 5782, with the given addresses on it."""
    host = FakeHost()
    codes = {"127.0.0.2": "127.0.0.2", "::ffff:7f00:2": "127.0.0.2"} | dict.fromkeys(listed, "127.0.0.4")
    names = ["127.0.0.1", "::ffff:7f00:1", MINE, MINE6, *codes]
    for address in names:
        code = refusing or everything or codes.get(address)
        reply = answer(code) if code else DnsReply("NXDOMAIN")
        host.dns[("*", reputation.list_name(address, ZONE), "A")] = reply
        host.dns[("*", reputation.list_name(address, ZONE), "TXT")] = answer("seen in spam", rdtype="TXT")
    return host


def ask(host: FakeHost, *addresses: str) -> Finding:
    return reputation.not_on_list(ZONE, addresses, ("203.0.113.55",), host)


@pytest.mark.parametrize(
    ("host", "addresses", "status", "words"),
    [
        (blocking(), (MINE, MINE6), PASS, "not listed"),
        (blocking(MINE), (MINE, MINE6), FAIL, "127.0.0.4 seen in spam"),
        (blocking(MINE6), (MINE, MINE6), FAIL, MINE6),
        (blocking(refusing="127.255.255.254"), (MINE,), SKIP, "refuses"),
        (blocking(everything="192.0.2.99"), (MINE,), SKIP, "refuses"),
        (blocking(everything="127.0.0.2"), (MINE,), SKIP, "closed or broken"),
        (FakeHost(), (MINE,), SKIP, "test entry"),
        (blocking(), (), SKIP, "no address"),
    ],
)
def test_block_list(host: FakeHost, addresses: tuple[str, ...], status: Status, words: str) -> None:
    found = ask(host, *addresses)
    assert found.status is status
    assert words in found.got


def test_a_list_without_ipv6_still_speaks_of_ipv4() -> None:
    host = blocking()
    del host.dns[("*", reputation.list_name("::ffff:7f00:2", ZONE), "A")]
    found = ask(host, MINE, MINE6)
    assert found.status is PASS
    assert "test entry for IPv6" in found.got


def test_an_answer_for_one_address_that_is_a_refusal_is_unknown() -> None:
    host = blocking()
    host.dns[("*", reputation.list_name(MINE, ZONE), "A")] = answer("127.255.255.252")
    assert ask(host, MINE).status is SKIP


def test_list_names() -> None:
    assert reputation.list_name(MINE, ZONE) == "10.2.0.192.bl.example"
    assert reputation.list_name("::1", ZONE).startswith("1.0.0.0.")
    assert reputation.list_name("::1", ZONE).endswith("0.0.bl.example")


# --- the step ---------------------------------------------------------------------------------------------------------


def test_the_step_changes_nothing_and_names_each_check_once() -> None:
    given = context(online(), relay={"ipv6": MINE6})
    assert preflight.STEP.plan(given) == ()
    checks = preflight.checks(given)
    assert len({check.id for check in checks}) == len(checks)
    assert [check.id for check in checks if check.outside] == ["preflight.port_25_out"]
    lists = [check for check in checks if "block_list" in check.id]
    assert {check.severity for check in lists} == {Severity.RECOMMENDED}
    assert lists[0].id == "preflight.block_list_zen_spamhaus_org"
    for check in checks:
        check.ask(online())
