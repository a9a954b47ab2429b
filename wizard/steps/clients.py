"""What people type into their mail programs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, Finding, failed, passed, recommended, skipped
from wizard.step import CARRY, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.host import Host


def settings(context: Context) -> str:
    """What every mail user types into the usual programs, each with its own menus and words, as text to copy."""
    from wizard.render import render

    answers = context.answers
    return render(
        "clients/settings.txt.j2", relay=context.hostname, users=[user.name for user in answers.mail_users],
        domains=answers.mail_domains, home=answers.home,
    )  # fmt: skip


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
    names = context.answers.senders
    asked, want = "the answers", "a user with the role mail, or a home server"
    if names:
        return passed(asked, ", ".join(names), want)
    return failed(
        asked, "neither", want, 'Add a user with the role "mail" (step Users), or answer the step The way home.'
    )


STEP = Step(
    id="clients",
    title="Mail programs",
    group=CARRY,
    why="The settings for Thunderbird, phones and Outlook, and the proof that they would trust this server.",
    better="One set of settings for all: port 465, SSL/TLS, the login's bare name.",
    checks=checks,
    requires=("submission",),
)
