"""Block lists: whether an address is on one, asked so that a list which is broken or refuses cannot lie (RFC 5782)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.host import DnsReply, Host

# RFC 5782, section 5: every list has the first, none has the second.
LISTED_TEST = {4: "127.0.0.2", 6: "::ffff:7f00:2"}
CLEAN_TEST = {4: "127.0.0.1", 6: "::ffff:7f00:1"}
# Lists answer from 127.0.0.0/8; Spamhaus and others say "I refuse your question" with 127.255.255.x.
ANSWERS = ipaddress.ip_network("127.0.0.0/8")
REFUSALS = ipaddress.ip_network("127.255.255.0/24")
# Whom to ask to be taken off.
DELISTING = {
    "zen.spamhaus.org": "https://check.spamhaus.org/",
    "bl.spamcop.net": "https://www.spamcop.net/bl.shtml",
    "b.barracudacentral.org": "https://www.barracudacentral.org/rbl/removal-request",
}


def list_name(address: str, zone: str) -> str:
    """The name to look up: 192.0.2.10 in bl.example → "10.2.0.192.bl.example" (RFC 5782, sections 2.1 and 2.4)."""
    pointer = ipaddress.ip_address(address).reverse_pointer
    return f"{pointer.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


def listed(reply: DnsReply) -> bool | None:
    """True or False as the list says; None when its answer is a refusal or no answer at all."""
    if not reply.answered:
        return None
    codes = [ipaddress.ip_address(text) for text in reply.texts("A")]
    if any(code not in ANSWERS or code in REFUSALS for code in codes):
        return None
    return bool(codes)


def not_on_list(zone: str, addresses: Sequence[str], resolvers: Sequence[str], host: Host) -> Finding:
    """None of `addresses` is on the block list `zone`.

    Args:
        zone: the list: "zen.spamhaus.org".
        addresses: IPv4 and IPv6 addresses that mail leaves from.
        resolvers: the machine's own; lists refuse the large public ones.
        host: asks.
    """
    asked = f"{zone} about {', '.join(addresses)}"
    want = "not listed"
    if not addresses or not resolvers:
        return skipped(asked, "there is no address or no resolver to ask with", want)
    on: list[str] = []
    told: list[str] = []
    for address in addresses:
        trust = _trustworthy(zone, address, resolvers, host)
        verdict = None if trust else listed(_ask(host, resolvers, list_name(address, zone)))
        if verdict:
            on.append(f"{address} ({_reason(host, resolvers, list_name(address, zone))})")
        elif verdict is None:
            told.append(f"{address}: {trust or 'the list refused the question'}")
    if on:
        where = DELISTING.get(zone, f"the site of {zone}")
        return failed(
            asked, f"listed: {'; '.join(on)}", want,
            f"Ask to be taken off at {where}. On a new server, ask the provider for another address.",
        )  # fmt: skip
    if len(told) == len(addresses):
        return skipped(asked, "; ".join(told), want, "Unknown, not listed. A resolver of your own gets an answer.")
    got = "not listed" if not told else f"not listed; not known for {'; '.join(told)}"
    return passed(asked, got, want)


def _trustworthy(zone: str, address: str, resolvers: Sequence[str], host: Host) -> str:
    """Why the list cannot be believed about this kind of address, '' when it can."""
    version = ipaddress.ip_address(address).version
    there = listed(_ask(host, resolvers, list_name(LISTED_TEST[version], zone)))
    if there is None:
        return "the list refuses questions from this resolver, or does not answer"
    if not there:
        return f"the list does not know its own test entry for IPv{version}"
    if listed(_ask(host, resolvers, list_name(CLEAN_TEST[version], zone))):
        return "the list says that everything is listed: it is closed or broken"
    return ""


def _ask(host: Host, resolvers: Sequence[str], name: str, rdtype: str = "A") -> DnsReply:
    """The first answer that one of the resolvers gives, else the last failure."""
    reply = host.query(resolvers[0], name, rdtype)
    for server in resolvers[1:]:
        if reply.answered:
            break
        reply = host.query(server, name, rdtype)
    return reply


def _reason(host: Host, resolvers: Sequence[str], name: str) -> str:
    codes = ", ".join(_ask(host, resolvers, name).texts("A"))
    words = " ".join(_ask(host, resolvers, name, "TXT").texts("TXT"))
    return printable(f"{codes} {words}".strip(), 200)
