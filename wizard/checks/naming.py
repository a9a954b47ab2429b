"""The machine's own name and clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.operations.system import container, current_zone, live_hostname, stored_hostname

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.host import Host

# A daemon that was started a moment ago needs some packets from its servers first.
SYNC_SECONDS = 10.0
TIME_DAEMONS = ("systemd-timesyncd", "chrony", "chronyd", "ntpsec", "ntp", "ntpd", "openntpd")


def hostname_kept(context: Context, host: Host) -> Finding:
    """The kernel and /etc/hostname have the answered name, so that it survives a boot."""
    live, kept = live_hostname(host), stored_hostname(host)
    asked, want = "the kernel and /etc/hostname", context.hostname
    if live == kept == want:
        return passed(asked, want, want)
    return failed(asked, f"{live or 'nothing'} now, {kept or 'nothing'} kept", want, "Run: relay-wizard apply hostname")


def full_name(context: Context, host: Host) -> Finding:
    """`hostname -f`, which many daemons ask, is the full name."""
    found = host.ask(["hostname", "-f"])
    asked, want = "hostname -f", context.hostname
    if found.ok and found.text == want:
        return passed(asked, found.text, want)
    return failed(asked, found.text or found.complaint, want, "Run: relay-wizard apply hostname")


def no_loopback_alias(context: Context, host: Host) -> Finding:
    """The name leads to the public address here as well: on a loopback one, daemons would greet with the wrong host."""
    asked, want = f"getent ahosts {context.hostname}", "the public addresses"
    asked_tool = host.ask(["getent", "ahosts", context.hostname])
    found = tuple(dict.fromkeys(line.split()[0] for line in asked_tool.out.splitlines() if line.split()))
    do = "Run: relay-wizard apply hostname   and take the name out of the loopback lines of /etc/hosts."
    loopback = [address for address in found if address.startswith("127.") or address == "::1"]
    if loopback or not found:
        return failed(asked, ", ".join(found) or "nothing", want, do)
    if context.ipv4 and context.ipv4 not in found:
        return failed(asked, ", ".join(found), f"{context.ipv4} among them", do)
    return passed(asked, ", ".join(found), want)


def mailname(context: Context, host: Host) -> Finding:
    """/etc/mailname, which Debian's mail programs put behind the @ of a local sender, is the domain."""
    found = (host.read("/etc/mailname") or b"").decode(errors="replace").strip()
    asked, want = "/etc/mailname", context.domain
    if found == want:
        return passed(asked, found, want)
    return failed(asked, found or "not there", want, "Run: relay-wizard apply hostname")


def zone_is(zone: str, host: Host) -> Finding:
    """Log lines carry the time that the operator reads."""
    found = current_zone(host)
    asked, want = "/etc/localtime", zone
    if found == zone:
        return passed(asked, found, want)
    return failed(asked, found or "a copy of a zone file", want, "Run: relay-wizard apply clock")


def time_daemon(host: Host) -> str:
    """The program that keeps the clock right, '' when none runs."""
    for name in TIME_DAEMONS:
        if host.ask(["systemctl", "is-active", f"{name}.service"]).text == "active":
            return name
    return ""


def synchronised(host: Host) -> Finding:
    """The clock is right: certificates, signatures and one-time codes all depend on it."""
    asked, want = "timedatectl, NTPSynchronized", "yes"
    kind = container(host)
    if _is_synchronised(host):
        return passed(asked, "yes", want)
    if kind:
        return skipped(
            asked, f"this is a container ({kind}): its clock is that of the machine around it", want,
            "See to it that the machine around it is synchronised.",
        )  # fmt: skip
    daemon = time_daemon(host)
    if not daemon:
        return failed(asked, "no, and no program sees to it", want, "Run: relay-wizard apply clock")
    until = host.monotonic() + SYNC_SECONDS
    while host.monotonic() < until:
        host.sleep(1)
        if _is_synchronised(host):
            return passed(asked, "yes", want)
    return warned(
        asked, f"not yet, though {daemon} runs", want,
        "Wait a minute. If it stays so, the provider blocks port 123: timedatectl timesync-status",
    )  # fmt: skip


def _is_synchronised(host: Host) -> bool:
    return host.ask(["timedatectl", "show", "-p", "NTPSynchronized", "--value"]).text == "yes"
