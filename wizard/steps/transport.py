"""Mail for home's domains goes to the server in the house, and only for addresses that exist there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, Finding, failed, passed
from wizard.hooks import FOLDER, HOME_RECIPIENTS, HOME_TRANSPORT
from wizard.printable import printable
from wizard.step import CARRY, Field, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.answers import Home
    from wizard.fact import Context
    from wizard.host import Host
    from wizard.operation import Operation

TRANSPORT = f"{FOLDER}/relay-wizard-transport"
ASKED = f"{FOLDER}/relay-wizard-home-recipients"
LISTED = f"{FOLDER}/relay-wizard-recipients"
MEND = "Run: relay-wizard apply transport"


def plan(context: Context) -> Sequence[Operation]:
    """The maps first, then the parameters that name them."""
    from wizard.operations.files import write_template

    home = context.answers.home
    if home is None:
        return ()
    reads = (context.platform.services["postfix"],)
    return (
        write_template("transport", TRANSPORT, notify=reads, domains=home.domains, nexthop=nexthop(home)),
        *(asked(home, reads) if home.recipients == "verify" else listed(home, reads)),
    )


def nexthop(home: Home) -> str:
    """Home as Postfix writes it: "[198.51.100.80]:10025", "[ipv6:2001:db8::80]:10025"."""
    literal = f"ipv6:{home.address}" if ":" in home.address else home.address
    return f"[{literal}]:{home.port}"


def common(home: Home) -> tuple[tuple[str, str], ...]:
    """What holds however home's addresses are known."""
    return (
        ("relay_domains", ", ".join(home.domains)),
        (HOME_TRANSPORT, f"texthash:{TRANSPORT}"),
        # Without relay_domains in it: home's domains are ours to carry, names below them are not.
        (
            "parent_domain_matches_subdomains",
            "debug_peer_list, fast_flush_domains, mynetworks, qmqpd_authorized_clients, smtpd_access_maps",
        ),
    )


def asked(home: Home, reads: tuple[str, ...]) -> tuple[Operation, ...]:
    """Home is asked about each address, once; Postfix remembers the answer."""
    from wizard.operations.files import RemoveFile, write_template
    from wizard.operations.postfix import SetPostfixParameters

    return (
        write_template("transport", ASKED, notify=reads, domains=home.domains),
        SetPostfixParameters(
            (
                *common(home),
                (HOME_RECIPIENTS, f"check_recipient_access texthash:{ASKED}"),
                ("unverified_recipient_reject_code", "550"),
                # A "no" is forgotten soon: it may only have meant that home was off. A "yes" is kept for weeks.
                ("address_verify_negative_expire_time", "1m"),
                ("address_verify_negative_refresh_time", "15s"),
                # Else strangers would read home's own words, and with them its address.
                ("unverified_recipient_reject_reason", "not accepted by the mail server of this domain"),
            ),
            remove=("relay_recipient_maps",), notify=reads,
        ),
        RemoveFile(LISTED, notify=reads),
    )  # fmt: skip


def listed(home: Home, reads: tuple[str, ...]) -> tuple[Operation, ...]:
    """The answers list all addresses of home."""
    from wizard.operations.files import RemoveFile, write_template
    from wizard.operations.postfix import SetPostfixParameters

    return (
        write_template("transport", LISTED, notify=reads, recipients=home.recipients),
        SetPostfixParameters(
            (*common(home), (HOME_RECIPIENTS, ""), ("relay_recipient_maps", f"texthash:{LISTED}")), notify=reads,
        ),
        RemoveFile(ASKED, notify=reads),
    )  # fmt: skip


def checks(context: Context) -> Sequence[Check]:
    """Each domain is ours to carry and has its way; whether home answers is asked by the step home."""
    home = context.answers.home
    if home is None:
        return ()
    return (
        *(
            Check(
                f"transport.route_{number}" if number else "transport.route",
                f"Mail for {domain} goes to {nexthop(home)}", partial(routed, domain=domain, want=nexthop(home)),
            )
            for number, domain in enumerate(home.domains)
        ),
        Check(
            "transport.relay_domains", "Postfix carries home's domains and no others",
            partial(carried, domains=home.domains),
        ),
        Check(
            "transport.recipients", "Addresses of home are known before mail is taken",
            partial(recipients_known, verify=home.recipients == "verify"),
        ),
    )  # fmt: skip


def routed(host: Host, *, domain: str, want: str) -> Finding:
    """Ask the transport maps in force, as Postfix does."""
    from wizard.checks.postfix import transport_of

    question = f"postmap -q {domain}, transport_maps"
    got = transport_of(host, domain)
    wanted = f"smtp:{want}"
    if got == wanted:
        return passed(question, got, wanted)
    return failed(question, printable(got) or "no entry", wanted, MEND)


def carried(host: Host, *, domains: tuple[str, ...]) -> Finding:
    """relay_domains in force: one too few refuses mail, one too many carries somebody else's."""
    from wizard.operations.postfix import effective

    found = effective(host, "relay_domains").get("relay_domains", "")
    words = set(found.replace(",", " ").split())
    want = ", ".join(domains)
    if words == set(domains):
        return passed("postconf -x relay_domains", found, want)
    return failed("postconf -x relay_domains", printable(found) or "none", want, MEND)


def recipients_known(host: Host, *, verify: bool) -> Finding:
    """Either the list of addresses is in force, or the question to home is; else bounces go to strangers."""
    from wizard.operations.postfix import effective

    found = effective(host, "relay_recipient_maps", "smtpd_recipient_restrictions", "unverified_recipient_reject_code")
    question = f"postconf -x {' '.join(found)}"
    table = ASKED if verify else LISTED
    want = f"texthash:{table} in force, and the file there"
    here = f"texthash:{table}" in found.get("smtpd_recipient_restrictions" if verify else "relay_recipient_maps", "")
    refuses = not verify or found.get("unverified_recipient_reject_code") == "550"
    if here and refuses and host.read(table) is not None:
        return passed(question, f"texthash:{table}", want)
    got = f"relay_recipient_maps = {found.get('relay_recipient_maps', '')}" if here is False else "not refused with 550"
    return failed(question, printable(got if host.read(table) is not None else f"{table} is missing"), want, MEND)


STEP = Step(
    id="transport",
    title="The way home",
    group=CARRY,
    why="Mail for the domains of your home server is taken here and passed on to it, on a port that its provider\n"
    "leaves open.",
    better="An address that home does not know is refused at once: a relay that takes everything has to bounce it to\n"
    "forged senders later. The hop is encrypted when home offers it.",
    plan=plan,
    checks=checks,
    fields=(
        Field("home.domains", "Which domains does your home server have?"),
        Field("home.address", "Under which address or name is home reached?", "Its public address, or a dynamic name."),
        Field("home.port", "On which port does home take mail from here?", "10025 is usual: providers block port 25."),
        Field(
            "home.recipients", "How are home's addresses known?",
            '"verify" asks home about each; or list them all, which also works while home is off.',
        ),
        Field(
            "home.networks", "Which addresses may relay without a login?",
            "Best none: home logs in. An address that changes owners would let a stranger send as you.",
        ),
    ),
    requires=("postfix",),
    skip=lambda answers: "" if answers.home else "there is no home server in the answers",
)  # fmt: skip
