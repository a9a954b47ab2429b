"""The system as a whole: package index and upgrade, host name, time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.host import HostError
from wizard.operation import Change, Command, Operation, OperationFailed
from wizard.operations.packages import (
    APT,
    refresh_index,
    repair_dpkg,
    transact,
)

if TYPE_CHECKING:
    from wizard.host import Host
    from wizard.platforms import Platform

DAY = 86400.0
# apt has no time of its own for "the index was fetched"; this file is the usual one (Ubuntu's apt hook touches it).
INDEX_STAMP = "/var/lib/apt/periodic/update-success-stamp"
INDEX = "/var/lib/apt/lists"
# `--with-new-pkgs`: a new kernel is a new package; nothing is ever removed.
UPGRADE: Command = (*APT, "--with-new-pkgs", "upgrade")
# What apt says of a package transaction that was killed: before dpkg was there to finish it, and after.
INTERRUPTED = r"dpkg --configure -a|--fix-broken|needs to be reinstalled"
ZONES = "/usr/share/zoneinfo"


def index_age(host: Host) -> float | None:
    """Seconds since apt's index was fetched, None when it never was as far as the clock of today can tell."""
    lists = [name for name in host.list(INDEX) if name.endswith(("Packages", "Release", "lz4", "gz", "xz"))]
    if not lists:
        return None
    # The folder changes when a list in it is replaced; a list itself carries the mirror's time.
    times = [found.mtime for path in (INDEX_STAMP, INDEX) if (found := host.stat(path)) is not None]
    # Of a clock that was years ahead nothing is believed, or the index would be young for years.
    ages = [max(0.0, age) for age in (host.now().timestamp() - time for time in times) if age > -DAY]
    return min(ages, default=None)


def pending_upgrades(host: Host, platform: Platform) -> tuple[str, ...] | None:
    """The packages that wait for an upgrade, None when the package manager cannot say."""
    if platform.family == "redhat":
        asked = host.ask(["dnf", "-q", "check-update"], timeout=120)
        # dnf(8): status 100 means that there are updates.
        if asked.status not in {0, 100}:
            return None
        return tuple(line.split()[0] for line in asked.out.splitlines() if re.match(r"^\S+\.\S+\s+\S+\s+\S+$", line))
    asked = host.ask(["apt-get", "-s", "-q", "--with-new-pkgs", "upgrade"], timeout=120)
    return tuple(re.findall(r"^Inst (\S+)", asked.out, re.MULTILINE)) if asked.ok else None


@dataclass(frozen=True)
class RefreshIndex(Operation):
    """Have a package index that is younger than a day. dnf looks after its own."""

    platform: Platform

    @property
    def id(self) -> str:
        return "package-index"

    @property
    def summary(self) -> str:
        return "package index younger than a day"

    def diff(self, host: Host) -> Change | None:
        if self.platform.family == "redhat":
            return None
        age = index_age(host)
        if age is not None and age < DAY:
            return None
        known = "never fetched" if age is None else f"{age / DAY:.0f} days old"
        return Change(
            summary="fetch the package index", diff=f"package index: {known} → of today\n",
            command=(*APT, "update"), kept="the package index stays as it was fetched",
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        refresh_index(host)
        host.write(INDEX_STAMP, b"")


@dataclass(frozen=True)
class UpgradePackages(Operation):
    """Have every installed package at the newest version of its release; configuration files stay as they are."""

    platform: Platform

    @property
    def id(self) -> str:
        return "upgrade"

    @property
    def summary(self) -> str:
        return "packages up to date"

    def diff(self, host: Host) -> Change | None:
        pending = pending_upgrades(host, self.platform)
        if pending is None:
            return self._broken(host)
        if not pending:
            return None
        return Change(
            summary=f"upgrade {len(pending)} package{'s'[: len(pending) != 1]}",
            diff="".join(f"+{name}\n" for name in pending),
            command=self._command(),
            kept=f"upgraded packages stay: {', '.join(pending)}",
        )

    def _broken(self, host: Host) -> Change | None:
        """Apt refuses to plan while dpkg has unfinished work; apply finishes it first."""
        if self.platform.family == "redhat":
            asked = host.ask(["dnf", "-q", "check-update"], timeout=120)
            raise OperationFailed(
                "ask the package manager what can be upgraded", asked.complaint,
                "Is the network up? Try: dnf check-update   and mend what it names, then apply again.",
            )  # fmt: skip
        asked = host.ask(["apt-get", "-s", "-q", "--with-new-pkgs", "upgrade"], timeout=120)
        if re.search(INTERRUPTED, asked.complaint):
            return Change(
                summary="finish an interrupted package installation, then upgrade",
                diff="dpkg: interrupted → configured\n", command=self._command(), kept="upgraded packages stay",
            )  # fmt: skip
        raise OperationFailed(
            "ask the package manager what can be upgraded", asked.complaint,
            "Try: apt-get -s upgrade   and mend what it names, then apply again.",
        )  # fmt: skip

    def _command(self) -> Command:
        return ("dnf", "-y", "upgrade") if self.platform.family == "redhat" else UPGRADE

    def apply(self, host: Host) -> None:
        if self.platform.family == "debian":
            repair_dpkg(host)
        transact(host, self._command(), "upgrade the packages")


@dataclass(frozen=True)
class SetHostname(Operation):
    """Have the machine call itself by this name, now and after a boot."""

    name: str

    @property
    def id(self) -> str:
        return "hostname"

    @property
    def summary(self) -> str:
        return f"host name {self.name}"

    def diff(self, host: Host) -> Change | None:
        kept, live = stored_hostname(host), live_hostname(host)
        if kept == self.name and live in {self.name, ""}:
            return None
        return Change(
            summary=f"set the host name to {self.name}",
            diff=f"/etc/hostname: {kept or '(none)'} → {self.name}\nnow: {live or 'unknown'} → {self.name}\n",
            command=("hostnamectl", "set-hostname", self.name),
            paths=("/etc/hostname",),
            undo=(("hostname", live),) if live else (),
        )

    def apply(self, host: Host) -> None:
        done = host.run(["hostnamectl", "set-hostname", self.name])
        if not done.ok:
            # Without D-Bus there is no hostnamed; file and kernel are all that it would have set.
            host.write("/etc/hostname", f"{self.name}\n".encode())
        if live_hostname(host) != self.name and not host.run(["hostname", self.name]).ok:
            raise OperationFailed(
                f"set the host name to {self.name}", done.complaint,
                "Some providers let only their panel set it: set it there, then apply again.",
            )  # fmt: skip


def stored_hostname(host: Host) -> str:
    """The name in /etc/hostname (hostname(5): comments are allowed)."""
    lines = (host.read("/etc/hostname") or b"").decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")


def live_hostname(host: Host) -> str:
    """The name that the kernel has."""
    return (host.read("/proc/sys/kernel/hostname") or b"").decode(errors="replace").strip()


def hosts_text(text: str, addresses: tuple[str, ...], name: str) -> str:
    """/etc/hosts with `name` on the public addresses and on nothing else, every other name as it was.

    The first name of a line is the canonical one (hosts(5)), which `hostname -f` and every daemon that asks for the
    full name get; on a loopback address it would send mail for ourselves to 127.0.1.1.
    """
    short = name.split(".", maxsplit=1)[0]
    wanted = [f"{address}\t{name} {short}" for address in addresses]
    lines: list[str] = []
    missing = list(wanted)
    for line in text.splitlines():
        if line.split() in [entry.split() for entry in wanted]:
            missing = [entry for entry in missing if entry.split() != line.split()]
            lines.append(line)
            continue
        lines += _without_names(line, {name, short} - {"localhost"})
    # Ours go before the first other line of the same address, so that the canonical name is ours.
    for entry in missing:
        positions = [number for number, line in enumerate(lines) if line.split()[:1] == entry.split()[:1]]
        lines.insert(positions[0] if positions else len(lines), entry)
    return "".join(f"{line}\n" for line in lines)


def _without_names(line: str, names: set[str]) -> list[str]:
    """The line without these names; no line when no name is left; untouched when it has none of them."""
    words, _, comment = line.partition("#")
    address, *known = words.split() or [""]
    left = [word for word in known if word.lower() not in names]
    if left == known:
        return [line]
    return [f"{address}\t{' '.join(left)}{' #' + comment if comment else ''}"] if left else []


@dataclass(frozen=True)
class SetTimezone(Operation):
    """Have the machine in this time zone."""

    zone: str

    @property
    def id(self) -> str:
        return "timezone"

    @property
    def summary(self) -> str:
        return f"time zone {self.zone}"

    def diff(self, host: Host) -> Change | None:
        now = current_zone(host)
        if now == self.zone:
            return None
        if not is_zone(host, self.zone):
            raise OperationFailed(
                f"set the time zone to {self.zone}", "there is no such zone on this machine",
                "Look with: timedatectl list-timezones   and correct relay.timezone.",
            )  # fmt: skip
        return Change(
            summary=f"set the time zone to {self.zone}", diff=f"{now or '(none)'} → {self.zone}\n",
            command=("timedatectl", "set-timezone", self.zone), paths=("/etc/localtime", "/etc/timezone"),
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        if not host.run(["timedatectl", "set-timezone", self.zone]).ok:
            host.symlink("/etc/localtime", f"{ZONES}/{self.zone}")
        try:
            # Debian 12 and older keep the name in this file as well.
            if host.stat("/etc/timezone") is not None and host.read("/etc/timezone") != f"{self.zone}\n".encode():
                host.write("/etc/timezone", f"{self.zone}\n".encode())
        except HostError as error:
            raise OperationFailed("write /etc/timezone", str(error), "Mend that, then apply again.") from error


def is_zone(host: Host, zone: str) -> bool:
    """Whether this machine knows the zone; one without a list of them knows any."""
    return host.stat(f"{ZONES}/{zone}") is not None or not host.list(ZONES)


def current_zone(host: Host) -> str:
    """The zone that /etc/localtime points to; UTC when there is none (localtime(5))."""
    found = host.stat("/etc/localtime")
    if found is None:
        return "Etc/UTC"
    return found.target.split("zoneinfo/")[-1] if found.kind == "symlink" else ""


def container(host: Host) -> str:
    """The kind of container that this machine is, '' for a machine with a kernel of its own."""
    found = host.ask(["systemd-detect-virt", "--container"]).text
    return "" if found == "none" else found
