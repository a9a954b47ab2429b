"""The clock: its zone, and that it is right."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.step import HARDEN, Field, Step

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.operation import Operation


def plan(context: Context) -> list[Operation]:
    """The zone; and a time daemon, unless one runs already or a container has no clock of its own."""
    from wizard.checks import naming
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import RunService
    from wizard.operations.system import SetTimezone, container

    platform, service = context.platform, context.platform.services["clock"]
    operations: list[Operation] = [SetTimezone(context.answers.relay.timezone)]
    daemon = naming.time_daemon(context.host)
    if container(context.host) or daemon not in {"", service}:
        return operations
    return [*operations, InstallPackages(platform, platform.packages["clock"]), RunService(service)]


def checks(context: Context) -> list[Check]:
    """Zone and time."""
    from wizard.checks import naming

    zone = context.answers.relay.timezone
    return [
        recommended(Check("clock.zone", f"The time zone is {zone}", partial(naming.zone_is, zone))),
        Check("clock.synchronised", "The clock is synchronised", naming.synchronised),
    ]


def unknown_zone(context: Context) -> str:
    """Why the zone does not do here: the machine has no file of it."""
    from wizard.operations.system import is_zone

    zone = context.answers.relay.timezone
    if is_zone(context.host, zone):
        return ""
    return f"'{zone}' is not known to this machine; its zones are named like Europe/Berlin: timedatectl list-timezones"


STEP = Step(
    id="clock",
    title="Clock",
    group=HARDEN,
    why="Signatures, certificates and log lines are worth nothing with a wrong time.",
    better="A time daemon that runs already is kept, whichever it is; a container's clock is left to its host.",
    plan=plan,
    checks=checks,
    fields=(
        Field(
            "relay.timezone",
            "In which time zone shall the logs be?",
            "Etc/UTC never jumps in spring or autumn.",
            unfit=unknown_zone,
        ),
    ),
    requires=("preflight",),
    needs=(),
)
