"""Checks of updates, accounts, names, SSH, firewall and jails: each shown passing and failing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fake_host import FakeHost
from tests.fake_sshd import KEY
from tests.operations.test_firewall import Ufw
from tests.unit.test_preflight import says
from wizard.answers import User, parse
from wizard.check import Status
from wizard.checks import accounts, firewall, jails, naming, ssh, updates
from wizard.fact import Context, Facts
from wizard.host import Completed, Listener
from wizard.operations.firewall import SetUfwRules
from wizard.operations.system import DAY
from wizard.operations.users import MAIL_GROUP
from wizard.platforms import debian, redhat
from wizard.secret import Secret
from wizard.steps import STEPS, fail2ban
from wizard.steps import firewall as firewall_step
from wizard.steps import users as users_step

PASS, WARN, FAIL, SKIP = Status.PASS, Status.WARN, Status.FAIL, Status.SKIP
DEBIAN, REDHAT = debian.PLATFORM, redhat.PLATFORM
NAME = "mail.brightmail.example"


def context(host: FakeHost, operator: str = "", **answers: Any) -> Context:
    relay = {"domain": "brightmail.example", "hostname": NAME, "ipv4": "192.0.2.10"}
    return Context(host, parse({"relay": relay, **answers}), Facts(host, operator))


# --- updates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "days", "status"),
    [
        (Completed((), 0, ""), 1, PASS),
        (Completed((), 0, "Inst libc6 [1] (2)\n"), 1, FAIL),
        (Completed((), 0, ""), 9, FAIL),
        (Completed((), 100, "", "E: broken"), 1, SKIP),
    ],
)
def test_pending_updates(said: Completed, days: int, status: Status) -> None:
    host = FakeHost(commands={("apt-get", "-s"): said}, ticks=days * DAY)
    host.make_directory("/var/lib/apt/lists")
    host.put("/var/lib/apt/lists/x_Packages", "")
    assert updates.none_pending(DEBIAN, host).status is status


def test_updates_by_an_index_that_was_never_fetched_are_unknown() -> None:
    assert updates.none_pending(DEBIAN, FakeHost(commands={("apt-get",): ""})).status is SKIP


@pytest.mark.parametrize(
    ("files", "container", "status"),
    [
        ({}, "none", PASS),
        ({"/run/reboot-required": "", "/run/reboot-required.pkgs": "linux-image\n"}, "none", FAIL),
        ({"/proc/sys/kernel/osrelease": "6.12.9-amd64", "/lib/modules/6.12.10-amd64/x": ""}, "none", FAIL),
        ({"/proc/sys/kernel/osrelease": "6.12.10-amd64", "/lib/modules/6.12.10-amd64/x": ""}, "none", PASS),
        ({"/proc/sys/kernel/osrelease": "6.1.0", "/lib/modules/6.12.10-amd64/x": ""}, "lxc", PASS),
    ],
)
def test_reboot(files: dict[str, str], container: str, status: Status) -> None:
    host = FakeHost(commands={("systemd-detect-virt",): container})
    for path, text in files.items():
        host.put(path, text)
    assert updates.no_reboot_pending(DEBIAN, host).status is status


@pytest.mark.parametrize(("code", "status"), [(0, PASS), (1, FAIL), (127, SKIP)])
def test_reboot_redhat(code: int, status: Status) -> None:
    host = FakeHost(commands={("needs-restarting",): Completed((), code)})
    assert updates.no_reboot_pending(REDHAT, host).status is status


@pytest.mark.parametrize(
    ("value", "program", "timer", "status"),
    [
        ("1", True, "active", PASS),
        ("0", True, "active", FAIL),
        ("1", False, "active", FAIL),
        ("1", True, "inactive", FAIL),
        ("", True, "active", FAIL),
    ],
)
def test_unattended(value: str, timer: str, status: Status, *, program: bool) -> None:
    dumped = f'APT::Periodic::Unattended-Upgrade "{value}";\n' if value else ""
    host = FakeHost(commands={("apt-config",): dumped, ("systemctl",): timer})
    if program:
        host.put("/usr/bin/unattended-upgrade", "")
    assert updates.unattended(DEBIAN, host).status is status


@pytest.mark.parametrize(("timer", "status"), [("active", PASS), ("inactive", FAIL)])
def test_unattended_redhat(timer: str, status: Status) -> None:
    assert updates.unattended(REDHAT, FakeHost(commands={("systemctl",): timer})).status is status


# --- accounts ---------------------------------------------------------------------------------------------------------


def people(shadow: str = "", group: str = f"sudo:x:27:boss\n{MAIL_GROUP}:x:999:you\n") -> FakeHost:
    host = FakeHost()
    host.put(
        "/etc/passwd",
        "root:x:0:0::/root:/bin/bash\nboss:x:1000:1000::/home/boss:/bin/bash\n"
        "you:x:1001:1001::/nonexistent:/usr/sbin/nologin\nann:x:1002:1002::/home/ann:/bin/sh\n",
    )
    host.put("/etc/group", group)
    host.put("/etc/shadow", shadow)
    return host


TODAY = 20780  # the fake machine's day, 2026-11-23


@pytest.mark.parametrize(
    ("line", "first_boot", "status"),
    [
        ("root:*:1:::::\n", True, PASS),
        (f"root:$y$x:{TODAY + 2}:::::\n", True, PASS),
        (f"root:$y$x:{TODAY}:::::\n", True, WARN),
        (f"root:$y$x:{TODAY + 2}:::::\n", False, SKIP),
        ("root:$y$x::::::\n", True, SKIP),
    ],
)
def test_root_password(line: str, status: Status, *, first_boot: bool) -> None:
    host = people(line)
    if first_boot:
        host.put("/etc/machine-id", "x")
    assert accounts.root_password_changed(host).status is status


@pytest.mark.parametrize(("hashed", "status"), [("$fake$right", PASS), ("$fake$wrong", FAIL), ("!", FAIL), ("", FAIL)])
def test_password_is(hashed: str, status: Status) -> None:
    found = accounts.password_is("you", Secret("right"), "users", people(f"you:{hashed}:1:::::\n"))
    assert found.status is status
    assert "right" not in repr(found)


@pytest.mark.parametrize(("hashed", "status"), [("$y$x", PASS), ("!", FAIL), ("!$y$x", FAIL)])
def test_password_usable(hashed: str, status: Status) -> None:
    assert accounts.password_usable("you", people(f"you:{hashed}:1:::::\n")).status is status


@pytest.mark.parametrize(
    ("name", "group", "status"),
    [
        ("boss", "sudo:x:27:boss\n", PASS),
        ("boss", "sudo:x:27:\n", FAIL),
        ("you", "sudo:x:27:you\n", FAIL),
        ("nobody-here", "sudo:x:27:\n", FAIL),
    ],
)
def test_administrator(name: str, group: str, status: Status) -> None:
    assert accounts.administrator(User(name, "admin"), "sudo", people(group=group)).status is status


SUDO = "User boss may run the following commands on mail:\n    (ALL : ALL) {}ALL\n"


@pytest.mark.parametrize(
    ("said", "hashed", "status"),
    [
        (SUDO.format("NOPASSWD: "), "!", PASS),
        (SUDO.format(""), "$y$x", PASS),
        (SUDO.format(""), "!", FAIL),
        ("User boss is not allowed to run sudo on mail.\n", "$y$x", FAIL),
        (None, "$y$x", FAIL),
    ],
)
def test_sudo(said: str | None, hashed: str, status: Status) -> None:
    host = people(f"boss:{hashed}:1:::::\n")
    if said:
        host.commands[("sudo",)] = said
    assert accounts.may_sudo(User("boss", "admin"), host).status is status


@pytest.mark.parametrize(
    ("key", "mode", "owner", "status"),
    [(KEY, 0o600, "boss", PASS), ("", 0o600, "boss", FAIL), (KEY, 0o666, "boss", FAIL), (KEY, 0o600, "ann", FAIL)],
)
def test_keys(key: str, mode: int, owner: str, status: Status) -> None:
    host = people()
    host.make_directory("/home/boss", owner="boss")
    host.make_directory("/home/boss/.ssh", mode=0o700, owner="boss")
    host.put("/home/boss/.ssh/authorized_keys", f"{key}\n", mode, owner)
    assert accounts.keys_in_place(User("boss", "admin", (KEY,)), host).status is status


@pytest.mark.parametrize(
    ("name", "group", "status"),
    [
        ("you", f"{MAIL_GROUP}:x:999:you\n", PASS),
        ("you", f"{MAIL_GROUP}:x:999:\n", FAIL),
        ("ann", f"{MAIL_GROUP}:x:999:ann\n", FAIL),
        ("gone", f"{MAIL_GROUP}:x:999:\n", FAIL),
    ],
)
def test_only_mail(name: str, group: str, status: Status) -> None:
    assert accounts.only_mail(name, people(group=group)).status is status


# --- name and clock ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("live", "kept", "status"), [(NAME, NAME, PASS), ("vps", NAME, FAIL), (NAME, "vps", FAIL)])
def test_hostname(live: str, kept: str, status: Status) -> None:
    host = FakeHost()
    host.put("/proc/sys/kernel/hostname", f"{live}\n")
    host.put("/etc/hostname", f"# name\n{kept}\n")
    assert naming.hostname_kept(context(host), host).status is status


@pytest.mark.parametrize(("said", "status"), [(NAME, PASS), ("mail", FAIL)])
def test_full_name(said: str, status: Status) -> None:
    host = FakeHost(commands={("hostname", "-f"): f"{said}\n"})
    assert naming.full_name(context(host), host).status is status
    assert naming.full_name(context(host), FakeHost()).status is FAIL


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (f"192.0.2.10 STREAM {NAME}\n192.0.2.10 DGRAM\n", PASS),
        (f"127.0.1.1 STREAM {NAME}\n", FAIL),
        ("192.0.2.11 STREAM\n", FAIL),
        ("", FAIL),
    ],
)
def test_loopback(said: str, status: Status) -> None:
    host = FakeHost(commands={("getent",): said})
    assert naming.no_loopback_alias(context(host), host).status is status


@pytest.mark.parametrize(("text", "status"), [("brightmail.example\n", PASS), ("vps\n", FAIL), ("", FAIL)])
def test_mailname(text: str, status: Status) -> None:
    host = FakeHost()
    if text:
        host.put("/etc/mailname", text)
    assert naming.mailname(context(host), host).status is status


@pytest.mark.parametrize(("zone", "status"), [("Etc/UTC", PASS), ("Europe/Vienna", FAIL)])
def test_zone(zone: str, status: Status) -> None:
    assert naming.zone_is(zone, FakeHost()).status is status


@pytest.mark.parametrize(
    ("synced", "container", "daemon", "status"),
    [
        ("yes", "none", "", PASS),
        ("yes", "lxc", "", PASS),
        ("no", "systemd-nspawn", "", SKIP),
        ("no", "none", "", FAIL),
        ("no", "none", "chrony", WARN),
    ],
)
def test_clock(synced: str, container: str, daemon: str, status: Status) -> None:
    host = FakeHost(
        commands={("timedatectl",): synced, ("systemd-detect-virt",): container, ("systemctl",): "inactive"}
    )
    if daemon:
        host.commands[("systemctl", "is-active", f"{daemon}.service")] = "active"
    assert naming.synchronised(host).status is status


def test_a_clock_that_is_set_while_we_wait_is_right() -> None:
    host = FakeHost(commands={("systemd-detect-virt",): "none", ("systemctl",): "active"})
    host.commands[("timedatectl",)] = lambda _h, argv, _s: Completed(argv, 0, "yes" if host.ticks > 3 else "no")
    assert naming.synchronised(host).status is PASS


# --- SSH --------------------------------------------------------------------------------------------------------------

SSHD = (
    "port 2222\npermitrootlogin {root}\npasswordauthentication {password}\nkbdinteractiveauthentication no\n"
    "permitemptypasswords no\ndenygroups relay-mail\n"
)
RIGHT = SSHD.format(root="without-password", password="no")


def sshd(text: str = RIGHT, ports: tuple[int, ...] = (2222,)) -> FakeHost:
    listening = tuple(Listener("0.0.0.0", port, "sshd") for port in ports)
    return FakeHost(commands={("sshd", "-T"): text, ("sshd", "-t"): ""}, listening=listening)


def test_sshd_valid() -> None:
    assert ssh.valid(sshd()).status is PASS
    broken = FakeHost(commands={("sshd", "-t"): Completed((), 255, "", "line 3: Bad configuration option")})
    assert ssh.valid(broken).status is FAIL


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (RIGHT, PASS),
        (SSHD.format(root="prohibit-password", password="no"), PASS),
        (SSHD.format(root="yes", password="no"), FAIL),
        (SSHD.format(root="without-password", password="yes"), FAIL),
        ("", FAIL),
    ],
)
def test_sshd_settings(text: str, status: Status) -> None:
    host = sshd(text)
    assert ssh.settings(context(host), host).status is status


@pytest.mark.parametrize(("ports", "status"), [((2222,), PASS), ((22, 2222), WARN), ((22,), FAIL), ((), FAIL)])
def test_sshd_listens(ports: tuple[int, ...], status: Status) -> None:
    assert ssh.listens(2222, sshd(ports=ports)).status is status


@pytest.mark.parametrize(
    ("line", "status"), [(b"SSH-2.0-OpenSSH_10.0\r\n", PASS), (b"220 smtp\r\n", FAIL), (None, FAIL)]
)
def test_sshd_banner(line: bytes | None, status: Status) -> None:
    host = sshd()
    if line is not None:
        host.servers[("192.0.2.10", 2222)] = says(line)
    assert ssh.banner(context(host), 2222, host).status is status


def test_sshd_way_in() -> None:
    host = people()
    assert ssh.way_in(context(host), host).status is FAIL
    host.put("/root/.ssh/authorized_keys", KEY)
    assert ssh.way_in(context(host), host).status is PASS


@pytest.mark.parametrize(
    ("text", "status"), [(RIGHT, PASS), ("port 22\ndenygroups others\n", FAIL), ("port 22\n", FAIL), ("", SKIP)]
)
def test_mail_logins_out(text: str, status: Status) -> None:
    assert ssh.mail_logins_out(sshd(text)).status is status


# --- firewall ---------------------------------------------------------------------------------------------------------

PORTS = (2222, 25, 465)
BLOCK = ("203.0.113.66/32",)


def walled(allow: tuple[int, ...] = PORTS, *, active: bool = True) -> tuple[FakeHost, Ufw]:
    host = sshd()
    ufw = Ufw(host, active=active)
    ufw.boots = "enabled"
    SetUfwRules(allow, BLOCK).apply(host)
    kernel = "-P INPUT DROP\n" + "".join(f"-A ufw-user-input -p tcp --dport {port} -j ACCEPT\n" for port in allow)
    host.commands |= {("iptables",): kernel, ("ip6tables",): kernel}
    return host, ufw


def test_firewall_active() -> None:
    host, ufw = walled()
    assert firewall.active(DEBIAN, host).status is PASS
    ufw.boots = "disabled"
    assert firewall.active(DEBIAN, host).status is FAIL
    ufw.boots, ufw.active = "enabled", False
    assert firewall.active(DEBIAN, host).status is FAIL


def test_firewall_default() -> None:
    host, _ = walled()
    assert firewall.refuses_the_rest(DEBIAN, host).status is PASS
    host.commands[("ip6tables",)] = "-P INPUT ACCEPT\n"
    assert firewall.refuses_the_rest(DEBIAN, host).status is FAIL
    # A kernel without IPv6 has no policy to ask for; one with IPv6 that cannot be asked is not believed.
    host.commands[("ip6tables",)] = Completed((), 3)
    assert firewall.refuses_the_rest(DEBIAN, host).status is PASS
    host.put("/proc/net/if_inet6", "")
    assert firewall.refuses_the_rest(DEBIAN, host).status is FAIL


def test_firewall_ports() -> None:
    host, _ = walled()
    assert firewall.lets_in(DEBIAN, PORTS, host).status is PASS
    assert firewall.lets_in(DEBIAN, (*PORTS, 587), host).got == "587 closed"
    host.commands[("ip6tables",)] = "-P INPUT DROP\n"
    found = firewall.lets_in(DEBIAN, PORTS, host)
    assert found.status is FAIL
    assert "25 (IPv6)" in found.got
    assert "ufw reload" in found.do


def test_firewall_ssh() -> None:
    host, _ = walled()
    assert firewall.ssh_port_open(DEBIAN, host).status is PASS
    host, _ = walled(allow=(25, 465))
    assert firewall.ssh_port_open(DEBIAN, host).status is FAIL


def test_firewall_block() -> None:
    host, ufw = walled()
    assert firewall.keeps_out(DEBIAN, BLOCK, host).status is PASS
    ufw.tuples[4].append(ufw.tuples[4].pop(0))
    ufw.save()
    assert firewall.keeps_out(DEBIAN, BLOCK, host).status is FAIL
    assert firewall.keeps_out(DEBIAN, ("198.51.100.0/24",), host).status is FAIL


def test_firewall_nothing_else() -> None:
    host, ufw = walled()
    assert firewall.nothing_else(DEBIAN, PORTS, host).status is PASS
    ufw.run(host, ("ufw", "allow", "8080/tcp"), b"")
    found = firewall.nothing_else(DEBIAN, PORTS, host)
    assert found.status is WARN
    assert "8080" in found.got


def firewalld(permanent: str, runtime: str, target: str = "default") -> FakeHost:
    host = FakeHost(commands={("firewall-cmd", "--state"): "running", ("systemctl",): "enabled"})
    host.commands |= {
        ("firewall-cmd", "--permanent", "--list-ports"): permanent, ("firewall-cmd", "--list-ports"): runtime,
        ("firewall-cmd", "--get-default-zone"): "public", ("firewall-cmd", "--permanent", "--list-services"): "",
        ("firewall-cmd", "--list-services"): "", ("firewall-cmd", "--permanent", "--zone=public"): target,
        ("firewall-cmd", "--list-rich-rules"): 'rule family="ipv4" source address="203.0.113.66/32" drop\n',
    }  # fmt: skip
    return host


OPEN = "2222/tcp 25/tcp 465/tcp"


def test_firewalld() -> None:
    host = firewalld(OPEN, OPEN)
    assert firewall.active(REDHAT, host).status is PASS
    assert firewall.refuses_the_rest(REDHAT, host).status is PASS
    assert firewall.lets_in(REDHAT, PORTS, host).status is PASS
    assert firewall.nothing_else(REDHAT, PORTS, host).status is PASS
    assert firewall.keeps_out(REDHAT, BLOCK, host).status is PASS
    assert firewall.permanent_is_runtime(host).status is PASS


def test_firewalld_wrong() -> None:
    host = firewalld(f"{OPEN} 80/tcp", "2222/tcp", target="ACCEPT")
    assert firewall.refuses_the_rest(REDHAT, host).status is FAIL
    assert firewall.lets_in(REDHAT, PORTS, host).status is FAIL
    assert firewall.nothing_else(REDHAT, PORTS, host).status is WARN
    assert firewall.keeps_out(REDHAT, ("198.51.100.0/24",), host).status is FAIL
    assert firewall.permanent_is_runtime(host).status is FAIL
    assert firewall.permanent_is_runtime(FakeHost()).status is SKIP


# --- fail2ban ---------------------------------------------------------------------------------------------------------

SSHD_JAIL, POSTFIX_JAIL = jails.JAILS[0], jails.JAILS[1]
BOTH = "_SYSTEMD_UNIT=postfix.service + _SYSTEMD_UNIT=postfix@-.service"


def test_jail_config() -> None:
    assert jails.config_valid(FakeHost(commands={("fail2ban-client", "-t"): "OK"})).status is PASS
    broken = FakeHost(commands={("fail2ban-client", "-t"): Completed((), 255, "ERROR Have not found any log file")})
    assert jails.config_valid(broken).status is FAIL


@pytest.mark.parametrize(
    ("ping", "boots", "status"), [(0, "enabled", PASS), (0, "disabled", FAIL), (255, "enabled", FAIL)]
)
def test_fail2ban_running(ping: int, boots: str, status: Status) -> None:
    host = FakeHost(commands={("fail2ban-client", "ping"): Completed((), ping), ("systemctl",): boots})
    assert jails.running(host).status is status


@pytest.mark.parametrize(
    ("jail", "said", "status"),
    [
        (POSTFIX_JAIL, f"Current match filter:\n{BOTH}\n", PASS),
        (POSTFIX_JAIL, f"Current match filter:\n_SYSTEMD_UNIT=postfix.service {BOTH}\n", PASS),
        (POSTFIX_JAIL, "Current match filter:\n_SYSTEMD_UNIT=postfix.service\n", FAIL),
        (SSHD_JAIL, "Current match filter:\n_SYSTEMD_UNIT=ssh.service + _COMM=sshd\n", PASS),
        (SSHD_JAIL, "No journal match filter\n", FAIL),
        (SSHD_JAIL, None, FAIL),
    ],
)
def test_jail_runs(jail: jails.Jail, said: str | None, status: Status) -> None:
    host = FakeHost()
    if said is not None:
        host.commands[("fail2ban-client",)] = said
    assert jails.jail_runs(jail, host).status is status


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (Completed((), 0, "Lines: 1 lines, 0 ignored, 1 matched, 0 missed\n"), PASS),
        (Completed((), 0, "Lines: 1 lines, 0 ignored, 0 matched, 1 missed\n"), FAIL),
        (Completed((), 255, "ERROR: No failure-id group"), FAIL),
        (Completed((), 127), FAIL),
    ],
)
def test_jail_matches(said: Completed, status: Status) -> None:
    assert jails.jail_matches(SSHD_JAIL, FakeHost(commands={("fail2ban-regex",): said})).status is status


def interactive(*entries: str, jails_answering: int = len(jails.JAILS)) -> FakeHost:
    answer = "These IP addresses/networks are ignored:\n" + "".join(f"|- {entry}\n" for entry in entries)
    text = "Fail2Ban v1.1.0\n\n" + f"fail2ban> {answer}" * jails_answering + "fail2ban> "
    return FakeHost(commands={("fail2ban-client", "-i"): Completed((), 255, text)})


def test_ignored_addresses() -> None:
    assert jails.ignores(("198.51.100.80",), interactive("127.0.0.0/8", "198.51.100.80")).status is PASS
    assert jails.ignores(("198.51.100.80/32",), interactive("127.0.0.0/8", "198.51.100.80")).status is PASS
    assert jails.ignores(("198.51.100.80",), interactive("127.0.0.0/8")).status is FAIL
    assert jails.ignores(("198.51.100.80",), interactive("198.51.100.80", jails_answering=1)).status is FAIL
    assert jails.ignores(("198.51.100.80",), FakeHost()).status is FAIL


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (Completed((), 0, "[{'sshd': ['203.0.113.9']}, {'postfix': []}]"), PASS),
        (Completed((), 0, "[{'sshd': ['198.51.100.80']}]"), FAIL),
        (Completed((), 255), SKIP),
    ],
)
def test_banned(said: Completed, status: Status) -> None:
    host = FakeHost(commands={("fail2ban-client", "banned"): said})
    assert jails.none_banned(("198.51.100.80",), host).status is status


# --- the steps --------------------------------------------------------------------------------------------------------


def test_operators_are_remembered_so_that_another_connection_changes_only_its_own() -> None:
    host = FakeHost()
    host.put(fail2ban.JAIL_FILE, "# operators: 203.0.113.1 nonsense 203.0.113.2\n")
    assert fail2ban.operators(context(host, operator="203.0.113.3")) == ("203.0.113.1", "203.0.113.2", "203.0.113.3")
    assert fail2ban.operators(context(host)) == ("203.0.113.1", "203.0.113.2")
    many = " ".join(f"203.0.113.{number}" for number in range(9))
    host.put(fail2ban.JAIL_FILE, f"# operators: {many}\n")
    assert len(fail2ban.operators(context(host, operator="2001:db8::7"))) == fail2ban.OPERATORS_KEPT


def test_the_firewall_lets_in_every_port_that_ssh_is_answered_on_now() -> None:
    host = sshd(ports=(22,))
    rules = firewall_step.plan(context(host))[1]
    assert isinstance(rules, SetUfwRules)
    assert rules.allow == (22, 25, 465, 2222)


def test_mail_logins_get_no_shell_and_administrators_no_mail_group(tmp_path: object) -> None:
    given = context(
        people(), users=[{"name": "boss", "role": "admin", "ssh_keys": [KEY]}, {"name": "you", "role": "mail"}]
    )
    ids = [operation.id for operation in users_step.plan(given)]
    assert "member:you:relay-mail" in ids
    assert "member:boss:relay-mail" not in ids
    assert ids.index("user:boss") < ids.index("file:/etc/sudoers.d/relay-wizard") < ids.index("user:you")


@pytest.mark.parametrize("release", [None, {"id": "almalinux", "id_like": "rhel", "version_id": "9.6"}])
def test_every_harden_step_can_be_planned_on_a_bare_machine(release: dict[str, str] | None) -> None:
    host = FakeHost(release=release) if release else FakeHost()
    host.put("/root/.ssh/authorized_keys", KEY)
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/bash\n")
    host.commands |= {("apt-get", "-s"): "", ("dnf", "-q", "check-update"): ""}
    given = context(host, firewall={"block": ["203.0.113.66/32"]}, users=[{"name": "you"}])
    steps = [step for step in STEPS if step.group == "Harden"]
    assert [step.id for step in steps][:9] == [
        "preflight", "updates", "root_password", "users", "hostname", "clock", "ssh", "firewall", "fail2ban",
    ]  # fmt: skip
    for step in steps:
        operations = step.plan(given)
        for operation in operations:
            operation.diff(host)
        assert len({operation.id for operation in operations}) == len(operations)
        ids = [check.id for check in step.checks(given)]
        assert len(set(ids)) == len(ids)
        assert all(check.startswith(f"{step.id}.") for check in ids)
    assert host.ran == []
