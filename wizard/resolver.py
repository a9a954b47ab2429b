"""One DNS question to one name server, by dnspython, in the small form that the program works with."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.TXT

from wizard.host import DnsRecord, DnsReply

# An answer larger than this is no mail record; it is cut, so that a hostile server costs no memory. By TCP one message
# has 64 KiB at most.
MOST_RECORDS = 200
LONGEST_TEXT = 8192


def query(server: str, name: str, rdtype: str, timeout: float) -> DnsReply:
    """Ask `server` (an IP address) for `name` and `rdtype`; see `Host.query`."""
    try:
        question = dns.message.make_query(dns.name.from_text(name), rdtype, use_edns=True, want_dnssec=False)
        question.flags |= dns.flags.AD
        # A packet that is no answer to this question may come from anybody; the right one may still come after it.
        reply, _ = dns.query.udp_with_fallback(
            question, server, timeout=timeout, ignore_unexpected=True, ignore_errors=True
        )
        return judged(reply)
    except dns.exception.Timeout:
        return DnsReply("TIMEOUT")
    except Exception:  # noqa: BLE001 - what a hostile packet makes of a parser is no answer, whatever it is called
        return DnsReply("UNREACHABLE")


def judged(reply: dns.message.Message) -> DnsReply:
    """A message of the wire in our own form, cut to what is worth reading."""
    return DnsReply(
        rcode=dns.rcode.to_text(reply.rcode()),
        records=_records(reply.answer),
        authority=_records(reply.authority),
        authoritative=bool(reply.flags & dns.flags.AA),
        authenticated=bool(reply.flags & dns.flags.AD),
    )


def _records(section: list[dns.rrset.RRset]) -> tuple[DnsRecord, ...]:
    found: list[DnsRecord] = []
    for rrset in section:
        name = rrset.name.to_text().lower()
        kind = dns.rdatatype.to_text(rrset.rdtype)
        for rdata in rrset:
            found.append(DnsRecord(name, kind, rrset.ttl, _text(rdata)))
            if len(found) == MOST_RECORDS:
                return tuple(found)
    return tuple(found)


def _text(rdata: dns.rdata.Rdata) -> str:
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(rdata.strings).decode("utf-8", errors="replace")[:LONGEST_TEXT]
    return rdata.to_text().lower()[:LONGEST_TEXT]
