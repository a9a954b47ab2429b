"""Root's password: set when the answers name one, else looked at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.step import HARDEN, Field, Step

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.operation import Operation


def plan(context: Context) -> list[Operation]:
    """Nothing without a password to set."""
    from wizard.operations.users import SetPassword

    secret = context.password("root", context.answers.root.password_file)
    return [] if secret is None else [SetPassword("root", secret)]


def checks(context: Context) -> list[Check]:
    """The password of the answers, or at least not the provider's."""
    from wizard.checks import accounts

    secret = context.password("root", context.answers.root.password_file)
    if secret is not None:
        ask = partial(accounts.password_is, "root", secret, "root_password")
        return [Check("root_password.set", "Root has the password of the answers", ask)]
    title = "Root has no password, or one that the provider does not know"
    return [recommended(Check("root_password.changed", title, accounts.root_password_changed))]


STEP = Step(
    id="root_password",
    title="Root's password",
    group=HARDEN,
    why="Many providers make the first root password and send it by mail.\nWhoever reads that mail owns the server.",
    better="It is handed over on standard input and stands in no command line, log or state.",
    plan=plan,
    checks=checks,
    fields=(
        Field("root.password_file", "In which file is root's new password?", "Empty: root's password stays as it is."),
    ),
    requires=("preflight",),
    needs=(),
)
