"""DKIM: the key on disk, the key in DNS, and what the signer is told to do with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wizard.check import Finding, failed, passed
from wizard.checks import dkim_record
from wizard.operations.dkim_key import BITS, key_path
from wizard.operations.postfix import effective, services
from wizard.printable import printable

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.host import Host
    from wizard.lookup import World

MEND = "Run: relay-wizard apply dkim"
KEYS = "/etc/opendkim-keys.table"
SIGNING = "/etc/opendkim-signing.table"
MILTER = "inet:127.0.0.1:8891"
State = Literal["ok", "missing", "wrong", "unknown"]


@dataclass(frozen=True)
class Key:
    """A key as the signer's tables name it."""

    domain: str
    selector: str
    path: str

    @property
    def name(self) -> str:
        """Where its public half stands in DNS."""
        return f"{self.selector}._domainkey.{self.domain}"


def wanted_key(context: Context, domain: str) -> Key:
    """The key that the answers ask for."""
    return Key(domain, context.answers.dkim.selector, key_path(context, domain))


def keys_in_use(host: Host) -> dict[str, Key]:
    """The key that mail of each domain is signed with, as the signer's tables say now."""
    keys = {}
    for line in _lines(host, KEYS):
        name, _, rest = line.partition(" ")
        domain, selector, path = (*rest.strip().split(":"), "", "", "")[:3]
        keys[name] = Key(domain, selector, path)
    found = {}
    for line in _lines(host, SIGNING):
        sender, _, name = (part.strip() for part in line.partition(" "))
        if sender.startswith("*@") and name in keys:
            found[sender[2:]] = keys[name]
    return found


def _lines(host: Host, path: str) -> list[str]:
    lines = (host.read(path) or b"").decode(errors="replace").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def in_dns(world: World, key: Key, public: str) -> State:
    """What DNS says about a key, the authoritative servers before the resolvers.

    Args:
        world: DNS.
        key: which one.
        public: its public half, as in the record's p= tag.
    """
    reply = world.truth(key.name, "TXT")
    if not reply.answered:
        return "unknown"
    return dkim_record.compare(reply.texts("TXT"), public).state


def signs(host: Host, *, domain: str, wanted: Key) -> Finding:
    """The signer's tables name the domain, with the key that the answers ask for."""
    asked, want = f"{SIGNING} and {KEYS}, {domain}", f"signed with {wanted.name}"
    found = keys_in_use(host).get(domain)
    if found == wanted:
        return passed(asked, f"signed with {found.name}", want)
    do = "Publish the key that `relay-wizard records` shows, then run: relay-wizard apply dkim"
    if found is None:
        return failed(asked, f"mail of {domain} is not signed", want, do)
    return failed(asked, f"still signed with {found.name}", want, do)


def key_file(host: Host, *, path: str, user: str) -> Finding:
    """The key is long enough, and nobody but the signer can read it."""
    asked, want = path, f"an RSA key of {BITS} bits or more, mode 0600, owner {user}"
    found = host.stat(path)
    if found is None:
        return failed(asked, "there is no such file", want, "Run: relay-wizard apply dns dkim")
    try:
        bits = _bits(host, path)
    except ValueError as error:
        do = f"Move it away, then run: relay-wizard apply dns dkim   It makes a new key; publish that. ({path})"
        return failed(asked, printable(str(error)), want, do)
    got = f"{bits} bits, mode {found.mode:04o}, owner {found.owner}"
    if bits < BITS:
        do = f"Answer dkim.selector with a new name, then run: relay-wizard apply dns dkim   ({bits} bits are too few)"
        return failed(asked, got, want, do)
    if found.mode & 0o077 or found.owner != user:
        return failed(asked, got, want, MEND)
    return passed(asked, got, want)


def _bits(host: Host, path: str) -> int:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(host.read(path) or b"", password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"it is not a private key: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("it is not an RSA key")
    return key.key_size


def wired(host: Host, *, submissions: str) -> Finding:
    """Everything that Postfix sends passes the signer: port 25, port 465, what is injected here, and bounces."""
    names = ("smtpd_milters", "non_smtpd_milters", "internal_mail_filter_classes", "milter_default_action")
    asked = f"postconf -x {' '.join(names)}; postconf -P {submissions}/inet/smtpd_milters"
    want = f"{MILTER} in all, bounces too; tempfail when it does not answer"
    found = effective(host, *names)
    service = services(host).get(f"{submissions}/inet")
    on_465 = dict(service.options).get("smtpd_milters", found.get("smtpd_milters", "")) if service else ""
    lacking = [name for name in names[:2] if MILTER not in _words(found.get(name, ""))]
    # The option names the hook, which is expanded when the service starts.
    lacking += [] if MILTER in _words(on_465) or "$relay_wizard_dkim_milter" in on_465 else [f"port 465: {on_465}"]
    lacking += [] if "bounce" in _words(found.get(names[2], "")) else [names[2]]
    lacking += [names[3]] if found.get(names[3]) == "accept" else []
    if lacking:
        got = printable(f"not so: {', '.join(lacking)}", 300)
        return failed(asked, got, want, "Unsigned mail would leave. Run: relay-wizard apply postfix dkim")
    return passed(asked, MILTER, want)


def _words(value: str) -> list[str]:
    return re.split(r"[\s,{}]+", value)


def configuration(host: Host, *, path: str) -> Finding:
    """The signer's own judgement on its configuration."""
    asked, want = f"opendkim -n -x {path}", "no complaint"
    done = host.ask(["opendkim", "-n", "-x", path])
    if done.ok:
        return passed(asked, "no complaint", want)
    return failed(asked, printable(done.complaint, 300), want, MEND)
