"""A small pretend Internet of names for the fake machine: two authoritative servers, resolvers, aliases."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fake_host import FakeHost
from wizard.answers import parse
from wizard.fact import Context, Facts
from wizard.host import DnsRecord, DnsReply
from wizard.lookup import World

NS1, NS2 = "203.0.113.53", "203.0.113.54"
RESOLVER, SECOND, THIRD = "203.0.113.55", "203.0.113.56", "203.0.113.57"
Records = dict[tuple[str, str], list[str]]

RAW = {
    "relay": {
        "domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10",
        "ipv6": "2001:db8:2::10", "admin_email": "you@brightmail.example",
    },
    "home": {"domains": ["hearth.example"], "address": "198.51.100.80"},
    "certbot": {"server": "https://acme.certifier.example:14000/dir"},
    "dns": {"resolvers": [RESOLVER]},
}  # fmt: skip
V6_REVERSE = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
SOA = "ns1.registrar.example. hostmaster.registrar.example. 1 7200 3600 86400 300"


def delegated(*zones: str) -> Records:
    return {(zone, "NS"): ["ns1.registrar.example.", "ns2.registrar.example."] for zone in zones}


@dataclass
class NamedHost(FakeHost):
    """A fake machine in a world with names.

    `records` is the truth; `views` what single servers say instead; `silent` servers never answer; `refusing` ones
    answer SERVFAIL.
    """

    records: Records = field(default_factory=dict)
    views: dict[str, Records] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    validated: bool = False
    questions: list[tuple[str, str, str]] = field(default_factory=list)

    def query(self, server: str, name: str, rdtype: str, *, timeout: float = 3.0) -> DnsReply:
        wanted = name.rstrip(".").lower()
        self.questions.append((server, wanted, rdtype))
        if server in self.silent:
            return DnsReply("TIMEOUT")
        if server in self.refusing:
            return DnsReply("SERVFAIL")
        known = {**self.records, **self.views.get(server, {})}
        found: list[DnsRecord] = []
        for _ in range(6):
            alias = known.get((wanted, "CNAME"), [])
            for kind, texts in (("CNAME", alias), (rdtype, known.get((wanted, rdtype), []))):
                found += [DnsRecord(f"{wanted}.", kind, 120, text) for text in texts]
            if not alias:
                break
            wanted = alias[0].rstrip(".")
        exists = any(owner == wanted for (owner, _), texts in known.items() if texts)
        return DnsReply(
            "NOERROR" if found or exists else "NXDOMAIN",
            tuple(found),
            () if found else (DnsRecord("brightmail.example.", "SOA", 300, SOA),),
            authoritative=server in {NS1, NS2},
            authenticated=self.validated and server not in {NS1, NS2},
        )


def published() -> Records:
    """Everything on the sheet but the DKIM keys."""
    reverse = ("2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa")
    return {
        **delegated("brightmail.example", "hearth.example", "example", *reverse),
        ("ns1.registrar.example", "A"): [NS1],
        ("ns2.registrar.example", "A"): [NS2],
        ("mail.brightmail.example", "A"): ["192.0.2.10"],
        ("mail.brightmail.example", "AAAA"): ["2001:db8:2::10"],
        ("brightmail.example", "A"): ["192.0.2.10"],
        ("brightmail.example", "AAAA"): ["2001:db8:2::10"],
        ("mail.brightmail.example", "TXT"): ["v=spf1 a -all"],
        ("brightmail.example", "MX"): ["10 mail.brightmail.example."],
        ("brightmail.example", "TXT"): ["v=spf1 a:mail.brightmail.example -all"],
        ("_dmarc.brightmail.example", "TXT"): ["v=DMARC1; p=none; rua=mailto:dmarc-reports@brightmail.example"],
        ("hearth.example", "MX"): ["10 mail.brightmail.example."],
        ("hearth.example", "TXT"): ["v=spf1 include:brightmail.example -all"],
        ("_dmarc.hearth.example", "TXT"): ["v=DMARC1; p=none; rua=mailto:dmarc-reports@brightmail.example"],
        ("hearth.example._report._dmarc.brightmail.example", "TXT"): ["v=DMARC1;"],
        ("10.2.0.192.in-addr.arpa", "PTR"): ["mail.brightmail.example."],
        (V6_REVERSE, "PTR"): ["mail.brightmail.example."],
    }  # fmt: skip


def world_of(host: FakeHost, raw: dict[str, object] | None = None) -> tuple[Context, World]:
    context = Context(host, parse({**RAW, **(raw or {})}), Facts(host))
    return context, World(host, context.resolvers)
