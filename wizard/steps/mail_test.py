"""The proof: real messages, judged as a strict receiver judges them, and everything that a spammer tries."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.hooks import FOLDER, TEST_TRANSPORT
from wizard.step import TRUST, Step
from wizard.steps.submission import known_password

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.lookup import World
    from wizard.operation import Operation

ROUTES = f"{FOLDER}/relay-wizard-test"


def plan(context: Context) -> Sequence[Operation]:
    """The way that test messages take: to the command that sends them."""
    from wizard.checks import catch
    from wizard.operations.files import write_template
    from wizard.operations.postfix import SetPostfixParameters

    reads = (context.platform.services["postfix"],)
    return (
        write_template("mail_test", ROUTES, notify=reads, lanes=catch.lanes(), port=catch.PORT),
        SetPostfixParameters(((TEST_TRANSPORT, f"texthash:{ROUTES}"),), notify=reads),
    )


def checks(context: Context) -> Sequence[Check]:
    """One check for each way that mail takes, then the relay's refusals."""
    from wizard.checks import mail_test, smtp
    from wizard.lookup import World

    world = World(context.host, context.resolvers)
    return (
        Check(
            "mail_test.local_message_trusted", "Mail of this machine is trusted by a strict receiver",
            partial(mail_test.local_message, context, world=world),
        ),
        *_submitted(context, world),
        Check("mail_test.no_open_relay", "Strangers find no way to relay", partial(smtp.no_open_relay, context)),
        Check(
            "mail_test.unknown_recipient", "Mail for nobody is refused at the door",
            partial(smtp.local_recipients, context),
        ),
        *_home(context, world),
        *_logins(context),
    )  # fmt: skip


def _submitted(context: Context, world: World) -> tuple[Check, ...]:
    """Mail of the first user whose password is known here, else of the first one, who then is skipped."""
    from wizard.checks import mail_test

    users = context.answers.mail_users
    known = [user for user in users if known_password(context, user.name, user.password_file)]
    return tuple(
        Check(
            "mail_test.submitted_message_trusted", f"Mail of {user.name} is trusted by a strict receiver",
            partial(
                mail_test.submitted_message, context, world=world, user=user.name,
                secret=known_password(context, user.name, user.password_file), sender=f"{user.name}@{context.domain}",
            ),
        )
        for user in (known or list(users))[:1]
    )  # fmt: skip


def _home(context: Context, world: World) -> tuple[Check, ...]:
    """Mail of each of home's domains, and mail to it."""
    from wizard.checks import mail_test, smtp

    home = context.answers.home
    if home is None:
        return ()
    secret = known_password(context, home.login, home.login_password_file)
    found = []
    for number, domain in enumerate(home.domains):
        suffix = f"_{number}" if number else ""
        found += [
            Check(
                f"mail_test.home_message_trusted{suffix}", f"Mail of {domain} is trusted by a strict receiver",
                partial(
                    mail_test.submitted_message, context, world=world, user=home.login, secret=secret,
                    sender=f"postmaster@{domain}",
                ),
            ),
            Check(
                f"mail_test.unknown_home_recipient{suffix}", f"Mail for nobody at {domain} is refused at the door",
                partial(smtp.home_recipients, context, domain=domain), outside=True, timeout=90,
            ),
        ]  # fmt: skip
    return tuple(found)


def _logins(context: Context) -> tuple[Check, ...]:
    """A wrong password and a forged sender; home's login stands in where there are no users."""
    from wizard.checks import smtp

    home = context.answers.home
    accounts = [(user.name, user.password_file) for user in context.answers.mail_users]
    accounts += [(home.login, home.login_password_file)] if home else []
    known = [account for account in accounts if known_password(context, *account)]
    return tuple(
        check
        for name, password_file in (known or accounts)[:1]
        for check in (
            Check(
                "mail_test.wrong_password", "A wrong password opens nothing",
                partial(smtp.wrong_password_refused, context, user=name),
            ),
            Check(
                "mail_test.forged_sender", "A login cannot send in the name of others",
                partial(
                    smtp.forged_sender_refused, context, user=name, sender=f"postmaster@{context.domain}",
                    secret=known_password(context, name, password_file),
                ),
            ),
        )
    )  # fmt: skip


STEP = Step(
    id="mail_test",
    title="Proof by mail",
    group=TRUST,
    why="Real messages are sent, caught on this machine before they leave, and judged as a strict receiver judges\n"
    "them. Then everything that a spammer tries is tried.",
    better="No address elsewhere is needed, no waiting for an answer, and nothing is left behind: test messages go to\n"
    "names that cannot exist, and from there to the command that sent them.",
    plan=plan,
    checks=checks,
    requires=("submission", "spf", "dkim", "dmarc", "ptr"),
)  # fmt: skip
