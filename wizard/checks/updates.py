"""Whether the system is up to date and stays so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped
from wizard.operations.system import DAY, container, index_age, pending_upgrades

if TYPE_CHECKING:
    from wizard.host import Host
    from wizard.platforms import Platform

# The machine refreshes by itself every day; a week without it says that something is wrong.
STALE = 7 * DAY


def none_pending(platform: Platform, host: Host) -> Finding:
    """No package waits for an upgrade, by an index that is fresh enough to tell."""
    asked, want = "the package manager, what can be upgraded", "nothing"
    do = "Run: relay-wizard apply updates"
    pending = pending_upgrades(host, platform)
    if pending is None:
        return skipped(asked, "it could not say (apt-get -s upgrade failed)", want, "Look with: apt-get -s upgrade")
    age = index_age(host) if platform.family == "debian" else 0.0
    if age is None:
        return skipped(asked, "the package index was never fetched", want, do)
    if pending:
        shown = ", ".join(pending[:8]) + (f" and {len(pending) - 8} more" if len(pending) > 8 else "")
        return failed(asked, f"{len(pending)} to upgrade: {shown}", want, do)
    if age > STALE:
        return failed(asked, f"nothing, by an index that is {age / DAY:.0f} days old", want, do)
    return passed(asked, "nothing", want)


def no_reboot_pending(platform: Platform, host: Host) -> Finding:
    """The running kernel and libraries are the installed ones."""
    asked, want = "whether an update waits for a restart of the machine", "no"
    do = "Restart it at a quiet moment: systemctl reboot   Mail waits meanwhile at the other servers."
    if platform.family == "redhat":
        asked_tool = host.ask(["needs-restarting", "-r"], timeout=60)
        if asked_tool.status not in {0, 1}:
            return skipped(asked, "needs-restarting is not installed", want, "dnf install dnf-utils")
        return failed(asked, "yes", want, do) if asked_tool.status else passed(asked, "no", want)
    if host.stat("/run/reboot-required") is not None:
        packages = (host.read("/run/reboot-required.pkgs") or b"").decode(errors="replace").split()
        return failed(asked, f"yes, for {', '.join(dict.fromkeys(packages)) or 'a package'}", want, do)
    running = (host.read("/proc/sys/kernel/osrelease") or b"").decode(errors="replace").strip()
    kernels = [name for name in host.list("/lib/modules") if re.match(r"\d", name)]
    if container(host) or not kernels or not running:
        return passed(asked, "no", want)
    newest = max(kernels, key=_version_key)
    if _version_key(newest) > _version_key(running):
        return failed(asked, f"yes: kernel {running} runs, {newest} is installed", want, do)
    return passed(asked, "no", want)


def _version_key(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release))


def unattended(platform: Platform, host: Host) -> Finding:
    """Security updates are installed without anybody's help."""
    do = "Run: relay-wizard apply updates"
    if platform.family == "redhat":
        asked, want = "systemctl is-active dnf-automatic-install.timer", "active"
        state = host.ask(["systemctl", "is-active", "dnf-automatic-install.timer"]).text
        return passed(asked, state, want) if state == "active" else failed(asked, state or "not there", want, do)
    asked = "apt-config, and the timer apt-daily-upgrade.timer"
    want = 'APT::Periodic::Unattended-Upgrade "1", the program installed, the timer active'
    dumped = host.ask(["apt-config", "dump", "APT::Periodic::Unattended-Upgrade"]).out
    value = re.search(r'Unattended-Upgrade "(\d*)"', dumped)
    program = host.stat("/usr/bin/unattended-upgrade") is not None
    timer = host.ask(["systemctl", "is-active", "apt-daily-upgrade.timer"]).text
    got = (
        f"{value[1] if value else 'not set'}, {'installed' if program else 'not installed'}, timer {timer or 'unknown'}"
    )
    if value and value[1] not in {"", "0"} and program and timer == "active":
        return passed(asked, got, want)
    return failed(asked, got, want, do)
