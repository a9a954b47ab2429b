"""Test messages, caught before they leave.

A message to a name below `DOMAIN` goes the whole way that mail takes, through every milter, and is then delivered not
to the Internet but to a loopback address on which the check that sent it listens (see the step mail_test, which routes
these names). So what is judged is the very message that a receiver would get, and nothing stays behind: no mailbox,
no file, no changed setting.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wizard.checks.wire import Wire
from wizard.printable import printable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from wizard.host import Host

# Of RFC 2606: nobody can own it, so nothing is lost to anybody.
DOMAIN = "relay-wizard-test.invalid"
PORT = 18025
# A message each time goes to another of these addresses. Postfix leaves a destination that did not answer alone for
# minutes, and two commands may test at the same time.
NETWORK = "127.0.83"
LANES = 32
# Mail goes through in well under a second, unless a milter is slow or Postfix busy.
PATIENCE = 20.0
LONGEST_TALK = 10.0
QUEUES = ("maildrop", "hold", "incoming", "active", "deferred")
LONGEST = 1 << 20
# What a good receiver offers, so that Postfix sends the message as it is.
OFFER = b"250-catch.relay-wizard-test.invalid\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576\r\n"


class NotCaughtError(Exception):
    """The message did not come; the text says what happened instead."""


@dataclass(frozen=True)
class Caught:
    """A message as it would have left: its envelope sender, and header and body with CRLF line ends."""

    sender: str
    message: bytes


def lanes() -> tuple[tuple[str, str], ...]:
    """Every domain of test messages, and the address that it is delivered to."""
    return tuple((f"{number}.{DOMAIN}", f"{NETWORK}.{number}") for number in range(1, LANES + 1))


def catch(host: Host, send: Callable[[str], str], *, patience: float = PATIENCE) -> Caught:
    """Send a test message and wait for it.

    Args:
        host: the machine.
        send: sends a message to the address it is given; says '' or why it could not.
        patience: seconds to wait.

    Raises:
        NotCaughtError: when it could not be sent, or did not come.
    """
    listener, domain = _listen(host)
    with closing(listener):
        recipient = f"{secrets.token_hex(8)}@{domain}"
        trouble = send(recipient)
        if trouble:
            raise NotCaughtError(trouble)
        until = host.monotonic() + patience
        while host.monotonic() < until:
            listener.settimeout(max(0.1, until - host.monotonic()))
            try:
                connection, _ = listener.accept()
            except OSError:
                break
            with closing(connection):
                found = _receive(Wire(host, connection, LONGEST_TALK), recipient)
            if found:
                return found
    reason = take_back(host, recipient)
    raise NotCaughtError(
        f"it did not come out of the queue within {patience:.0f} seconds{f': {reason}' if reason else ''}"
    )


def take_back(host: Host, recipient: str) -> str:
    """Take our message out of the queue, where it would wait for days for somebody to listen; says why it waited."""
    reason = ""
    from wizard.checks.postfix import queued

    for entry in queued(host.ask(["postqueue", "-j"]).out):
        mine = [who for who in entry.get("recipients", []) if who.get("address") == recipient]
        if mine:
            queue = str(entry.get("queue_name", ""))
            reason = str(mine[0].get("delay_reason", "")) or f"it waits in the queue {queue}"
            if queue == "maildrop":
                reason = "Postfix does not take in local mail, as when a milter does not answer"
            # Our own message, named by a recipient that nobody else could know.
            host.ask(["postsuper", "-d", str(entry.get("queue_id", "")), *QUEUES])
    return printable(reason, 300)


def _listen(host: Host) -> tuple[socket.socket, str]:
    """Open the first lane, in a random order, that nobody else holds."""
    free = list(lanes())
    while free:
        domain, address = free.pop(secrets.randbelow(len(free)))
        try:
            return host.listen(address, PORT), domain
        except OSError as error:
            reason = str(error)
    raise NotCaughtError(f"nothing can listen on {NETWORK}.1 to .{LANES}, port {PORT}: {reason}")


def _receive(wire: Wire, recipient: str) -> Caught | None:
    """Play the receiving server once; an older test message that waited in the queue is taken and forgotten.

    Anybody on this machine may come in Postfix's place: the whole talk has one time, however many lines it has.
    """
    say = wire.connection.sendall
    wanted, sender = False, ""
    found: Caught | None = None
    try:
        say(b"220 catch.relay-wizard-test.invalid ESMTP\r\n")
        for line in iter(wire.line, b""):
            command = line.strip().upper()
            if command.startswith(b"EHLO"):
                say(OFFER)
                continue
            if command.startswith(b"DATA"):
                say(b"354 go on\r\n")
                message = _data(iter(partial(wire.line, LONGEST), b""))
                found = Caught(sender, message) if wanted else found
            elif command.startswith(b"MAIL FROM:"):
                sender, wanted = line.partition(b"<")[2].partition(b">")[0].decode(errors="replace"), False
            elif command.startswith(b"RCPT TO:"):
                wanted |= recipient.encode().upper() in command
            say(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
            if command == b"QUIT":
                break
    except OSError:
        # Postfix hung up in the middle; it will come again while we listen.
        return found
    return found


def _data(lines: Iterator[bytes]) -> bytes:
    """Everything up to the lone dot, dots that were doubled for the way undone (RFC 5321, section 4.5.2)."""
    body = b""
    for line in lines:
        if line in {b".\r\n", b".\n"} or len(body) > LONGEST:
            break
        body += line[1:] if line.startswith(b".") else line
    return body
