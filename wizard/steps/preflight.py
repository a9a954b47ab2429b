"""Before anything else: can this server become a mail relay at all? Nothing is changed."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from wizard import platforms
from wizard.answers import BLOCKLISTS
from wizard.check import Check, recommended
from wizard.step import HARDEN, Field, Step

if TYPE_CHECKING:
    from wizard.fact import Context


def unsupported(context: Context) -> str:
    """Why this machine cannot be worked on at all, '' when it can (exit status 5)."""
    from wizard.checks import host_system

    host = context.host
    if not host.is_root():
        return "not root: start it again with sudo in front"
    first = host_system.first_process(host)
    if first != "systemd":
        return f"process 1 is {first or 'unknown'}, not systemd: this is no server that the wizard could set up"
    release = host.os_release()
    if platforms.of(release.get("id", ""), release.get("id_like", "")) is None:
        return f"{host_system.system_name(host)} is not a supported system: Debian 12 or 13 is"
    return ""


def checks(context: Context) -> list[Check]:
    """What has to be true before the first change."""
    from wizard.checks import host_system, network

    found = [
        Check("preflight.root", "The wizard runs as root", host_system.is_root),
        Check("preflight.systemd", "systemd runs this machine", host_system.systemd_is_first),
        Check("preflight.system", "The system is supported and gets security updates", host_system.system_supported),
        Check("preflight.memory", "There is memory enough", host_system.enough_memory),
        Check("preflight.disk", "There is disk space enough", host_system.enough_disk),
        Check("preflight.port_25_free", "No other mail server holds port 25", host_system.port_25_free),
        Check(
            "preflight.public_address", "The server has a public address", partial(network.public_address, context),
        ),
        Check(
            "preflight.source_address", f"Mail leaves from {context.ipv4 or 'the public address'}",
            partial(network.leaves_from, context, 4),
        ),
        Check(
            "preflight.port_25_out", "The provider lets mail out (port 25)", partial(network.port_25_out, context, 4),
            outside=True,
        ),
        Check("preflight.resolver", "The resolver answers", partial(network.resolver_answers, context)),
        recommended(
            Check("preflight.resolver_own", "The resolver is an own one and validates", network.resolver_is_own),
        ),
    ]  # fmt: skip
    if context.answers.relay.ipv6:
        found += _ipv6_checks(context)
    return found + _block_list_checks(context)


def _ipv6_checks(context: Context) -> list[Check]:
    from wizard.checks import network

    return [
        Check("preflight.public_ipv6", "The server has the IPv6 address", partial(network.public_ipv6, context)),
        Check(
            "preflight.source_ipv6", f"Mail leaves from {context.answers.relay.ipv6}",
            partial(network.leaves_from, context, 6),
        ),
        recommended(
            Check(
                "preflight.port_25_out_ipv6", "The provider lets mail out over IPv6",
                partial(network.port_25_out, context, 6),
            ),
        ),
    ]  # fmt: skip


def _block_list_checks(context: Context) -> list[Check]:
    from wizard.checks import network, reputation

    resolvers = network.system_resolvers(context.host) or context.resolvers
    return [
        recommended(
            Check(
                f"preflight.block_list_{re.sub(r'[^a-z0-9]+', '_', zone)}", f"The address is not on {zone}",
                partial(reputation.not_on_list, zone, context.addresses, resolvers),
            )
        )
        for zone in context.answers.reputation.blocklists or BLOCKLISTS
    ]  # fmt: skip


STEP = Step(
    id="preflight",
    title="Before you begin",
    group=HARDEN,
    why="A server whose provider blocks port 25, or whose address is on block lists, will never be a good relay.\n"
    "Better to know it before the first change than after the last.",
    better="Outgoing port 25 is tried against real mail servers: a scan of the own ports says nothing about it.\n"
    "Block lists are tested before they are believed: a refusal is not a listing.",
    checks=checks,
    fields=(
        Field(
            "relay.ipv4",
            "What is the server's public IPv4 address?",
            "Empty: it is found by itself.",
            lambda context: context.facts.source_ipv4,
        ),
        Field("relay.ipv6", "And its IPv6 address?", "Empty: mail goes over IPv4 only, which is simpler and enough."),
    ),
    needs=(),
)
