"""The record sheet: every DNS record of every domain, so that one trip to the registrar does for all.

The command line and the screens use `sheet`, `live`, `as_table`, `as_zone` and `as_json`; the steps `dns` and `ptr`
judge each record of the sheet against the world.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wizard.operations.dkim_key import public_record, record_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wizard.checks.dns import Seen
    from wizard.fact import Context

Kind = Literal["a", "aaaa", "mx", "spf", "dkim", "dmarc", "report", "ptr"]
LiveState = Literal["published", "missing", "wrong", "unknown"]

# An hour: short enough to mend a mistake the same day, long enough for every resolver's cache to be of use.
TTL = 3600
MX_PRIORITY = 10
# RFC 1035, section 3.3.14: a TXT record is made of strings of at most this many octets.
LONGEST_STRING = 255
NOT_MADE = "(not known yet: apply the step “DNS records”, dns)"


@dataclass(frozen=True)
class PublishedRecord:
    """One record that somebody has to publish.

    Attributes:
        kind: what it is for; decides how it is judged.
        subject: whom it speaks of, without decoration: the domain, the host name or the address.
        name: the full name, without the final dot.
        type: "A", "TXT" …
        value: as typed into a registrar's form: a TXT text joined and unquoted, host names without the final dot;
            '' for the record of a DKIM key that is not made yet.
        priority: of an MX.
        ttl: seconds.
        where: "registrar", or "provider" for the reverse names in the panel of the server's provider.
        why: one plain sentence.
        zone: the domain whose registrar takes it; '' for reverse names.
        may_differ: True when another value is the operator's good right (a web site at the domain itself).
    """

    kind: Kind
    subject: str
    name: str
    type: str
    value: str
    why: str
    zone: str
    priority: int | None = None
    ttl: int = TTL
    where: Literal["registrar", "provider"] = "registrar"
    may_differ: bool = False

    @property
    def host(self) -> str:
        """What a registrar's form wants as host: "@", "mail", "default._domainkey"; the address for reverse names."""
        if self.kind == "ptr":
            return self.subject
        if self.name == self.zone:
            return "@"
        return self.name.removesuffix(f".{self.zone}")

    @property
    def line(self) -> str:
        """The record as one line to type in: "MX  @  10 mail.brightmail.example"."""
        priority = "" if self.priority is None else f"{self.priority} "
        return f"{self.type}  {self.host}  {priority}{self.value or NOT_MADE}"


@dataclass(frozen=True)
class Live:
    """What the world sees of a record now, the story in one sentence, and what each server says."""

    state: LiveState
    detail: str = ""
    seen: tuple[Seen, ...] = ()


def sheet(context: Context) -> tuple[PublishedRecord, ...]:
    """Every record, the relay's domain first, then home's domains, then the reverse names."""
    found = [*_relay(context)]
    for domain in context.answers.home_domains:
        found += _mail_domain(context, domain)
    found += _report_permissions(context)
    found += _reverse_names(context)
    # A name that plays two parts (the mail host is a mail domain as well, say) gets each record once, the first one.
    unique: dict[tuple[str, str, str], PublishedRecord] = {}
    for record in found:
        unique.setdefault((record.kind, record.name, record.value if record.kind in {"a", "aaaa"} else ""), record)
    return tuple(unique.values())


def _relay(context: Context) -> Iterator[PublishedRecord]:
    hostname, domain = context.hostname, context.domain
    for name in dict.fromkeys((hostname, domain)):
        for address in context.addresses:
            yield _address(context, name, address)
    # Two records for one name: the mail host may be the domain itself; then one SPF record serves both.
    yield _text(
        context, "spf", hostname, hostname, f"v=spf1 a {context.answers.spf.policy}",
        "Mail of the relay's own, such as bounces, is checked by its host name: nobody else may use that.",
    )  # fmt: skip
    yield from _mail_domain(context, domain)


def _address(context: Context, name: str, address: str) -> PublishedRecord:
    version = ipaddress.ip_address(address).version
    main = name == context.hostname
    why = "The mail host's own address." if main else "The domain's address; the certificate names the domain too."
    return PublishedRecord(
        "a" if version == 4 else "aaaa", name, name, "A" if version == 4 else "AAAA", address, why,
        zone_of(context, name), may_differ=not main,
    )  # fmt: skip


def _mail_domain(context: Context, domain: str) -> Iterator[PublishedRecord]:
    """What makes others deliver a domain's mail here, and believe the mail that comes from here."""
    zone = zone_of(context, domain)
    yield PublishedRecord(
        "mx", domain, domain, "MX", context.hostname, f"Mail for {domain} comes to the relay.", zone,
        priority=MX_PRIORITY,
    )  # fmt: skip
    yield _text(
        context, "spf", domain, domain, f"v=spf1 {spf_mechanism(context, domain)} {context.answers.spf.policy}",
        f"The relay, and nobody else, sends mail of {domain}.",
    )  # fmt: skip
    yield _text(
        context, "dkim", domain, record_name(context, domain), _public_record(context, domain),
        f"The public key with which receivers verify the signature on mail of {domain}.",
    )  # fmt: skip
    yield _text(
        context, "dmarc", domain, f"_dmarc.{domain}",
        f"v=DMARC1; p={context.answers.dmarc.policy}; rua={','.join(context.answers.report_addresses)}",
        f"What receivers do with mail that only pretends to come from {domain}, and where they report it.",
    )  # fmt: skip


def spf_mechanism(context: Context, domain: str) -> str:
    """The word of a domain's SPF record that lets the relay send.

    Home's domains include the relay's record, so that a new address of the relay is published once.
    """
    if domain == context.hostname:
        return "a"
    return f"a:{context.hostname}" if domain == context.domain else f"include:{context.domain}"


def _report_permissions(context: Context) -> Iterator[PublishedRecord]:
    """Reports for one domain that go to a mailbox of another need the other's permission (RFC 9990, section 4)."""
    for domain, destination in report_destinations(context):
        owner = next((own for own in context.answers.mail_domains if _within(destination, own)), "")
        if owner:
            yield _text(
                context, "report", domain, report_name(domain, destination), "v=DMARC1;",
                f"Reports about {domain} may be sent to a mailbox of {destination}.",
            )  # fmt: skip


def report_destinations(context: Context) -> tuple[tuple[str, str], ...]:
    """Pairs of a mail domain and the foreign domain that its reports go to."""
    mailboxes = [uri.removeprefix("mailto:").rpartition("@")[2] for uri in context.answers.report_addresses]
    return tuple(
        (domain, destination)
        for domain in context.answers.mail_domains
        for destination in dict.fromkeys(mailboxes)
        if foreign(domain, destination)
    )


def foreign(domain: str, destination: str) -> bool:
    """True when a report's destination is not of the domain's own family."""
    return not _within(destination, domain) and not _within(domain, destination)


def report_name(domain: str, destination: str) -> str:
    """Where the permission stands."""
    return f"{domain}._report._dmarc.{destination}"


def _reverse_names(context: Context) -> Iterator[PublishedRecord]:
    for address in context.addresses:
        yield PublishedRecord(
            "ptr", address, ipaddress.ip_address(address).reverse_pointer, "PTR", context.hostname,
            "Large receivers refuse mail from an address that has no name, or another one.", "", where="provider",
        )  # fmt: skip


def _text(context: Context, kind: Kind, subject: str, name: str, value: str, why: str) -> PublishedRecord:  # noqa: PLR0917
    return PublishedRecord(kind, subject, name, "TXT", value, why, zone_of(context, name))


def _public_record(context: Context, domain: str) -> str:
    try:
        return public_record(context, domain)
    except ValueError:
        # The sheet stays readable; the operation that makes keys says what is wrong with the file.
        return ""


def zone_of(context: Context, name: str) -> str:
    """The domain of ours that a name belongs to; for a host name outside all of them, the domain above it."""
    own = [domain for domain in context.answers.mail_domains if _within(name, domain)]
    if own:
        # A domain below another one of ours is hardly ever registered apart from it.
        return min(own, key=len)
    return name.partition(".")[2] if name.count(".") > 1 else name


def _within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def live(context: Context, records: Sequence[PublishedRecord]) -> dict[PublishedRecord, Live]:
    """Ask the world about each record, all at once. Takes seconds; never raises for what DNS says or fails to say."""
    from concurrent.futures import ThreadPoolExecutor

    from wizard.checks.dns import judge
    from wizard.lookup import World

    world = World(context.host, context.resolvers)

    def one(record: PublishedRecord) -> Live:
        verdict = judge(context, world, record)
        state: LiveState = "published" if verdict.state == "unseen" else verdict.state
        return Live(state, verdict.got, verdict.seen)

    with ThreadPoolExecutor(16) as pool:
        return dict(zip(records, pool.map(one, records), strict=True))


def as_json(
    records: Sequence[PublishedRecord], states: Mapping[PublishedRecord, Live] | None = None
) -> list[dict[str, Any]]:
    """The rows of the command-line contract."""
    return [
        {
            "name": record.name, "type": record.type, "value": record.value, "priority": record.priority,
            "ttl": record.ttl, "where": record.where, "why": record.why,
            "live": (states or {}).get(record, Live("unknown")).state,
        }
        for record in records
    ]  # fmt: skip


def as_table(records: Sequence[PublishedRecord], states: Mapping[PublishedRecord, Live] | None = None) -> str:
    """A sheet for people: one table for each registrar, one for the provider, values whole and on one line."""
    blocks = []
    for zone in dict.fromkeys(record.zone for record in records):
        group = [record for record in records if record.zone == zone]
        where = f"At the registrar of {zone}" if zone else "In the panel of the server's provider, or by a ticket"
        blocks.append("\n".join([f"{where}:", "", *_rows(group, states or {})]))
    if any(len(record.value) > LONGEST_STRING for record in records):
        blocks.append(_long_values(records))
    return "\n\n".join(blocks) + "\n"


def _rows(records: Sequence[PublishedRecord], states: Mapping[PublishedRecord, Live]) -> list[str]:
    cells = [["Type", "Host", "Prio", "TTL", "Value"]]
    for record in records:
        priority = "" if record.priority is None else str(record.priority)
        cells.append([record.type, record.host, priority, str(record.ttl), record.value or NOT_MADE])
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = []
    stories = ["", *(_story(record, states) for record in records)]
    for row, story in zip(cells, stories, strict=True):
        lines.append("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]))
        if story:
            lines.append(story)
    return lines


def _story(record: PublishedRecord, states: Mapping[PublishedRecord, Live]) -> str:
    return f"      {states[record].state}: {states[record].detail}" if record in states else ""


def _long_values(records: Sequence[PublishedRecord]) -> str:
    lines = [f"Where a form takes no more than {LONGEST_STRING} characters, the same values in quoted pieces:", ""]
    lines += [f"{record.name}\n{quoted(record.value)}\n" for record in records if len(record.value) > LONGEST_STRING]
    return "\n".join(lines).rstrip()


def quoted(value: str) -> str:
    """A TXT value as a zone file has it: quoted strings of at most 255 octets, which are joined without spaces."""
    data = value.encode()
    chunks = [data[at : at + LONGEST_STRING] for at in range(0, len(data), LONGEST_STRING)] or [b""]
    escaped = [chunk.decode().replace("\\", "\\\\").replace('"', '\\"') for chunk in chunks]
    return " ".join(f'"{chunk}"' for chunk in escaped)


def as_zone(records: Sequence[PublishedRecord]) -> str:
    """The sheet as lines of a zone file (RFC 1035, section 5), all names complete."""
    lines: list[str] = []
    for zone in dict.fromkeys(record.zone for record in records):
        lines.append(f"; {zone or 'reverse names, in the zones of the provider'}")
        lines += [_zone_line(record) for record in records if record.zone == zone]
        lines.append("")
    return "\n".join(lines).rstrip()


def _zone_line(record: PublishedRecord) -> str:
    if not record.value:
        return f"; {record.name}. TXT {NOT_MADE}"
    value = record.value
    if record.type == "TXT":
        value = quoted(value)
    elif record.type in {"MX", "PTR"}:
        value = f"{value}."
    priority = "" if record.priority is None else f"{record.priority} "
    return f"{record.name}. {record.ttl} IN {record.type} {priority}{value}"
