"""The SPF policy agent asked in Postfix's own words (SMTPD_POLICY_README)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.checks import smtp
from wizard.operations.postfix import effective, services
from wizard.printable import printable

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.host import Host

SERVICE = "policyd-spf"
MEND = "Run: relay-wizard apply spf"
# Addresses for documentation (RFC 5737): no SPF record of anybody names them; of three, one is never our own.
STRANGERS = ("203.0.113.199", "198.51.100.199", "192.0.2.199")
# DNS may take its time; the agent gives up after 20 seconds itself (RFC 7208, section 4.6.4).
TIMEOUT = 40.0


def request(*, client: str, helo: str, sender: str) -> bytes:
    """What Postfix sends to a policy agent at RCPT; the name makes each request one of its own."""
    attributes = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "protocol_name": "ESMTP",
        "client_address": client,
        "client_name": "unknown",
        "helo_name": helo,
        "sender": sender,
        "recipient": "postmaster@" + sender.rpartition("@")[2],
        "instance": secrets.token_hex(8),
    }
    return ("".join(f"{name}={value}\n" for name, value in attributes.items()) + "\n").encode()


def stranger(context: Context) -> str:
    """An address that no record of ours can name."""
    return next(address for address in STRANGERS if address not in context.addresses)


def passes(context: Context, host: Host, *, command: tuple[str, ...]) -> Finding:
    """Our own mail, from our own address: the agent has to find it right."""
    address, sender = context.ipv4, f"postmaster@{context.domain}"
    asked = f"{command[-2]}: may {address} send as {sender}?"
    want = "SPF: pass"
    if not address:
        return skipped(asked, "the address of this machine is not known; answer relay.ipv4", want)
    action = _ask(host, command, request(client=address, helo=context.hostname, sender=sender))
    if "pass" in action.lower() and "received-spf" in action.lower():
        return passed(asked, action, want)
    return failed(asked, action, want, f"Does DNS have the record? relay-wizard verify dns   Then: {MEND.lower()}")


def refuses(context: Context, host: Host, *, command: tuple[str, ...]) -> Finding:
    """Our own name from an address that is not ours: the agent has to do what our record says."""
    sender = f"postmaster@{context.domain}"
    address = stranger(context)
    asked = f"{command[-2]}: may {address} send as {sender}?"
    hard = context.answers.spf.policy == "-all"
    want = "it is refused (550)" if hard else "SPF: softfail"
    action = _ask(host, command, request(client=address, helo="unknown.invalid", sender=sender))
    if action.startswith("550") or (not hard and "softfail" in action.lower()):
        return passed(asked, action, want)
    return failed(asked, action, want, f"Does DNS have the record? relay-wizard verify dns   Then: {MEND.lower()}")


def _ask(host: Host, command: tuple[str, ...], question: bytes) -> str:
    """The agent's action: "prepend Received-SPF: Pass …", "550 5.7.23 …", or what it said instead."""
    done = host.ask(command, stdin=question, timeout=TIMEOUT)
    lines = [line for line in done.out.splitlines() if line.startswith("action=")]
    return printable(lines[0].removeprefix("action=") if lines else done.complaint, 300)


def wired(host: Host) -> Finding:
    """Postfix has the service, and asks it about every recipient that a stranger names."""
    asked = f"postconf -M {SERVICE}/unix, postconf -x smtpd_recipient_restrictions"
    want = f"unix:private/{SERVICE}, asked after reject_unauth_destination"
    if f"{SERVICE}/unix" not in services(host):
        return failed(asked, f"master.cf has no service {SERVICE}", want, MEND)
    found = effective(host, "smtpd_recipient_restrictions").get("smtpd_recipient_restrictions", "")
    words = found.replace(",", " ").split()
    name = f"unix:private/{SERVICE}"
    if name not in words:
        return failed(asked, printable(found, 300) or "no answer", want, "Run: relay-wizard apply postfix spf")
    if "reject_unauth_destination" not in words[: words.index(name)]:
        do = (
            "Asked before it, the agent would be asked by everybody who tries to relay. Run: relay-wizard apply postfix"
        )
        return failed(asked, printable(found, 300), want, do)
    return passed(asked, name, want)


def asked_by_postfix(context: Context, host: Host) -> Finding:
    """A conversation on port 25: the agent has to run under Postfix, as its user, in its surroundings."""
    sender = f"relay-wizard-{secrets.token_hex(6)}@{context.domain}"
    recipient = f"postmaster@{context.domain}"
    asked = f"{context.hostname}, port 25: MAIL FROM:<{sender}>, RCPT TO:<{recipient}>, then the journal"
    want = "250, and a line of the agent about this sender"
    if not smtp.own_addresses(context):
        return skipped(asked, "no public address is known, and from loopback the agent is not asked", want)
    try:
        with smtp.as_stranger(context, host) as speak:
            reply = speak.recipient(sender, recipient)
    except smtp.SmtpError as error:
        return failed(asked, str(error), want, "Run: relay-wizard apply postfix")
    if reply.code == 451:
        do = f"Postfix cannot run the agent. See: journalctl -t postfix/spawn -t {SERVICE} -n 20   then: {MEND.lower()}"
        return failed(asked, reply.text, want, do)
    line = _journal_line(host, sender)
    if line:
        return passed(asked, f"{reply.code}; {line}", want)
    if reply.code == 550 and "5.7.23" in reply.text:
        return passed(asked, reply.text, want)
    return warned(
        asked, f"{reply.text}; the journal has no line of the agent", want,
        f"Look where it logs: journalctl -t {SERVICE} -n 5   and who asks it: postconf -x smtpd_recipient_restrictions",
    )  # fmt: skip


def _journal_line(host: Host, sender: str) -> str:
    """What the agent wrote about a sender, once the journal has it."""
    for _ in range(10):
        lines = host.ask(["journalctl", "-t", SERVICE, "-n", "50", "-o", "cat", "--no-pager"]).out.splitlines()
        found = [line for line in lines if sender in line]
        if found:
            return printable(found[-1].lstrip(": "), 300)
        host.sleep(0.3)
    return ""
