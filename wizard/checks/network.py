"""The machine's place on the Internet: its address, the way mail leaves, and the resolver it asks."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.checks.wire import Wire
from wizard.fact import is_address, is_public, source_of
from wizard.host import DnsRecord, DnsReply
from wizard.lookup import World
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.host import Host

# A banner that has not come by then will not come: RFC 5321 gives servers minutes, good ones take a second.
BANNER_SECONDS = 10.0
# A name to look up, with a resolver or two that are silent, and a banner.
PROBE_SECONDS = 20.0
# Public addresses far away; only the route to them is looked up, nothing is sent.
FAR_AWAY = {4: "192.88.99.1", 6: "2620:fe::fe"}
# Resolvers that many share: block lists refuse to answer them.
PUBLIC_FORWARDERS = frozenset(
    {
        "1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220",
        "2606:4700:4700::1111", "2606:4700:4700::1001", "2001:4860:4860::8888", "2001:4860:4860::8844", "2620:fe::fe",
    }
)  # fmt: skip


def source_address(host: Host, version: int) -> str:
    """The address that packets to the Internet leave from, '' without a route. `version` is 4 or 6."""
    asked = host.ask(["ip", "-j", f"-{version}", "route", "get", FAR_AWAY[version]])
    return source_of(asked.out) if asked.ok else ""


def mail_source(host: Host, version: int) -> str:
    """The address Postfix connects from: its own setting when there is one, else what the route says."""
    parameter = "smtp_bind_address" if version == 4 else "smtp_bind_address6"
    bound = host.ask(["postconf", "-h", parameter])
    return (bound.text if bound.ok else "") or source_address(host, version)


def public_address(context: Context, host: Host) -> Finding:
    """The answered or detected IPv4 address can be reached from the Internet and is this machine's."""
    address, source, own = context.ipv4, source_address(host, 4), host.addresses()
    asked = "the addresses of this machine's interfaces and the route to the Internet"
    want = "a public IPv4 address of its own"
    if not address:
        return failed(
            asked, "no IPv4 route to the Internet", want,
            "Bring the network up (ip route), or set relay.ipv4 to the address that the provider's panel shows.",
        )  # fmt: skip
    if not is_public(address):
        return failed(
            asked, f"{address}, a private address", want,
            "Set relay.ipv4 to the public address that the provider's panel shows for this server.",
        )  # fmt: skip
    if address in own:
        return passed(asked, address, want)
    if source and not is_public(source):
        return warned(
            asked, f"{source} here, {address} outside: an address translation (NAT) stands between", want,
            f"Make sure that the provider hands every port of {address} to this machine, above all 25 and 465.",
        )  # fmt: skip
    return failed(
        asked, f"relay.ipv4 is {address}, this machine has {source or ', '.join(own)}", want,
        f'Set relay.ipv4 = "{source}", or run this on the server that has {address}.',
    )  # fmt: skip


def public_ipv6(context: Context, host: Host) -> Finding:
    """The answered IPv6 address is public and this machine's."""
    address, own = context.answers.relay.ipv6, host.addresses()
    asked, want = "the addresses of this machine's interfaces", f"{address} among them"
    if not is_public(address):
        return failed(asked, f"{address}, a private address", want, 'Set relay.ipv6 = "" to use IPv4 only.')
    if address in own:
        return passed(asked, address, want)
    found = ", ".join(entry for entry in own if ":" in entry and is_public(entry)) or "no public IPv6 address"
    return failed(asked, found, want, 'Set relay.ipv6 to an address of this machine, or to "" to use IPv4 only.')


def leaves_from(context: Context, version: int, host: Host) -> Finding:
    """Mail leaves from the address that the DNS will speak of: receivers look up the PTR of that one."""
    wanted = context.ipv4 if version == 4 else context.answers.relay.ipv6
    source = mail_source(host, version)
    asked, want = f"the source address of outgoing IPv{version} connections", wanted
    if not source:
        return failed(asked, "none: there is no route", want, f"Bring IPv{version} up: ip -{version} route")
    if source == wanted:
        return passed(asked, source, want)
    if not is_public(source) and version == 4:
        return warned(
            asked, f"{source}, which the provider translates", want,
            f"Compare: curl -4 to any page that shows your address has to show {wanted}.",
        )  # fmt: skip
    setting = "smtp_bind_address" if version == 4 else "smtp_bind_address6"
    return failed(
        asked, source, want,
        f'Set relay.ipv{version} = "{source}", or have Postfix leave from {wanted}: postconf -e {setting}={wanted}',
    )  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """What became of one mail server's port 25: "open", "refused", "silent", "no address" or "no name service"."""

    target: str
    kind: str
    said: str


def probe(host: Host, target: str, address: str, source: str) -> Probe:
    """Connect to port 25 of `target` at `address` from `source` and read the first line."""
    try:
        with host.connect(address, 25, timeout=BANNER_SECONDS, source=source) as connection:
            line = Wire(host, connection, BANNER_SECONDS).line().decode(errors="replace").rstrip("\r\n")
    except TimeoutError:
        return Probe(target, "silent", f"no answer within {BANNER_SECONDS:.0f} seconds")
    except OSError as error:
        return Probe(target, "refused", (error.strerror or str(error)).lower())
    if not line:
        return Probe(target, "refused", "it hung up without a word")
    return Probe(target, "open" if re.match(r"[245][0-9]{2}", line) else "refused", printable(line, 120))


def probe_all(host: Host, targets: Sequence[str], source: str) -> tuple[Probe, ...]:
    """Probe all targets at once over the family of `source`; takes PROBE_SECONDS at most."""
    world = World(host, system_resolvers(host))
    # What is true of a thread that has not come back in time.
    found = {target: Probe(target, "no name service", "its name was not found in time") for target in targets}

    def one(target: str) -> None:
        rdtype = "AAAA" if ":" in source else "A"
        reply = _look_up(world, target, rdtype)
        addresses = reply.texts(rdtype)
        if not reply.answered:
            found[target] = Probe(target, "no name service", f"its name could not be looked up ({reply.rcode})")
        elif not addresses:
            found[target] = Probe(target, "no address", f"the DNS has no {rdtype} record of it")
        else:
            found[target] = Probe(target, "silent", "no answer in time")
            found[target] = probe(host, target, addresses[0], source)

    # Daemon threads: a server that does not answer must not keep the program from ending.
    threads = [threading.Thread(target=one, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    end = host.monotonic() + PROBE_SECONDS
    for thread in threads:
        thread.join(max(end - host.monotonic(), 0.0))
    return tuple(found.values())


def _look_up(world: World, target: str, rdtype: str) -> DnsReply:
    """The addresses of a name; an address stands for itself."""
    if not is_address(target):
        return world.lookup(target, rdtype)
    return DnsReply("NOERROR", (DnsRecord(target, "AAAA" if ":" in target else "A", 0, target),))


def port_25_out(context: Context, version: int, host: Host) -> Finding:
    """Mail can leave: port 25 of at least one large provider answers."""
    # Bound to the address of the family, so that only that family is tried.
    source = mail_source(host, version)
    targets = context.probe_targets
    asked = f"port 25 of {', '.join(targets)} over IPv{version}"
    want = "a banner that begins with 220"
    if not source:
        return failed(
            asked, f"no IPv{version} route to the Internet", want, f"Bring the network up: ip -{version} route"
        )
    probes = probe_all(host, targets, source)
    got = "; ".join(f"{entry.target}: {entry.said}" for entry in probes)
    if any(entry.kind == "open" and entry.said.startswith("2") for entry in probes):
        return passed(asked, got, want)
    if any(entry.kind == "open" for entry in probes):
        return warned(asked, got, want, "The port is open, but they do not like this address: see the block lists.")
    kinds = {entry.kind for entry in probes}
    if kinds == {"no address"} and version == 6:
        return skipped(asked, "none of them has an IPv6 address", want)
    if kinds <= {"no address", "no name service"}:
        return failed(asked, got, want, "Mend the name service first: cat /etc/resolv.conf, then getent hosts NAME.")
    return failed(
        asked, got, want,
        "The provider blocks outgoing mail. Look for a switch in its panel, else open a ticket with this text: "
        f'"{ticket(context, version)}" Then: relay-wizard verify preflight',
    )  # fmt: skip


def ticket(context: Context, version: int = 4) -> str:
    """What to write to the provider when outgoing port 25 is closed: this and nothing else."""
    address = context.ipv4 if version == 4 else context.answers.relay.ipv6
    host_name = context.hostname or "this server"
    return (
        f"Please open outbound TCP port 25 for {address or 'my server'} ({host_name}). It is the mail server of "
        f"{context.domain or 'my domain'}: it sends person-to-person mail only, with SPF, DKIM, DMARC and reverse DNS "
        "in place, and it relays for nobody without a login."
    )


def system_resolvers(host: Host) -> tuple[str, ...]:
    """The name servers of /etc/resolv.conf, which Postfix asks too."""
    text = (host.read("/etc/resolv.conf") or b"").decode(errors="replace")
    return tuple(re.findall(r"^nameserver\s+([0-9A-Fa-f:.]+)", text, re.MULTILINE))


def resolver_answers(context: Context, host: Host) -> Finding:
    """The machine's own resolver answers: without it no mail finds its way."""
    resolvers = system_resolvers(host)
    asked, want = f"{', '.join(resolvers) or 'no resolver'} (/etc/resolv.conf)", "an answer"
    if not resolvers:
        return failed(asked, "/etc/resolv.conf names none", want, "Write a line into it: nameserver ADDRESS")
    name = context.domain or "."
    replies = {server: host.query(server, name, "NS") for server in resolvers}
    got = "; ".join(f"{server}: {reply.rcode}" for server, reply in replies.items())
    asked = f"{', '.join(resolvers)} (/etc/resolv.conf), NS of {name}"
    answering = [server for server, reply in replies.items() if reply.answered]
    if not answering:
        return failed(asked, got, want, "Put a resolver that answers into /etc/resolv.conf (the provider names one).")
    if len(answering) < len(resolvers):
        return warned(
            asked, got, "an answer from each", "Take the silent one out of /etc/resolv.conf: it costs seconds."
        )
    return passed(asked, got, want)


def resolver_is_own(host: Host) -> Finding:
    """The resolver is not one of the large public ones, whose questions block lists refuse, and validates DNSSEC."""
    resolvers = system_resolvers(host)
    asked, want = (
        f"{', '.join(resolvers) or 'no resolver'}: SOA of the root, with DNSSEC",
        "an own, validating resolver",
    )
    shared = [server for server in resolvers if server in PUBLIC_FORWARDERS]
    if not resolvers:
        return skipped(asked, "/etc/resolv.conf names no resolver", want)
    if shared:
        return warned(
            asked, f"{', '.join(shared)} is shared with the whole world", want,
            "Block lists refuse its questions. Install a resolver of your own: apt-get install unbound",
        )  # fmt: skip
    reply = host.query(resolvers[0], ".", "SOA")
    if not reply.answered:
        return skipped(asked, f"no answer ({reply.rcode})", want)
    if reply.authenticated:
        return passed(asked, "the answer was validated", want)
    return warned(
        asked, "the answer was not validated", want,
        "Forged DNS answers would be believed. Install a resolver of your own: apt-get install unbound",
    )  # fmt: skip
