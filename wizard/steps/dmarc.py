"""DMARC: what receivers do with forgeries of our names, and a verdict on each message that comes in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.hooks import DMARC_MILTER
from wizard.step import TRUST, Field, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.operation import Operation

IGNORED = "/etc/opendmarc-ignore.hosts"
PUBLIC_SUFFIXES = "/usr/share/publicsuffix/public_suffix_list.dat"
LOOPBACK = ("127.0.0.1", "::1")


def plan(context: Context) -> Sequence[Operation]:
    """The milter first, running, and then Postfix's word with it, on port 25 alone."""
    from wizard.checks import dmarc
    from wizard.operations.files import write_template
    from wizard.operations.packages import InstallPackages
    from wizard.operations.postfix import SetPostfixParameters
    from wizard.operations.services import RunService

    platform, home = context.platform, context.answers.home
    service = platform.services["dmarc"]
    return (
        InstallPackages(platform, platform.packages["dmarc"]),
        write_template("dmarc", IGNORED, restart=(service,), networks=(*LOOPBACK, *(home.networks if home else ()))),
        write_template(
            "dmarc", platform.paths["dmarc_conf"], restart=(service,),
            check_candidate=("opendmarc", "-n", "-c", "{candidate}"), hostname=context.hostname,
            user=platform.users["dmarc"], ignore=IGNORED,
            public_suffixes=PUBLIC_SUFFIXES,
        ),
        RunService(service),
        # Mail is taken without a verdict while the milter is away: it only adds a header.
        SetPostfixParameters(
            ((DMARC_MILTER, f"{{ {dmarc.MILTER}, default_action=accept }}"),),
            notify=(platform.services["postfix"],),
        ),
    )  # fmt: skip


def checks(context: Context) -> Sequence[Check]:
    """The milter, and the records as receivers read them."""
    from wizard.checks import dmarc, milter
    from wizard.checks.published import record_checks
    from wizard.lookup import World
    from wizard.records import report_destinations

    platform = context.platform
    world = World(context.host, context.resolvers)
    return (
        Check(
            "dmarc.milter", "OpenDMARC runs and speaks with Postfix",
            partial(milter.answers, address="127.0.0.1", port=8893, service=platform.services["dmarc"], mend="dmarc"),
        ),
        Check(
            "dmarc.configuration", "OpenDMARC's configuration is sound",
            partial(dmarc.configuration, path=platform.paths["dmarc_conf"]),
        ),
        Check("dmarc.asked", "Incoming mail is judged after its signature was verified", dmarc.wired),
        *record_checks(
            context, world, "dmarc.record", "dmarc", subjects=context.answers.mail_domains,
            title="{} has one DMARC record, and it is sound",
        ),
        *record_checks(
            context, world, "dmarc.reports", "report", title="Reports about {} may come to your mailbox",
            subjects=(domain for domain, _ in report_destinations(context)),
        ),
        Check(
            "dmarc.mailbox", "The mailbox for DMARC reports takes mail", partial(dmarc.mailbox, context),
        ),
        recommended(
            Check("dmarc.policy", "Receivers are asked to stop forgeries", partial(dmarc.policy, context, world=world))
        ),
    )  # fmt: skip


STEP = Step(
    id="dmarc",
    title="DMARC",
    group=TRUST,
    why="Your records tell receivers what to do with mail that only pretends to be yours, and who is told of it.\n"
    "Incoming mail gets a header with the verdict on it.",
    better="The records leave out pct, rf and ri, which the standard dropped in 2026. The verdict on incoming mail is\n"
    "really made, by DNS and not by headers that came along, and nothing is refused for it: home decides.",
    plan=plan,
    checks=checks,
    fields=(
        Field(
            "dmarc.policy", "What shall receivers do with forgeries?",
            '"none": report them. After some weeks of clean reports "quarantine", and at last "reject".',
        ),
        Field("dmarc.rua", "Where do reports go?", "mailto: and an address; left out, one at the relay's domain."),
    ),
    requires=("dkim", "spf"),
)  # fmt: skip
