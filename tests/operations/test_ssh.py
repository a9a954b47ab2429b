"""Moving SSH: what refuses, what moves the socket, what SELinux is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fake_host import FakeHost
from tests.fake_sshd import KEY
from wizard.answers import Answers, parse
from wizard.fact import Context, Facts, WayIn
from wizard.host import Completed, Listener
from wizard.operation import OperationFailed
from wizard.operations.files import WriteFile
from wizard.operations.services import reload_services
from wizard.operations.ssh import (
    DROP_IN,
    SOCKET,
    SOCKET_GENERATOR,
    TIE_TO_SOCKET,
    KeepAWayIn,
    LabelSshPort,
    MoveSshSocket,
    WayToLogIn,
    listening_ports,
    ports_in_use,
    promised_ways_in,
    ways_in,
)
from wizard.steps import ssh

ROOT_BY_KEY = WayToLogIn("root", ("key",))


def context(host: FakeHost, **ssh: object) -> Context:
    answers: Answers = parse({"ssh": ssh, "users": [{"name": "boss", "role": "admin", "ssh_keys": [KEY]}]})
    return Context(host, answers, Facts(host))


def told(of: Context) -> tuple[str, ...]:
    return tuple(map(str, ways_in(of, of.host)))


def machine(*, root_key: bool = False, boss_key: bool = False, boss_hash: str = "!", root_hash: str = "*") -> FakeHost:
    host = FakeHost()
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/bash\nboss:x:1000:1000::/home/boss:/bin/bash\n")
    host.put("/etc/group", "root:x:0:\nsudo:x:27:boss\nboss:x:1000:\n")
    host.put("/etc/shadow", f"root:{root_hash}:1:::::\nboss:{boss_hash}:1:::::\n")
    if root_key:
        host.put("/root/.ssh/authorized_keys", KEY)
    if boss_key:
        host.put("/home/boss/.ssh/authorized_keys", KEY)
    return host


@pytest.mark.parametrize(
    ("host", "answers", "ways"),
    [
        (machine(), {}, ()),
        (machine(root_key=True), {}, ("root by key",)),
        (machine(root_key=True), {"permit_root_login": "no"}, ()),
        (machine(boss_key=True), {"permit_root_login": "no"}, ("boss by key",)),
        (machine(boss_hash="$y$x"), {}, ()),
        (machine(boss_hash="$y$x"), {"password_authentication": True}, ("boss by password",)),
        (machine(root_hash="$y$x"), {"password_authentication": True}, ()),
        (
            machine(root_hash="$y$x"), {"password_authentication": True, "permit_root_login": "yes"},
            ("root by password",),
        ),
    ],
)  # fmt: skip
def test_ways_in(host: FakeHost, answers: dict[str, object], ways: tuple[str, ...]) -> None:
    assert told(context(host, **answers)) == ways


def test_a_person_who_may_not_administer_is_no_way_in() -> None:
    host = machine(boss_key=True)
    host.put("/etc/group", "sudo:x:27:\nboss:x:1000:\n")
    assert told(context(host)) == ()


@pytest.mark.parametrize(
    ("settings", "ways"),
    [
        ("allowusers root\n", ("root by key",)),
        ("allowusers boss@203.0.113.*\n", ("boss by key",)),
        ("denyusers r*\n", ("boss by key",)),
        ("allowgroups sudo\n", ("boss by key",)),
        ("denygroups sudo\n", ("root by key",)),
        ("pubkeyauthentication no\n", ()),
        ("authorizedkeysfile /etc/ssh/keys/%u\n", ()),
        ("authorizedkeysfile %h/.ssh/authorized_keys\n", ("root by key", "boss by key")),
        ("authorizedkeysfile none\n", ()),
    ],
)
def test_ways_in_are_judged_by_what_sshd_itself_says(settings: str, ways: tuple[str, ...]) -> None:
    host = machine(root_key=True, boss_key=True)
    host.commands["sshd", "-T"] = settings
    assert told(context(host)) == ways
    assert ("sshd", "-T", "-C", "user=boss,host=192.0.2.1,addr=192.0.2.1") in host.asked


@pytest.mark.parametrize(
    "line",
    [
        # What cloud images give to root.
        'no-port-forwarding,command="echo \'Please login as the user \\"debian\\".\';sleep 10;exit 142" {key} me',
        'from="10.0.0.1" {key}',
        'expiry-time="20200101" {key}',
        "cert-authority {key}",
        "restrict {key}",
        "# {key}",
        "unknown {key}",
        'command="true" {key}\n{key}',
        "ssh-ed25519 AAAAC3Nz",
    ],
)
def test_a_line_that_gives_no_shell_is_no_way_in(line: str) -> None:
    host = machine()
    host.put("/root/.ssh/authorized_keys", f"{line.format(key=KEY)}\n")
    assert told(context(host)) == ()


@pytest.mark.parametrize(
    "line", ["{key}", "  {key}\tanna at work", "no-agent-forwarding,No-X11-Forwarding {key}", "ssh-rsa AAAA\n{key}"]
)
def test_a_line_that_gives_a_shell_is_a_way_in(line: str) -> None:
    host = machine()
    host.put("/root/.ssh/authorized_keys", f"{line.format(key=KEY)}\n")
    assert told(context(host)) == ("root by key",)


@pytest.mark.parametrize(
    ("settings", "ways"),
    [
        ("authenticationmethods any\n", ("boss by key",)),
        ("authenticationmethods publickey\n", ("boss by key",)),
        ("authenticationmethods publickey,password\n", ()),
        ("authenticationmethods publickey,keyboard-interactive:pam\n", ()),
        ("authenticationmethods publickey,publickey\n", ()),
        ("authenticationmethods publickey,password publickey\n", ("boss by key",)),
        ("pubkeyacceptedalgorithms rsa-sha2-512,rsa-sha2-256\n", ()),
        ("pubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-256\n", ("boss by key",)),
    ],
)
def test_each_method_of_a_list_has_to_stay_on(settings: str, ways: tuple[str, ...]) -> None:
    host = machine(boss_key=True, boss_hash="$y$x")
    host.commands["sshd", "-T"] = settings
    assert told(context(host)) == ways


def test_key_and_password_together_are_a_way_in_while_passwords_stay_on() -> None:
    host = machine(boss_key=True, boss_hash="$y$x")
    host.commands["sshd", "-T"] = "authenticationmethods publickey,password\n"
    assert told(context(host, password_authentication=True)) == ("boss by key and password",)


def test_a_key_file_that_others_can_write_is_no_way_in() -> None:
    host = machine(boss_key=True)
    host.put("/home/boss/.ssh/authorized_keys", KEY, mode=0o664, owner="boss")
    assert told(context(host)) == ()
    host.commands["sshd", "-T"] = "strictmodes no\n"
    assert told(context(host)) == ("boss by key",)


def test_the_old_port_stays_until_the_new_one_is_proved() -> None:
    host = machine(root_key=True)
    host.commands["sshd", "-T"] = "port 22\n"
    host.listening = (Listener("0.0.0.0", 22, "sshd"),)
    unproved = replace(context(host), way_in=WayIn.UNPROVED)
    text = _drop_in(unproved)
    assert "Port 22\nPort 2222\n" in text
    assert "LogLevel VERBOSE" in text
    proved = _drop_in(replace(unproved, way_in=WayIn.PROVED))
    assert "Port 22\n" not in proved
    assert "LogLevel" not in proved
    # A Port line of the operator's stays anyhow; named twice, sshd would complain of an address in use.
    host.put("/etc/ssh/sshd_config", "Port 22\n")
    assert "Port 22\n" not in _drop_in(unproved)


@pytest.mark.parametrize("others", [(), (22,)])
def test_where_no_port_moves_the_log_stays_as_it_is(others: tuple[int, ...]) -> None:
    host = machine(root_key=True)
    ports = (2222, *others)
    host.commands["sshd", "-T"] = "".join(f"port {port}\n" for port in ports)
    host.put("/etc/ssh/sshd_config", "".join(f"Port {port}\n" for port in others))
    host.listening = tuple(Listener("0.0.0.0", port, "sshd") for port in ports)
    assert _drop_in(replace(context(host), way_in=WayIn.UNPROVED)) == _drop_in(context(host))


def _drop_in(of: Context) -> str:
    return next(entry.content for entry in ssh.plan(of) if isinstance(entry, WriteFile) and entry.path == DROP_IN)


def test_the_answers_promise_a_way_in_until_the_account_is_there() -> None:
    host = machine()
    assert promised_ways_in(context(host)) == ()
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/bash\n")
    assert promised_ways_in(context(host)) == (WayToLogIn("boss", ("key",)),)


def test_a_promise_that_was_kept_and_helps_nobody_is_refused() -> None:
    host = machine(boss_key=True)
    host.commands["sshd", "-T"] = "allowusers root\n"
    guard = next(entry for entry in ssh.plan(context(host)) if isinstance(entry, KeepAWayIn))
    with pytest.raises(OperationFailed, match="nobody"):
        guard.diff(host)


def test_settings_that_nobody_could_log_in_under_are_refused() -> None:
    with pytest.raises(OperationFailed) as caught:
        KeepAWayIn((), 2222).diff(FakeHost())
    assert "authorized_keys" in caught.value.do


def test_a_port_that_another_program_has_is_refused() -> None:
    host = FakeHost(listening=(Listener("0.0.0.0", 2222, "nginx"),))
    with pytest.raises(OperationFailed, match="nginx"):
        KeepAWayIn((ROOT_BY_KEY,), 2222).diff(host)


@pytest.mark.parametrize("program", ["sshd", "systemd"])
def test_sshd_itself_may_have_the_port_already(program: str) -> None:
    host = FakeHost(listening=(Listener("0.0.0.0", 2222, program),))
    assert KeepAWayIn((ROOT_BY_KEY,), 2222).diff(host) is None


def test_ports_in_use_are_those_of_configuration_and_sockets() -> None:
    host = FakeHost(
        commands={("sshd", "-T"): "port 2222\nusepam yes\n"},
        listening=(Listener("0.0.0.0", 22, "sshd"), Listener("::", 22, "sshd"), Listener("0.0.0.0", 25, "master")),
    )
    assert ports_in_use(host) == (22, 2222)
    assert ports_in_use(FakeHost()) == (22,)


def socket_machine() -> FakeHost:
    """Where systemd owns the port: it reads the files when it is told to, and listens there from the next start on."""
    host = FakeHost(listening=(Listener("0.0.0.0", 22, "systemd"),))
    known: list[str] = []

    def load(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        known[:] = host.files
        return Completed(argv, 0)

    def show(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        return Completed(argv, 0, f"Listen=[::]:{2222 if '/etc/port' in known else 22} (Stream)\n")

    def tie(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        host.put("/etc/tie", "")
        return Completed(argv, 0)

    def restart(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        if "/etc/tie" not in known:
            return Completed(argv, 1, "", "Socket service ssh.service already active, refusing.")
        host.listening = (Listener("0.0.0.0", 2222 if "/etc/port" in known else 22, "systemd"),)
        return Completed(argv, 0)

    host.commands = {
        ("systemctl", "is-active"): "active", ("systemctl", "show"): show, ("systemctl", "daemon-reload"): load,
        TIE_TO_SOCKET: tie, ("systemctl", "try-restart", SOCKET): restart,
    }  # fmt: skip
    return host


MOVED = MoveSshSocket((2222,), tuple(WriteFile(f"/etc/{name}", name) for name in ("tie", "sshd", "port")))


def test_the_socket_is_moved_with_its_files_and_moves_back_after_them() -> None:
    host = socket_machine()
    assert listening_ports(host) == (22,)
    change = MOVED.diff(host)
    assert change is not None
    # A reload would have sshd open ports that systemd has.
    assert (change.paths, change.notify, change.restart) == (("/etc/tie", "/etc/sshd", "/etc/port"), (), (SOCKET,))
    MOVED.apply(host)
    reload_services(host, change.notify, change.restart)
    assert listening_ports(host) == (2222,)
    assert MOVED.diff(host) is None
    host.files.clear()
    for command in change.undo:
        assert host.run(command).ok
    reload_services(host, change.notify, change.restart)
    assert listening_ports(host) == (22,)


@pytest.mark.parametrize("generated", [False, True])
def test_a_socket_knows_the_ports_of_sshd_config_only_where_it_is_generated(*, generated: bool) -> None:
    host = socket_machine()
    host.put("/etc/ssh/sshd_config", "Port 22\n")
    if generated:
        host.put(SOCKET_GENERATOR, "")
    unproved = replace(context(host), way_in=WayIn.UNPROVED)
    assert _socket(unproved).ports == (22, 2222)
    assert _socket(replace(unproved, way_in=WayIn.PROVED)).ports == ((22, 2222) if generated else (2222,))


def _socket(of: Context) -> MoveSshSocket:
    return next(entry for entry in ssh.plan(of) if isinstance(entry, MoveSshSocket))


@pytest.mark.parametrize("lives", range(8))
def test_a_move_that_was_killed_can_be_made_again(lives: int) -> None:
    host = socket_machine()
    for _ in range(lives // 2):
        file = next(entry for entry in MOVED.files if entry.diff(host) is not None)
        file.apply(host)
        if lives % 2:
            host.run(["systemctl", "daemon-reload"])
    if MOVED.diff(host) is not None:
        MOVED.apply(host)
    reload_services(host, (), (SOCKET,))
    assert listening_ports(host) == (2222,)


def test_a_port_on_which_the_socket_does_not_listen_yet_is_not_in_use() -> None:
    host = socket_machine()
    MOVED.apply(host)
    assert listening_ports(host) == ()


def test_a_socket_that_is_told_another_port_is_reported() -> None:
    host = socket_machine()
    with pytest.raises(OperationFailed, match="told 22"):
        MoveSshSocket((2222,), ()).apply(host)


LABELS = "http_port_t                    tcp      80, 81, 443\nssh_port_t                     tcp      {}\n"


def test_selinux_is_told_the_port() -> None:
    host = FakeHost(commands={("getenforce",): "Enforcing\n"})
    known = ["22"]

    def label(_: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        known.append(argv[-1])
        return Completed(argv, 0)

    host.commands[("semanage", "port", "-l")] = lambda _h, argv, _s: Completed(argv, 0, LABELS.format(", ".join(known)))
    host.commands[("semanage", "port", "-a")] = label
    operation = LabelSshPort(2222)
    change = operation.diff(host)
    assert change is not None
    assert change.undo == (("semanage", "port", "-d", "-t", "ssh_port_t", "-p", "tcp", "2222"),)
    operation.apply(host)
    assert operation.diff(host) is None


def test_a_port_with_another_label_is_modified_else_reported() -> None:
    host = FakeHost(commands={("semanage", "port", "-a"): Completed((), 1), ("semanage", "port", "-m"): ""})
    LabelSshPort(2222).apply(host)
    with pytest.raises(OperationFailed):
        LabelSshPort(2222).apply(FakeHost())


@pytest.mark.parametrize("mode", ["", "Disabled\n"])
def test_without_selinux_there_is_nothing_to_label(mode: str) -> None:
    assert LabelSshPort(2222).diff(FakeHost(commands={("getenforce",): mode} if mode else {})) is None
