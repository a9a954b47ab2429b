"""All that a set-up has left on a machine, so that a disturbed one can be held against one that nobody disturbed.

Files are read from outside, in the layer that holds every file that was written since the machine was fresh: no folder
is forgotten. What the machine says of itself (packages, units, firewall, Postfix) is asked inside.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine

# Keys, certificates, dates, and what says when something happened rather than what is set up.
LEFT_ASIDE = {
    # Keys and certificates.
    "/etc/dkimkeys/*.private": "a key of its own",
    "/etc/letsencrypt/*": "certificates, account and their dates",
    "/etc/ssl/private/*": "a key of its own",
    "/etc/ssl/certs/*": "a certificate of its own",
    "/etc/ssh/ssh_host_*": "keys of its own",
    # Dates, numbers that are drawn, and records of what happened.
    "/etc/machine-id": "made at boot",
    "/etc/.pwd.lock": "lock of the tools that change accounts",
    "/etc/ld.so.cache": "the linker's cache",
    "/etc/*-": "useradd's backup of the last version",
    "/etc/.updated": "when systemd looked last",
    "/var/.updated": "when systemd looked last",
    "/run/*": "gone at the next boot",
    "/tmp/*": "gone at the next boot",
    "/var/tmp/*": "temporary, and the lab's own notes",
    "/var/log/*": "what happened",
    "/var/cache/*": "can be made again",
    "/var/backups/*": "made daily",
    "/root/*": "the operator's: the program, its environment, his answers",
    "/var/lib/apt/daily_lock": "Debian's own, when the clock says so: at 6, at 18, at midnight",
    "/var/lib/apt/periodic/*": "Debian's own, when the clock says so",
    "/var/lib/logrotate/status": "Debian's own, when the clock says so",
    "/var/lib/dpkg/*-old": "backup of the last version",
    "/var/lib/relay-wizard/*": "the history",
    "/etc/aliases.db": "made from /etc/aliases, with the time in it",
    "/var/lib/dovecot/instances": "when it was started",
    "/var/lib/fail2ban/*": "what happened",
    "/var/lib/postfix/*": "what Postfix remembers of others while it runs",
    "/var/spool/postfix/pid/*": "numbers of processes",
    "/var/spool/postfix/etc/*": "copies for Postfix's own root, made as it starts, by what it is told then",
    "/var/lib/ucf/*.[0-9]": "backups of the last versions",
    "/var/lib/systemd/*": "when timers ran, a seed of chance",
    "/var/lib/dbus/*": "made at boot",
    "/var/lib/private/*": "when timers ran",
}


@dataclass(frozen=True)
class Footprint:
    """What was found: paths with content, mode and owner, and answers of the machine, by question."""

    found: dict[str, object]

    def differs_from(self, other: Footprint) -> list[str]:
        """What is not as there, each with the difference."""
        keys = sorted(self.found.keys() | other.found.keys())
        return [
            f"{key}: {_difference(other.found.get(key), self.found.get(key))}"
            for key in keys
            if self.found.get(key) != other.found.get(key)
        ]


def _difference(wanted: object, got: object) -> str:
    if not isinstance(wanted, list) or not isinstance(got, list) or wanted[:3] != got[:3]:
        return f"wanted {_short(wanted)}, got {_short(got)}"
    before, after = str(wanted[3]).splitlines(), str(got[3]).splitlines()
    return "\n    ".join(["not as wanted:", *difflib.unified_diff(before, after, "wanted", "got", lineterm="", n=0)])


def _short(found: object) -> str:
    return "nothing there" if found is None else str(found)[:300]


def take(machine: Machine) -> Footprint:
    """Everything, now."""
    return Footprint({**_Files(machine).found(), **_answers(machine)})


class _Files:
    """The files of one machine, owners by name: packages draw the numbers of their accounts as they come."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.users, self.groups = _names(machine, "/etc/passwd"), _names(machine, "/etc/group")

    def found(self) -> dict[str, object]:
        upper = self.machine.folder / "upper"
        found: dict[str, object] = {}
        for folder, folders, names in os.walk(upper):
            for name in folders + names:
                path = Path(folder, name)
                inside = f"/{path.relative_to(upper)}"
                if any(fnmatch.fnmatch(inside, pattern) for pattern in LEFT_ASIDE):
                    continue
                described = self._describe(path, inside)
                if described != self._before(inside):
                    found[inside] = described
        return found

    def _before(self, inside: str) -> object:
        """The path on the fresh machine: a layer also holds what was opened for writing and left as it was."""
        for layer in (*self.machine.layers, self.machine.base):
            path = layer / inside.lstrip("/")
            if os.path.lexists(path):
                return self._describe(path, inside)
        return None

    def _describe(self, path: Path, inside: str) -> object:
        about = path.lstat()
        user, group = self.users.get(about.st_uid, about.st_uid), self.groups.get(about.st_gid, about.st_gid)
        owner = [oct(about.st_mode), user, group]
        if stat.S_ISLNK(about.st_mode):
            return [*owner, f"-> {path.readlink()}"]
        if stat.S_ISREG(about.st_mode):
            return [*owner, _content(path.read_bytes(), inside)]
        return owner


def _names(machine: Machine, path: str) -> dict[int, str]:
    entries = [line.split(":") for line in machine.read(path).splitlines()]
    return {int(entry[2]): entry[0] for entry in entries}


def _content(data: bytes, inside: str) -> str:
    if inside.endswith("/authorized_keys"):
        # Each lab's operator has a key of his own.
        return re.sub(r"AAAA\S+", "key", data.decode())
    if inside in ACCOUNTS:
        text = data.decode()
        for pattern, word in ACCOUNTS[inside]:
            text = re.sub(pattern, word, text, flags=re.MULTILINE)
        return "\n".join(sorted(text.splitlines()))
    if inside in IN_ANY_ORDER:
        # And a parameter without a value has a blank at its end from one hand and none from another.
        return "\n".join(sorted(line.rstrip() for line in data.decode().splitlines()))
    if inside.startswith("/etc/"):
        # Kept as it is, to be able to tell what differs.
        return data.decode(errors="backslashreplace")
    return hashlib.sha256(data).hexdigest()


# A password has a salt of its own and the day on which it was set; accounts of packages have a number by chance.
ACCOUNTS = {
    "/etc/shadow": [(r"^([^:]*:(?:\$\w+\$)?)[^:]*:\d+:", r"\1:day:")],
    "/etc/gshadow": [],
    "/etc/passwd": [
        (r"^([^:]*:[^:]*):[1-9]\d\d:[1-9]\d\d:", r"\1:number:number:"),
        (r":[1-9]\d\d:(\d+):", r":number:\1:"),
    ],
    "/etc/group": [(r"^([^:]*:[^:]*):[1-9]\d\d:", r"\1:number:")],
}
# Their lines stand on their own; postconf of Postfix 3.7 draws lots over the order in which it adds them.
IN_ANY_ORDER = {"/etc/postfix/main.cf", "/var/lib/ucf/hashfile", "/var/lib/ucf/registry"}


UNITS = "systemctl list-units --no-legend --no-pager --plain"
# Each line of an answer is a finding of its own, so that a difference is short.
QUESTIONS = {
    "packages": "dpkg-query -W -f '${binary:Package} ${Version} ${db:Status-Abbrev}\\n'",
    "unfinished packages": "dpkg --audit",
    "asked-for packages": "apt-mark showmanual",
    "unit files": "systemctl list-unit-files --no-legend --no-pager",
    "failed units": f"{UNITS} --failed",
    "running services": f"{UNITS} --type=service --state=running | cut -d' ' -f1",
    "units to be read again": "systemctl show '*' -p Id,NeedDaemonReload | grep -B1 =yes",
    "timers": f"{UNITS} --type=timer | cut -d' ' -f1",
    "firewall": "ufw status verbose",
    "kernel firewall": "iptables-save | grep '^-A ufw-user'; ip6tables-save | grep '^-A ufw6-user'",
    "postfix": "postconf -n",
    "postfix services": "postconf -M",
    "passwords": "passwd -Sa | cut -d' ' -f1,2,4-",
    "mail queue": "postqueue -j | cut -c1-80",
}
# They come and go by themselves, or (unattended-upgrades, which minds the next shutdown) come with the next boot.
COME_AND_GO = re.compile(
    r"^(user@|user-runtime-dir@|session-|systemd-(hostnamed|timedated|localed|tmpfiles|networkd-wait)|apt-|dpkg-|man-db|"
    r"relay-wizard-run|unattended-upgrades\.service$|polkit|packagekit|phpsession|e2scrub)"
)


def _answers(machine: Machine) -> dict[str, object]:
    script = "\n".join(f"echo '@{name}'; {command} 2>&1" for name, command in QUESTIONS.items())
    found: dict[str, object] = {}
    question = ""
    for line in machine.run("sh", "-c", script, check=False).out.splitlines():
        if line.startswith("@"):
            question = line[1:]
        elif not COME_AND_GO.match(line):
            found[f"{question}: {' '.join(line.split())}"] = True
    return found
