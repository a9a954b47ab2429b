"""Who lives where: the folders of the lab, and the addresses of its pretend Internet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("RELAY_WIZARD_LAB_CACHE", "/var/cache/relay-wizard-lab"))
LABS = Path("/var/lib/relay-wizard-lab")

RELEASES = ("bookworm", "trixie")
# The world is scenery: it runs on one release, whatever the VPS runs on.
WORLD_RELEASE = "trixie"


@dataclass(frozen=True)
class Link:
    """One host's cable to the router: its addresses, and the router's on the other end."""

    ipv4: tuple[str, ...]
    ipv4_router: str
    ipv4_length: int
    ipv6: tuple[str, ...]
    ipv6_router: str


VPS = "192.0.2.10"
VPS6 = "2001:db8:2::10"
HOME = "198.51.100.80"

NS1 = "203.0.113.53"
NS2 = "203.0.113.54"
RESOLVER = "203.0.113.55"
ACME = "203.0.113.14"
MX = "203.0.113.25"
MX6 = "2001:db8:3::25"
MX2 = "203.0.113.26"
# A mail client somewhere in a café, and a bad actor that the answers file blocks.
CLIENT = "203.0.113.70"
BLOCKED = "203.0.113.66"
# Addresses for whoever may get banned for what he tries: each attempt comes from another one.
CROWD = tuple(f"203.0.113.{number}" for number in range(72, 127))

LINKS = {
    "vps": Link((VPS,), "192.0.2.1", 24, (VPS6,), "2001:db8:2::1"),
    "home": Link((HOME,), "198.51.100.1", 24, ("2001:db8:1::80",), "2001:db8:1::1"),
    "world": Link((MX, NS1, NS2, RESOLVER, ACME, MX2), "203.0.113.1", 26, (MX6,), "2001:db8:3::1"),
    "client": Link((CLIENT, BLOCKED, *CROWD), "203.0.113.65", 26, ("2001:db8:4::70",), "2001:db8:4::1"),
}
