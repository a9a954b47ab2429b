"""Moving SSH without losing the operator: guards that refuse, the socket that owns the port, the SELinux label."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from wizard.operation import Change, Command, Operation, OperationFailed
from wizard.operations.users import (
    Account,
    account,
    accounts,
    groups_of,
    home_of,
    keys_of_people,
    members,
    stored_hash,
    usable,
)
from wizard.public_key import RSA_BITS, fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wizard.fact import Context
    from wizard.host import Host
    from wizard.operations.files import WriteFile

DROP_IN = "/etc/ssh/sshd_config.d/00-relay-wizard.conf"
SOCKET = "ssh.socket"
# Ubuntu from 24.04 on: systemd makes the socket's addresses from sshd_config itself.
SOCKET_GENERATOR = "/usr/lib/systemd/system-generators/sshd-socket-generator"
SOCKET_DROP_IN = "/etc/systemd/system/ssh.socket.d/relay-wizard.conf"
# Has sshd stop and start with its socket, which else could not be started again while sshd has its ports.
SERVICE_DROP_IN = "/etc/systemd/system/ssh.service.d/relay-wizard.conf"
# The same until the next reboot, for the way back, where the drop-in is gone already.
TIE_TO_SOCKET: Command = ("systemctl", "--runtime", "add-requires", "ssh.service", SOCKET)


def effective(host: Host, user: str = "", client: str = "") -> dict[str, str]:
    """The settings that sshd works with (`sshd -T`), keys in lower case; several values are joined by spaces.

    Args:
        host: the machine.
        user: whose login is meant: Match blocks may have settings for it.
        client: the address that it would come from.
    """
    found: dict[str, str] = {}
    about = ("-C", f"user={user},host={client},addr={client}") if user else ()
    for line in host.ask(["sshd", "-T", *about]).out.splitlines():
        key, _, value = line.partition(" ")
        found[key] = f"{found[key]} {value}" if key in found else value
    return found


def socket_ports(host: Host) -> tuple[int, ...]:
    """The ports that ssh.socket is told to listen on; it does so when it is started."""
    shown = host.ask(["systemctl", "show", "-p", "Listen", SOCKET]).out
    return tuple(sorted({int(port) for port in re.findall(r":([0-9]{1,5}) \(Stream\)", shown)}))


def listening_ports(host: Host) -> tuple[int, ...]:
    """The ports on which an SSH connection is answered at this moment."""
    listeners = host.listeners()
    found = {entry.port for entry in listeners if entry.program == "sshd"}
    if host.ask(["systemctl", "is-active", SOCKET]).text == "active":
        found |= {entry.port for entry in listeners} & {*socket_ports(host)}
    return tuple(sorted(found))


def configured_ports(host: Host) -> tuple[int, ...]:
    """The ports of the configuration, in force or about to be."""
    return tuple(sorted({int(word) for word in effective(host).get("port", "").split() if word.isdigit()}))


def ports_in_use(host: Host) -> tuple[int, ...]:
    """Every port that must stay open for SSH now; 22 when nothing can be learnt."""
    return tuple(sorted({*listening_ports(host), *configured_ports(host)})) or (22,)


def ports_of_others(host: Host) -> tuple[int, ...]:
    """The ports that other files of sshd_config name: they stay whatever ours says, as Port lines add up."""
    folder = str(PurePosixPath(DROP_IN).parent)
    names = [f"{folder}/{name}" for name in host.list(folder) if name.endswith(".conf")]
    paths = [path for path in ("/etc/ssh/sshd_config", *names) if path != DROP_IN]
    text = "\n".join((host.read(path) or b"").decode(errors="replace") for path in paths)
    return tuple(sorted({int(port) for port in re.findall(r"^\s*Port\s+(\d+)", text, re.MULTILINE | re.IGNORECASE)}))


@dataclass(frozen=True)
class WayToLogIn:
    """How a person could log in by SSH and get a shell: "boss by key"."""

    user: str
    methods: tuple[str, ...]

    def __str__(self) -> str:
        """In words."""
        return f"{self.user} by {' and '.join(self.methods)}"


def ways_in(context: Context, host: Host) -> tuple[WayToLogIn, ...]:
    """How administrators could log in under the answered settings."""
    admins = members(host, admin_group(context))
    people = [entry for entry in accounts(host) if entry.has_shell and (entry.uid == 0 or entry.name in admins)]
    found = (_way_of(context, host, entry) for entry in dict.fromkeys(people))
    return tuple(way for way in found if way is not None)


def _way_of(context: Context, host: Host, person: Account) -> WayToLogIn | None:
    """How an account passes one of the lists of methods that sshd wants of it; None when it cannot."""
    ssh, is_root, name = context.answers.ssh, person.uid == 0, person.name
    settings = effective(host, name, context.facts.operator or "192.0.2.1")
    if (is_root and ssh.permit_root_login == "no") or not _is_let_in(host, name, settings):
        return None
    has_password = ssh.password_authentication and (not is_root or ssh.permit_root_login == "yes")
    # Each "publickey" in a list wants another key.
    there = ["publickey"] * len(login_keys(host, name, settings))
    there += ["password"] * (has_password and usable(stored_hash(host, name)))
    lists = settings.get("authenticationmethods", "any")
    for wanted in [methods.split(",") for methods in ("publickey password" if lists == "any" else lists).split()]:
        if all(wanted.count(method) <= there.count(method) for method in wanted):
            return WayToLogIn(name, tuple(method.replace("publickey", "key") for method in wanted))
    return None


def login_keys(host: Host, name: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    """The public keys that let a person in: where sshd looks for them, in files that it trusts, of a kind it takes.

    With StrictModes, sshd ignores a file that others could write (sshd_config(5)).
    """
    if settings.get("pubkeyauthentication", "yes") == "no":
        return ()
    home = home_of(host, name)
    places = settings.get("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2").split()
    keys: list[str] = []
    for place in places:
        path = place.replace("%h", home).replace("%u", name).replace("%%", "%")
        path = path if path.startswith("/") else f"{home}/{path}"
        if settings.get("strictmodes", "yes") == "no" or _is_safe(host, path, home, name):
            keys += keys_of_people(host, path)
    return tuple(key for key in dict.fromkeys(keys) if _is_taken(key, settings))


def _is_taken(key: str, settings: Mapping[str, str]) -> bool:
    """Whether sshd would have anything to do with a key: whole, long enough, for an algorithm that is on."""
    kind, _, body = key.partition(" ")
    algorithms = {"rsa-sha2-256", "rsa-sha2-512"} if kind == "ssh-rsa" else {kind}
    on = settings.get("pubkeyacceptedalgorithms", ",".join(algorithms)).split(",")
    size = re.fullmatch("[0-9]{1,5}", settings.get("requiredrsasize", ""))
    return not algorithms.isdisjoint(on) and not fault(kind, body, int(size[0]) if size else RSA_BITS)


def _is_safe(host: Host, path: str, home: str, name: str) -> bool:
    """Whether nobody but root and the account can write the file or a folder on the way to it, up from the home."""
    folders = [str(parent) for parent in PurePosixPath(path).parents]
    for each in (path, *folders[: folders.index(home) + 1 if home in folders else 0]):
        found = host.stat(each)
        if found is not None and (found.mode & 0o022 or found.owner not in {name, "root"}):
            return False
    return True


def _is_let_in(host: Host, name: str, settings: Mapping[str, str]) -> bool:
    """Whether AllowUsers and its like let an account in; "user@host" patterns are taken by their user."""
    groups = groups_of(host, name)

    def listed(key: str, names: Iterable[str]) -> bool:
        patterns = [pattern.partition("@")[0] for pattern in settings.get(key, "").split()]
        return any(fnmatchcase(each, pattern) for each in names for pattern in patterns)

    if listed("denyusers", [name]) or listed("denygroups", groups):
        return False
    return all(
        key not in settings or listed(key, names) for key, names in (("allowusers", [name]), ("allowgroups", groups))
    )


def promised_ways_in(context: Context) -> tuple[WayToLogIn, ...]:
    """The ways in that the answers will make: of administrators for whom there is no account yet."""
    coming = (user for user in context.answers.admins if account(context.host, user.name) is None)
    return tuple(WayToLogIn(user.name, ("key",)) for user in coming if user.ssh_keys)


def admin_group(context: Context) -> str:
    """The group whose members may become root."""
    return "wheel" if context.platform.family == "redhat" else "sudo"


@dataclass(frozen=True)
class KeepAWayIn(Operation):
    """Refuse settings under which nobody could log in any more. It never changes anything.

    Attributes:
        ways: how an administrator can come in under the new settings.
        port: the port that sshd shall listen on; another program there would leave sshd without one.
    """

    ways: tuple[WayToLogIn, ...]
    port: int

    @property
    def id(self) -> str:
        return "ssh:way-in"

    @property
    def summary(self) -> str:
        return f"a way in stays open: {', '.join(map(str, self.ways)) or 'none'}"

    def diff(self, host: Host) -> Change | None:
        if not self.ways:
            raise OperationFailed(
                "see who could log in by SSH under the new settings",
                "nobody: there is no key that would be accepted and gives a shell, from anywhere and at any time",
                'Add a user with role = "admin" and ssh_keys = ["…"] to the answers and apply users, or put your key '
                "into /root/.ssh/authorized_keys, or set ssh.password_authentication = true.",
            )  # fmt: skip
        others = {entry.program for entry in host.listeners() if entry.port == self.port} - {"sshd", "systemd", ""}
        if others:
            raise OperationFailed(
                f"let sshd listen on port {self.port}", f"{', '.join(sorted(others))} has it already",
                "Choose another ssh.port, or stop that program.",
            )  # fmt: skip
        return None

    def apply(self, host: Host) -> None:
        """There is nothing to do: `diff` is either empty or refuses."""


@dataclass(frozen=True)
class MoveSshSocket(Operation):
    """Have ssh.socket listen on the port, where the socket owns it. Sessions go on: each has a process of its own.

    The files are its own, as each has to be known to systemd before the socket is started again, there and back.

    Attributes:
        ports: where the socket shall listen.
        files: what systemd and sshd read. What ties sshd to its socket comes first: who finds the others relies on it.
    """

    ports: tuple[int, ...]
    files: tuple[WriteFile, ...]

    @property
    def id(self) -> str:
        return "ssh:socket"

    @property
    def summary(self) -> str:
        return f"ssh.socket on port {self._named}"

    @property
    def _named(self) -> str:
        return ", ".join(map(str, self.ports))

    def diff(self, host: Host) -> Change | None:
        now = socket_ports(host)
        changes = [change for file in self.files if (change := file.diff(host)) is not None]
        if now == self.ports and not changes:
            return None
        text = "".join(change.diff or "" for change in changes)
        return Change(
            summary=f"move ssh.socket to port {self._named}",
            diff=f"{text}ssh.socket: port {', '.join(map(str, now)) or 'none'} → {self._named}\n",
            command=("systemctl", "restart", SOCKET),
            paths=tuple(file.path for file in self.files),
            undo=(TIE_TO_SOCKET, ("systemctl", "daemon-reload")),
            # Nothing to reload: an sshd that has its ports from the socket would lose them.
            restart=(SOCKET,),
        )

    def apply(self, host: Host) -> None:
        for file in self.files:
            if file.diff(host) is not None:
                file.apply(host)
            host.run(["systemctl", "daemon-reload"])
        told = socket_ports(host)
        if told != self.ports:
            raise OperationFailed(
                f"move ssh.socket to port {self._named}", f"it is told {', '.join(map(str, told)) or 'none'}",
                f"Another file says so. Look with: systemctl cat {SOCKET}",
            )  # fmt: skip


@dataclass(frozen=True)
class LabelSshPort(Operation):
    """Have SELinux know the port as one of SSH; without it sshd may not bind to it."""

    port: int

    @property
    def id(self) -> str:
        return f"selinux:ssh:{self.port}"

    @property
    def summary(self) -> str:
        return f"SELinux lets sshd have port {self.port}"

    def diff(self, host: Host) -> Change | None:
        if host.ask(["getenforce"]).text in {"", "Disabled"}:
            return None
        listed = re.search(r"^ssh_port_t\s+tcp\s+(.*)$", host.ask(["semanage", "port", "-l"]).out, re.MULTILINE)
        if listed and str(self.port) in re.split(r",\s*", listed[1]):
            return None
        command = ("semanage", "port", "-a", "-t", "ssh_port_t", "-p", "tcp", str(self.port))
        return Change(
            summary=f"label port {self.port} as one of SSH", command=command,
            undo=(("semanage", "port", "-d", "-t", "ssh_port_t", "-p", "tcp", str(self.port)),),
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        words = ["-t", "ssh_port_t", "-p", "tcp", str(self.port)]
        # A port that another type has can only be modified.
        if host.run(["semanage", "port", "-a", *words]).ok:
            return
        done = host.run(["semanage", "port", "-m", *words])
        if not done.ok:
            raise OperationFailed(
                f"label port {self.port} as one of SSH", done.complaint, "Look with: semanage port -l | grep ssh",
            )  # fmt: skip
