"""What the relay says when it is spoken to by SMTP: who may relay, log in, send as whom; and whether it is encrypted.

The relay is asked at its public address *from* its public address, which is not among the networks that it trusts: so
it answers as it answers any stranger. Nothing is ever sent; every conversation ends before DATA.
"""

from __future__ import annotations

import re
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.checks.wire import EndlessError, Wire
from wizard.printable import printable

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator

    from wizard.fact import Context
    from wizard.host import Host
    from wizard.secret import Secret

# Of RFC 2606: no mail for it can ever be ours, and a relay that takes it is open.
FOREIGN = "somebody@example.net"
# Nobody has this mailbox. Always the same name, so that what Postfix remembers of addresses does not grow.
NOBODY = "relay-wizard-no-such-mailbox"
# Longer than the nine seconds in which Postfix waits for an answer about an address, shorter than a check may take.
TIMEOUT = 20.0
# More lines than this in one reply are no reply.
MOST_LINES = 100
MEND = "Run: relay-wizard apply postfix"


class SmtpError(Exception):
    """The other side hung up, kept silent or does not speak SMTP; the text says which."""


@dataclass(frozen=True)
class Reply:
    """A reply of RFC 5321: its code and its lines of text."""

    code: int
    lines: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True for 2xx and 3xx."""
        return 200 <= self.code < 400

    @property
    def text(self) -> str:
        """The reply on one line, as the operator reads it."""
        return printable(f"{self.code} {' / '.join(self.lines)}", 300)


class Dialogue:
    """One SMTP connection, spoken line by line, so that also what no mail library would send can be sent."""

    def __init__(self, host: Host, connection: socket.socket, timeout: float) -> None:
        """Speak over `connection`; every reply has to be there whole after `timeout` seconds."""
        self._host = host
        self._timeout = timeout
        self._wire = Wire(host, connection, timeout)
        self.greeting = Reply(0, ())

    def close(self) -> None:
        """Hang up."""
        self._wire.connection.close()

    def read(self) -> Reply:
        """Read one reply, all its lines."""
        lines: list[str] = []
        while len(lines) < MOST_LINES:
            line = self._line()
            if not re.match(r"^[0-9]{3}([ -]|$)", line):
                raise SmtpError(f"no SMTP reply: {printable(line, 200)}")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), tuple(lines))
        raise SmtpError(f"a reply without end, such as: {printable(lines[-1], 100)}")

    def say(self, line: str) -> Reply:
        """Send one command and read its reply."""
        try:
            self._wire.send(f"{line}\r\n".encode())
        except OSError as error:
            raise SmtpError(f"the connection broke: {error}") from error
        return self.read()

    def starttls(self, context: ssl.SSLContext, name: str) -> Reply:
        """Ask for encryption and begin it."""
        reply = self.say("STARTTLS")
        if reply.code == 220:
            self.wrap(context, name)
        return reply

    def wrap(self, context: ssl.SSLContext, name: str) -> None:
        """Speak TLS from here on."""
        try:
            self._wire.connection.settimeout(self._timeout)
            # What came before the encryption could be anybody's; it is forgotten with the old wire.
            encrypted = context.wrap_socket(self._wire.connection, server_hostname=name)
        except OSError as error:
            raise SmtpError(f"no TLS: {error}") from error
        self._wire = Wire(self._host, encrypted, self._timeout)

    @property
    def tls_version(self) -> str:
        """What is spoken, such as TLSv1.3; '' when nothing is encrypted."""
        version = getattr(self._wire.connection, "version", None)
        return (version() or "") if version else ""

    @property
    def certificate(self) -> bytes:
        """The server's certificate (DER), b'' when nothing is encrypted."""
        get = getattr(self._wire.connection, "getpeercert", None)
        return (get(binary_form=True) or b"") if get else b""

    def login(self, user: str, secret: Secret) -> Reply:
        """Log in with AUTH PLAIN (RFC 4616)."""
        import base64

        return self.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{secret.reveal()}".encode()).decode())

    def recipient(self, sender: str, recipient: str) -> Reply:
        """What the server says to this envelope: the refusal of the sender, else its word on the recipient."""
        self.say("RSET")
        reply = self.say(f"MAIL FROM:<{sender}>")
        return self.say(f"RCPT TO:<{recipient}>") if reply.ok else reply

    def _line(self) -> str:
        try:
            line = self._wire.line()
        except EndlessError as error:
            raise SmtpError(f"a reply without end: {error}") from error
        except OSError as error:
            raise SmtpError(f"no answer: {error}") from error
        if not line.endswith(b"\n"):
            raise SmtpError("the server hung up")
        return line.decode(errors="replace").rstrip("\r\n")


@contextmanager
def dialogue(
    host: Host, address: str, port: int, *, name: str, source: str = "", tls: bool = False, timeout: float = TIMEOUT
) -> Iterator[Dialogue]:
    """Connect, read the greeting, say EHLO; `tls` encrypts from the first byte, as port 465 wants it.

    Args:
        host: the machine to speak from.
        address: the server.
        port: its port.
        name: how to introduce oneself, and whom TLS is told to expect.
        source: the own address to speak from, '' for any.
        tls: implicit TLS. The certificate is not judged here: what it is worth is a question of its own.
        timeout: seconds until each answer has to be there, all of it.

    Raises:
        SmtpError: when there is no connection or no SMTP.
    """
    try:
        connection = host.connect(address, port, timeout=timeout, source=source)
    except OSError as error:
        raise SmtpError(f"no connection: {error}") from error
    with closing(Dialogue(host, connection, timeout)) as speak:
        if tls:
            speak.wrap(unjudged(), name)
        speak.greeting = speak.read()
        if speak.greeting.code != 220:
            raise SmtpError(f"turned away: {speak.greeting.text}")
        yield speak
        # Without it the other side notes a lost connection, which some count as an attack.
        with suppress(SmtpError):
            speak.say("QUIT")


def unjudged() -> ssl.SSLContext:
    """TLS that looks at what is offered, whoever offers it."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def extensions(reply: Reply) -> dict[str, str]:
    """The extensions of an EHLO reply: {"AUTH": "PLAIN LOGIN", "STARTTLS": ""}."""
    pairs = (line.partition(" ") for line in reply.lines[1:])
    return {word.upper(): rest for word, _, rest in pairs}


def own_addresses(context: Context) -> tuple[str, ...]:
    """The addresses at which this machine can be spoken to as a stranger would: its public ones.

    Behind address translation the public address is not the machine's own; the one that packets leave from stands in.
    """
    here = context.host.addresses()
    found = [address for address in context.addresses if address in here]
    if not any(":" not in address for address in found) and context.facts.source_ipv4:
        found.insert(0, context.facts.source_ipv4)
    return tuple(found)


@contextmanager
def as_stranger(context: Context, host: Host, address: str = "") -> Iterator[Dialogue]:
    """Port 25 of the relay, as the world sees it, EHLO said.

    Raises:
        SmtpError: when it does not answer.
    """
    address = address or next(iter(own_addresses(context)), "127.0.0.1")
    with dialogue(host, address, 25, name=context.hostname, source=address) as speak:
        speak.say(f"EHLO {context.hostname}")
        yield speak


@contextmanager
def as_client(context: Context, host: Host, address: str = "") -> Iterator[Dialogue]:
    """Port 465 of the relay, as a mail program sees it, EHLO said.

    Raises:
        SmtpError: when it does not answer.
    """
    address = address or next(iter(own_addresses(context)), "127.0.0.1")
    with dialogue(host, address, 465, name=context.hostname, source=address, tls=True) as speak:
        speak.say(f"EHLO {context.hostname}")
        yield speak


def relay_attempts(context: Context) -> tuple[tuple[str, str, str], ...]:
    """What a spammer tries: (what it is called, sender, recipient)."""
    user, domain = FOREIGN.split("@")
    ours = context.domain
    return (
        ("to a foreign domain", f"{user}@{domain}", FOREIGN),
        ("from our own domain to a foreign one", f"postmaster@{ours}", FOREIGN),
        ("with no sender", "", FOREIGN),
        ("with a percent sign", f"{user}@{domain}", f"{user}%{domain}@{ours}"),
        ("with a route", f"{user}@{domain}", f"@{ours}:{FOREIGN}"),
        ("with quotes", f"{user}@{domain}", f'"{FOREIGN}"@{ours}'),
        ("with an exclamation mark", f"{user}@{domain}", f"{domain}!{user}@{ours}"),
    )


def no_open_relay(context: Context, host: Host) -> Finding:
    """Try every form of relaying that a stranger tries, at every public address; each has to be refused."""
    addresses = own_addresses(context)
    want = "every attempt refused"
    asked = f"{', '.join(addresses) or 'this machine'}, port 25, mail for {FOREIGN} in seven forms"
    if not addresses:
        return skipped(asked, "no public address is known, and to loopback Postfix is not a stranger", want)
    refused = ""
    for address in addresses:
        try:
            with as_stranger(context, host, address) as speak:
                for label, sender, recipient in relay_attempts(context):
                    reply = speak.recipient(sender, recipient)
                    if reply.ok:
                        return failed(
                            asked, f"{label}: RCPT TO:<{recipient}> got {reply.text}", want,
                            "Spam would leave from here. See who may relay with: postconf mynetworks "
                            f"smtpd_relay_restrictions   and mend it with: {MEND.removeprefix('Run: ')}",
                        )  # fmt: skip
                    refused = reply.text
        except SmtpError as error:
            return failed(asked, f"{address}: {error}", want, MEND)
    return passed(asked, f"all refused, such as: {refused}", want)


def local_recipients(context: Context, host: Host) -> Finding:
    """A name of the relay's own domain that must exist is accepted, one that cannot exist is refused at once."""
    known, unknown = f"postmaster@{context.domain}", f"{NOBODY}@{context.domain}"
    return _recipients(context, host, known, unknown, MEND)


def home_recipients(context: Context, host: Host, *, domain: str) -> Finding:
    """The same for a domain of home, whose addresses are in a list or are asked of home."""
    home = context.answers.home
    listed = home.recipients if home and isinstance(home.recipients, tuple) else ()
    known = next((entry for entry in listed if entry.endswith(f"@{domain}")), f"postmaster@{domain}")
    do = f"Does home run, take mail on its port for {domain}, and refuse names that it does not know? "
    do += "Run setup.sh of the folder that this writes, there: relay-wizard home DIR"
    return _recipients(context, host, known, f"{NOBODY}@{domain}", do)


def _recipients(context: Context, host: Host, known: str, unknown: str, do: str) -> Finding:
    asked = f"{context.hostname}, port 25: RCPT TO:<{known}> and <{unknown}>"
    want = "250 for the first, 550 for the second"
    try:
        with as_stranger(context, host) as speak:
            good = _settled(host, speak, known)
            bad = _settled(host, speak, unknown)
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    got = f"{known}: {good.text}; {unknown}: {bad.text}"
    if bad.ok:
        return failed(asked, got, want, f"Mail for names that do not exist would be bounced to strangers. {do}")
    if good.ok and bad.code == 550:
        return passed(asked, got, want)
    if good.code == 550 and bad.code == 550 and "relay" not in good.text.lower():
        return warned(asked, got, want, f"Give somebody the address {known}: RFC 5321 wants it, and others test it.")
    return failed(asked, got, want, do)


def _settled(host: Host, speak: Dialogue, recipient: str) -> Reply:
    """The answer for a recipient from the null sender, once Postfix has had the time to ask home."""
    reply = speak.recipient("", recipient)
    if reply.code == 450:
        host.sleep(2)
        reply = speak.recipient("", recipient)
    return reply


def no_login_on_25(context: Context, host: Host) -> Finding:
    """Look for AUTH on port 25, before and after STARTTLS."""
    asked, want = f"{context.hostname}, port 25: EHLO before and after STARTTLS", "no AUTH in either"
    try:
        with as_stranger(context, host) as speak:
            plain = extensions(speak.say(f"EHLO {context.hostname}"))
            encrypted: dict[str, str] = {}
            if "STARTTLS" in plain and speak.starttls(unjudged(), context.hostname).ok:
                encrypted = extensions(speak.say(f"EHLO {context.hostname}"))
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    got = f"before: {_words(plain)}; after: {_words(encrypted) if encrypted else 'no STARTTLS'}"
    if "AUTH" in plain or "AUTH" in encrypted:
        return failed(asked, got, want, f"Passwords could be tried there. {MEND}")
    return passed(asked, got, want)


def starttls_on_25(context: Context, host: Host) -> Finding:
    """Port 25 encrypts for servers that can."""
    asked, want = f"{context.hostname}, port 25: STARTTLS", "encryption, TLS 1.2 or newer"
    try:
        with as_stranger(context, host) as speak:
            reply = speak.starttls(unjudged(), context.hostname)
            version = speak.tls_version
    except SmtpError as error:
        return failed(asked, str(error), want, f"Is the certificate there? relay-wizard verify certbot   then: {MEND}")
    if version >= "TLSv1.2":
        return passed(asked, version, want)
    return failed(asked, version or reply.text, want, f"{MEND}   and see the journal: journalctl -u 'postfix*' -n 50")


def vrfy(context: Context, host: Host) -> Finding:
    """VRFY must not tell who has a mailbox."""
    asked, want = f"{context.hostname}, port 25: VRFY root", "502, the command is switched off"
    try:
        with as_stranger(context, host) as speak:
            reply = speak.say("VRFY root")
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    return passed(asked, reply.text, want) if reply.code >= 500 else failed(asked, reply.text, want, MEND)


def implicit_tls(context: Context, host: Host) -> Finding:
    """Port 465 speaks TLS from the first byte, a version that is still safe."""
    asked, want = f"{context.hostname}, port 465: TLS from the first byte", "TLS 1.2 or newer"
    try:
        with as_client(context, host) as speak:
            version = speak.tls_version
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    return passed(asked, version, want) if version >= "TLSv1.2" else failed(asked, version, want, MEND)


def serves_the_file(context: Context, host: Host, *, port: int) -> Finding:
    """The certificate that is served is the one on the disk: after a renewal, Postfix has to have read it again."""
    import ssl

    path = f"{context.certificate}/fullchain.pem"
    asked, want = f"{context.hostname}, port {port}: the certificate served", f"the first one of {path}"
    try:
        with as_client(context, host) if port == 465 else as_stranger(context, host) as speak:
            if port != 465:
                speak.starttls(unjudged(), context.hostname)
            served = speak.certificate
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = (host.read(path) or b"").decode(errors="replace").partition(begin)[2].partition(end)[0]
    if not first:
        return failed(asked, f"there is no certificate in {path}", want, "Run: relay-wizard apply certbot")
    if served and served == ssl.PEM_cert_to_DER_cert(f"{begin}{first}{end}"):
        return passed(asked, "it is the one of the file", want)
    return failed(asked, "another one" if served else "none", want, "Run: systemctl reload postfix")


def old_tls_refused(context: Context, host: Host) -> Finding:
    """TLS 1.1 must not be spoken on port 465."""
    import ssl
    import warnings

    asked, want = f"{context.hostname}, port 465: a handshake with TLS 1.1", "it is refused"
    old = unjudged()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
    except (ValueError, ssl.SSLError):
        return skipped(asked, "the TLS library of this machine cannot speak TLS 1.1 any more", want)
    address = next(iter(own_addresses(context)), "127.0.0.1")
    try:
        with closing(host.connect(address, 465, timeout=TIMEOUT, source=address)) as connection:
            version = old.wrap_socket(connection, server_hostname=context.hostname).version() or ""
    except ssl.SSLError as error:
        if error.reason in {"NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE", "NO_SUITABLE_DIGEST_ALGORITHM"}:
            return skipped(asked, "the TLS library of this machine cannot speak TLS 1.1 any more", want)
        return passed(asked, f"refused: {error.reason or error}", want)
    except ConnectionResetError as error:
        return passed(asked, f"refused: {error}", want)
    except OSError as error:
        return failed(asked, f"no connection: {error}", want, MEND)
    return failed(asked, f"{version} was spoken", want, MEND)


def login_offered(context: Context, host: Host) -> Finding:
    """Port 465 offers AUTH PLAIN."""
    asked, want = f"{context.hostname}, port 465: EHLO", "AUTH PLAIN"
    try:
        with as_client(context, host) as speak:
            found = extensions(speak.say(f"EHLO {context.hostname}"))
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    if "PLAIN" in found.get("AUTH", "").split():
        return passed(asked, f"AUTH {found['AUTH']}", want)
    return failed(asked, _words(found), want, "Run: relay-wizard apply postfix dovecot")


def login_needed(context: Context, host: Host) -> Finding:
    """Without a login, port 465 takes nothing."""
    asked, want = f"{context.hostname}, port 465: mail without a login", "it is refused"
    try:
        with as_client(context, host) as speak:
            reply = speak.recipient(f"postmaster@{context.domain}", FOREIGN)
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    return failed(asked, reply.text, want, MEND) if reply.ok else passed(asked, reply.text, want)


def login_works(context: Context, host: Host, *, user: str, secret: Secret | None, mend: str) -> Finding:
    """The right password opens the door."""
    asked, want = f"{context.hostname}, port 465: {user} logs in with the right password", "235"
    if secret is None:
        return skipped(asked, f"the password of {user} is not known here: only its hash is kept", want)
    try:
        with as_client(context, host) as speak:
            reply = speak.login(user, secret)
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    if reply.code == 235:
        return passed(asked, reply.text, want)
    return failed(asked, reply.text, want, f"Run: relay-wizard apply {mend}   and see: journalctl -u dovecot -n 20")


def wrong_password_refused(context: Context, host: Host, *, user: str) -> Finding:
    """A wrong password does not; it is tried once, and from an address that fail2ban never bans."""
    import secrets

    from wizard.secret import Secret

    asked, want = f"{context.hostname}, port 465: {user} logs in with a wrong password", "535"
    try:
        with as_client(context, host) as speak:
            reply = speak.login(user, Secret(secrets.token_urlsafe(16)))
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    if reply.code == 535:
        return passed(asked, reply.text, want)
    return failed(asked, reply.text, want, "Run: relay-wizard apply dovecot   and see: journalctl -u dovecot -n 20")


def forged_sender_refused(
    context: Context, host: Host, *, user: str, secret: Secret | None, sender: str
) -> Finding:  # fmt: skip
    """With a login, mail from an address that belongs to somebody else is refused."""
    asked, want = f"{context.hostname}, port 465: {user} sends as {sender}", "553"
    if secret is None:
        return skipped(asked, f"the password of {user} is not known here: only its hash is kept", want)
    try:
        with as_client(context, host) as speak:
            login = speak.login(user, secret)
            reply = speak.recipient(sender, FOREIGN) if login.ok else login
    except SmtpError as error:
        return failed(asked, str(error), want, MEND)
    if reply.code == 553:
        return passed(asked, reply.text, want)
    return failed(asked, reply.text, want, f"Who may send as whom is in {LOGINS_FILE}. {MEND}")


LOGINS_FILE = "/etc/postfix/relay-wizard-logins"


def greets(host: Host, address: str, port: int, *, name: str, timeout: float = 10.0) -> tuple[str, dict[str, str]]:
    """The greeting and the extensions of a mail server.

    Raises:
        SmtpError: when it does not answer, or not to EHLO.
    """
    with dialogue(host, address, port, name=name, timeout=timeout) as speak:
        reply = speak.say(f"EHLO {name}")
        if not reply.ok:
            raise SmtpError(f"EHLO was refused: {reply.text}")
        return speak.greeting.text, extensions(reply)


def _words(found: dict[str, str]) -> str:
    return printable(", ".join(found) or "no extensions", 200)
