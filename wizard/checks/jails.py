"""Fail2ban: that it runs, that each jail sees the lines it is there for, and that it cannot shut the operator out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.host import Host

APPLY = "Run: relay-wizard apply fail2ban"
# Journal lines of the postfix daemon carry either unit: Debian 12 runs it as an instance.
POSTFIX_UNITS = ("_SYSTEMD_UNIT=postfix.service", "_SYSTEMD_UNIT=postfix@-.service")
# A listening socket of a service that starts: it reads some weeks of the journal first.
START_SECONDS = 15.0


@dataclass(frozen=True)
class Jail:
    """A jail with the filter it uses and a line, as the daemon writes it, that it has to catch.

    Attributes:
        name: the jail.
        filter: as fail2ban-regex takes it: a name, options in brackets.
        line: the planted line, from a documentation address.
        units: the journal units it must read, where that matters.
    """

    name: str
    filter: str
    line: str
    units: tuple[str, ...] = ()


JAILS = (
    Jail(
        "sshd", "sshd",
        "Nov 23 12:00:00 mail sshd[4242]: Failed password for invalid user admin from 203.0.113.99 port 40022 ssh2",
    ),
    Jail(
        "postfix", "postfix[mode=more]",
        "Nov 23 12:00:00 mail postfix/smtpd[4242]: NOQUEUE: reject: RCPT from unknown[203.0.113.99]: 554 5.7.1 "
        "<a@elsewhere.example>: Relay access denied; from=<b@spam.example> to=<a@elsewhere.example> proto=ESMTP "
        "helo=<spam.example>",
        POSTFIX_UNITS,
    ),
    Jail(
        "postfix-sasl", "postfix[mode=auth]",
        "Nov 23 12:00:00 mail postfix/smtps/smtpd[4242]: warning: unknown[203.0.113.99]: SASL PLAIN authentication "
        "failed: authentication failure",
        POSTFIX_UNITS,
    ),
    Jail(
        "dovecot", "dovecot",
        "Nov 23 12:00:00 mail dovecot: auth-worker(4242): pam(you,203.0.113.99): pam_authenticate() failed: "
        "Authentication failure (password mismatch?)",
        ("_SYSTEMD_UNIT=dovecot.service",),
    ),
)  # fmt: skip


def config_valid(host: Host) -> Finding:
    """Fail2ban would start again with the files as they are."""
    found = host.ask(["fail2ban-client", "-t"], timeout=60)
    asked, want = "fail2ban-client -t", "no complaint"
    if found.ok:
        return passed(asked, "no complaint", want)
    return failed(asked, printable(found.complaint, 400), want, "Mend the file it names below /etc/fail2ban/jail.d.")


def running(host: Host) -> Finding:
    """The server answers, now and after a boot."""
    asked, want = "fail2ban-client ping, systemctl is-enabled fail2ban", "pong, enabled"
    until = host.monotonic() + START_SECONDS
    while not (ping := host.ask(["fail2ban-client", "ping"])).ok and host.monotonic() < until:
        if host.ask(["systemctl", "is-active", "fail2ban"]).text not in {"active", "activating", "reloading"}:
            break
        host.sleep(0.5)
    boots = host.ask(["systemctl", "is-enabled", "fail2ban"]).text or "unknown"
    got = f"{'pong' if ping.ok else printable(ping.complaint, 200)}, {boots}"
    if ping.ok and boots == "enabled":
        return passed(asked, got, want)
    return failed(asked, got, want, f"{APPLY}   Read more with: journalctl -u fail2ban -n 30")


def jail_runs(jail: Jail, host: Host) -> Finding:
    """The jail is started, and reads the units that its daemon logs under."""
    asked, want = f"fail2ban-client get {jail.name} journalmatch", "the jail, reading the journal"
    if jail.units:
        want = f"the jail, reading {' and '.join(unit.removeprefix('_SYSTEMD_UNIT=') for unit in jail.units)}"
    found = host.ask(["fail2ban-client", "get", jail.name, "journalmatch"])
    until = host.monotonic() + START_SECONDS
    # After a start or reload the jails come one after the other.
    while not found.ok and host.ask(["fail2ban-client", "ping"]).ok and host.monotonic() < until:
        host.sleep(0.5)
        found = host.ask(["fail2ban-client", "get", jail.name, "journalmatch"])
    if not found.ok:
        return failed(asked, printable(found.complaint, 200), want, APPLY)
    got = printable(" ".join(found.text.split()), 300)
    missing = [unit for unit in jail.units if not re.search(rf"{re.escape(unit)}(\s|$)", found.out)]
    if missing or "_SYSTEMD_UNIT" not in found.out:
        return failed(asked, got, want, APPLY)
    return passed(asked, got, want)


def jail_matches(jail: Jail, host: Host) -> Finding:
    """The jail's filter catches the line that an attack leaves in the log."""
    found = host.ask(["fail2ban-regex", jail.line, jail.filter], timeout=60)
    asked, want = f"fail2ban-regex '{jail.line[:60]}…' {jail.filter}", "1 matched"
    if found.status == 127:
        return failed(asked, "fail2ban is not installed", want, APPLY)
    counted = re.search(r"Lines: (\d+) lines?, \d+ ignored, (\d+) matched", found.out)
    if counted is None:
        return failed(asked, printable(found.complaint, 300), want, "Look with: fail2ban-client -d   for the filter.")
    got = f"{counted[2]} matched"
    if counted[2] != "0":
        return passed(asked, got, want)
    name = jail.filter.split("[", maxsplit=1)[0]
    do = f"Was /etc/fail2ban/filter.d/{name}.conf changed, or is there a {name}.local? Put the package's own back."
    return failed(asked, got, want, do)


def ignores(entries: Sequence[str], host: Host) -> Finding:
    """Home and the operator are never banned, in any jail."""
    asked, want = "fail2ban-client get JAIL ignoreip", ", ".join(entries)
    # One client for all jails: each start of it costs a quarter of a second.
    questions = "".join(f"get {jail.name} ignoreip\n" for jail in JAILS)
    found = host.ask(["fail2ban-client", "-i"], stdin=questions.encode())
    answers = found.out.split("fail2ban> ")[1 : len(JAILS) + 1]
    if len(answers) < len(JAILS):
        return failed(asked, printable(found.complaint, 200), want, APPLY)
    missing: list[str] = []
    for jail, answer in zip(JAILS, answers, strict=True):
        known = set(re.findall(r"^[|`]-\s*(\S+)", answer, re.MULTILINE))
        missing += [f"{entry} in {jail.name}" for entry in entries if _bare(entry) not in known]
    if missing:
        return failed(asked, f"missing: {', '.join(missing)}", want, APPLY)
    return passed(asked, want, want)


def _bare(entry: str) -> str:
    """A network of one address as fail2ban shows it: without its length."""
    return entry.removesuffix("/32") if "." in entry else entry.removesuffix("/128")


def none_banned(entries: Sequence[str], host: Host) -> Finding:
    """Home and the operator are not banned at this moment."""
    asked, want = "fail2ban-client banned", f"neither of {', '.join(entries)}"
    found = host.ask(["fail2ban-client", "banned"])
    if not found.ok:
        return skipped(asked, printable(found.complaint, 200), want, APPLY)
    held = [_bare(entry) for entry in entries if f"'{_bare(entry)}'" in found.out]
    if held:
        return failed(asked, ", ".join(held), want, f"Let them go: fail2ban-client unban {' '.join(held)}")
    return passed(asked, "none of them", want)
