"""Port 465 as a mail program meets it: encrypted from the first byte, and nothing without a login."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.answers import AnswersError
from wizard.check import Check
from wizard.step import CARRY, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.secret import Secret


def checks(context: Context) -> Sequence[Check]:
    """Everything is asked at the public address, from outside Postfix's own networks."""
    from wizard.checks import smtp

    return (
        Check(
            "submission.implicit_tls", "Port 465 is encrypted from the first byte, with TLS 1.2 or newer",
            partial(smtp.implicit_tls, context),
        ),
        Check(
            "submission.certificate", "Port 465 serves the certificate that is on the disk",
            partial(smtp.serves_the_file, context, port=465),
        ),
        Check("submission.old_tls", "Port 465 refuses TLS 1.1", partial(smtp.old_tls_refused, context)),
        Check("submission.login_offered", "Port 465 offers a login", partial(smtp.login_offered, context)),
        Check("submission.login_needed", "Port 465 takes nothing without one", partial(smtp.login_needed, context)),
        *_logins(context),
    )  # fmt: skip


def _logins(context: Context) -> tuple[Check, ...]:
    """A right password per user that is known. Wrong ones and forged senders are tried once, by step mail_test."""
    from wizard.checks import smtp

    return tuple(
        Check(
            f"submission.login_{user.name}", f"{user.name} can log in",
            partial(
                smtp.login_works, context, user=user.name,
                secret=known_password(context, user.name, user.password_file), mend="users dovecot",
            ),
        )
        for user in context.answers.mail_users
    )  # fmt: skip


def known_password(context: Context, account: str, password_file: str) -> Secret | None:
    """The password where it is still at hand; its file may be gone once the account has it."""
    try:
        return context.password(account, password_file)
    except AnswersError:
        return None


STEP = Step(
    id="submission",
    title="Port 465",
    group=CARRY,
    why="The door for your own mail programs. Nothing is changed here: it is tried as a mail program tries it.",
    better="Port 587 stays closed: 465 is encrypted from the first byte, and one door is easier to guard.",
    checks=checks,
    requires=("postfix", "dovecot"),
)
