"""The machine knows its own full name, and that name leads to its public address."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.step import HARDEN, Field, Step

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.operation import Operation

CLOUD = "/etc/cloud/cloud.cfg.d/99-relay-wizard.cfg"


def plan(context: Context) -> list[Operation]:
    """Hosts file first, so that the new name can be resolved the moment it is set."""
    from wizard.operations.files import WriteFile, write_template
    from wizard.operations.system import SetHostname, hosts_text

    operations: list[Operation] = []
    if context.host.stat("/etc/cloud/cloud.cfg") is not None:
        operations.append(write_template("hostname", CLOUD))
    before = (context.host.read("/etc/hosts") or b"").decode(errors="replace")
    operations += [
        WriteFile("/etc/hosts", hosts_text(before, context.addresses, context.hostname), by_line=True),
        SetHostname(context.hostname),
    ]
    if context.platform.family == "debian":
        operations.append(WriteFile("/etc/mailname", f"{context.domain}\n"))
    return operations


def checks(context: Context) -> list[Check]:
    """The name in all the places where daemons look for it."""
    from wizard.checks import naming

    found = [
        Check("hostname.kept", f"The host name is {context.hostname}", partial(naming.hostname_kept, context)),
        Check("hostname.full", "hostname -f gives the full name", partial(naming.full_name, context)),
        Check(
            "hostname.no_loopback", "The host name leads to the public address here too",
            partial(naming.no_loopback_alias, context),
        ),
    ]  # fmt: skip
    if context.platform.family == "debian":
        ask = partial(naming.mailname, context)
        found.append(recommended(Check("hostname.mailname", "The mail name is the domain", ask)))
    return found


STEP = Step(
    id="hostname",
    title="Host name",
    group=HARDEN,
    why="A mail server greets others with its name; they compare it with the DNS and with the address.\n"
    "Here the machine itself learns the name.",
    better="The name stands on the public address in /etc/hosts, not on 127.0.1.1, where Debian puts it: a daemon\n"
    "that looks itself up would find only loopback. cloud-init is told not to put the old name back.",
    plan=plan,
    checks=checks,
    fields=(
        Field("relay.domain", "Which domain does this relay send for?", "The part behind the @ of your addresses."),
        Field("relay.hostname", "What is the server's full name?", "Usual: mail. in front of the domain."),
    ),
    requires=("preflight",),
)
