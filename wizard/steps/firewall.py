"""The firewall: nothing comes in but SSH and mail."""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import TYPE_CHECKING

from wizard.answers import AnswersError
from wizard.check import Check
from wizard.fact import WayIn
from wizard.step import HARDEN, Field, Step

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.operation import Operation

SMTP, SUBMISSIONS = 25, 465


def needed_ports(context: Context) -> tuple[int, ...]:
    """SSH's port as answered, and those of mail. Port 80 is opened by the renewal, for its own moment."""
    return (context.answers.ssh.port, SMTP, SUBMISSIONS)


def plan(context: Context) -> list[Operation]:
    """Rules first, and among them every port that SSH is answered on now; only then is anything refused.

    Raises:
        AnswersError: when a network is to be blocked that the operator comes from.
    """
    from wizard.operations import ssh
    from wizard.operations.firewall import EnableUfw, set_rules
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import RunService

    platform = context.platform
    for network in context.answers.firewall.block:
        if _holds(network, context.facts.operator):
            raise AnswersError(
                f"firewall.block: {network} holds {context.facts.operator}, the address that you are connected from; "
                "take it out, or you would be shut out"
            )
    # Asked of the machine anew: a step before this one may have moved sshd a second ago. A port that sshd has just
    # left after a proof may still be seen for a moment.
    in_use = ssh.configured_ports if context.way_in is WayIn.PROVED else ssh.ports_in_use
    allow = {*needed_ports(context), *in_use(context.host)}
    rules = set_rules(platform, allow, context.answers.firewall.block)
    on = RunService("firewalld") if platform.family == "redhat" else EnableUfw()
    return [InstallPackages(platform, platform.packages["firewall"]), rules, on]


def _holds(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network)
    except ValueError:
        return False


def checks(context: Context) -> list[Check]:
    """On, complete, and no more than that."""
    from wizard.checks import firewall as look

    platform, ports, block = context.platform, needed_ports(context), context.answers.firewall.block
    found = [
        Check("firewall.active", "The firewall is on, also after a boot", partial(look.active, platform)),
        Check("firewall.default", "What no rule lets in is refused", partial(look.refuses_the_rest, platform)),
        Check("firewall.ssh", "SSH's port is open", partial(look.ssh_port_open, platform)),
        Check("firewall.ports", "The ports of SSH and mail are open", partial(look.lets_in, platform, ports)),
        Check("firewall.nothing_else", "No other port is open", partial(look.nothing_else, platform, ports)),
    ]
    if block:
        found.append(
            Check("firewall.block", "The blocked networks are kept out", partial(look.keeps_out, platform, block))
        )
    if platform.family == "redhat":
        found.append(Check("firewall.permanent", "The rules survive a reload", look.permanent_is_runtime))
    return found


STEP = Step(
    id="firewall",
    title="Firewall",
    group=HARDEN,
    why="A program that listens by mistake is not reachable, and known bad actors do not even get an answer.",
    better="It refuses by default, IPv4 and IPv6 alike, and knows SSH's port before it is switched on: without both,\n"
    "one has either no firewall or no way in. Port 80 stays shut but for the moments of a renewal.",
    plan=plan,
    checks=checks,
    fields=(
        Field("firewall.block", "Whom do you want to keep out altogether?", "Addresses or ranges: 203.0.113.0/24"),
    ),
    requires=("preflight",),
    guarded=lambda _context: True,
    needs=(),
)
