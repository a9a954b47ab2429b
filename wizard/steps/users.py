"""The people: administrators with a shell, and logins that only send mail."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.step import HARDEN, Field, Step
from wizard.values import ssh_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from state.store import Done
    from wizard.answers import User
    from wizard.fact import Context
    from wizard.operation import Operation

SUDOERS = "/etc/sudoers.d/relay-wizard"


def plan(context: Context) -> list[Operation]:
    """Administrators first: nothing that follows may depend on root's own login."""
    from wizard.operations.packages import InstallPackages
    from wizard.operations.users import MAIL_GROUP, CreateGroup

    operations: list[Operation] = []
    if context.answers.admins:
        operations.append(InstallPackages(context.platform, context.platform.packages["sudo"]))
    for user in context.answers.admins:
        operations += _administrator(context, user)
    operations += _sudo(context)
    operations.append(CreateGroup(MAIL_GROUP))
    for user in context.answers.mail_users:
        operations += mail_login(context, user.name, user.password_file)
    return operations


def _administrator(context: Context, user: User) -> list[Operation]:
    from wizard.operations.files import MakeDirectory
    from wizard.operations.ssh import admin_group
    from wizard.operations.users import AddToGroup, AuthorizeKeys, CreateUser, SetPassword, home_of, primary_group

    host = context.host
    operations: list[Operation] = [
        CreateUser(user.name, login_shell="/bin/bash", home=True, comment="administrator"),
        AddToGroup(user.name, admin_group(context)),
    ]
    if user.ssh_keys:
        folder = f"{home_of(host, user.name)}/.ssh"
        operations += [
            MakeDirectory(folder, 0o700, user.name, primary_group(host, user.name)),
            AuthorizeKeys(user.name, user.ssh_keys),
        ]
    secret = context.password(user.name, user.password_file)
    if secret is not None:
        operations.append(SetPassword(user.name, secret))
    return operations


def _sudo(context: Context) -> list[Operation]:
    """Sudo asks for a password; an administrator who has none but a key may do without it."""
    from wizard.operations.files import RemoveFile, write_template

    names = [user.name for user in context.answers.admins if _keys_only(context, user)]
    if not names:
        return [RemoveFile(SUDOERS)]
    check = ("visudo", "-c", "-f", "{candidate}")
    return [write_template("users", SUDOERS, mode=0o440, check_candidate=check, names=names)]


def _keys_only(context: Context, user: User) -> bool:
    return context.password(user.name, user.password_file) is None and bool(user.ssh_keys)


def mail_login(context: Context, name: str, password_file: str) -> list[Operation]:
    """An account that can log in on port 465 and nowhere else; the group has to be there."""
    from wizard.operations.users import MAIL_GROUP, AddToGroup, CreateUser, SetPassword

    operations: list[Operation] = [CreateUser(name, comment="sends mail"), AddToGroup(name, MAIL_GROUP)]
    secret = context.password(name, password_file)
    if secret is not None:
        operations.append(SetPassword(name, secret))
    return operations


def keep_the_last_way_in(context: Context, standing: Sequence[Done]) -> str:
    """While SSH is as the wizard has set it, it does without its people only when somebody else can log in."""
    from wizard.operations.ssh import ways_in

    people = {change.operation.split(":")[1] for change in standing if change.step == "users"}
    if not people or not any(change.step == "ssh" for change in standing):
        return ""
    if any(way.user not in people for way in ways_in(context, context.host)):
        return ""
    return "Nobody could log in by SSH then. First take back ssh: relay-wizard rollback ssh"


def checks(context: Context) -> list[Check]:
    """Each user is what the answers say, and no more."""
    found: list[Check] = []
    for user in context.answers.admins:
        found += _administrator_checks(context, user)
    for user in context.answers.mail_users:
        found += mail_login_checks(context, "users", user.name, user.password_file)
    return found


def _administrator_checks(context: Context, user: User) -> list[Check]:
    from wizard.checks import accounts
    from wizard.operations.ssh import admin_group

    key = f"users.{_word(user.name)}"
    found = [
        Check(
            f"{key}_admin", f"{user.name} can log in to a shell and administer",
            partial(accounts.administrator, user, admin_group(context)),
        ),
        Check(f"{key}_sudo", f"{user.name} can become root", partial(accounts.may_sudo, user)),
    ]  # fmt: skip
    if user.ssh_keys:
        found.append(Check(f"{key}_keys", f"{user.name}'s keys are accepted", partial(accounts.keys_in_place, user)))
    secret = context.password(user.name, user.password_file)
    if secret is not None:
        ask = partial(accounts.password_is, user.name, secret, "users")
        found.append(Check(f"{key}_password", f"{user.name} has the password of the answers", ask))
    return found


def mail_login_checks(context: Context, step: str, name: str, password_file: str) -> list[Check]:
    """The account only sends mail, and has the password to do so."""
    from wizard.checks import accounts

    key = f"{step}.{_word(name)}"
    secret = context.password(name, password_file)
    if secret is None:
        password = Check(f"{key}_password", f"{name} has a password", partial(accounts.password_usable, name))
    else:
        ask = partial(accounts.password_is, name, secret, step)
        password = Check(f"{key}_password", f"{name} has the password of the answers", ask)
    return [
        Check(f"{key}_only_mail", f"{name} can send mail and nothing else", partial(accounts.only_mail, name)),
        password,
    ]


def roots_keys(context: Context) -> str:
    """The keys that root is reached with now, one a line: the administrator will want the same."""
    text = (context.host.read("/root/.ssh/authorized_keys") or b"").decode(errors="replace")
    return "\n".join(line.strip() for line in text.splitlines() if _is_key(line))


def _is_key(line: str) -> bool:
    try:
        ssh_key(line)
    except ValueError:
        return False
    return True


def _word(name: str) -> str:
    return name.replace("-", "_")


STEP = Step(
    id="users",
    title="Users",
    group=HARDEN,
    why="An administrator of your own, so that root need not log in;\n"
    "and a login for each person who sends mail, which is good for nothing else.",
    better="Mail logins have no shell and are refused by SSH: their password lies in mail programs and on the home\n"
    "server, and must not open this one. An administrator with a key and no password uses sudo without one.",
    plan=plan,
    checks=checks,
    fields=(
        Field(
            "users",
            "Who uses this server?",
            'Add yourself as "admin" (a shell and sudo), then a "mail" user for each person who sends mail.',
            roots_keys,
        ),
    ),
    requires=("preflight",),
    refuse_rollback=keep_the_last_way_in,
    needs=(),
)
