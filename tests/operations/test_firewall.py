"""The firewall's rules: told to a ufw that keeps its files as the real one does, and never told twice."""

from __future__ import annotations

import ipaddress

import pytest

from tests.fake_host import FakeFile, FakeHost
from wizard.host import Completed
from wizard.operation import OperationFailed
from wizard.operations.firewall import (
    EnableUfw,
    OpenPort,
    SetFirewalldRules,
    SetUfwRules,
    close_port_command,
    drop_rule,
    is_open,
    open_port_command,
    set_rules,
    ssh_session_ports,
    ufw_keeps_out,
    ufw_rules,
)
from wizard.platforms import debian, redhat

ALLOW = (25, 465, 2222)
BLOCK = ("203.0.113.66/32", "2001:db8:66::/48")
SESSION = '0 0 192.0.2.10:22 203.0.113.70:51234 users:(("sshd-session",pid=412,fd=7))\n'


class Ufw:
    """ufw in small: `allow`, `prepend deny from`, `deny from`, `delete`, `enable`, `disable`, `status`."""

    def __init__(self, host: FakeHost, *, active: bool = False, policy: str = "DROP", ipv6: str = "yes") -> None:
        self.host = host
        self.active = active
        self.tuples: dict[int, list[str]] = {4: [], 6: []}
        host.put("/etc/default/ufw", f'IPV6={ipv6}\nDEFAULT_INPUT_POLICY="{policy}"\n')
        host.commands |= {("ufw",): self.run, ("systemctl",): self.systemctl, ("iptables",): "", ("ip6tables",): ""}
        self.boots = "disabled"
        self.save()

    def save(self) -> None:
        for version, path in ((4, "/etc/ufw/user.rules"), (6, "/etc/ufw/user6.rules")):
            text = "".join(f"### tuple ### {line}\n" for line in self.tuples[version])
            self.host.files[path] = FakeFile(text.encode(), 0o640)

    def systemctl(self, _: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        if argv[1] == "enable":
            self.boots = "enabled"
        return Completed(argv, 0, self.boots)

    def run(self, _host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:  # noqa: C901 - a table of words
        words = [word for word in argv[1:] if word != "--force"]
        comment = f" comment={words[words.index('comment') + 1].encode().hex()}" if "comment" in words else ""
        words = words[: words.index("comment")] if comment else words
        match words:
            case ["status"]:
                return Completed(argv, 0, f"Status: {'active' if self.active else 'inactive'}\n")
            case ["enable"]:
                self.active = True
            case ["default", "deny", "incoming"]:
                self.host.put("/etc/default/ufw", 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\n')
            case ["allow", port]:
                number, _, protocol = port.partition("/")
                for version, anywhere in ((4, "0.0.0.0/0"), (6, "::/0")):
                    self.tuples[version].append(f"allow {protocol} {number} {anywhere} any {anywhere} in{comment}")
            case ["prepend", "deny", "from", source]:
                network = ipaddress.ip_network(source)
                anywhere = "0.0.0.0/0" if network.version == 4 else "::/0"
                line = f"deny any any {anywhere} any {source.removesuffix('/32')} in{comment}"
                self.tuples[network.version].insert(0, line)
            case ["delete", "allow", port]:
                number = port.partition("/")[0]
                for version in (4, 6):
                    self.tuples[version] = [line for line in self.tuples[version] if f"allow tcp {number} " not in line]
            case ["delete", "deny", "from", source]:
                for version in (4, 6):
                    gone = f" {source.removesuffix('/32')} in"
                    self.tuples[version] = [line for line in self.tuples[version] if gone not in line]
        self.save()
        return Completed(argv, 0)


def told(host: FakeHost) -> list[str]:
    return [" ".join(argv[1:]) for argv in host.ran if argv[0] == "ufw"]


def test_a_fresh_ufw_is_told_ports_and_blocks_once() -> None:
    host = FakeHost()
    ufw = Ufw(host)
    operation = set_rules(debian.PLATFORM, (2222, 25, 465, 25), BLOCK)
    assert isinstance(operation, SetUfwRules)
    change = operation.diff(host)
    assert change is not None
    assert change.undo == (("ufw", "reload"),)
    operation.apply(host)
    assert told(host) == [
        "allow 25/tcp comment relay-wizard",
        "allow 465/tcp comment relay-wizard",
        "allow 2222/tcp comment relay-wizard",
        "prepend deny from 203.0.113.66/32 comment relay-wizard",
        "prepend deny from 2001:db8:66::/48 comment relay-wizard",
    ]
    assert operation.diff(host) is None
    assert ufw.tuples[4][0].startswith("deny")
    assert all(is_open(host, debian.PLATFORM, port) for port in ALLOW)
    assert all(ufw_keeps_out(host, network) for network in BLOCK)


def test_the_inverse_takes_out_what_was_put_in_and_no_more() -> None:
    host = FakeHost()
    ufw = Ufw(host)
    ufw.tuples[4].append("allow tcp 8080 0.0.0.0/0 any 0.0.0.0/0 in")
    ufw.save()
    change = SetUfwRules(ALLOW, BLOCK).diff(host)
    assert change is not None
    SetUfwRules(ALLOW, BLOCK).apply(host)
    for command in change.undo_edit:
        host.run(command)
    assert [(rule.ports, rule.comment) for rule in ufw_rules(host)] == [("8080", "")]


@pytest.mark.parametrize(
    ("rule", "opens"),
    [
        ("allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow any 25 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("limit tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow tcp 25,465 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow tcp 20:30 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 Postfix - in", True),
        ("allow_log tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow udp 25 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow tcp 2525 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow tcp 25 0.0.0.0/0 any 10.0.0.0/8 in", False),
        ("allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in_eth1", False),
        ("allow tcp 25 192.0.2.11 any 0.0.0.0/0 in", False),
        ("deny tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 out", False),
        ("route:allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in", False),
    ],
)
def test_which_rules_open_a_port(rule: str, *, opens: bool) -> None:
    host = FakeHost()
    ufw = Ufw(host, ipv6="no")
    ufw.tuples[4] = [rule]
    ufw.save()
    assert is_open(host, debian.PLATFORM, 25) is opens


def test_a_port_open_over_ipv4_alone_is_not_open() -> None:
    host = FakeHost()
    ufw = Ufw(host)
    ufw.tuples[4] = ["allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in"]
    ufw.save()
    assert not is_open(host, debian.PLATFORM, 25)


def test_a_block_behind_an_open_port_is_moved_in_front() -> None:
    host = FakeHost()
    ufw = Ufw(host)
    ufw.run(host, ("ufw", "allow", "25/tcp"), b"")
    ufw.tuples[4].append("deny any any 0.0.0.0/0 any 203.0.113.66 in")
    ufw.save()
    operation = SetUfwRules((25,), BLOCK[:1])
    assert operation.diff(host) is not None
    operation.apply(host)
    assert ufw_keeps_out(host, BLOCK[0])
    assert operation.diff(host) is None


def test_rules_of_ours_that_are_no_longer_asked_for_go_and_others_stay() -> None:
    host = FakeHost()
    ufw = Ufw(host)
    SetUfwRules((25, 2222), BLOCK).apply(host)
    ufw.run(host, ("ufw", "allow", "8080/tcp"), b"")
    operation = SetUfwRules((25, 2244))
    operation.apply(host)
    assert {rule.ports for rule in ufw_rules(host)} == {"25", "8080", "2244"}
    assert operation.diff(host) is None


def test_a_default_that_lets_everything_in_is_changed() -> None:
    host = FakeHost()
    Ufw(host, policy="ACCEPT")
    operation = SetUfwRules(())
    operation.apply(host)
    assert told(host) == ["default deny incoming"]
    assert operation.diff(host) is None


def test_ipv6_is_looked_after() -> None:
    host = FakeHost()
    Ufw(host, ipv6="no")
    operation = SetUfwRules(())
    assert "IPV6=no → IPV6=yes" in str(getattr(operation.diff(host), "diff", ""))
    operation.apply(host)
    assert operation.diff(host) is None


def test_a_ufw_that_fails_says_what_it_said() -> None:
    host = FakeHost()
    Ufw(host)
    host.commands[("ufw", "allow")] = Completed((), 1, "ERROR: problem running iptables")
    with pytest.raises(OperationFailed, match="problem running"):
        SetUfwRules((25,)).apply(host)


def test_a_ufw_that_does_not_do_as_told_is_noticed() -> None:
    host = FakeHost()
    Ufw(host)
    host.commands[("ufw", "allow")] = ""
    with pytest.raises(OperationFailed, match="still missing"):
        SetUfwRules((25,)).apply(host)


def test_the_firewall_is_turned_on_and_old_sessions_live_on() -> None:
    host = FakeHost(commands={("ss",): SESSION})
    Ufw(host)
    operation = EnableUfw()
    change = operation.diff(host)
    assert change is not None
    assert change.undo == (("ufw", "disable"),)
    operation.apply(host)
    assert operation.diff(host) is None
    adopted = [argv for argv in host.ran if argv[0] in {"iptables", "ip6tables"}]
    assert [argv[0] for argv in adopted] == ["iptables", "ip6tables"]
    # Mid-stream packets of that port alone: nothing new gets in.
    assert all("22" in argv and "--syn" in argv for argv in adopted)


def test_a_firewall_that_is_on_but_not_at_boot_is_not_turned_off_by_rollback() -> None:
    host = FakeHost()
    Ufw(host, active=True)
    change = EnableUfw().diff(host)
    assert change is not None
    assert change.undo == ()
    EnableUfw().apply(host)
    assert EnableUfw().diff(host) is None


def test_a_firewall_that_does_not_come_up_is_reported() -> None:
    host = FakeHost()
    Ufw(host)
    host.commands[("ufw", "--force", "enable")] = ""
    with pytest.raises(OperationFailed, match="not active"):
        EnableUfw().apply(host)


def test_session_ports_are_those_of_sshd_alone() -> None:
    other = '0 0 192.0.2.10:465 203.0.113.70:51235 users:(("smtpd",pid=413,fd=7))\n'
    six = '0 0 [2001:db8:2::10]:2222 [2001:db8::7]:51236 users:(("sshd",pid=414,fd=4))\n'
    assert ssh_session_ports(FakeHost(commands={("ss",): SESSION + other + six})) == (22, 2222)


def test_a_port_is_opened_only_where_a_firewall_filters() -> None:
    host = FakeHost()
    ufw = Ufw(host)
    operation = OpenPort(debian.PLATFORM, 2222)
    assert operation.diff(host) is None
    ufw.active = True
    change = operation.diff(host)
    assert change is not None
    assert change.undo_edit == (("ufw", "--force", "delete", "allow", "2222/tcp"),)
    operation.apply(host)
    assert operation.diff(host) is None


def test_without_ufw_the_plan_says_what_it_would_do() -> None:
    change = SetUfwRules(ALLOW).diff(FakeHost())
    assert change is not None
    assert str(change.diff).count("+ufw allow") == 3
    assert EnableUfw().diff(FakeHost()) is not None
    assert OpenPort(debian.PLATFORM, 25).diff(FakeHost()) is None


@pytest.mark.parametrize(
    ("platform", "opened", "closed"),
    [
        (debian.PLATFORM, ("ufw", "allow", "80/tcp"), ("ufw", "delete", "allow", "80/tcp")),
        (redhat.PLATFORM, ("firewall-cmd", "--add-port=80/tcp"), ("firewall-cmd", "--remove-port=80/tcp")),
    ],
)
def test_the_commands_of_a_renewal(platform: object, opened: tuple[str, ...], closed: tuple[str, ...]) -> None:
    assert open_port_command(platform, 80) == opened  # type: ignore[arg-type]
    assert close_port_command(platform, 80) == closed  # type: ignore[arg-type]


class Firewalld:
    """firewalld in small: permanent and runtime ports and rich rules, by daemon or offline."""

    def __init__(self, host: FakeHost, *, active: bool) -> None:
        self.active = active
        self.stored: list[str] = []
        self.now: list[str] = []
        host.commands |= {("firewall-cmd",): self.client, ("firewall-offline-cmd",): self.offline}

    def offline(self, _: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        return self.answer(argv, argv[1:], self.stored)

    def client(self, _: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        if not self.active:
            return Completed(argv, 252, "not running")
        words = tuple(word for word in argv[1:] if word != "--permanent")
        return self.answer(argv, words, self.stored if "--permanent" in argv else self.now)

    def answer(self, argv: tuple[str, ...], words: tuple[str, ...], kept: list[str]) -> Completed:
        verb, _, value = words[0].partition("=")
        match verb:
            case "--add-port" | "--add-rich-rule":
                kept.append(value)
            case "--remove-port" | "--remove-rich-rule":
                kept.remove(value)
            case "--list-ports":
                return Completed(argv, 0, " ".join(entry for entry in kept if "/tcp" in entry))
            case "--list-rich-rules":
                return Completed(argv, 0, "\n".join(entry for entry in kept if entry.startswith("rule")))
            case "--list-services":
                return Completed(argv, 0, "ssh")
            case "--info-service":
                return Completed(argv, 0, "ssh\n  ports: 22/tcp\n")
            case "--get-default-zone":
                return Completed(argv, 0, "public")
        return Completed(argv, 0)


@pytest.mark.parametrize("active", [True, False])
def test_firewalld_is_told_for_good_and_where_it_runs_at_once(*, active: bool) -> None:
    host = FakeHost()
    daemon = Firewalld(host, active=active)
    operation = set_rules(redhat.PLATFORM, (22, *ALLOW), BLOCK)
    assert isinstance(operation, SetFirewalldRules)
    change = operation.diff(host)
    assert change is not None
    assert change.paths == ("/etc/firewalld/zones/public.xml", "/etc/firewalld/zones/public.xml.old")
    operation.apply(host)
    # 22 is open by the service of that name already.
    wanted = ["25/tcp", "465/tcp", "2222/tcp", *(drop_rule(network) for network in BLOCK)]
    assert daemon.stored == wanted
    assert daemon.now == (wanted if active else [])
    assert operation.diff(host) is None
    for command in change.undo_edit:
        host.run(command)
    assert daemon.stored == []


def test_firewalld_opens_one_port_where_it_runs() -> None:
    host = FakeHost()
    daemon = Firewalld(host, active=False)
    operation = OpenPort(redhat.PLATFORM, 2222)
    assert operation.diff(host) is None
    daemon.active = True
    assert operation.diff(host) is not None
    operation.apply(host)
    assert operation.diff(host) is None


def test_drop_rules_name_the_family() -> None:
    assert drop_rule("203.0.113.66/32") == 'rule family="ipv4" source address="203.0.113.66/32" drop'
    assert drop_rule("2001:db8::/32") == 'rule family="ipv6" source address="2001:db8::/32" drop'
