"""What the machine itself has to be: system, memory, disk, and nobody else on port 25."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from wizard import platforms
from wizard.check import Finding, failed, passed, skipped, warned

if TYPE_CHECKING:
    from wizard.fact import Version
    from wizard.host import Host

MIB = 1 << 20
GIB = 1 << 30
# Postfix, Dovecot, OpenDKIM, OpenDMARC and fail2ban together took 250 MiB; an upgrade by apt needs as much again.
LEAST_MEMORY = 400 * MIB
GOOD_MEMORY = 900 * MIB
# The packages unpack to 600 MiB; the rest is for logs and for mail that waits while home is away.
LEAST_DISK = 1 * GIB
GOOD_DISK = 4 * GIB
NEW_SERVER = "Choose a server with Debian 12 or 13 (or rebuild this one with it in the provider's panel)."


def is_root(host: Host) -> Finding:
    """Only root may install packages and write below /etc."""
    asked, want = "the user id of this program", "0 (root)"
    if host.is_root():
        return passed(asked, "0 (root)", want)
    return failed(asked, "not root", want, "Start it again with sudo in front.")


def systemd_is_first(host: Host) -> Finding:
    """Services are run, and the work itself is kept alive, by systemd."""
    first = first_process(host)
    asked, want = "the name of process 1 (/proc/1/comm)", "systemd"
    if first == "systemd":
        return passed(asked, first, want)
    return failed(asked, first or "unreadable", want, f"This machine is not started by systemd. {NEW_SERVER}")


def first_process(host: Host) -> str:
    """The name of process 1, '' when /proc does not say."""
    return (host.read("/proc/1/comm") or b"").decode(errors="replace").strip()


def system_name(host: Host) -> str:
    """What the system calls itself."""
    release = host.os_release()
    return release.get("pretty_name") or " ".join((release.get("id", "unknown"), release.get("version_id", ""))).strip()


def system_supported(host: Host) -> Finding:
    """The release is one that was tried, and its security support has not ended."""
    release = host.os_release()
    name, version = system_name(host), release.get("version_id", "")
    asked, want = "/etc/os-release", "a release that still gets security updates"
    platform = platforms.of(release.get("id", ""), release.get("id_like", ""))
    if platform is None:
        return failed(asked, name, want, NEW_SERVER)
    known = platform.releases.get(release.get("id", ""), {})
    end = known.get(version) or known.get(version.split(".")[0])
    if end is None:
        return _untried(asked, name, want, version, known)
    last, today = date.fromisoformat(end), host.now().date()
    if last < today:
        return failed(asked, f"{name}, without security updates since {end}", want, NEW_SERVER)
    if last - today < timedelta(days=180):
        return warned(
            asked, f"{name}, whose security updates end on {end}", want,
            f"Plan the upgrade to the next release before {end}.",
        )  # fmt: skip
    return passed(asked, f"{name}, supported until {end}", want)


def _untried(asked: str, name: str, want: str, version: str, known: object) -> Finding:
    """A release of a known family that is not in the table: too old, or newer than this program."""
    from wizard.fact import version_of

    found: Version = version_of(version)
    tried = sorted(version_of(entry) for entry in known) if isinstance(known, dict) else []
    if found and tried and found < tried[0]:
        return failed(asked, f"{name}, which is older than what this program supports", want, NEW_SERVER)
    return warned(
        asked, f"{name}, on which this program was never tried", want,
        "Go on if you like to be the first; Debian 12 and 13 are the safe choice.",
    )  # fmt: skip


def enough_memory(host: Host) -> Finding:
    """Main memory."""
    found = host.memory()
    asked, want = "main memory", f"{GOOD_MEMORY // MIB} MiB or more"
    got = f"{found // MIB} MiB"
    if found < LEAST_MEMORY:
        return failed(asked, got, want, "Take a larger server: the mail daemons and apt do not fit into this one.")
    if found < GOOD_MEMORY:
        return warned(
            asked, got, want, "It will do for little mail. Add swap: fallocate -l 1G /swapfile, mkswap, swapon."
        )
    return passed(asked, got, want)


def enough_disk(host: Host) -> Finding:
    """Free space where packages, logs and waiting mail go."""
    asked, want = "free space on /", f"{GOOD_DISK // GIB} GiB or more"
    try:
        found = host.free_disk("/")
    except OSError as error:
        return skipped(asked, f"it could not be asked: {error}", want, "Look with: df -h /")
    got = f"{found / GIB:.1f} GiB"
    if found < LEAST_DISK:
        return failed(asked, got, want, "Make room: df -h shows where it went, apt-get clean gives some back.")
    if found < GOOD_DISK:
        return warned(asked, got, want, "It is enough to install; logs and waiting mail will need more.")
    return passed(asked, got, want)


def port_25_free(host: Host) -> Finding:
    """Nobody but Postfix listens on port 25; exim4, which some images bring, goes when Postfix is installed."""
    asked, want = "which program listens on port 25", "none, or Postfix (master)"
    programs = sorted({entry.program for entry in host.listeners() if entry.port == 25} - {"master"})
    if not programs:
        return passed(asked, "nobody else", want)
    got = ", ".join(program or "a program that cannot be seen" for program in programs)
    if all(program.startswith(("exim", "sendmail")) for program in programs):
        return warned(
            asked, got, want,
            "Nothing, if its queue may go: installing Postfix removes it. Look at the queue with: mailq",
        )  # fmt: skip
    return failed(
        asked, got, want,
        "Stop that mail server for good: systemctl disable --now NAME. This shows it: ss -ltnp 'sport = :25'",
    )  # fmt: skip
