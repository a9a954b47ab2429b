"""What people type into their mail programs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, Finding, failed, passed, recommended, skipped
from wizard.step import CARRY, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.answers import User
    from wizard.fact import Context
    from wizard.host import Host


def settings(context: Context) -> str:
    """The settings for every mail user, as text to copy."""
    users = context.answers.mail_users
    return (
        "\n".join(_of(context, user) for user in users)
        or "There are no mail users yet: name them in the step “Users”.\n"
    )


def _of(context: Context, user: User) -> str:
    return f"""Settings of {user.name} for sending (SMTP) in Thunderbird, Outlook, iOS, Android and others
  Server (host name)   {context.hostname}
  Port                 465
  Security             SSL/TLS (not STARTTLS)
  Authentication       normal password
  User name            {user.name}
  Password             the one of the account {user.name}
  Sender address       {" or ".join(f"{user.name}@{domain}" for domain in context.answers.mail_domains)}
"""


def checks(context: Context) -> Sequence[Check]:
    """A mail program trusts the server by the name that is typed into it."""
    return (
        Check(
            "clients.trusted", f"Mail programs can trust {context.hostname} on port 465",
            partial(trusted, context),
        ),
        recommended(
            Check("clients.somebody", "There is somebody to send mail", partial(somebody, context)),
        ),
    )  # fmt: skip


def trusted(context: Context, host: Host) -> Finding:
    """Connect as a mail program does: the name typed in, the certificate judged with the system's authorities."""
    import ssl

    from wizard.checks import smtp

    bundle = context.answers.certbot.ca_bundle
    asked = f"{context.hostname}, port 465: its certificate, judged as a mail program does"
    want = f"a certificate for {context.hostname} from a known authority, in date"
    judge = ssl.create_default_context()
    try:
        if bundle:
            judge.load_verify_locations(bundle)
    except OSError as error:
        return skipped(asked, f"{bundle}: {error}", want)
    address = next(iter(smtp.own_addresses(context)), "127.0.0.1")
    try:
        with host.connect(address, 465, timeout=10) as connection:
            judge.wrap_socket(connection, server_hostname=context.hostname).close()
    except ssl.SSLCertVerificationError as error:
        return failed(asked, error.verify_message or str(error), want, "Run: relay-wizard apply certbot postfix")
    except OSError as error:
        return failed(asked, f"no connection: {error}", want, "Run: relay-wizard apply postfix")
    return passed(asked, "trusted", want)


def somebody(context: Context, _host: Host) -> Finding:
    """At least one user, or home, can send."""
    names = [user.name for user in context.answers.mail_users]
    names += [context.answers.home.login] if context.answers.home else []
    asked, want = "the answers", "a user with the role mail, or a home server"
    if names:
        return passed(asked, ", ".join(names), want)
    return failed(asked, "neither", want, 'Add a user with the role "mail" to the answers.')


STEP = Step(
    id="clients",
    title="Mail programs",
    group=CARRY,
    why="The settings for Thunderbird, phones and Outlook, and the proof that they would trust this server.",
    better="One set of settings for all: port 465, SSL/TLS, the login's bare name.",
    checks=checks,
    requires=("submission",),
)
