"""DNS as the world asks it: every authoritative server of a name, and the resolvers that stand for everybody.

All questions go through `Host.query`, one server at a time. What comes back is hostile until judged: numbers of
servers, aliases and records are bounded here and in `wizard/resolver.py`, and a silent server is not asked again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from wizard.fact import is_public
from wizard.host import DnsRecord, DnsReply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wizard.host import Host

T = TypeVar("T")

# Seconds for one answer, and how often it is asked for: UDP loses packets.
PATIENCE = 3.0
TRIES = 2
MOST_SERVERS = 13
MOST_ADDRESSES = 2
LONGEST_CHAIN = 8
# Seconds that all answers of one server together may take. One that lets each question wait would hold up hundreds.
PATIENCE_IN_ALL = 30.0
SILENT = frozenset({"TIMEOUT", "UNREACHABLE"})


@dataclass(frozen=True)
class NameServer:
    """An authoritative server: "ns1.registrar.example" at 203.0.113.53."""

    name: str
    address: str

    def __str__(self) -> str:
        """Both, for people."""
        return f"{self.name} ({self.address})"


@dataclass(frozen=True)
class Zone:
    """The zone that a name stands in.

    Attributes:
        name: its apex, without the final dot; '' when none was found.
        servers: its name servers, as the world is told of them.
        problem: why there are none.
    """

    name: str
    servers: tuple[NameServer, ...] = ()
    problem: str = ""

    @property
    def registered(self) -> bool:
        """False when the nearest zone is a top-level domain: then nobody has delegated the name yet."""
        return "." in self.name


@dataclass(frozen=True)
class Word:
    """What one server says about one question."""

    server: str
    reply: DnsReply


@dataclass
class _Once:
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: bool = False
    value: Any = None


class World:
    """What the Internet says; each question is asked once while this object lives. Threads may share it.

    Make a new one for each round of checks: an old one tells old news.
    """

    def __init__(self, host: Host, resolvers: Sequence[str]) -> None:
        """Ask from `host`, through these resolvers (IP addresses)."""
        self.host = host
        self.resolvers = tuple(resolvers)
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, ...], _Once] = {}
        self._silent: set[str] = set()
        self._waited: dict[str, float] = {}

    def ask(self, server: str, name: str, rdtype: str) -> DnsReply:
        """One server's answer. A server that was silent once is not asked again."""
        key = ("ask", server, plain(name), rdtype)
        return self._once(key, lambda: self._ask(server, plain(name), rdtype))

    def _ask(self, server: str, name: str, rdtype: str) -> DnsReply:
        reply = DnsReply("TIMEOUT")
        for _ in range(TRIES):
            if server in self._silent:
                return reply
            began = self.host.monotonic()
            reply = self.host.query(server, name or ".", rdtype, timeout=PATIENCE)
            with self._lock:
                self._waited[server] = self._waited.get(server, 0.0) + self.host.monotonic() - began
                if self._waited[server] > PATIENCE_IN_ALL:
                    self._silent.add(server)
            if reply.rcode not in SILENT:
                return reply
        self._silent.add(server)
        return reply

    def lookup(self, name: str, rdtype: str) -> DnsReply:
        """What the first resolver that answers says, aliases followed; else the last failure."""
        reply = DnsReply("UNREACHABLE")
        for server in self.resolvers:
            reply = self.ask(server, name, rdtype)
            if reply.answered:
                return reply
        return reply

    def from_resolvers(self, name: str, rdtype: str) -> tuple[Word, ...]:
        """What each resolver says, all asked at once."""
        return self._each(self.resolvers, lambda server: Word(server, self.ask(server, name, rdtype)))

    def zone(self, name: str) -> Zone:
        """The zone of a name and its servers, found through the resolvers."""
        return self._once(("zone", plain(name)), lambda: self._find_zone(plain(name)))

    def _find_zone(self, name: str) -> Zone:
        labels = name.split(".")
        problem = ""
        for at in range(len(labels)):
            candidate = ".".join(labels[at:])
            reply = self.lookup(candidate, "NS")
            if reply.rcode in SILENT:
                return Zone("", problem=f"the resolvers do not answer ({reply.rcode})")
            # A name below the zone's apex may be broken (an alias to itself, say) while the zone is well.
            if not reply.answered and not problem:
                problem = f"the resolvers refuse to answer for {candidate} ({reply.rcode})"
            names = [record.text for record in owned(reply, candidate, "NS")]
            if names:
                return self._with_servers(candidate, names)
        return Zone("", problem=problem or f"no zone holds {name}")

    def _with_servers(self, zone: str, names: Sequence[str]) -> Zone:
        found = self._each(sorted({plain(name) for name in names})[:MOST_SERVERS], self._addresses_of_server)
        servers = tuple(server for group in found for server in group)
        if servers:
            return Zone(zone, servers)
        return Zone(zone, problem=f"none of its name servers has an address: {', '.join(map(plain, names))}")

    def _addresses_of_server(self, name: str) -> tuple[NameServer, ...]:
        for rdtype in ("A", "AAAA"):
            # A name server with a private address is a mistake or a trap; the world cannot ask it either.
            found = [text for text in self.lookup(name, rdtype).texts(rdtype) if is_public(text)]
            if found:
                return tuple(NameServer(name, address) for address in found[:MOST_ADDRESSES])
        return ()

    def authoritative(self, name: str, rdtype: str) -> tuple[Word, ...]:
        """What each authoritative server says, all asked at once; an alias that it names is followed."""
        zone = self.zone(name)
        return self._each(
            zone.servers,
            lambda server: Word(str(server), self._follow(self.ask(server.address, name, rdtype), name, rdtype)),
        )

    def _follow(self, reply: DnsReply, name: str, rdtype: str) -> DnsReply:
        """An authoritative server may know no more than the alias; what is behind it, the resolvers know."""
        end = chain(reply, name)[-1]
        if end == plain(name) or reply.texts(rdtype) or not reply.authoritative:
            return reply
        behind = self.lookup(end, rdtype)
        # An alias that leads nowhere is an answer, too: there is nothing behind it.
        rcode = behind.rcode if behind.answered else reply.rcode
        return DnsReply(rcode, reply.records + behind.records, behind.authority, authoritative=True)

    def truth(self, name: str, rdtype: str) -> DnsReply:
        """The word of the first authoritative server that has one, else that of the resolvers."""
        for word in self.authoritative(name, rdtype):
            if word.reply.authoritative and word.reply.answered:
                return word.reply
        return self.lookup(name, rdtype)

    def _once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        with self._lock:
            entry = self._kept.setdefault(key, _Once())
        with entry.lock:
            if not entry.made:
                entry.value = make()
                entry.made = True
        value: T = entry.value
        return value

    @staticmethod
    def _each(items: Sequence[Any], function: Callable[[Any], T]) -> tuple[T, ...]:
        """`function` of every item, at the same time."""
        if len(items) < 2:
            return tuple(function(item) for item in items)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(items)) as pool:
            return tuple(pool.map(function, items))


def plain(name: str) -> str:
    """A name in lower case without its final dot."""
    return name.rstrip(".").lower()


def owned(reply: DnsReply, name: str, rdtype: str) -> tuple[DnsRecord, ...]:
    """The records of a type that stand at this very name."""
    return tuple(record for record in reply.records if record.type == rdtype and plain(record.name) == plain(name))


def chain(reply: DnsReply, name: str) -> tuple[str, ...]:
    """A name and the aliases (CNAME) that the answer leads it through; a loop ends where it closes."""
    aliases = {plain(record.name): plain(record.text) for record in reply.records if record.type == "CNAME"}
    names = [plain(name)]
    while names[-1] in aliases and len(names) < LONGEST_CHAIN and aliases[names[-1]] not in names:
        names.append(aliases[names[-1]])
    return tuple(names)


def time_left(reply: DnsReply) -> int:
    """Seconds for which a resolver goes on saying this: the answer's TTL, or the zone's for "there is none".

    RFC 2308, section 5: the smaller one of the SOA record's own TTL and its last field.
    """
    if reply.records:
        return min(record.ttl for record in reply.records)
    for record in reply.authority:
        fields = record.text.split()
        if record.type == "SOA" and len(fields) == 7 and fields[6].isdigit():
            return min(record.ttl, int(fields[6]))
    return 0


def duration(seconds: int) -> str:
    """A time for people: "40 seconds", "5 minutes", "2 hours"."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{-(-seconds // length)} {unit}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def lookup(host: Host, resolvers: Sequence[str], name: str, rdtype: str) -> DnsReply:
    """Ask once what the first resolver that answers says."""
    return World(host, resolvers).lookup(name, rdtype)


def authoritative_servers(host: Host, resolvers: Sequence[str], name: str) -> tuple[NameServer, ...]:
    """The servers of the zone that `name` stands in; none when the zone cannot be found."""
    return World(host, resolvers).zone(name).servers
