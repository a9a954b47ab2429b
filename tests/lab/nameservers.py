"""The pretend Internet's DNS: a root, the zones of everybody, two authoritative servers and one resolver.

Times to live are so short that a test never waits for a cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .places import ACME, BLOCKED, CLIENT, CROWD, HOME, MX, MX2, MX6, NS1, NS2, RESOLVER, VPS

if TYPE_CHECKING:
    from .machine import Machine

INSTANCES = ("ns1", "ns2", "resolver")
# The registrar's key for dynamic update. It opens nothing outside the lab.
KEY_NAME = "operator"
KEY_SECRET = "c3RhcGxlZC1oZWFydGgtbGFiLWtleS1vZi0zMi1ieXQ="
BLOCKLIST = "bl.blocklist.example"
IPV6_REVERSE = "8.b.d.0.1.0.0.2.ip6.arpa"
PROVIDER_SELECTOR = "big"


def _last(address: str) -> str:
    """The last number of an IPv4 address, by which its reverse zone knows it."""
    return address.rpartition(".")[2]


# What stands in each zone before the operator comes. The relay's own zone is empty, as a fresh domain is; home's
# still points at home; the VPS has the PTR that its provider gives to everybody.
ZONES = {
    "registrar.example": f"ns1 A {NS1}\nns2 A {NS2}\nresolver A {RESOLVER}",
    "brightmail.example": "",
    "hearth.example": f"@ A {HOME}\n@ MX 10 home\nhome A {HOME}",
    "bigmail.example": (
        f"@ MX 10 mx\n@ MX 20 mx2\nmx A {MX}\nmx AAAA {MX6}\nmx2 A {MX2}\n"
        f'@ TXT "v=spf1 ip4:{MX} ip6:{MX6} -all"\nmx TXT "v=spf1 a -all"\n_dmarc TXT "v=DMARC1; p=reject"'
    ),
    "certifier.example": f"acme A {ACME}",
    "aol.example": f"@ A {CLIENT}\n@ MX 10 mail\nmail A {CLIENT}",
    "stranger.example": (
        f'@ A {CLIENT}\n@ MX 10 cafe\ncafe A {CLIENT}\n@ TXT "v=spf1 ip4:{CLIENT} -all"\n'
        + "\n".join(f"crowd-{_last(address)} A {address}" for address in CROWD)
    ),
    "forged.example": f'@ A {HOME}\n@ TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=reject"',
    "provider.example": f"vps-10 A {VPS}",
    "isp.example": f"host-80 A {HOME}",
    # RFC 5782: 127.0.0.2 and ::ffff:7f00:2 are always listed, 127.0.0.1 and ::ffff:7f00:1 never.
    BLOCKLIST: (
        '2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT "test entry"\n'
        "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 A 127.0.0.2\n"
        f"{'.'.join(reversed(BLOCKED.split('.')))} A 127.0.0.4\n"
        f'{".".join(reversed(BLOCKED.split(".")))} TXT "seen sending spam"'
    ),
    "2.0.192.in-addr.arpa": "10 PTR vps-10.provider.example.",
    "100.51.198.in-addr.arpa": "80 PTR host-80.isp.example.",
    "113.0.203.in-addr.arpa": (
        f"{_last(MX)} PTR mx.bigmail.example.\n{_last(MX2)} PTR mx2.bigmail.example.\n"
        f"{_last(CLIENT)} PTR cafe.stranger.example.\n"
        + "\n".join(f"{_last(address)} PTR crowd-{_last(address)}.stranger.example." for address in CROWD)
    ),
    IPV6_REVERSE: "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0 PTR mx.bigmail.example.",
}

UNIT = """[Unit]
Description=A name server of the pretend Internet
After=network.target {after}
[Service]
Type=notify
ExecStart=/usr/sbin/named -f -4 -u bind -c /etc/bind/{name}.conf
[Install]
WantedBy=multi-user.target
"""
OPTIONS = """key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
controls {{ }};
options {{
  directory "/var/lib/bind/{name}";
  pid-file "/run/named/{name}.pid";
  session-keyfile "/run/named/{name}.session";
  listen-on {{ {address}; }};
  listen-on-v6 {{ none; }};
  query-source address {address};
  transfer-source {address};
  notify-source {address};
  dnssec-validation no;
  empty-zones-enable no;
  minimal-responses no;
  {more}
}};
"""
AUTHORITATIVE = (
    "recursion no; allow-query { any; }; notify explicit; notify-delay 0; notify-rate 1000; startup-notify-rate 1000; "
    # A registrar takes an MX before the name that it points to exists.
    "check-integrity no; serial-query-rate 1000; min-retry-time 1; max-retry-time 2; max-refresh-time 5;"
)
RECURSIVE = (
    "recursion yes; allow-query { any; }; allow-recursion { any; }; max-cache-ttl 1; max-ncache-ttl 1; servfail-ttl 0; "
    "lame-ttl 0; resolver-query-timeout 3000;"
)


def furnish(world: Machine) -> None:
    """Write the three servers' configuration, zones and units into the machine, before it boots."""
    addresses = {"ns1": NS1, "ns2": NS2, "resolver": RESOLVER}
    for name, address in addresses.items():
        more = RECURSIVE if name == "resolver" else AUTHORITATIVE
        text = OPTIONS.format(key=KEY_NAME, secret=KEY_SECRET, name=name, address=address, more=more)
        world.write(f"/etc/bind/{name}.conf", text + _zone_statements(name))
        after = "lab-ns1.service" if name == "ns2" else ""
        world.write(f"/etc/systemd/system/lab-{name}.service", UNIT.format(name=name, after=after))
        world.write(
            f"/var/lib/bind/{name}/hints",
            f". 3600 IN NS ns1.registrar.example.\nns1.registrar.example. 3600 IN A {NS1}\n",
        )
    world.write("/var/lib/bind/ns1/root.zone", _root_zone())
    for zone, records in ZONES.items():
        world.write(f"/var/lib/bind/ns1/{zone}.zone", _zone(records))


def _zone_statements(name: str) -> str:
    if name == "resolver":
        return 'zone "." { type hint; file "hints"; };\n'
    if name == "ns2":
        kind = f"type secondary; primaries {{ {NS1}; }};"
    else:
        kind = f"type primary; also-notify {{ {NS2}; }}; allow-transfer {{ any; }}; allow-update {{ key {KEY_NAME}; }};"
    statements = [f'zone "{zone}" {{ {kind} file "{zone}.zone"; }};' for zone in ZONES]
    return "\n".join([f'zone "." {{ {kind} file "root.zone"; }};', *statements]) + "\n"


def _zone(records: str) -> str:
    """A zone served by both servers; an answer of "there is none" is remembered for one second."""
    soa = "$TTL 5\n@ SOA ns1.registrar.example. hostmaster.registrar.example. 1 5 1 600 1\n"
    return f"{soa}@ NS ns1.registrar.example.\n@ NS ns2.registrar.example.\n{records}\n"


def _root_zone() -> str:
    delegations = [f"{zone}. NS {server}.registrar.example." for zone in ZONES for server in ("ns1", "ns2")]
    glue = [f"ns1.registrar.example. A {NS1}", f"ns2.registrar.example. A {NS2}"]
    return _zone("\n".join([*delegations, *glue]))
