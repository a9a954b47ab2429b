"""Everybody else on the pretend Internet, in one machine with many addresses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import certifier, nameservers, receiver
from .places import ACME, MX, NS1, NS2, RESOLVER
from .shell import LabError

if TYPE_CHECKING:
    from .machine import Machine

UNITS = ("lab-ns1", "lab-ns2", "lab-resolver", "lab-pebble")
# Units of the packages that would take the place of the lab's own.
UNWANTED = ("named", "systemd-timesyncd")
WANTS = "/etc/systemd/system/multi-user.target.wants"
# Everybody that must answer before a test begins: address, port.
SERVICES = ((NS1, 53), (NS2, 53), (RESOLVER, 53), (ACME, 14000), (ACME, certifier.MANAGEMENT_PORT), (MX, 25))


def furnish(world: Machine) -> None:
    """Make the world's machine what it is, before it boots."""
    nameservers.furnish(world)
    zone = f"/var/lib/bind/ns1/{receiver.DOMAIN}.zone"
    world.write(zone, world.read(zone) + receiver.dkim_record(world) + "\n")
    certifier.furnish(world)
    receiver.furnish(world)
    for unit in UNWANTED:
        (world.root / f"etc/systemd/system/{unit}.service").symlink_to("/dev/null")
    for unit in UNITS:
        (world.root / WANTS.lstrip("/") / f"{unit}.service").symlink_to(f"/etc/systemd/system/{unit}.service")
    # named writes zones, journals and its secondary copies.
    world.chroot("chown", "-R", "bind:", "/var/lib/bind")


def wait(world: Machine, seconds: float = 30) -> None:
    """Until every service of the world takes connections, and the second name server has its copy."""
    deadline = time.monotonic() + seconds
    probes = [f"exec 3<>/dev/tcp/{address}/{port}" for address, port in SERVICES]
    probes.append(f"dig +short +time=1 +tries=1 @{NS2} mx.{receiver.DOMAIN} | grep -q {MX}")
    probes.append(f"dig +short +time=1 +tries=1 @{RESOLVER} mx.{receiver.DOMAIN} | grep -q {MX}")
    missing = probes
    while time.monotonic() < deadline:
        missing = [probe for probe in missing if world.run("bash", "-c", probe, check=False, timeout=10).status != 0]
        if not missing:
            return
        time.sleep(0.2)
    journal = world.run("journalctl", "-b", "-p", "warning", "--no-pager", "-n", "40", check=False).out
    raise LabError(f"the world does not answer: {missing}\n{journal}")
