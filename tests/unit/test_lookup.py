"""Names asked of every authoritative server and of the resolvers, and nothing asked for ever."""

from __future__ import annotations

from tests.fake_dns import NS1, NS2, RESOLVER, SECOND, NamedHost, published
from wizard.host import DnsRecord, DnsReply
from wizard.lookup import (
    World,
    authoritative_servers,
    chain,
    duration,
    lookup,
    time_left,
)


def test_the_zone_is_found_above_the_name_and_its_servers_are_asked() -> None:
    host = NamedHost(records=published())
    world = World(host, (RESOLVER,))
    assert world.zone("default._domainkey.brightmail.example").name == "brightmail.example"
    words = world.authoritative("mail.brightmail.example", "A")
    assert [word.server for word in words] == [f"ns1.registrar.example ({NS1})", f"ns2.registrar.example ({NS2})"]
    assert all(word.reply.texts("A") == ("192.0.2.10",) for word in words)
    assert [str(server) for server in authoritative_servers(host, (RESOLVER,), "brightmail.example")] == [
        word.server for word in words
    ]


def test_every_question_is_asked_once() -> None:
    host = NamedHost(records=published())
    world = World(host, (RESOLVER,))
    for _ in range(3):
        world.truth("mail.brightmail.example", "A")
    assert len(host.questions) == len(set(host.questions))


def test_a_silent_server_is_asked_twice_and_never_again() -> None:
    host = NamedHost(records=published(), silent={RESOLVER})
    world = World(host, (RESOLVER, SECOND))
    assert world.lookup("brightmail.example", "A").texts("A") == ("192.0.2.10",)
    world.lookup("brightmail.example", "MX")
    assert [server for server, *_ in host.questions].count(RESOLVER) == 2


def test_no_answer_at_all() -> None:
    host = NamedHost(records=published(), silent={RESOLVER})
    assert lookup(host, (RESOLVER,), "brightmail.example", "A").rcode == "TIMEOUT"
    zone = World(host, (RESOLVER,)).zone("brightmail.example")
    assert not zone.servers
    assert "do not answer" in zone.problem


def test_name_servers_at_private_addresses_are_left_alone() -> None:
    host = NamedHost(records={**published(), ("ns1.registrar.example", "A"): ["127.0.0.1", "10.0.0.1"]})
    servers = World(host, (RESOLVER,)).zone("brightmail.example").servers
    assert [server.address for server in servers] == [NS2]


def test_a_zone_whose_servers_have_no_address() -> None:
    records = published()
    records["ns1.registrar.example", "A"] = records["ns2.registrar.example", "A"] = []
    zone = World(NamedHost(records=records), (RESOLVER,)).zone("brightmail.example")
    assert "has an address" in zone.problem


def test_an_alias_that_leads_elsewhere_is_followed_through_the_resolvers() -> None:
    records = {**published(), ("_dmarc.brightmail.example", "CNAME"): ["_dmarc.other.test."]}
    del records["_dmarc.brightmail.example", "TXT"]
    host = NamedHost(records=records, views={RESOLVER: {("_dmarc.other.test", "TXT"): ["v=DMARC1; p=reject"]}})
    reply = World(host, (RESOLVER,)).truth("_dmarc.brightmail.example", "TXT")
    assert reply.texts("TXT") == ("v=DMARC1; p=reject",)


def test_a_loop_of_aliases_ends() -> None:
    loop = (DnsRecord("a.example.", "CNAME", 5, "b.example."), DnsRecord("b.example.", "CNAME", 5, "a.example."))
    assert chain(DnsReply("NOERROR", loop), "a.example") == ("a.example", "b.example")


def test_how_long_a_resolver_remembers() -> None:
    soa = DnsRecord("example.", "SOA", 900, "ns1.example. hostmaster.example. 1 7200 3600 86400 300")
    assert time_left(DnsReply("NXDOMAIN", authority=(soa,))) == 300
    assert time_left(DnsReply("NOERROR", (DnsRecord("example.", "A", 42, "192.0.2.1"),))) == 42
    assert time_left(DnsReply("NXDOMAIN")) == 0
    assert [duration(seconds) for seconds in (1, 40, 300, 7200)] == ["1 second", "40 seconds", "5 minutes", "2 hours"]
