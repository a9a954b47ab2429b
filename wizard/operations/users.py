"""Accounts and groups: created, put into groups, given keys and passwords by the system's own tools.

What is there is read from the files themselves (passwd(5), shadow(5), group(5)): getent would ask directories that
useradd cannot write to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.host import HostError
from wizard.operation import Change, Command, Operation, OperationFailed
from wizard.public_key import SHAPES

if TYPE_CHECKING:
    from wizard.host import Host
    from wizard.secret import Secret

# Members may log in for mail (Dovecot's PAM service asks for it) and may not log in by SSH.
MAIL_GROUP = "relay-mail"
NO_SHELL = "/usr/sbin/nologin"
NO_HOME = "/nonexistent"
# Below this an account belongs to a package (login.defs(5), UID_MIN).
FIRST_PERSON = 1000
# The tools keep the last version of each file beside it ("-"); rollback puts those back as well.
GROUP_FILES = ("/etc/group", "/etc/gshadow", "/etc/group-", "/etc/gshadow-")
SHADOW_FILES = ("/etc/shadow", "/etc/shadow-")
ACCOUNT_FILES = (
    "/etc/passwd", "/etc/passwd-", *SHADOW_FILES, *GROUP_FILES,
    "/etc/subuid", "/etc/subgid", "/etc/subuid-", "/etc/subgid-",
)  # fmt: skip
# Options (with quoted values, in which spaces stand for themselves), type and body of a line in authorized_keys.
KEY_LINE = re.compile(
    r'[ \t]*(?:(?P<options>(?:[^\s"#]|"(?:\\"|[^"])*")+)[ \t]+)??'
    rf"(?P<kind>{'|'.join(map(re.escape, SHAPES))})[ \t]+(?P<body>\S+)"
)
# What takes neither the shell nor the terminal from a key.
HARMLESS_OPTIONS = frozenset(
    {
        "agent-forwarding", "no-agent-forwarding", "port-forwarding", "no-port-forwarding", "x11-forwarding",
        "no-x11-forwarding", "user-rc", "no-user-rc", "pty", "no-touch-required", "verify-required",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Account:
    """A line of passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @property
    def has_shell(self) -> bool:
        """True when a person can get a prompt with it."""
        return not self.shell.endswith(("/nologin", "/false", "/sync"))


def account(host: Host, name: str) -> Account | None:
    """The local account of this name, None when there is none."""
    for fields in _table(host, "/etc/passwd"):
        # A line with anything else is no account to the system, either.
        if fields[0] == name and len(fields) >= 7 and re.fullmatch("[0-9]{1,10} [0-9]{1,10}", " ".join(fields[2:4])):
            return Account(name, int(fields[2]), int(fields[3]), fields[5], fields[6])
    return None


def accounts(host: Host) -> tuple[Account, ...]:
    """All local accounts."""
    names = [fields[0] for fields in _table(host, "/etc/passwd")]
    return tuple(found for found in (account(host, name) for name in names) if found is not None)


def members(host: Host, group: str) -> tuple[str, ...]:
    """Who is in a group, whether it is the primary one or not."""
    listed: list[str] = []
    for fields in _table(host, "/etc/group"):
        if fields[0] == group and len(fields) >= 4:
            listed += [name for name in fields[3].split(",") if name]
            listed += [entry.name for entry in accounts(host) if str(entry.gid) == fields[2]]
    return tuple(dict.fromkeys(listed))


def groups_of(host: Host, name: str) -> tuple[str, ...]:
    """The groups that an account is in, the primary one included."""
    return tuple(fields[0] for fields in _table(host, "/etc/group") if name in members(host, fields[0]))


def group_exists(host: Host, group: str) -> bool:
    """True when group(5) names it."""
    return any(fields[0] == group for fields in _table(host, "/etc/group"))


def primary_group(host: Host, name: str) -> str:
    """The name of an account's own group; useradd gives a new account one of its own name."""
    found = account(host, name)
    if found is None:
        return name
    return next((f[0] for f in _table(host, "/etc/group") if f[2] == str(found.gid)), str(found.gid))


def home_of(host: Host, name: str) -> str:
    """Where an account is at home, or will be."""
    found = account(host, name)
    return f"/home/{name}" if found is None else found.home


def stored_hash(host: Host, name: str) -> str:
    """The password field of shadow(5), '' when there is no such account."""
    return next((fields[1] for fields in _table(host, "/etc/shadow") if fields[0] == name), "")


def password_day(host: Host, name: str) -> int | None:
    """The day (since 1970) of the last password change, None when the account does not say."""
    for fields in _table(host, "/etc/shadow"):
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
            return int(fields[2])
    return None


def usable(hashed: str) -> bool:
    """True when somebody can log in with the password behind this hash (crypt(5): "!" and "*" never match)."""
    return hashed.startswith("$") or (len(hashed) == 13 and hashed[0] not in "!*")


def public_key(line: str) -> str:
    """Type and body of an authorized_keys line, without options and comment; '' for anything else."""
    found = KEY_LINE.match(line)
    return f"{found['kind']} {found['body']}" if found else ""


def authorized_keys(host: Host, name: str) -> tuple[str, ...]:
    """The public keys in the usual file of an account, whatever they are good for."""
    return tuple(key for key in map(public_key, _key_lines(host, name)) if key)


def keys_of_people(host: Host, path: str) -> tuple[str, ...]:
    """The public keys in a file with which a person gets a shell, from anywhere and at any time.

    Options can tie a key to one command, to an address or a time (sshd(8), AUTHORIZED_KEYS FILE FORMAT). Of several
    lines with the same key sshd takes the first.
    """
    free: dict[str, bool] = {}
    for line in _lines(host, path):
        if found := KEY_LINE.match(line):
            options = (found["options"] or "").lower()
            free.setdefault(public_key(line), not options or HARMLESS_OPTIONS.issuperset(options.split(",")))
    return tuple(key for key, is_free in free.items() if is_free)


def has_commands_alone(host: Host, name: str) -> bool:
    """Whether each key in the usual file of an account is tied to a command: a login with it gives no shell."""
    found = [match for line in _key_lines(host, name) if (match := KEY_LINE.match(line))]
    return bool(found) and all(re.search(r"(?i)(^|,)command=", match["options"] or "") for match in found)


def _key_lines(host: Host, name: str) -> list[str]:
    return _lines(host, f"{home_of(host, name)}/.ssh/authorized_keys")


def _lines(host: Host, path: str) -> list[str]:
    return (host.read(path) or b"").decode(errors="replace").splitlines()


def _table(host: Host, path: str) -> list[list[str]]:
    return [line.split(":") for line in _lines(host, path) if ":" in line]


def _run(host: Host, command: Command, asked: str, do: str, stdin: bytes = b"") -> None:
    done = host.run(command, stdin=stdin, timeout=60)
    if not done.ok:
        raise OperationFailed(asked, done.complaint, do)


@dataclass(frozen=True)
class CreateGroup(Operation):
    """Have a system group."""

    name: str

    @property
    def id(self) -> str:
        return f"group:{self.name}"

    @property
    def summary(self) -> str:
        return f"group {self.name}"

    def diff(self, host: Host) -> Change | None:
        if group_exists(host, self.name):
            return None
        command = ("groupadd", "--system", self.name)
        return Change(
            summary=f"create the group {self.name}", command=command,
            paths=GROUP_FILES, undo_edit=(("groupdel", self.name),),
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        _run(
            host, ("groupadd", "--system", self.name), f"create the group {self.name}",
            "Look with: getent group   then apply again.",
        )  # fmt: skip


@dataclass(frozen=True)
class CreateUser(Operation):
    """Have an account.

    Attributes:
        name: its login name.
        login_shell: what it gets at login; NO_SHELL for an account that only sends mail.
        home: True makes a folder below /home.
        comment: stands in passwd(5), so that a later reader knows what it is for.
    """

    name: str
    login_shell: str = NO_SHELL
    home: bool = False
    comment: str = ""

    @property
    def id(self) -> str:
        return f"user:{self.name}"

    @property
    def summary(self) -> str:
        return f"account {self.name}"

    def diff(self, host: Host) -> Change | None:
        found = account(host, self.name)
        if found is None:
            folder = f"/home/{self.name}"
            return Change(
                summary=f"create the account {self.name}", diff=f"{self.name}: (none) → shell {self.login_shell}\n",
                command=self._create(), paths=ACCOUNT_FILES, undo_edit=(("userdel", "-f", self.name),),
                kept=f"the folder {folder} stays, with what is in it" if self.home else None,
            )  # fmt: skip
        self._refuse_foreign(host, found)
        if found.shell == self.login_shell or (self.home and found.has_shell):
            return None
        return Change(
            summary=f"change the shell of {self.name}",
            diff=f"{self.name}: shell {found.shell} → {self.login_shell}\n",
            command=("usermod", "--shell", self.login_shell, self.name),
            paths=ACCOUNT_FILES,
            undo_edit=(("usermod", "--shell", found.shell, self.name),),
        )

    def _refuse_foreign(self, host: Host, found: Account) -> None:
        """An account that is there must be a person's, and one that a person logs in with keeps its shell."""
        if found.uid < FIRST_PERSON:
            raise OperationFailed(
                f"use the account {self.name}", f"it belongs to the system (user id {found.uid})",
                "Choose another name for this user in the answers.",
            )  # fmt: skip
        if self.login_shell == NO_SHELL and found.has_shell and authorized_keys(host, self.name):
            raise OperationFailed(
                f"take the shell from {self.name}", "somebody logs in to this account with an SSH key",
                'Give this user the role "admin", or choose another name for the one that sends mail.',
            )  # fmt: skip

    def _create(self) -> Command:
        folder: Command = ("--create-home",) if self.home else ("--no-create-home", "--home-dir", NO_HOME)
        comment: Command = ("--comment", self.comment) if self.comment else ()
        return ("useradd", "--user-group", *folder, "--shell", self.login_shell, *comment, self.name)

    def apply(self, host: Host) -> None:
        if account(host, self.name) is None:
            _run(
                host, self._create(), f"create the account {self.name}",
                "Mend what it names, then apply again.",
            )  # fmt: skip
            self._own_home(host)
            return
        _run(
            host, ("usermod", "--shell", self.login_shell, self.name), f"change the shell of {self.name}",
            "Mend what it names, then apply again.",
        )  # fmt: skip

    def _own_home(self, host: Host) -> None:
        """A folder that an earlier account of this name left behind belongs to a number; it is the new one's now."""
        folder = f"/home/{self.name}"
        found = host.stat(folder) if self.home else None
        if found is not None and found.kind == "directory" and found.owner.isdigit():
            host.run(["chown", "-R", f"{self.name}:{primary_group(host, self.name)}", folder])


@dataclass(frozen=True)
class AddToGroup(Operation):
    """Have an account in a group, beside those it is in."""

    user: str
    group: str

    @property
    def id(self) -> str:
        return f"member:{self.user}:{self.group}"

    @property
    def summary(self) -> str:
        return f"{self.user} in the group {self.group}"

    def diff(self, host: Host) -> Change | None:
        if self.user in members(host, self.group):
            return None
        return Change(
            summary=f"put {self.user} into the group {self.group}",
            command=("gpasswd", "-a", self.user, self.group),
            paths=GROUP_FILES,
            undo_edit=(("gpasswd", "-d", self.user, self.group),),
        )

    def apply(self, host: Host) -> None:
        _run(
            host, ("gpasswd", "-a", self.user, self.group), self.summary,
            f"Look with: getent group {self.group}   then apply again.",
        )  # fmt: skip


@dataclass(frozen=True)
class SetPassword(Operation):
    """Have an account log in with this password. It travels by standard input and is never shown.

    Rollback puts the account's old line of /etc/shadow back, whatever other lines have come since.
    """

    user: str
    secret: Secret

    @property
    def id(self) -> str:
        return f"password:{self.user}"

    @property
    def summary(self) -> str:
        return f"password of {self.user}"

    def diff(self, host: Host) -> Change | None:
        stored = stored_hash(host, self.user)
        if usable(stored) and host.crypt(self.secret, stored) == stored:
            return None
        before = "a password" if usable(stored) else "no password"
        return Change(
            summary=f"set the password of {self.user}",
            diff=f"{self.user}: {before} → the password of the answers\n",
            command=("chpasswd",),
            paths=SHADOW_FILES,
            by_line=True,
        )

    def apply(self, host: Host) -> None:
        text = self.secret.reveal()
        if not text or not text.isprintable():
            raise OperationFailed(
                f"set the password of {self.user}", "it is empty or holds a control character",
                "Write another password into the file, one line of ordinary characters.",
            )  # fmt: skip
        _run(
            host, ("chpasswd",), f"set the password of {self.user}",
            "Choose a password that the system's rules allow, then apply again.",
            stdin=f"{self.user}:{text}\n".encode(),
        )  # fmt: skip


@dataclass(frozen=True)
class AuthorizeKeys(Operation):
    """Have public keys among those that log in to an account; keys that are there stay.

    The folder has to be there first: `MakeDirectory(f"{home}/.ssh", 0o700, user, group)`.
    """

    user: str
    keys: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"keys:{self.user}"

    @property
    def summary(self) -> str:
        return f"SSH keys of {self.user}"

    def diff(self, host: Host) -> Change | None:
        path = self._path(host)
        found = host.stat(path)
        if found is not None and found.kind != "file":
            raise OperationFailed(
                f"write {path}", f"a {found.kind} is there", "Move it away, then apply again; it is left alone.",
            )  # fmt: skip
        missing = self._missing(host)
        group = primary_group(host, self.user)
        right = found is not None and (found.mode & 0o022, found.owner) == (0, self.user)
        if not missing and (right or not self.keys):
            return None
        lines = "".join(f"+{key}\n" for key in missing)
        if found is not None and not right:
            lines += f"mode and owner: {found.mode:04o} {found.owner} → 0600 {self.user}:{group}\n"
        return Change(
            summary=f"let {len(missing)} key{'s'[: len(missing) != 1]} in as {self.user}" if missing else self.summary,
            diff=f"{path}\n{lines}",
            paths=(path,),
            by_line=True,
        )

    def _path(self, host: Host) -> str:
        return f"{home_of(host, self.user)}/.ssh/authorized_keys"

    def _missing(self, host: Host) -> tuple[str, ...]:
        there = authorized_keys(host, self.user)
        return tuple(key for key in self.keys if public_key(key) not in there)

    def apply(self, host: Host) -> None:
        path = self._path(host)
        before = (host.read(path, follow=False) or b"").decode(errors="surrogateescape")
        if before and not before.endswith("\n"):
            before += "\n"
        text = before + "".join(f"{key}\n" for key in self._missing(host))
        try:
            host.write(
                path, text.encode(errors="surrogateescape"), mode=0o600,
                owner=self.user, group=primary_group(host, self.user),
            )  # fmt: skip
        except (HostError, OSError, KeyError) as error:
            raise OperationFailed(f"write {path}", str(error), "Mend that, then apply again.") from error
