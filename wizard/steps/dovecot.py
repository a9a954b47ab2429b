"""Dovecot checks the passwords of those who send through port 465, and does nothing else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.step import CARRY, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.operation import Operation

CONFIGURATION = "/etc/dovecot/conf.d"
PAM_SERVICE = "relay-wizard-smtp"


def plan(context: Context) -> Sequence[Operation]:
    """The package, the PAM service, Dovecot's settings in the words of its version, and Dovecot running."""
    from wizard.operations.files import write_template
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import RunService
    from wizard.operations.users import MAIL_GROUP, CreateGroup

    service = context.platform.services["dovecot"]
    new = context.facts.dovecot_version >= (2, 4)
    return (
        InstallPackages(context.platform, context.platform.packages["dovecot"]),
        CreateGroup(MAIL_GROUP),
        write_template("dovecot", f"/etc/pam.d/{PAM_SERVICE}", mail_group=MAIL_GROUP, family=context.platform.family),
        # Before 2.4 a second passdb is added to the stock one, wherever it stands: ours has to come first.
        *(() if new else (_settings("05-relay-wizard.conf", service, new=False),)),
        _settings("99-relay-wizard.conf", service, new=new),
        RunService(service),
    )  # fmt: skip


def _settings(name: str, service: str, *, new: bool) -> Operation:
    from wizard.operations.files import write_template

    return write_template(
        "dovecot", f"{CONFIGURATION}/{name}", check_installed=("doveconf", "-n"), restart=(service,),
        new=new, pam=PAM_SERVICE,
    )  # fmt: skip


def checks(context: Context) -> Sequence[Check]:
    """The settings in force, the socket, and that nothing else listens."""
    from wizard.checks import dovecot as ask

    service = context.platform.services["dovecot"]
    return (
        Check("dovecot.running", "Dovecot runs", partial(ask.running, service=service)),
        Check("dovecot.configuration", "Dovecot's configuration is sound", ask.configuration),
        Check("dovecot.socket", "Postfix can ask Dovecot, and nobody else can", ask.socket),
        Check("dovecot.no_ports", "Dovecot opens no port to the network", ask.no_ports),
        Check("dovecot.mail_users_only", "Only mail users can log in", partial(ask.mail_users_only, pam=PAM_SERVICE)),
    )


STEP = Step(
    id="dovecot",
    title="Logins",
    group=CARRY,
    why="Postfix has the passwords on port 465 checked by Dovecot, against the accounts of this machine.",
    better="Only members of a group of their own can log in to send, so nobody can guess root's password there.\n"
    "The settings are one drop-in in the words of the installed version: 2.4 refuses the older ones.",
    plan=plan,
    checks=checks,
    requires=("postfix",),
)
