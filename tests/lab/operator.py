"""The operator at the registrar and at the provider's panel: publishes records, breaks them, mends them."""

from __future__ import annotations

import ipaddress
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.reversename
import dns.tsig
import dns.tsigkeyring
import dns.update

from . import network
from .nameservers import KEY_NAME, KEY_SECRET, ZONES
from .places import NS1, NS2, RESOLVER, VPS, VPS6
from .shell import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TTL = 5
# Types whose value ends in a host name, which the sheet may give with or without its last dot.
NAMES_A_HOST = {"MX", "CNAME", "PTR", "NS"}


@dataclass(frozen=True)
class Operator:
    """Whoever holds the registrar's key, in one lab."""

    lab: str

    def publish(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Publish a record sheet, `relay-wizard records --json`; each name and type is replaced as a whole."""
        wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
        for record in records:
            priority = record.get("priority")
            value = str(record["value"])
            wanted[_owner(str(record["name"])), str(record["type"]).upper()].append(
                value if priority is None else f"{priority} {value}"
            )
        for (name, rdtype), values in wanted.items():
            self.set(name, rdtype, values)

    def set(self, name: str, rdtype: str, values: Iterable[str]) -> None:
        """Make `values` all that a name has of a type; TXT values unquoted. None of them removes the type."""
        owner = dns.name.from_text(_owner(name))
        zone = _zone_of(owner)
        kind = dns.rdatatype.from_text(rdtype)
        update = dns.update.UpdateMessage(
            zone, keyring=dns.tsigkeyring.from_text({KEY_NAME: KEY_SECRET}), keyalgorithm=dns.tsig.HMAC_SHA256
        )
        update.delete(owner, kind)
        for value in values:
            update.add(owner, TTL, dns.rdata.from_text(dns.rdataclass.IN, kind, _presentation(rdtype, value)))
        reply = network.inside(self.lab, "client", lambda: dns.query.tcp(update, NS1, timeout=10))
        if reply.rcode() != dns.rcode.NOERROR:
            raise LabError(f"the registrar refused {owner} {rdtype}: {dns.rcode.to_text(reply.rcode())}")
        self._until_everywhere(zone)

    def get(self, name: str, rdtype: str, server: str = NS1) -> list[str]:
        """What a server says now, as `set` takes it."""
        answer = self._ask(dns.name.from_text(_owner(name)), rdtype, server)
        return [
            _plain(rdata)
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.from_text(rdtype)
            for rdata in rrset
        ]

    def set_ptr(self, host: str | None) -> None:
        """Name the VPS at its provider, both addresses; None takes the names away."""
        for address in (VPS, VPS6):
            self.set(address, "PTR", [] if host is None else [host])

    def _ask(self, owner: dns.name.Name, rdtype: str, server: str) -> dns.message.Message:
        question = dns.message.make_query(owner, rdtype)
        return network.inside(self.lab, "client", lambda: dns.query.tcp(question, server, timeout=5))

    def _until_everywhere(self, zone: dns.name.Name, seconds: float = 10) -> None:
        """Wait until the second server and the resolver say what the first says."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            serials = {self._serial(zone, server) for server in (NS1, NS2, RESOLVER)}
            if len(serials) == 1 and None not in serials:
                return
            time.sleep(0.1)
        raise LabError(f"the name servers still differ about {zone}")

    def _serial(self, zone: dns.name.Name, server: str) -> int | None:
        try:
            found = self._ask(zone, "SOA", server).answer
        except (OSError, dns.exception.DNSException):
            return None
        return int(found[0][0].to_text().split()[2]) if found else None


def _owner(name: str) -> str:
    """A name as it stands in DNS; an address stands for its reverse name."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name if name.endswith(".") else f"{name}."
    return dns.reversename.from_address(str(address)).to_text()


def _zone_of(owner: dns.name.Name) -> dns.name.Name:
    zones = [zone for zone in map(dns.name.from_text, ZONES) if owner.is_subdomain(zone)]
    if not zones:
        raise LabError(f"{owner} is in no zone of the lab; it has {', '.join(ZONES)}")
    return max(zones, key=len)


def _presentation(rdtype: str, value: str) -> str:
    if rdtype == "TXT":
        octets = value.encode()
        chunks = [octets[at : at + 255].decode() for at in range(0, len(octets), 255)]
        return " ".join('"' + chunk.replace("\\", "\\\\").replace('"', '\\"') + '"' for chunk in chunks)
    if rdtype in NAMES_A_HOST and not value.endswith("."):
        return f"{value}."
    return value


def _plain(rdata: dns.rdata.Rdata) -> str:
    strings = getattr(rdata, "strings", None)
    return rdata.to_text() if strings is None else b"".join(strings).decode()
