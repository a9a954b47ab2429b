"""fail2ban: who tries passwords, or tries to relay, is shut out for a while."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.fact import is_address
from wizard.step import HARDEN, Step

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.operation import Operation

JAIL_FILE = "/etc/fail2ban/jail.d/relay-wizard.local"
LOOPBACK = ("127.0.0.0/8", "::1")
# Addresses of operators come and go; the last few are remembered in the file itself.
OPERATORS_KEPT = 5


def plan(context: Context) -> list[Operation]:
    """The jails, checked as a whole before fail2ban reads them."""
    from wizard.operations.files import write_template
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import RunService

    platform = context.platform
    # The Red Hat family's package sets firewalld's actions by itself.
    action = ("iptables-multiport", "iptables-allports") if platform.family == "debian" else ("", "")
    return [
        InstallPackages(platform, platform.packages["fail2ban"]),
        write_template(
            "fail2ban", JAIL_FILE, check_installed=("fail2ban-client", "-t"), notify=("fail2ban",),
            operators=operators(context), ignored=(*LOOPBACK, *never_banned(context)),
            ssh_ports=(context.answers.ssh.port,), banaction=action[0], banaction_allports=action[1],
        ),
        RunService(platform.services["fail2ban"]),
    ]  # fmt: skip


def operators(context: Context) -> tuple[str, ...]:
    """The addresses from which the server was set up: those remembered, and that of this connection."""
    text = (context.host.read(JAIL_FILE) or b"").decode(errors="replace")
    line = re.search(r"^# operators:(.*)$", text, re.MULTILINE)
    known = [word for word in (line[1].split() if line else []) if is_address(word)]
    now = [context.facts.operator] if is_address(context.facts.operator) else []
    return tuple(dict.fromkeys([*known, *now]))[-OPERATORS_KEPT:]


def never_banned(context: Context) -> tuple[str, ...]:
    """Home, its networks and the operators; fail2ban takes host names too."""
    home = context.answers.home
    places = (home.address, *home.networks) if home else ()
    return tuple(dict.fromkeys([*places, *operators(context)]))


def checks(context: Context) -> list[Check]:
    """Running, seeing and sparing the right ones."""
    from wizard.checks import jails

    spared = never_banned(context)
    found = [
        Check("fail2ban.config", "fail2ban accepts its configuration", jails.config_valid),
        Check("fail2ban.running", "fail2ban runs", jails.running),
    ]
    for jail in jails.JAILS:
        key = jail.name.replace("-", "_")
        found += [
            Check(f"fail2ban.{key}_runs", f"The jail {jail.name} runs", partial(jails.jail_runs, jail)),
            Check(f"fail2ban.{key}_matches", f"The jail {jail.name} sees an attack", partial(jails.jail_matches, jail)),
        ]
    found.append(
        Check("fail2ban.ignores", "Home and operator are never banned", partial(jails.ignores, (*LOOPBACK, *spared)))
    )
    if spared:
        found.append(
            Check("fail2ban.none_banned", "Home and operator are not banned now", partial(jails.none_banned, spared))
        )
    return found


STEP = Step(
    id="fail2ban",
    title="fail2ban",
    group=HARDEN,
    why="Robots try passwords day and night. After a few wrong ones they get no answer any more.",
    better="It reads the journal, which has the lines on every system; waiting for a log file, it would not start at\n"
    "all on Debian 12. Home and operator are never banned, and each jail is tried with a planted line.",
    plan=plan,
    checks=checks,
    requires=("preflight",),
    # Who is here by SSH is spared by the plan itself.
    guarded=lambda context: not context.facts.operator,
    needs=(),
)
