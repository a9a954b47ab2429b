"""Packages: installed, upgraded and removed by the system's own package manager."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.operation import Change, Command, Operation, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wizard.host import Completed, Host
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
LOCK_WAIT, LOCK_PAUSE = 300.0, 5.0
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
            return self._left_over(host)
        return Change(
            summary=f"install {', '.join(missing)}",
            command=self._command(missing),
            kept=f"packages stay installed: {', '.join(missing)}",
        )

    def _left_over(self, host: Host) -> Change | None:
        """A killed run may have left the policy behind, and no service would be restarted by an upgrade any more."""
        if self.platform.family == "redhat" or not _ours(host):
            return None
        return Change(summary="let services start again when packages are installed", diff=f"{POLICY}: removed\n")

    def _command(self, missing: tuple[str, ...]) -> Command:
        if self.platform.family == "redhat":
            return ("dnf", "-y", "install", *missing)
        return (*APT, "--no-install-recommends", "install", *missing)

    def apply(self, host: Host) -> None:
        there = installed(host, self.platform, self.packages)
        missing = tuple(name for name in self.packages if name not in there)
        if self.platform.family == "redhat":
            self._install_dnf(host, missing)
        elif not missing:
            # The killed run may have left something to be done for other packages than ours.
            with _no_starts(host):
                repair_dpkg(host)
        else:
            self._install_apt(host, missing)

    def _install_dnf(self, host: Host, missing: tuple[str, ...]) -> None:
        # EPEL brings the repository that most of the others come from, so it cannot be in the same transaction.
        epel = tuple(name for name in missing if name in self.platform.packages["epel"])
        rest = tuple(name for name in missing if name not in epel)
        for group in (epel, rest):
            if group:
                transact(host, self._command(group))

    def _install_apt(self, host: Host, missing: tuple[str, ...]) -> None:
        with _no_starts(host):
            repair_dpkg(host)
            known = host.ask(["apt-cache", "policy", *missing]).out
            if len(re.findall(r"Candidate: (?!\(none\))\S", known)) < len(missing):
                refresh_index(host)
            answers = [" ".join(entry) for entry in self.platform.preseed if entry[0] in missing]
            if answers:
                host.run(["debconf-set-selections"], stdin=("\n".join(answers) + "\n").encode())
            transact(host, self._command(missing))


@contextlib.contextmanager
def _no_starts(host: Host) -> Iterator[None]:
    """No package starts a service meanwhile; a policy that somebody else has set stays in force."""
    ours = host.stat(POLICY) is None or _ours(host)
    if ours:
        host.write(POLICY, POLICY_TEXT.encode(), mode=0o755)
    try:
        yield
    finally:
        if ours:
            host.remove(POLICY)


def _ours(host: Host) -> bool:
    return host.read(POLICY) == POLICY_TEXT.encode()


def repair_dpkg(host: Host) -> None:
    """Finish a package transaction that was interrupted; dpkg says nothing when there was none.

    Raises:
        OperationFailed: when it cannot be finished, or another package manager does not give up its lock.
    """
    asked = "finish the interrupted package installation"
    done = _patiently(host, ["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"], INSTALL_TIMEOUT)
    if _locked(done):
        raise OperationFailed(asked, " / ".join(_errors(done)), LOCK_ADVICE)
    if not done.ok:
        # A killed unpacking lacks what others depend on, or left a package in halves: only apt knows where to get it.
        # By itself: with packages named beside it, apt does not look for what those depend on.
        transact(host, (*APT, "--no-install-recommends", "--fix-broken", "install"), asked)


def refresh_index(host: Host) -> None:
    """Fetch the package index.

    Raises:
        OperationFailed: when a mirror cannot be reached, or the lock is not given up.
    """
    done = _patiently(host, [*APT, "update"], 600)
    # Not "Err:": apt says it of a missing translation too, and goes on. A dead mirror is a warning, status 0.
    errors = [line for line in done.out.splitlines() if line.startswith(("E:", "W: Failed to fetch"))]
    if done.ok and not errors:
        return
    advice = "Is the network up, and does the mirror in /etc/apt answer? Then apply again."
    if re.search(r"not valid yet|expired", "\n".join(errors)):
        advice = "Is the clock right? Look with: timedatectl   and set it, then apply again."
    raise OperationFailed(
        "fetch the package index", " / ".join(errors) or done.complaint, LOCK_ADVICE if _locked(done) else advice,
    )  # fmt: skip


def _patiently(host: Host, command: Sequence[str], timeout: float) -> Completed:
    """Run a command again and again while another package manager is at work, for up to LOCK_WAIT seconds.

    apt's own DPkg::Lock::Timeout covers neither dpkg itself nor the lock of the package lists; the daily timers of a
    fresh VPS hold both.
    """
    until = host.monotonic() + LOCK_WAIT
    while True:
        done = host.run(command, timeout=timeout)
        if not _locked(done) or host.monotonic() >= until:
            return done
        host.sleep(LOCK_PAUSE)


def _locked(done: Completed) -> bool:
    """Whether it failed because another package manager holds a lock."""
    return not done.ok and bool(re.search(r"\block(ed)?\b", "\n".join(_errors(done)), re.IGNORECASE))


def _errors(done: Completed) -> list[str]:
    """The lines of a package manager's output that say why it failed; dpkg's reason is indented below its error."""
    found: list[str] = []
    lines = done.out.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        if line.startswith(("E:", "Error:", "dpkg: error", "dpkg-deb: error")):
            found.append(line)
            if line.startswith("dpkg") and following.startswith(" "):
                found.append(following.strip())
    return found


def transact(host: Host, command: Command, asked: str = "") -> None:
    """Run a transaction of the package manager; `asked` says in words what it is for.

    Raises:
        OperationFailed: with the reasons of the package manager, and of dpkg below it.
    """
    done = _patiently(host, command, INSTALL_TIMEOUT)
    if done.ok:
        return
    advice = "Mend what it names (df -h for space, /etc/apt for mirrors), then apply again; nothing is installed twice."
    raise OperationFailed(
        asked or " ".join(command), " / ".join(_errors(done)) or done.complaint,
        LOCK_ADVICE if _locked(done) else advice,
    )  # fmt: skip
