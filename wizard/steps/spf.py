"""SPF: mail from forged servers is refused at the door, and our own records are evaluated as others evaluate them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.hooks import SPF
from wizard.render import render
from wizard.step import TRUST, Field, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.operation import Operation

# Where the packages of the families put the agent.
PROGRAMS = ("/usr/bin/policyd-spf", "/usr/libexec/postfix/policyd-spf", "/usr/sbin/policyd-spf")
# Longer than any conversation: Postfix would cut the agent off in the middle of one.
TIME_LIMIT = "3600"


def program(context: Context) -> str:
    """The agent as it is installed, else where the package of this system will put it."""
    usual = context.platform.paths["spf_program"]
    return next((path for path in (usual, *PROGRAMS) if context.host.stat(path)), usual)


def user(context: Context) -> str:
    """Whom the agent runs as: its own account when the package made one, else nobody."""
    usual = context.platform.users["spf"]
    accounts = (context.host.read("/etc/passwd") or b"").decode(errors="replace").splitlines()
    names = {line.partition(":")[0] for line in accounts}
    # Before the package is there its account is not either, and the plan has to be the one that will be carried out.
    here = usual in names or context.host.stat(program(context)) is None
    return usual if here else "nobody"


def plan(context: Context) -> Sequence[Operation]:
    """The agent, its configuration, its service in Postfix, and then the question to it."""
    from wizard.checks import policy_agent
    from wizard.operations.files import WriteFile
    from wizard.operations.packages import InstallPackages
    from wizard.operations.postfix import SetPostfixParameters, SetPostfixService

    configuration = context.platform.paths["spf_conf"]
    reads = (context.platform.services["postfix"],)
    name = policy_agent.SERVICE
    return (
        InstallPackages(context.platform, context.platform.packages["spf"]),
        # Agents that run keep what they have read; a reload of Postfix starts new ones.
        WriteFile(configuration, render("spf/policyd-spf.conf.j2"), notify=reads),
        SetPostfixService(
            f"{name} unix - n n - 0 spawn user={user(context)} argv={program(context)} {configuration}", notify=reads,
        ),
        SetPostfixParameters(
            ((f"{name}_time_limit", TIME_LIMIT), (SPF, f"check_policy_service unix:private/{name}")), notify=reads,
        ),
    )  # fmt: skip


def checks(context: Context) -> Sequence[Check]:
    """The agent alone, the agent under Postfix, and our own records."""
    from wizard.checks import policy_agent
    from wizard.checks.published import record_checks
    from wizard.lookup import World

    command = ("runuser", "-u", user(context), "--", program(context), context.platform.paths["spf_conf"])
    return (
        Check(
            "spf.agent_passes", "The agent finds our own mail right",
            partial(policy_agent.passes, context, command=command),
        ),
        Check(
            "spf.agent_refuses", "The agent finds a forgery of our name wrong",
            partial(policy_agent.refuses, context, command=command),
        ),
        Check("spf.service", "Postfix has the agent as a service and asks it on port 25", policy_agent.wired),
        Check(
            "spf.asked", "The agent answers when a stranger knocks on port 25",
            partial(policy_agent.asked_by_postfix, context),
        ),
        *record_checks(
            context, World(context.host, context.resolvers), "spf.record", "spf",
            subjects=(*context.answers.mail_domains, context.hostname),
            title="One SPF record lets this machine send for {}",
        ),
    )  # fmt: skip


STEP = Step(
    id="spf",
    title="SPF",
    group=TRUST,
    why="Incoming: mail that its own domain calls forged is refused. Outgoing: your records name this machine, and\n"
    "nobody else, as the one that sends for your domains.",
    better="The record is evaluated for each address that mail leaves from, as a receiver does it, and for the host\n"
    "name too: bounces have no sender, so that receivers judge the name in the greeting.",
    plan=plan,
    checks=checks,
    fields=(
        Field(
            "spf.policy", "What shall receivers do with mail from elsewhere?",
            '"-all": refuse it. "~all": take it, marked.',
        ),
    ),
    requires=("postfix", "dns"),
)  # fmt: skip
