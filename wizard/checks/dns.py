"""DNS as receivers see it: each record of the sheet asked of every authoritative server, then of the resolvers.

What is compared is what a record means, not how it is written: further TXT records and a wider SPF are fine.

For other steps: `lookup`, `authoritative_servers`, `spf_records`, `evaluate_spf`, `dkim_texts`, `txt`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.checks import dkim_record, dmarc_record, spf_record
from wizard.lookup import World, authoritative_servers, chain, duration, lookup, owned, plain, time_left
from wizard.operations.dkim_key import key_path, public_key
from wizard.printable import printable
from wizard.records import PublishedRecord, foreign, report_name, spf_mechanism

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wizard.fact import Context
    from wizard.host import DnsReply, Host
    from wizard.lookup import Word, Zone

__all__ = ["authoritative_servers", "dkim_texts", "evaluate_spf", "lookup", "spf_records", "txt"]

SHEET = "All records, ready to copy: relay-wizard records"
ELSEWHERE = "It is right by itself; mend first what it refers to: relay-wizard verify dns"
# The name that each certificate authority goes by in CAA records, by the host of its ACME server.
ISSUERS = {
    "letsencrypt.org": "letsencrypt.org",
    "zerossl.com": "sectigo.com",
    "pki.goog": "pki.goog",
    "ssl.com": "ssl.com",
    "buypass.com": "buypass.com",
}
# Names that providers give to addresses by the thousand; large receivers trust their owners less.
GENERIC = re.compile(
    r"(^|[.-])((static|dynamic|dyn|dhcp|pool|ppp|a?dsl|unassigned)([.0-9-]|$)|(ip|host|vps|client|cust|cable)-?\d)"
)


# --- for everybody ----------------------------------------------------------------------------------------------------


def txt(host: Host, resolvers: Sequence[str], name: str) -> tuple[str, ...] | None:
    """The TXT records at a name as the first resolver that answers has them; None when none answers."""
    reply = lookup(host, resolvers, name, "TXT")
    return at_name(reply, name, "TXT") if reply.answered else None


def spf_records(host: Host, resolvers: Sequence[str], domain: str) -> tuple[str, ...] | None:
    """The SPF records of a domain, of which there must be one; None when DNS does not answer."""
    found = txt(host, resolvers, domain)
    return None if found is None else tuple(text for text in found if spf_record.is_spf(text))


def dkim_texts(host: Host, resolvers: Sequence[str], selector: str, domain: str) -> tuple[str, ...] | None:
    """The TXT records of a DKIM selector, of which there must be one; None when DNS does not answer."""
    return txt(host, resolvers, f"{selector}._domainkey.{domain}")


def evaluate_spf(host: Host, resolvers: Sequence[str], ip: str, sender: str, helo: str) -> tuple[str, str]:
    """What a receiver who asks these resolvers decides: ("pass" …, why).

    Args:
        host: the machine to ask from.
        resolvers: asked in this order; the first that answers counts.
        ip: the sending address.
        sender: the envelope sender, '' to judge the HELO name alone.
        helo: the name in HELO.
    """
    found = spf_record.evaluate(World(host, resolvers).lookup, ip, sender, helo, host.monotonic)
    return found.result, found.explanation


def at_name(reply: DnsReply, name: str, rdtype: str) -> tuple[str, ...]:
    """The values of one type at a name, or behind the alias that it is."""
    return tuple(record.text for record in owned(reply, chain(reply, name)[-1], rdtype))


# --- one record of the sheet ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opinion:
    """What one server's answer is worth: `state` is "ok", "missing" or "wrong"; `doubt` is what should be better."""

    state: Literal["ok", "missing", "wrong"]
    got: str
    do: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Seen:
    """What one server says of a record.

    Attributes:
        server: its name and address; the address of a resolver.
        state: "published", "missing", "wrong", or "silent" when it has not answered.
        says: that in words, with the seconds that the answer is good for: "still the old value, 240 s left".
    """

    server: str
    state: Literal["published", "missing", "wrong", "silent"]
    says: str


@dataclass(frozen=True)
class Verdict:
    """What the world has of a record.

    Attributes:
        state: "published"; "unseen" when it is published but resolvers still remember older answers; "missing";
            "wrong"; "unknown" when nobody could be asked.
        asked, got, want, do: as in a finding.
        doubt: what should be better though the record works.
        seen: what each server says. Resolvers are asked when the record's own servers have it, not before: they would
            remember for long that there was none.
    """

    state: Literal["published", "unseen", "missing", "wrong", "unknown"]
    asked: str
    got: str
    want: str
    do: str = ""
    doubt: str = ""
    seen: tuple[Seen, ...] = ()


def check(context: Context, world: World, record: PublishedRecord) -> Finding:
    """Judge one record of the sheet."""
    found = judge(context, world, record)
    if found.state == "published":
        if found.doubt:
            return warned(found.asked, f"{found.got}; {found.doubt}", found.want, found.do or SHEET)
        return passed(found.asked, found.got, found.want)
    if record.may_differ and found.state == "wrong":
        do = f"Nothing, when {record.name} is a web site elsewhere. Else publish: {record.line}"
        return warned(found.asked, found.got, found.want, do)
    return failed(found.asked, found.got, found.want, found.do)


def judge(context: Context, world: World, record: PublishedRecord) -> Verdict:
    """Ask every authoritative server, then all resolvers, and say what the world has of the record."""
    want = f"MX {record.value}, the best one" if record.kind == "mx" else f"{record.type} {record.value}"
    if record.kind == "dkim":
        want = f"the public half of {key_path(context, record.subject)}"
    if not record.value:
        return Verdict("unknown", record.name, *_no_key(context, record))
    zone = world.zone(record.name)
    words = world.authoritative(record.name, record.type)
    asked = f"{', '.join(word.server for word in words) or 'the resolvers'}: {record.type} of {record.name}"
    heard = [word for word in words if word.reply.authoritative and word.reply.answered]
    opine = _remembering(context, world, record)
    seen = tuple(_own_word(word, opine) if word in heard else _silence(word) for word in words)
    base = Verdict("unknown", asked, "", printable(want, 500), seen=seen)
    if not heard:
        return _without_authority(world, record, base, zone, opine)
    opinions = [(word, opine(word.reply)) for word in heard]
    for state in ("wrong", "missing"):
        bad = [(word, opinion) for word, opinion in opinions if opinion.state == state]
        if bad:
            return replace(base, state=state, got=_told(bad, opinions), do=bad[0][1].do)
    deaf = ", ".join(word.server for word in words if word not in heard)
    doubts = [opinions[0][1].doubt, f"{deaf}: no answer, or none of its own" if deaf else ""]
    do = opinions[0][1].do or (f"Ask the registrar why {deaf} does not answer for {zone.name}." if deaf else "")
    base = replace(base, got=opinions[0][1].got, doubt="; ".join(filter(None, doubts)), do=do)
    return _seen(world, record, base, opine)


def _own_word(word: Word, opine: Callable[[DnsReply], Opinion]) -> Seen:
    """What a server that the record's zone is on says."""
    seconds = time_left(word.reply)
    match opine(word.reply).state:
        case "ok":
            return Seen(word.server, "published", f"published, TTL {seconds}")
        case "missing":
            return Seen(word.server, "missing", f"nothing yet (remembered for {seconds} s)")
        case _:
            return Seen(word.server, "wrong", f"another value, TTL {seconds}")


def _cached_word(word: Word, opine: Callable[[DnsReply], Opinion]) -> Seen:
    """What a resolver says, which may have asked the record's servers a while ago."""
    seconds = time_left(word.reply)
    match opine(word.reply).state:
        case "ok":
            return Seen(word.server, "published", f"published, {seconds} s left")
        case "missing":
            return Seen(word.server, "missing", f"still remembers that there was nothing, {seconds} s left")
        case _:
            return Seen(word.server, "wrong", f"still the old value, {seconds} s left")


def _silence(word: Word) -> Seen:
    says = f"no answer ({word.reply.rcode})" if not word.reply.answered else "an answer that is not its own"
    return Seen(word.server, "silent", says)


def _resolvers(words: Sequence[Word], opine: Callable[[DnsReply], Opinion]) -> tuple[Seen, ...]:
    return tuple(_cached_word(word, opine) if word.reply.answered else _silence(word) for word in words)


def _no_key(context: Context, record: PublishedRecord) -> tuple[str, str, str]:
    do = "Make the key: relay-wizard apply dns"
    try:
        public_key(context.host, key_path(context, record.subject))
    except ValueError as error:
        return str(error), "an RSA key", "Move that file away, then make a new key: relay-wizard apply dns"
    return "the key is not made yet", "the key's public half", do


def _remembering(context: Context, world: World, record: PublishedRecord) -> Callable[[DnsReply], Opinion]:
    """The judge of this kind of record; servers that say the same are judged once."""
    known: dict[tuple[str, ...], Opinion] = {}

    def opine(reply: DnsReply) -> Opinion:
        texts = at_name(reply, record.name, record.type)
        key = tuple(sorted(texts))
        if key not in known:
            known[key] = _completed(world, record, JUDGES[record.kind](context, world, record, texts))
        names = chain(reply, record.name)
        if known[key].state == "missing" and len(names) > 1:
            return _nothing_behind(record, names)
        return known[key]

    return opine


def _nothing_behind(record: PublishedRecord, names: Sequence[str]) -> Opinion:
    got = printable(f"{record.name} is an alias (CNAME) of {names[-1]}, where there is no {record.type} record", 400)
    if record.where == "provider":
        return Opinion("missing", got, "The provider has handed on this reverse name: set it where that leads to.")
    do = f"At the registrar of {record.zone}, take away the CNAME {record.host}, then add: {record.line}"
    return Opinion("missing", got, do)


def _completed(world: World, record: PublishedRecord, opinion: Opinion) -> Opinion:
    """Say what to do, where the judge of the kind has nothing special to say."""
    if opinion.state == "ok" or opinion.do:
        return opinion
    where = f"At the registrar of {record.zone}" if record.where == "registrar" else "At the server's provider"
    if opinion.state == "wrong":
        return replace(opinion, do=f"{where}, change it to: {record.line}   {SHEET}")
    doubled = f"{record.name}.{record.zone}"
    if record.where == "registrar" and at_name(world.lookup(doubled, record.type), doubled, record.type):
        return replace(
            opinion,
            got=f"{opinion.got}; but there is one at {doubled}: the form has added the domain by itself",
            do=f"{where}, enter only {record.host} as host: {record.line}",
        )
    return replace(opinion, do=f"{where}, add: {record.line}   {SHEET}")


def _told(bad: Sequence[tuple[Word, Opinion]], all_of_them: Sequence[tuple[Word, Opinion]]) -> str:
    """What is wrong, and where, when the servers differ."""
    if len(bad) == len(all_of_them):
        return bad[0][1].got
    servers = ", ".join(word.server for word, _ in bad)
    return f"{servers}: {bad[0][1].got}; the others have it already" if bad else ""


def _without_authority(
    world: World, record: PublishedRecord, base: Verdict, zone: Zone, opine: Callable[[DnsReply], Opinion]
) -> Verdict:
    """No authoritative server has spoken: the domain is new, its servers are down, or we cannot reach them."""
    words = world.from_resolvers(record.name, record.type)
    heard = [word for word in words if word.reply.answered]
    base = replace(base, seen=base.seen + _resolvers(words, opine))
    if not heard:
        return replace(
            base, got=zone.problem or "no name server answers",
            do="Does this machine reach the Internet? Look with: relay-wizard verify preflight",
        )  # fmt: skip
    if record.where == "registrar" and zone.name and not zone.registered:
        top = record.zone
        return replace(
            base, state="missing", got=f"{top} has no name servers: it is not registered, or not set up yet",
            do=f"Register {top} at a registrar, and let it keep the zone. {SHEET}",
        )  # fmt: skip
    opinion = opine(heard[0].reply)
    state: Literal["published", "missing", "wrong"] = "published" if opinion.state == "ok" else opinion.state
    silent = f"only the resolvers could be asked: {zone.problem or 'its own name servers do not answer'}"
    return replace(base, state=state, got=opinion.got, do=opinion.do, doubt=silent)


def _seen(world: World, record: PublishedRecord, base: Verdict, opine: Callable[[DnsReply], Opinion]) -> Verdict:
    """It is published; do most resolvers know it already?"""
    words = world.from_resolvers(record.name, record.type)
    broken = [word for word in words if word.reply.rcode == "SERVFAIL"]
    heard = [word for word in words if word.reply.answered]
    base = replace(base, seen=base.seen + _resolvers(words, opine))
    asked = f"{base.asked}; then {', '.join(world.resolvers)}"
    if not heard and broken:
        return replace(
            base, state="wrong", asked=asked,
            got=f"published, but {broken[0].server} refuses it (SERVFAIL): mostly a broken DNSSEC signature",
            do="Turn DNSSEC off and on again at the registrar, or ask it.",
        )  # fmt: skip
    if not heard:
        doubt = "; ".join(filter(None, [base.doubt, "no resolver answers"]))
        return replace(base, state="published", asked=asked, doubt=doubt)
    late = [word for word in heard if opine(word.reply).state != "ok"]
    if 2 * len(late) < len(heard):
        return replace(base, state="published", asked=asked)
    longest = max(time_left(word.reply) for word in late)
    names = ", ".join(word.server for word in late)
    return replace(
        base, state="unseen", asked=asked,
        got=f"published, but {names} still remembers an older answer, for {duration(longest)} at most",
        do="Nothing but wait: relay-wizard verify dns ptr --watch",
    )  # fmt: skip


# --- what each kind of record has to say ------------------------------------------------------------------------------


def _address(_context: Context, _world: World, record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    if not texts:
        return Opinion("missing", f"no {record.type} record")
    found = {str(ipaddress.ip_address(text)) for text in texts}
    got = ", ".join(sorted(found))
    if found == {str(ipaddress.ip_address(record.value))}:
        return Opinion("ok", got)
    return Opinion("wrong", got)


def _mx(_context: Context, world: World, record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    if not texts:
        return Opinion("missing", "no MX record")
    entries = sorted(_mx_entry(text) for text in texts)
    got = ", ".join(f"{priority} {name or '.'}" for priority, name in entries)
    ours = [priority for priority, name in entries if name == record.value]
    if not ours:
        return Opinion("wrong", printable(f"{got}: {record.value} is not among them", 400))
    others = [name for priority, name in entries if name != record.value and priority <= min(ours)]
    if others:
        return Opinion(
            "wrong", printable(f"{got}: {', '.join(others)} is asked first, or as often", 400),
            f"At the registrar of {record.zone}, take away the MX {', '.join(map(printable, others))}.",
        )  # fmt: skip
    names = chain(world.truth(record.value, "A"), record.value)
    if len(names) > 1:
        return Opinion(
            "wrong", printable(f"{got}: {record.value} is an alias (CNAME) of {names[-1]}", 400),
            f"Give {record.value} an A record instead of the CNAME: an MX must not point to an alias.",
        )  # fmt: skip
    return Opinion("ok", printable(got, 400))


def _mx_entry(text: str) -> tuple[int, str]:
    priority, _, name = text.partition(" ")
    return (int(priority) if priority.isdigit() else 0, plain(name))


def _spf(context: Context, world: World, record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    found = [text for text in texts if spf_record.is_spf(text)]
    where = f"At the registrar of {record.zone}"
    if not found:
        return Opinion("missing", "no SPF record")
    if len(found) > 1:
        others = printable(" | ".join(text for text in found if text != record.value), 300)
        return Opinion(
            "wrong", printable(f"{len(found)} SPF records, which counts as an error: {' | '.join(found)}", 600),
            f"{where}, keep one of them, with all that is needed in it. Take away: {others}",
        )  # fmt: skip
    return _spf_evaluated(context, world, record, texts)


def _spf_evaluated(context: Context, world: World, record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    text = next(text for text in texts if spf_record.is_spf(text))
    ask = _answering(context, world, record.name, texts)
    # The host's own record is asked for the HELO name, and for senders of that name; both are one question.
    sender = f"postmaster@{record.subject}"
    clock = world.host.monotonic
    for address in context.addresses:
        result = spf_record.evaluate(ask, address, sender, context.hostname, clock)
        if result.result != "pass":
            mechanism = "a" if record.name == context.hostname else spf_mechanism(context, record.subject)
            better = spf_record.with_mechanism(text, mechanism)
            do = f"At the registrar of {record.zone}, change it to: TXT  {record.host}  {printable(better, 500)}"
            if text == record.value:
                do = ELSEWHERE
            elif result.result in {"temperror", "permerror"} or better == text:
                do = f"At the registrar of {record.zone}, change it to: {record.line}"
            got = f"{printable(text, 300)}: {result.result} for {address} ({result.explanation})"
            return Opinion("wrong", got, do)
    stranger = spf_record.evaluate(ask, spf_record.STRANGER, sender, "stranger.invalid", clock)
    got = f"{printable(text, 300)}: pass for {', '.join(context.addresses)}"
    if stranger.result == "pass":
        do = ELSEWHERE if text == record.value else ""
        return Opinion("wrong", f"{printable(text, 300)}: it lets everybody send", do)
    return Opinion("ok", got, doubt=_spf_doubt(stranger))


def _spf_doubt(stranger: spf_record.SpfResult) -> str:
    if stranger.result in {"permerror", "temperror"}:
        return f"receivers who read it to its end meet an error: {stranger.explanation}"
    if stranger.result == "neutral":
        return "it does not say what to do with mail from elsewhere: end it with -all or ~all"
    return ""


def _answering(
    context: Context, world: World, name: str, texts: Sequence[str]
) -> Callable[[str, str], DnsReply]:  # fmt: skip
    """DNS with the judged TXT records at `name`, the authoritative word on our own names, resolvers for the rest."""
    from wizard.host import DnsRecord, DnsReply

    own = (*context.answers.mail_domains, context.hostname)

    def ask(wanted: str, rdtype: str) -> DnsReply:
        if wanted == name and rdtype == "TXT":
            return DnsReply("NOERROR", tuple(DnsRecord(f"{name}.", "TXT", 0, text) for text in texts))
        if any(wanted == domain or wanted.endswith(f".{domain}") for domain in own):
            return world.truth(wanted, rdtype)
        return world.lookup(wanted, rdtype)

    return ask


def _dkim(context: Context, _world: World, record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    wanted = dkim_record.tags_of(record.value)["p"]
    found = dkim_record.compare(texts, wanted)
    do = ""
    if found.doubt:
        do = f"At the registrar of {record.zone}, change it to: {record.line}"
    elif found.state == "wrong" and "another key" in found.got:
        do = (
            f"At the registrar of {record.zone}, change it to: {record.line}   "
            f"(when the published key is the right one, put its private half into {key_path(context, record.subject)})"
        )
    return Opinion(found.state, found.got, do, found.doubt)


def _dmarc(context: Context, world: World, record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    found = [text for text in texts if dmarc_record.is_dmarc(text)]
    if not found:
        near = [text for text in texts if "dmarc1" in text.lower()]
        hint = f"; this is none, for it has to begin with v=DMARC1: {printable(near[0], 120)}" if near else ""
        return Opinion("wrong" if near else "missing", f"no DMARC record{hint}")
    if len(found) > 1:
        return Opinion("wrong", printable(f"{len(found)} DMARC records, which count as none: {' | '.join(found)}", 500))
    parsed = dmarc_record.parse(found[0])
    got = printable(found[0], 300)
    if parsed.errors:
        return Opinion("wrong", f"{got}: {printable('; '.join(parsed.errors), 300)}")
    doubts = _dmarc_doubts(context, world, record, parsed)
    do = f"At the registrar of {record.zone}, change it to: {record.line}" if doubts else ""
    return Opinion("ok", got, do, "; ".join(doubts))


def _dmarc_doubts(
    context: Context, world: World, record: PublishedRecord, parsed: dmarc_record.DmarcRecord
) -> list[str]:  # fmt: skip
    doubts = [f"{', '.join(parsed.removed)} is not part of the standard any more"] if parsed.removed else []
    strength = ("none", "quarantine", "reject")
    wanted = context.answers.dmarc.policy
    if parsed.policy in strength and strength.index(parsed.policy) < strength.index(wanted):
        doubts.append(f"p={parsed.policy} is weaker than the {wanted} of the answers")
    if not parsed.report_addresses:
        doubts.append("nobody gets reports: there is no rua")
    for mailbox in parsed.report_addresses:
        destination = plain(mailbox.rpartition("@")[2])
        ours = any(destination == own or destination.endswith(f".{own}") for own in context.answers.mail_domains)
        # What our own domains have to publish for each other stands on the sheet, with a check of its own.
        if foreign(record.subject, destination) and not ours and not permitted(world, record.subject, destination):
            doubts.append(f"reports to {printable(mailbox, 100)} are not sent: {destination} does not allow them")
    return doubts


def permitted(world: World, domain: str, destination: str) -> bool:
    """True when a foreign domain takes reports about ours (RFC 9990, section 4)."""
    name = report_name(domain, destination)
    return any(dmarc_record.is_dmarc(text) for text in at_name(world.lookup(name, "TXT"), name, "TXT"))


def _report(_context: Context, _world: World, _record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    if any(dmarc_record.is_dmarc(text) for text in texts):
        return Opinion("ok", "v=DMARC1")
    if texts:
        return Opinion("wrong", printable(texts[0], 200))
    return Opinion("missing", "no TXT record")


def _ptr(context: Context, _world: World, record: PublishedRecord, texts: Sequence[str]) -> Opinion:
    names = sorted(map(plain, texts))
    got = printable(", ".join(names), 300)
    version = ipaddress.ip_address(record.subject).version
    do = (
        f"In the provider's panel, set the reverse name (rDNS, PTR) of {record.subject} to {context.hostname}. Without "
        f'such a field, open a ticket: "Please set the reverse DNS (PTR) of {record.subject} to {context.hostname}. '
        'It is a mail server."'
    )
    if version == 6:
        do += ' When that cannot be had, use IPv4 only: answer relay.ipv6 = "".'
    if not names:
        return Opinion("missing", "no PTR record", do)
    if context.hostname not in names:
        note = ", the provider's generic name" if any(map(generic, names)) else ""
        return Opinion("wrong", f"{got}{note}", do)
    if len(names) > 1:
        return Opinion("ok", got, do, "several names: some receivers look at one of them only")
    return Opinion("ok", got)


JUDGES: dict[str, Callable[[Context, World, PublishedRecord, Sequence[str]], Opinion]] = {
    "a": _address, "aaaa": _address, "mx": _mx, "spf": _spf, "dkim": _dkim, "dmarc": _dmarc, "report": _report,
    "ptr": _ptr,
}  # fmt: skip


def generic(name: str) -> bool:
    """True for names that look as if a machine had given them: "vps-10.provider.example", "10-2-0-192.example"."""
    first = name.partition(".")[0]
    return GENERIC.search(name) is not None or len(re.findall(r"\d+", first)) >= 3


# --- beyond the sheet -------------------------------------------------------------------------------------------------


def points_here(context: Context, world: World, name: str) -> bool | None:
    """Whether every address of a name is ours; None when it has none, or DNS could not be asked."""
    replies = [(rdtype, world.lookup(name, rdtype)) for rdtype in ("A", "AAAA")]
    found = {str(ipaddress.ip_address(text)) for rdtype, reply in replies for text in at_name(reply, name, rdtype)}
    return found <= set(context.addresses) if found else None


def no_ipv6(context: Context, world: World) -> Finding:
    """A relay that speaks IPv4 only must not promise IPv6: senders would try that first, and for long."""
    name = context.hostname
    asked, want = f"every name server of {name}: AAAA", "no AAAA record, as the relay uses IPv4 only"
    reply = world.truth(name, "AAAA")
    if not reply.answered:
        return skipped(asked, f"no answer ({reply.rcode})", want)
    found = at_name(reply, name, "AAAA")
    if not found:
        return passed(asked, "none", want)
    do = f"At the registrar, take away the AAAA record of {name}, or answer relay.ipv6 with the server's own address."
    return failed(asked, printable(", ".join(found), 200), want, do)


def forward_confirmed(context: Context, world: World, address: str) -> Finding:
    """The name that the address has in reverse leads back to the address."""
    rdtype = "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    reverse = ipaddress.ip_address(address).reverse_pointer
    asked, want = f"the resolvers: PTR of {address}, and the {rdtype} of that name", address
    reply = world.lookup(reverse, "PTR")
    names = [plain(text) for text in at_name(reply, reverse, "PTR")]
    if not names:
        return failed(asked, f"no name ({reply.rcode})", want, f"First set the PTR: relay-wizard verify ptr   {SHEET}")
    # More than a few names are no mail server's; the rest is not asked.
    for name in names[:5]:
        found = [str(ipaddress.ip_address(text)) for text in at_name(world.lookup(name, rdtype), name, rdtype)]
        if address in found:
            return passed(asked, f"{printable(name, 200)} → {address}", want)
    return failed(
        asked, printable(f"{', '.join(names[:5])}, which does not lead back", 300), want,
        f"Publish at the registrar: {rdtype} record of {context.hostname} with {address}. {SHEET}",
    )  # fmt: skip


def named_by_hand(context: Context) -> Finding:
    """The host name does not look like one that a provider gives by the thousand."""
    asked, want = f"the name {context.hostname}", "a name that somebody chose"
    if not generic(context.hostname):
        return passed(asked, context.hostname, want)
    do = f"Consider a name such as mail.{context.domain}: receivers trust generic names less."
    return warned(asked, "it looks like a name that a machine has made up", want, do)


def certifier_allowed(context: Context, world: World, name: str) -> Finding:
    """No CAA record keeps the certificate authority out (RFC 8659)."""
    asked, want = f"CAA of {name} and the domains above it", "none, or one that names the certificate authority"
    labels = name.split(".")
    for at in range(len(labels) - 1):
        candidate = ".".join(labels[at:])
        reply = world.lookup(candidate, "CAA")
        if not reply.answered:
            return failed(asked, f"{candidate}: {reply.rcode}", want, "The name servers must answer this question too.")
        texts = at_name(reply, candidate, "CAA")
        if texts:
            return _caa(context, candidate, texts, asked, want)
    return passed(asked, "none", want)


def _caa(context: Context, name: str, texts: Sequence[str], asked: str, want: str) -> Finding:
    got = printable(f"{name}: {', '.join(texts)}", 400)
    issuers = [match[1] for text in texts if (match := re.match(r'\d+ issue "?([^";]*)', text))]
    if not issuers:
        return passed(asked, got, want)
    server = context.answers.certbot.server
    ours = next((issuer for suffix, issuer in ISSUERS.items() if _server_host(server).endswith(suffix)), "")
    if not ours:
        return skipped(asked, f"{got}; which name {server} goes by in CAA records is not known here", want)
    if ours in {issuer.strip() for issuer in issuers}:
        return passed(asked, got, want)
    return failed(asked, got, want, f'At the registrar, add: CAA  @  0 issue "{ours}"   in the zone of {name}')


def _server_host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


def dnssec(world: World, domain: str) -> Finding:
    """A signed domain is signed well; an unsigned one is usual, and nothing to complain of."""
    asked, want = f"{', '.join(world.resolvers)}: DS and SOA of {domain}", "a signature that holds, where there is one"
    signed = at_name(world.lookup(domain, "DS"), domain, "DS")
    words = world.from_resolvers(domain, "SOA")
    if any(word.reply.authenticated and word.reply.answered for word in words):
        return passed(asked, "signed, and a resolver has verified it", want)
    if signed and any(word.reply.rcode == "SERVFAIL" for word in words):
        return failed(
            asked, "signed, but resolvers refuse the answers (SERVFAIL)", want,
            "At the registrar, turn DNSSEC off, wait a day, and turn it on again.",
        )  # fmt: skip
    if signed:
        return skipped(asked, "signed; none of the resolvers verifies signatures", want)
    return skipped(asked, "not signed, as most domains are", want)
