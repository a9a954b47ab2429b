"""DMARC records of our domains, as receivers read them, and the mailbox that reports go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.checks import dmarc_record, smtp
from wizard.checks.dkim import MILTER as DKIM_MILTER
from wizard.operations.postfix import effective
from wizard.printable import printable

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.host import Host
    from wizard.lookup import World

MEND = "Run: relay-wizard apply dmarc"
MILTER = "inet:127.0.0.1:8893"


def texts(world: World, name: str) -> tuple[str, ...] | None:
    """The TXT records at a name, () when there are none, None when DNS does not answer."""
    reply = world.truth(name, "TXT")
    return reply.texts("TXT") if reply.answered else None


def mailbox(context: Context, host: Host) -> Finding:
    """Reports must not bounce: a mailbox of theirs at one of our domains has to take mail."""
    ours = [
        uri.removeprefix("mailto:")
        for uri in context.answers.report_addresses
        if uri.rpartition("@")[2] in context.answers.mail_domains
    ]
    asked = f"{context.hostname}, port 25: RCPT TO:<{'>, <'.join(ours)}>"
    want = "250"
    if not ours:
        return skipped(asked, "reports go to mailboxes of others", want)
    try:
        with smtp.as_stranger(context, host) as speak:
            for address in ours:
                reply = speak.recipient("", address)
                if not reply.ok:
                    if reply.code < 500:
                        do = "It takes no mail at all now. Run: relay-wizard verify postfix dkim"
                        return failed(asked, f"{address}: {reply.text}", want, do)
                    do = f"Make the mailbox {address} (an alias will do), or answer dmarc.rua with one that exists."
                    return failed(asked, f"{address}: {reply.text}", want, do)
    except smtp.SmtpError as error:
        return failed(asked, str(error), want, "Run: relay-wizard apply postfix")
    return passed(asked, "250 for each", want)


def policy(context: Context, host: Host, *, world: World) -> Finding:  # noqa: ARG001 - asked through world
    """What the published policies do against forgers, as advice."""
    domains = context.answers.mail_domains
    asked, want = f"authoritative servers, p= of {', '.join(domains)}", "quarantine or reject, once reports are clean"
    policies = {}
    for domain in domains:
        found = [text for text in texts(world, f"_dmarc.{domain}") or () if dmarc_record.is_dmarc(text)]
        if len(found) == 1:
            parsed = dmarc_record.parse(found[0])
            policies[domain] = "none" if parsed.testing else parsed.policy
    got = ", ".join(f"{domain}: p={value}" for domain, value in policies.items())
    if len(policies) < len(domains):
        return skipped(asked, got or "no record could be read", want)
    if "none" not in policies.values():
        return passed(asked, got, want)
    return warned(
        asked, f"{got}: forgeries in your name are only reported", want,
        'After some weeks in which the reports show nothing but your own mail, answer dmarc.policy with "quarantine", '
        'publish what `relay-wizard records` then shows, and after some more weeks with "reject".',
    )  # fmt: skip


def wired(host: Host) -> Finding:
    """Postfix shows incoming mail to OpenDKIM first, whose result OpenDMARC needs."""
    asked, want = "postconf -x smtpd_milters", f"{DKIM_MILTER} and after it {MILTER}"
    found = effective(host, "smtpd_milters").get("smtpd_milters", "")
    signer, judge = found.find(DKIM_MILTER), found.find(MILTER)
    if 0 <= signer < judge:
        return passed(asked, printable(found, 200), want)
    return failed(asked, printable(found, 200) or "none", want, "Run: relay-wizard apply postfix dkim dmarc")


def configuration(host: Host, *, path: str) -> Finding:
    """The milter's own judgement on its configuration."""
    asked, want = f"opendmarc -n -c {path}", "no complaint"
    done = host.ask(["opendmarc", "-n", "-c", path])
    if done.ok:
        return passed(asked, "no complaint", want)
    return failed(asked, printable(done.complaint, 300), want, MEND)
