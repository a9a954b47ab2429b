"""The certificate of the mail host, and a renewal that works by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.answers import AnswersError
from wizard.check import Check
from wizard.render import render
from wizard.step import CERTIFY, Field, Step
from wizard.steps.web import by_apache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.operation import Operation

# The port was opened in firewalld by our hook; gone at the next boot, as the opening is.
MARKER = "/run/relay-wizard-port-80"


def plan(context: Context) -> Sequence[Operation]:
    """The hooks first: they open port 80 for the first certificate too."""
    from wizard.operations.certificate import ObtainCertificate
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import RunService

    platform, answers = context.platform, context.answers.certbot
    if not answers.agree_tos:
        raise AnswersError(
            "certbot.agree_tos: without agreeing to the certificate authority's terms there is no certificate; "
            f"read them at {answers.server}, then answer yes (true in an answers file)"
        )
    return (
        InstallPackages(platform, platform.packages["certbot"]),
        *_hooks(context),
        _trust(context),
        ObtainCertificate(
            names(context), context.answers.relay.admin_email, answers.server, answers.ca_bundle,
            webroot=platform.paths["web_root"] if by_apache(context) else "",
            readers=(platform.services["postfix"], platform.services["dovecot"]),
        ),
        RunService(f"{platform.services['renewal']}.timer"),
    )  # fmt: skip


def _hooks(context: Context) -> tuple[Operation, ...]:
    from wizard.operations.certificate import DEPLOY, POST, PRE
    from wizard.operations.files import write_template
    from wizard.operations.firewall import RENEWAL

    services = context.platform.services
    apache = services["apache"] if by_apache(context) else ""
    return (
        write_template("certbot", PRE, mode=0o755, apache=apache, comment=RENEWAL, marker=MARKER),
        write_template("certbot", POST, mode=0o755, apache=apache, comment=RENEWAL, marker=MARKER),
        write_template("certbot", DEPLOY, mode=0o755, folder=context.certificate, dovecot=services["dovecot"]),
    )


def _trust(context: Context) -> Operation:
    """The timer's renewals have to trust the authority's server as the first request does."""
    from wizard.operations.certificate import RemoveUnit, WriteUnit
    from wizard.operations.services import unit_name

    bundle = context.answers.certbot.ca_bundle
    path = f"/etc/systemd/system/{unit_name(context.platform.services['renewal'])}.d/relay-wizard.conf"
    if not bundle:
        return RemoveUnit(path)
    # systemd.syntax(7): these three have a meaning inside quotes.
    escaped = bundle.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return WriteUnit(path, render("certbot/etc/systemd/system/unit.conf.j2", ca_bundle=escaped))


def names(context: Context) -> tuple[str, ...]:
    """The mail host, and the domain unless that is a web site elsewhere: its owner alone could prove it."""
    from wizard.checks.dns import points_here
    from wizard.lookup import World

    if context.domain == context.hostname:
        return (context.hostname,)
    elsewhere = points_here(context, World(context.host, context.resolvers), context.domain) is False
    return (context.hostname,) if elsewhere else (context.hostname, context.domain)


def checks(context: Context) -> Sequence[Check]:
    """What lies on disk, and that it will be renewed."""
    from wizard.checks import certificate as look

    service, bundle = context.platform.services["renewal"], context.answers.certbot.ca_bundle
    found = [
        Check(
            "certbot.names", f"The certificate is for {context.hostname}",
            lambda host: look.names(context, names(context), host),
        ),
        Check("certbot.key", "The private key belongs to it", partial(look.key_matches, context)),
        Check("certbot.in_date", "It is in date, with time to spare", partial(look.in_date, context)),
        Check("certbot.trusted", "A known authority has signed it", partial(look.trusted, context)),
        Check("certbot.hooks", "Renewal opens port 80, and has the result served", look.hooks_in_place),
        Check("certbot.timer", "Renewal comes by itself", partial(look.timer_runs, service)),
        Check(
            "certbot.renewal", "A renewal succeeds", partial(look.renews, context),
            timeout=look.REHEARSAL_SECONDS + 30,
        ),
    ]  # fmt: skip
    if bundle:
        ask = partial(look.authority_trusted, service, bundle)
        found.append(Check("certbot.authority", "Renewal trusts the authority's server", ask))
    return found


STEP = Step(
    id="certbot",
    title="Certificate",
    group=CERTIFY,
    why="Mail programs log in to port 465 only when its certificate is good; other servers encrypt with it.",
    better="It is renewed without a hand: port 80 is opened for those seconds, Postfix reads the new certificate, and\n"
    "the whole renewal is rehearsed as a check. Nobody mails reminders any more, and lifetimes get shorter.",
    plan=plan,
    checks=checks,
    fields=(
        Field("relay.admin_email", "Where does the certificate authority write to?", "Rarely, and only to you."),
        Field(
            "certbot.agree_tos", "Do you agree to its terms of service?", "Let's Encrypt: letsencrypt.org/repository"
        ),
        Field("certbot.server", "Which certificate authority?", "Its ACME address; Let's Encrypt when left alone."),
        Field("certbot.ca_bundle", "Which file of CA certificates does its server need?", "Empty for public ones."),
    ),
    requires=("dns", "web", "firewall"),
)
