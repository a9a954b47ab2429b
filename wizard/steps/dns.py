"""The records at the registrars: all of them on one sheet, watched until the whole world has them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.step import NAME, Field, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wizard.check import Finding
    from wizard.fact import Context
    from wizard.host import Host
    from wizard.operation import Operation
    from wizard.records import PublishedRecord


def plan(context: Context) -> Sequence[Operation]:
    """The DKIM keys, so that their records can be published with all others; OpenDKIM's account owns them."""
    from wizard.operations.dkim_key import make_key
    from wizard.operations.packages import InstallPackages

    platform = context.platform
    return (
        InstallPackages(platform, platform.packages["dkim"]),
        *(make_key(context, domain) for domain in context.answers.mail_domains),
    )


def checks(context: Context) -> Sequence[Check]:
    """Each record of the sheet, then what else in DNS could stand in the way."""
    from wizard.checks import dns as ask
    from wizard.lookup import World
    from wizard.records import sheet

    world = World(context.host, context.resolvers)
    found = [
        Check(check_id(record), title(record), here(partial(ask.check, context, world, record)), outside=True)
        for record in sheet(context)
        if record.where == "registrar"
    ]
    hostname = context.hostname
    if not context.answers.relay.ipv6:
        ask_six = here(partial(ask.no_ipv6, context, world))
        found.append(
            Check(f"dns.no_aaaa.{hostname}", f"{hostname} does not promise IPv6", ask_six, outside=True)
        )  # fmt: skip
    allowed = here(partial(ask.certifier_allowed, context, world, hostname))
    found.append(
        recommended(
            Check(f"dns.caa.{hostname}", "The certificate authority may issue (CAA)", allowed, outside=True)
        )
    )  # fmt: skip
    for domain in context.answers.mail_domains:
        signed = here(partial(ask.dnssec, world, domain))
        found.append(
            recommended(
                Check(f"dns.dnssec.{domain}", f"DNSSEC of {domain} holds, if it is used", signed, outside=True)
            )
        )  # fmt: skip
    return found


def here(function: Callable[[], Finding]) -> Callable[[Host], Finding]:
    """A check's question whose host is in the world that it asks already."""
    return lambda _host: function()


def check_id(record: PublishedRecord) -> str:
    """Such as "dns.mx.brightmail.example"; a permission for reports is known by both of its domains."""
    subject = record.name.replace("._report._dmarc.", ".to.") if record.kind == "report" else record.subject
    return f"dns.{record.kind}.{subject}"


def title(record: PublishedRecord) -> str:
    """The sentence that is true when the record is published and right."""
    subject = record.subject
    return {
        "a": f"{subject} has the address {record.value}",
        "aaaa": f"{subject} has the address {record.value}",
        "mx": f"Mail for {subject} comes to {record.value}",
        "spf": f"SPF lets the relay send as {subject}",
        "dkim": f"The DKIM record of {subject} is the key on this server",
        "dmarc": f"{subject} has a DMARC record",
        "report": f"Reports about {subject} are allowed",
    }[record.kind]


STEP = Step(
    id="dns",
    title="DNS records",
    group=NAME,
    why="Receivers look up who may send mail of your domain, and senders look up where it goes.\n"
    "All records are on one sheet: relay-wizard records",
    better="One trip to the registrar: the DKIM keys are made now, so that nothing has to be added later. The HELO\n"
    "name has an SPF record of its own, home's domains include the relay's, and DMARC uses no withdrawn tag.",
    plan=plan,
    checks=checks,
    fields=(
        Field("spf.policy", "What shall receivers do with mail from elsewhere?", "-all: refuse it; ~all: mark it."),
        Field("dkim.selector", "What is the signing key called?", "A date such as s2026 makes a later change easy."),
        Field("dmarc.policy", "And with mail that fails both SPF and DKIM?", "Begin with none and read the reports."),
        Field("dmarc.rua", "Who reads their reports?", "mailto: and an address that exists."),
    ),
    requires=("preflight",),
)
