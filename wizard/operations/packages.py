"""Packages: installed, upgraded and removed by the system's own package manager."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.operation import Change, Command, Operation, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wizard.host import Host
    from wizard.platforms import Platform

# Wait for another apt, keep configuration files that the operator changed, ask nothing.
APT: Command = (
    "apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0",
)  # fmt: skip
POLICY = "/usr/sbin/policy-rc.d"
# invoke-rc.d(8): status 101 forbids the action, so that no daemon starts before it is configured. Stopping stays
# allowed: a package that is replaced (exim4, by postfix) must not go on holding its port.
POLICY_TEXT = """#!/bin/sh
# relay-wizard: no service starts while packages are being installed
[ "$2" = stop ] && exit 0
exit 101
"""
INSTALL_TIMEOUT = 1800.0
LOCK_WAIT = 300.0
LOCK_ADVICE = "Another package manager is at work. Wait for it to end (ps aux | grep -e apt -e dpkg), then apply again."


def installed(host: Host, platform: Platform, packages: Iterable[str]) -> tuple[str, ...]:
    """Those of `packages` that are installed and configured."""
    names = tuple(packages)
    if not names:
        return ()
    if platform.family == "redhat":
        return tuple(name for name in names if host.ask(["rpm", "-q", name]).ok)
    asked = host.ask(["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Abbrev}\n", *names])
    found = {line.split()[0].split(":")[0] for line in asked.out.splitlines() if " ii" in line}
    return tuple(name for name in names if name in found)


@dataclass(frozen=True)
class InstallPackages(Operation):
    """Have packages installed; their services do not start by surprise.

    The engine puts the packages of all chosen steps into the first of these that it comes to, so that one transaction
    of the package manager does for all.
    """

    platform: Platform
    packages: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"packages:{','.join(self.packages)}"

    @property
    def summary(self) -> str:
        return f"packages {', '.join(self.packages)}"

    def diff(self, host: Host) -> Change | None:
        there = installed(host, self.platform, self.packages)
        missing = tuple(name for name in self.packages if name not in there)
        if not missing:
            return None
        return Change(
            summary=f"install {', '.join(missing)}",
            command=self._command(missing),
            kept=f"packages stay installed: {', '.join(missing)}",
        )

    def _command(self, missing: tuple[str, ...]) -> Command:
        if self.platform.family == "redhat":
            return ("dnf", "-y", "install", *missing)
        return (*APT, "--no-install-recommends", "install", *missing)

    def apply(self, host: Host) -> None:
        there = installed(host, self.platform, self.packages)
        missing = tuple(name for name in self.packages if name not in there)
        if self.platform.family == "redhat":
            self._install_dnf(host, missing)
        else:
            self._install_apt(host, missing)

    def _install_dnf(self, host: Host, missing: tuple[str, ...]) -> None:
        # EPEL brings the repository that most of the others come from, so it cannot be in the same transaction.
        epel = tuple(name for name in missing if name in self.platform.packages["epel"])
        rest = tuple(name for name in missing if name not in epel)
        for group in (epel, rest):
            if group:
                _transact(host, self._command(group))

    def _install_apt(self, host: Host, missing: tuple[str, ...]) -> None:
        repair_dpkg(host)
        known = host.ask(["apt-cache", "policy", *missing]).out
        if len(re.findall(r"Candidate: (?!\(none\))\S", known)) < len(missing):
            refresh_index(host)
        answers = [" ".join(entry) for entry in self.platform.preseed if entry[0] in missing]
        if answers:
            host.run(["debconf-set-selections"], stdin=("\n".join(answers) + "\n").encode())
        ours = host.stat(POLICY) is None
        if ours:
            host.write(POLICY, POLICY_TEXT.encode(), mode=0o755)
        try:
            _transact(host, self._command(missing))
        finally:
            if ours:
                host.remove(POLICY)


def repair_dpkg(host: Host) -> None:
    """Finish a package transaction that was interrupted; dpkg says nothing when there was none."""
    done = host.run(["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"], timeout=INSTALL_TIMEOUT)
    if not done.ok:
        raise OperationFailed(
            "finish the interrupted package installation", done.complaint,
            "Run: dpkg --configure -a   and mend what it names, then apply again.",
        )  # fmt: skip


def refresh_index(host: Host) -> None:
    """Fetch the package index, waiting up to LOCK_WAIT seconds for another apt to end.

    apt's own DPkg::Lock::Timeout does not cover the lock of the lists, which the daily timers of a fresh VPS hold.

    Raises:
        OperationFailed: when a mirror cannot be reached, or the lock is not given up.
    """
    until = host.monotonic() + LOCK_WAIT
    while True:
        done = host.run([*APT, "update"], timeout=600)
        # Not "Err:": apt says it of a missing translation too, and goes on. A dead mirror is a warning, status 0.
        errors = [line for line in done.out.splitlines() if line.startswith(("E:", "W: Failed to fetch"))]
        if done.ok and not errors:
            return
        locked = any("lock" in line.lower() for line in errors)
        if not locked or host.monotonic() >= until:
            break
        host.sleep(5)
    advice = "Is the network up, and does the mirror in /etc/apt answer? Then apply again."
    raise OperationFailed(
        "fetch the package index", " / ".join(errors) or done.complaint, LOCK_ADVICE if locked else advice,
    )  # fmt: skip


def _transact(host: Host, command: Command) -> None:
    done = host.run(command, timeout=INSTALL_TIMEOUT)
    if done.ok:
        return
    errors = " / ".join(line for line in done.out.splitlines() if line.startswith(("E:", "Error")))
    advice = "Mend what it names, then apply again; what is installed already is not installed twice."
    if "lock" in errors.lower():
        advice = LOCK_ADVICE
    elif "space" in done.out.lower() and "free" in done.out.lower():
        advice = "The disk is full. Look with: df -h   and make room, then apply again."
    raise OperationFailed(" ".join(command), errors or done.complaint, advice)
