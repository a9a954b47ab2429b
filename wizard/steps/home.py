"""The server in the house: its login on port 465, and whether it takes its mail."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.answers import AnswersError
from wizard.check import Check, Finding, failed, passed, recommended, warned
from wizard.step import CARRY, Field, Step
from wizard.steps.submission import known_password

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.answers import Home
    from wizard.fact import Context
    from wizard.host import Host
    from wizard.operation import Operation

FOLDER = "Write home's folder with: relay-wizard home DIR   and run its setup.sh there."


def plan(context: Context) -> Sequence[Operation]:
    """An account without a shell, that may log in to send, and its password."""
    from wizard.operations.users import MAIL_GROUP, AddToGroup, CreateGroup, CreateUser

    home = context.answers.home
    if home is None:
        return ()
    return (
        CreateGroup(MAIL_GROUP),
        CreateUser(home.login, comment="the home server"),
        AddToGroup(home.login, MAIL_GROUP),
        *_password(context, home),
    )


def _password(context: Context, home: Home) -> tuple[Operation, ...]:
    from wizard.operations.users import SetPassword, stored_hash, usable

    has_one = usable(stored_hash(context.host, home.login))
    if has_one:
        # The file may have been removed, as it should be; when it is there, it is followed.
        secret = known_password(context, home.login, home.login_password_file)
    else:
        secret = context.password(home.login, home.login_password_file)
    if secret is not None:
        return (SetPassword(home.login, secret),)
    if has_one:
        return ()
    raise AnswersError(
        f"home.login_password_file: it is missing; write a long password for {home.login} into a file of mode 0600 "
        "and put its path here"
    )


def checks(context: Context) -> Sequence[Check]:
    """Home answers, home's login works, home's recipients are known, and it cannot send as the relay."""
    from wizard.checks import smtp

    home = context.answers.home
    if home is None:
        return ()
    secret = known_password(context, home.login, home.login_password_file)
    return (
        Check(
            "home.login_works", f"Home can log in as {home.login}",
            partial(smtp.login_works, context, user=home.login, secret=secret, mend="home dovecot"),
        ),
        Check(
            "home.own_addresses_only", "Home cannot send as the relay's own domain",
            partial(
                smtp.forged_sender_refused, context, user=home.login, secret=secret,
                sender=f"postmaster@{context.domain}",
            ),
        ),
        Check(
            "home.answers", f"Home answers on {home.address} port {home.port}",
            partial(answers, context, home=home), outside=True,
        ),
        recommended(
            Check(
                "home.encrypts", "The way to home is encrypted", partial(encrypts, context, home=home), outside=True,
            ),
        ),
        *(
            Check(
                f"home.recipients_{number}" if number else "home.recipients",
                f"Mail for {domain} is accepted, for an unknown name there refused",
                partial(smtp.home_recipients, context, domain=domain), outside=True, timeout=90,
            )
            for number, domain in enumerate(home.domains)
        ),
    )  # fmt: skip


def answers(context: Context, host: Host, *, home: Home) -> Finding:
    """A mail server answers at home's port."""
    from wizard.checks import smtp

    asked, want = f"{home.address}, port {home.port}: EHLO {context.hostname}", "a mail server's greeting"
    try:
        greeting, _ = smtp.greets(host, home.address, home.port, name=context.hostname)
    except smtp.SmtpError as error:
        do = f"Does home run, and does its router pass port {home.port} on to it? {FOLDER}"
        return failed(asked, str(error), want, do)
    return passed(asked, greeting, want)


def encrypts(context: Context, host: Host, *, home: Home) -> Finding:
    """Home offers STARTTLS on its port; Postfix then uses it."""
    from wizard.checks import smtp

    asked, want = f"{home.address}, port {home.port}: EHLO {context.hostname}", "STARTTLS"
    try:
        _, found = smtp.greets(host, home.address, home.port, name=context.hostname)
    except smtp.SmtpError as error:
        return failed(asked, str(error), want, FOLDER)
    if "STARTTLS" in found:
        return passed(asked, "STARTTLS is offered", want)
    do = "Give home's Postfix a certificate, a self-signed one will do: smtpd_tls_cert_file, smtpd_tls_key_file and "
    return warned(asked, "no STARTTLS: mail goes home in clear", want, do + "smtpd_tls_security_level = may")


STEP = Step(
    id="home",
    title="Home server",
    group=CARRY,
    why="Home gets a login of its own here, sends through port 465, and takes the mail that comes for it.",
    better="Home's login sends as home's domains and nothing else, has no shell, and its password travels encrypted.\n"
    "All that home needs is written into one folder by: relay-wizard home DIR",
    plan=plan,
    checks=checks,
    fields=(
        Field("home.login", "With which login does home send?"),
        Field("home.login_password_file", "Which file holds the password of that login?", "Mode 0600, one line."),
    ),
    requires=("postfix", "dovecot", "transport"),
    skip=lambda answers: "" if answers.home else "there is no home server in the answers",
)
