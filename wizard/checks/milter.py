"""Mail filters (milters): whether one answers to the words that Postfix speaks to it."""

from __future__ import annotations

import struct
from contextlib import closing
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed
from wizard.checks.wire import Wire

if TYPE_CHECKING:
    from wizard.host import Host

# The protocol of Sendmail 8.14, which Postfix speaks by default (milter_protocol = 6).
VERSION = 6
# What Postfix offers: to let the filter change headers, and to leave out nothing that it asks for.
ACTIONS = 0x1FF
STEPS = 0x1FFFFF
NEGOTIATE = b"O"
LONGEST = 65536
TIMEOUT = 10.0


def answers(host: Host, *, address: str, port: int, service: str, mend: str) -> Finding:
    """Begin a conversation as Postfix does, and see that a milter answers it.

    Args:
        host: the machine.
        address: where the milter listens.
        port: its port.
        service: its unit, for the advice.
        mend: the step that mends it.
    """
    asked = f"{address} port {port}: milter negotiation"
    want = f"{service} agrees to version {VERSION} or older"
    do = f"Run: relay-wizard apply {mend}   and see: journalctl -u {service} -n 20"
    try:
        with closing(host.connect(address, port, timeout=TIMEOUT)) as connection:
            version = _negotiate(Wire(host, connection, TIMEOUT))
    except (OSError, EOFError) as error:
        return failed(asked, f"no answer: {error}", want, do)
    if 2 <= version <= VERSION:
        return passed(asked, f"version {version}", want)
    return failed(asked, "something that is no milter answers there", want, do)


def _negotiate(wire: Wire) -> int:
    """Send an option packet and read the one that answers it; the version in it, 0 when it is none."""
    packet = NEGOTIATE + struct.pack(">III", VERSION, ACTIONS, STEPS)
    wire.send(struct.pack(">I", len(packet)) + packet)
    (length,) = struct.unpack(">I", wire.exactly(4))
    if not 13 <= length <= LONGEST:
        return 0
    reply = wire.exactly(length)
    return int(struct.unpack(">I", reply[1:5])[0]) if reply[:1] == NEGOTIATE else 0
