"""The system up to date, and kept so."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.step import HARDEN, Field, Step

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.operation import Operation

PERIODIC = "/etc/apt/apt.conf.d/60relay-wizard"


def plan(context: Context) -> list[Operation]:
    """Index, upgrade, and who does it from now on."""
    from wizard.operations.files import write_template
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import RunService
    from wizard.operations.system import RefreshIndex, UpgradePackages

    platform, wanted = context.platform, context.answers.updates.unattended
    operations: list[Operation] = [RefreshIndex(platform), UpgradePackages(platform)]
    if wanted:
        operations.append(InstallPackages(platform, platform.packages["updates"]))
    if platform.family == "redhat":
        # This timer installs whatever automatic.conf says.
        return [*operations, RunService("dnf-automatic-install.timer")] if wanted else operations
    operations.append(write_template("updates", PERIODIC, unattended=wanted))
    if wanted:
        operations += [RunService("apt-daily.timer"), RunService("apt-daily-upgrade.timer")]
    return operations


def checks(context: Context) -> list[Check]:
    """Up to date now, and tomorrow."""
    from wizard.checks import updates as look

    platform = context.platform
    found = [
        Check("updates.none_pending", "No update waits", partial(look.none_pending, platform)),
        Check("updates.no_reboot", "No update waits for a restart", partial(look.no_reboot_pending, platform)),
    ]
    if context.answers.updates.unattended:
        found.append(
            Check("updates.unattended", "Security updates install themselves", partial(look.unattended, platform))
        )
    return [recommended(check) for check in found]


STEP = Step(
    id="updates",
    title="Updates",
    group=HARDEN,
    why="A server on the Internet is attacked through known holes first.\n"
    "They are closed now, and from then on without anybody's help.",
    better="Nothing restarts the machine by itself: mail would stop at a time that nobody chose.",
    plan=plan,
    checks=checks,
    fields=(
        Field("updates.unattended", "Install security updates by themselves?", "Yes is right for nearly everybody."),
    ),
    requires=("preflight",),
    needs=(),
)
