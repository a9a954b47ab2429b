"""Real messages sent, caught before they leave, and judged with live DNS."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped
from wizard.checks import catch, smtp, spf_record
from wizard.checks.mail_auth import SpfResult, Verdict, judge
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from wizard.fact import Context
    from wizard.host import Host
    from wizard.lookup import World
    from wizard.secret import Secret

WANT = "SPF pass from every address of ours, a valid DKIM signature of the domain in From, DMARC pass"


def letter(host: Host, sender: str, recipient: str) -> str:
    """A short message as a mail program writes it, with CRLF line ends; lines that tempt servers to change them."""
    from email.utils import formatdate

    date = formatdate(host.now().timestamp())
    name = sender.rpartition("@")[2]
    lines = (
        f"From: {sender}",
        f"To: {recipient}",
        "Subject: A test of relay-wizard, caught before it left",
        f"Date: {date}",
        f"Message-ID: <{secrets.token_hex(12)}@{name}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "This message went the way of all mail and was judged by the command that sent it.",
        ".a line that begins with a dot",
        "From the beginning of a line, and one that ends with blanks  ",
        "",
    )
    return "".join(f"{line}\r\n" for line in lines)


def local_message(context: Context, host: Host, *, world: World) -> Finding:
    """Inject a message on this machine, as its daemons do."""
    sender = f"root@{context.domain}"

    def send(recipient: str) -> str:
        # Nothing on the machine changes by it: the message goes to nobody but us.
        argv = ["sendmail", "-i", "-f", sender, recipient]
        done = host.ask(argv, stdin=letter(host, sender, recipient).replace("\r\n", "\n").encode())
        return "" if done.ok else f"sendmail: {printable(done.complaint, 200)}"

    return _judged(context, host, world, f"a message From {sender}, injected by sendmail", send)


def submitted_message(
    context: Context, host: Host, *, world: World, user: str, secret: Secret | None, sender: str
) -> Finding:
    """Send a message over port 465 with a login, as a mail program does."""
    asked = f"a message From {sender}, sent on port 465 by {user}"
    if secret is None:
        return skipped(asked, f"the password of {user} is not known here: only its hash is kept", WANT)

    def send(recipient: str) -> str:
        try:
            with smtp.as_client(context, host) as speak:
                login = speak.login(user, secret)
                reply = speak.recipient(sender, recipient) if login.ok else login
                if not reply.ok:
                    return f"port 465: {reply.text}"
                reply = speak.say("DATA")
                if reply.code == 354:
                    body = letter(host, sender, recipient)
                    # A line that begins with a dot gets another one for the way; the last line is a dot alone.
                    reply = speak.say("\r\n".join(_stuffed(body)) + "\r\n.")
                return "" if reply.ok else f"port 465: {reply.text}"
        except smtp.SmtpError as error:
            return f"port 465: {error}"

    return _judged(context, host, world, asked, send)


def _stuffed(body: str) -> list[str]:
    return [f".{line}" if line.startswith(".") else line for line in body.removesuffix("\r\n").split("\r\n")]


def _judged(context: Context, host: Host, world: World, asked: str, send: Callable[[str], str]) -> Finding:
    try:
        caught = catch.catch(host, send)
    except catch.NotCaughtError as error:
        do = "Run: relay-wizard apply mail_test   If that changes nothing: relay-wizard verify postfix dkim dovecot"
        return failed(asked, printable(str(error), 400), WANT, do)
    verdict = verdict_on(context, host, world, caught)
    if verdict.trusted:
        return passed(asked, verdict.text, WANT)
    return failed(asked, verdict.text, WANT, advice(verdict))


def verdict_on(context: Context, host: Host, world: World, caught: catch.Caught) -> Verdict:
    """Judge a caught message as a receiver does who gets it from any of our addresses."""

    def texts(name: str) -> tuple[str, ...] | None:
        reply = world.truth(name, "TXT")
        return reply.texts("TXT") if reply.answered else None

    domain = caught.sender.rpartition("@")[2] or context.hostname
    results = tuple(
        SpfResult(
            address, domain,
            spf_record.evaluate(world.lookup, address, caught.sender, context.hostname, host.monotonic).result,
        )
        for address in context.addresses
    )  # fmt: skip
    return judge(caught.message, spf=results, texts=texts)


def advice(verdict: Verdict) -> str:
    """What to do about the first thing that is wrong."""
    if verdict.trouble:
        return "DNS does not answer. Wait a minute, then run: relay-wizard verify mail_test"
    if not verdict.signatures:
        return "It leaves unsigned. Run: relay-wizard verify dkim   and mend what it names"
    if not verdict.dkim_aligned:
        return "Its signature does not vouch for it. Run: relay-wizard verify dns dkim   and mend what they name"
    if not verdict.spf_aligned:
        return "SPF does not let this machine send it. Run: relay-wizard verify dns spf   and mend what they name"
    return "Its domain has no DMARC record. Run: relay-wizard verify dns dmarc   and publish what they name"
