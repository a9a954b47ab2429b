"""SSH: another port, keys instead of passwords, and never a moment without a way in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.fact import WayIn
from wizard.step import HARDEN, Field, Step

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.operation import Operation

TMPFILES = "/etc/tmpfiles.d/relay-wizard.conf"


def plan(context: Context) -> list[Operation]:
    """Refuse what would lock out, open the port everywhere, then let sshd listen there.

    Sessions go on through a reload: each has a process of its own. The ports of now stay beside the new one until that
    is proved.
    """
    from wizard.operations.files import MakeDirectory, write_template
    from wizard.operations.firewall import OpenPort
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import RunService
    from wizard.operations.ssh import (
        DROP_IN,
        SERVICE_DROP_IN,
        SOCKET_DROP_IN,
        SOCKET_GENERATOR,
        KeepAWayIn,
        LabelSshPort,
        MoveSshSocket,
        ports_in_use,
        ports_of_others,
        promised_ways_in,
        ways_in,
    )
    from wizard.operations.users import MAIL_GROUP

    answers, platform, service = context.answers.ssh, context.platform, context.platform.services["ssh"]
    kept = ports_in_use(context.host) if context.way_in is WayIn.UNPROVED else ()
    wanted, others = {answers.port, *kept}, {*ports_of_others(context.host)}
    operations: list[Operation] = [
        KeepAWayIn(ways_in(context, context.host) or promised_ways_in(context), answers.port),
    ]
    if platform.packages["selinux"]:
        operations += [InstallPackages(platform, platform.packages["selinux"]), LabelSshPort(answers.port)]
    operations.append(OpenPort(platform, answers.port))
    drop_in = write_template(
        "ssh", DROP_IN, check_candidate=("sshd", "-t", "-f", "{candidate}"), check_installed=("sshd", "-t"),
        notify=(service,), ports=sorted(wanted - others | {answers.port}),
        unproved=any(port not in {answers.port, *others} for port in kept),
        permit_root_login=answers.permit_root_login, password_authentication=answers.password_authentication,
        mail_group=MAIL_GROUP,
    )  # fmt: skip
    if not context.facts.ssh_socket_active:
        return [*operations, drop_in, RunService(service)]
    files, ports = [drop_in], sorted(wanted | others)
    if context.host.stat(SOCKET_GENERATOR) is None:
        ports = sorted(wanted)
        files = [write_template("ssh", SERVICE_DROP_IN), drop_in, write_template("ssh", SOCKET_DROP_IN, ports=ports)]
    operations += [write_template("ssh", TMPFILES), MakeDirectory("/run/sshd")]
    return [*operations, MoveSshSocket(tuple(ports), tuple(files))]


def stay_reachable(context: Context) -> list[Operation]:
    """After the way back: sshd is on its old port again, and a firewall that filters has to know it."""
    from wizard.operations.firewall import OpenPort
    from wizard.operations.ssh import ports_in_use

    return [OpenPort(context.platform, port) for port in ports_in_use(context.host)]


def checks(context: Context) -> list[Check]:
    """As sshd says, and as it answers."""
    from wizard.checks import ssh as look

    port = context.answers.ssh.port
    return [
        Check("ssh.valid", "sshd accepts its configuration", look.valid),
        Check("ssh.settings", "The answered settings are in force", partial(look.settings, context)),
        Check("ssh.listens", f"sshd listens on port {port} alone", partial(look.listens, port)),
        Check("ssh.banner", f"SSH answers on port {port}", partial(look.banner, context, port)),
        Check("ssh.way_in", "An administrator can log in", partial(look.way_in, context)),
        Check("ssh.mail_logins", "Logins that send mail are refused by SSH", look.mail_logins_out),
    ]


STEP = Step(
    id="ssh",
    title="SSH",
    group=HARDEN,
    why="Port 22 with a password is what every robot tries first.\n"
    "Keys cannot be guessed, and another port keeps the log readable.",
    better="Passwords go only when a key is there that would be accepted, and the old port only when a new login was\n"
    "seen: else all comes back by itself. Mail logins are refused, as they could forward ports without a shell.",
    plan=plan,
    checks=checks,
    fields=(
        Field("ssh.port", "Which port shall SSH listen on?", "Not 22; sessions that are open stay open."),
        Field("ssh.permit_root_login", "May root log in?", '"prohibit-password" lets root in with a key only.'),
        Field("ssh.password_authentication", "May passwords be used?", "No, once your key is on the server."),
        Field(
            "ssh.revert_after",
            "How many seconds do you want for a new login?",
            "After a change of SSH or firewall you log in once more, in a second terminal. Without that in time, the "
            "change is taken back by itself. 300 are five minutes.",
        ),
    ),
    requires=("preflight", "users"),
    after_rollback=stay_reachable,
    guarded=lambda _context: True,
    needs=(),
)
