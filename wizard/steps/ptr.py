"""The reverse names of the relay's addresses, which only the provider of the server can set."""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.step import NAME, Step
from wizard.steps.dns import here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context


def checks(context: Context) -> Sequence[Check]:
    """For each address that mail leaves from: its name is ours, and leads back to it."""
    from wizard.checks import dns as ask
    from wizard.lookup import World
    from wizard.records import sheet

    world = World(context.host, context.resolvers)
    found: list[Check] = []
    for record in sheet(context):
        if record.kind != "ptr":
            continue
        address = record.subject
        family = f"ipv{ipaddress.ip_address(address).version}"
        found += (
            Check(
                f"ptr.{family}", f"The reverse name of {address} is {context.hostname}",
                here(partial(ask.check, context, world, record)), outside=True,
            ),
            Check(
                f"ptr.{family}_confirmed", f"The reverse name of {address} leads back to it",
                here(partial(ask.forward_confirmed, context, world, address)), outside=True,
            ),
        )  # fmt: skip
    named = here(partial(ask.named_by_hand, context))
    return [*found, recommended(Check("ptr.chosen_name", "The host name looks chosen, not generated", named))]


STEP = Step(
    id="ptr",
    title="Reverse name",
    group=NAME,
    why="Large receivers refuse mail from an address whose name is not that of the mail server.\n"
    "The provider's panel, or a ticket there, sets it.",
    better="Each address that mail leaves from is asked about, IPv6 too, and the name has to lead back to the\n"
    "address: receivers check both directions.",
    checks=checks,
    requires=("preflight",),
)
