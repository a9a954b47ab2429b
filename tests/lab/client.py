"""Mail clients and strangers, somewhere on the pretend Internet, talking to a server as the outside does."""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, TypeVar

from . import network
from .places import CLIENT, VPS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
HELO = "cafe.stranger.example"
TIMEOUT = 20.0


@dataclass
class Dialogue:
    """What was said on a connection: each command and the reply to it."""

    said: list[tuple[str, int, str]] = field(default_factory=list)

    def note(self, command: str, reply: tuple[int, bytes]) -> int:
        """Remember one exchange; its reply code."""
        self.said.append((command, reply[0], reply[1].decode(errors="replace")))
        return reply[0]

    @property
    def code(self) -> int:
        """The last reply's code."""
        return self.said[-1][1]

    @property
    def text(self) -> str:
        """The last reply's text."""
        return self.said[-1][2]

    def told(self) -> str:
        """All of it, for a failing assertion."""
        return "\n".join(f"> {command}\n< {code} {text}" for command, code, text in self.said)


@dataclass(frozen=True)
class Client:
    """Somebody outside, in one lab, talking to `server`, which calls itself `name`."""

    lab: str
    name: str
    trusted: str
    server: str = VPS
    source: str = CLIENT
    place: str = "client"
    helo: str = HELO

    def there(self, work: Callable[[], T]) -> T:
        """Do something with sockets of the place where the client is."""
        return network.inside(self.lab, self.place, work)

    def connects(self, port: int, seconds: float = 3) -> bool:
        """Whether a connection comes about."""

        def attempt() -> bool:
            try:
                with socket.create_connection((self.server, port), timeout=seconds, source_address=(self.source, 0)):
                    return True
            except OSError:
                return False

        return self.there(attempt)

    def say(self, *commands: str, port: int = 25, starttls: bool = False) -> Dialogue:
        """Say EHLO and then some commands, one after the other, whatever the replies are."""

        def talk() -> Dialogue:
            dialogue = Dialogue()
            with self._open(port, dialogue) as smtp:
                dialogue.note(f"EHLO {self.helo}", smtp.ehlo(self.helo))
                if starttls:
                    dialogue.note("STARTTLS", smtp.starttls(context=_anything()))
                    dialogue.note(f"EHLO {self.helo}", smtp.ehlo(self.helo))
                for command in commands:
                    dialogue.note(command, smtp.docmd(command))
            return dialogue

        return self.there(talk)

    def submit(
        self, login: tuple[str, str] | None, sender: str, recipient: str, message: EmailMessage | None = None
    ) -> Dialogue:
        """Submit a message on port 465; stops at the first refusal."""
        content = message or letter(sender, recipient, "a message by submission")

        def talk() -> Dialogue:
            dialogue = Dialogue()
            with self._open(465, dialogue) as smtp:
                dialogue.note(f"EHLO {self.helo}", smtp.ehlo(self.helo))
                if login is not None:
                    try:
                        reply = smtp.login(*login)
                    except smtplib.SMTPAuthenticationError as error:
                        reply = (error.smtp_code, _octets(error.smtp_error))
                    except smtplib.SMTPNotSupportedError as error:
                        reply = (0, str(error).encode())
                    if dialogue.note(f"AUTH as {login[0]}", reply) != 235:
                        return dialogue
                for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
                    if dialogue.note(command, smtp.docmd(command)) >= 300:
                        return dialogue
                dialogue.note("(message)", smtp.data(content.as_bytes()))
            return dialogue

        return self.there(talk)

    def deliver(self, sender: str, recipient: str, message: EmailMessage | None = None) -> Dialogue:
        """Hand a message over on port 25, as another mail server would; stops at the first refusal."""
        content = message or letter(sender, recipient, "a message from outside")

        def talk() -> Dialogue:
            dialogue = Dialogue()
            with self._open(25, dialogue) as smtp:
                dialogue.note(f"EHLO {self.helo}", smtp.ehlo(self.helo))
                for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
                    if dialogue.note(command, smtp.docmd(command)) >= 300:
                        return dialogue
                dialogue.note("(message)", smtp.data(content.as_bytes()))
            return dialogue

        return self.there(talk)

    def served_certificate(self, port: int = 465) -> dict[str, object]:
        """The certificate that the server shows, after it was found to be trusted and to carry its name."""

        def look() -> dict[str, object]:
            with self._tls(port) as connection:
                return dict(connection.getpeercert() or {})

        return self.there(look)

    def tls_version(self, version: ssl.TLSVersion, port: int = 465) -> str | None:
        """The protocol agreed on when the client speaks `version` alone; None when the server refuses."""

        def attempt() -> str | None:
            context = _anything()
            # The client's own library refuses old protocols at its usual security level, which would prove nothing.
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            raw = socket.create_connection((self.server, port), timeout=TIMEOUT, source_address=(self.source, 0))
            try:
                with raw, context.wrap_socket(raw, server_hostname=self.name) as connection:
                    return connection.version()
            except (ssl.SSLError, ConnectionResetError):
                return None

        return self.there(attempt)

    def _tls(self, port: int) -> ssl.SSLSocket:
        context = ssl.create_default_context(cadata=self.trusted)
        raw = socket.create_connection((self.server, port), timeout=TIMEOUT, source_address=(self.source, 0))
        try:
            return context.wrap_socket(raw, server_hostname=self.name)
        except BaseException:
            raw.close()
            raise

    def _open(self, port: int, dialogue: Dialogue) -> smtplib.SMTP:
        smtp = smtplib.SMTP(timeout=TIMEOUT, local_hostname=self.helo)
        if port == 465:
            smtp.sock = self._tls(port)
        else:
            smtp.sock = socket.create_connection((self.server, port), timeout=TIMEOUT, source_address=(self.source, 0))
        smtp._host = self.name  # type: ignore[attr-defined] # the name to ask for in STARTTLS
        dialogue.note("(connect)", smtp.getreply())
        return smtp


def letter(sender: str, recipient: str, subject: str) -> EmailMessage:
    """A message with what a mail client gives it."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message.set_content("A line.\n\n.A line that begins with a dot, and one with umlauts: äöü.\n")
    return message


def _anything() -> ssl.SSLContext:
    """A client that takes any certificate, as mail servers do on port 25."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _octets(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
