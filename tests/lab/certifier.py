"""The certificate authority: Pebble, asking port 80 of whoever wants a certificate, as the real ones do."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import TYPE_CHECKING

from . import network
from .places import ACME, RESOLVER
from .shell import run

if TYPE_CHECKING:
    from .machine import Machine

NAME = "acme.certifier.example"
FOLDER = "/etc/pebble"
SERVER_CA = f"{FOLDER}/ca.pem"
MANAGEMENT_PORT = 15000
CONFIG = {
    "pebble": {
        "listenAddress": f"{ACME}:14000",
        "managementListenAddress": f"{ACME}:{MANAGEMENT_PORT}",
        "certificate": f"{FOLDER}/server.pem",
        "privateKey": f"{FOLDER}/server.key",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "retryAfter": {"authz": 1, "order": 1},
        "certificateValidityPeriod": 90 * 24 * 3600,
    }
}
# Without sleeps and without refused nonces, which prove a client's patience and cost a test's time; and every order
# is validated for real, with nothing remembered.
UNIT = f"""[Unit]
Description=A certificate authority
After=network.target lab-resolver.service
[Service]
Environment=PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0
ExecStart=/usr/bin/pebble -config {FOLDER}/config.json -dnsserver {RESOLVER}:53
[Install]
WantedBy=multi-user.target
"""


def furnish(world: Machine) -> None:
    """Write Pebble's configuration, its server certificate and its unit into the machine, before it boots."""
    world.write(f"{FOLDER}/config.json", json.dumps(CONFIG, indent=2))
    world.write("/etc/systemd/system/lab-pebble.service", UNIT)
    place = world.root / FOLDER.lstrip("/")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    authority = [
        *curve,
        "-subj",
        "/CN=Certifier of servers",
        "-keyout",
        str(place / "ca.key"),
        "-out",
        str(place / "ca.pem"),
    ]
    run(["openssl", "req", "-x509", *authority])
    server = [*curve, "-subj", f"/CN={NAME}", "-keyout", str(place / "server.key"), "-out", str(place / "server.pem")]
    named = ["-addext", f"subjectAltName=DNS:{NAME}", "-addext", "basicConstraints=critical,CA:FALSE"]
    signed = ["-CA", str(place / "ca.pem"), "-CAkey", str(place / "ca.key")]
    run(["openssl", "req", "-x509", *server, *named, *signed])


def bundle(world: Machine) -> str:
    """What a client must trust: the authority of Pebble's own server, and the root of what Pebble issues.

    Pebble makes a new root each time it starts.
    """
    server_ca = world.read(SERVER_CA)
    context = ssl.create_default_context(cadata=server_ca)
    # Asked by its address, because the lab's names are not this machine's.
    context.check_hostname = False
    address = f"https://{ACME}:{MANAGEMENT_PORT}/roots/0"

    def fetch() -> str:
        with urllib.request.urlopen(address, context=context, timeout=10) as reply:
            return str(reply.read().decode())

    return server_ca + network.inside(world.lab, "client", fetch)
