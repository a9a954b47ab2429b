"""DKIM keys: made once, before the DNS records are published, and never overwritten.

For other steps: `key_path` says where a domain's private key lies, `public_record` what DNS has to say about it.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.host import HostError
from wizard.operation import Change, Operation, OperationFailed

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.host import Host

# RFC 8301: at least 1024, better 2048; more does not fit into one UDP answer.
BITS = 2048


def key_folder(context: Context, domain: str) -> str:
    """The folder of a domain's keys, 0700."""
    return f"{context.platform.paths['dkim_keys']}/{domain}"


def key_path(context: Context, domain: str) -> str:
    """Where the private key of a mail domain lies; the selector is part of it, so a new one keeps the old key."""
    return f"{key_folder(context, domain)}/{context.answers.dkim.selector}.private"


def record_name(context: Context, domain: str) -> str:
    """The name of the key's TXT record: "default._domainkey.brightmail.example"."""
    return f"{context.answers.dkim.selector}._domainkey.{domain}"


def public_key(host: Host, path: str) -> str:
    """The public half of the key at `path`, base64 of its SubjectPublicKeyInfo (RFC 6376, section 3.6.1).

    Returns:
        '' when there is no key there.

    Raises:
        ValueError: when the file is not an RSA private key.
    """
    data = host.read(path)
    if data is None:
        return ""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        # Proving that the primes are primes takes longer than all questions to DNS together.
        key = serialization.load_pem_private_key(data, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: it is not a private key: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path}: it is not an RSA key")
    encoded = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(encoded).decode()


def public_record(context: Context, domain: str) -> str:
    """The TXT record of a domain's key: "v=DKIM1; h=sha256; k=rsa; p=…", '' as long as there is no key.

    Raises:
        ValueError: when the key's file is not an RSA private key.
    """
    found = public_key(context.host, key_path(context, domain))
    return f"v=DKIM1; h=sha256; k=rsa; p={found}" if found else ""


@dataclass(frozen=True)
class MakeDkimKey(Operation):
    """Have a key of 2048 bits, readable by the signer alone.

    Attributes:
        domain: whose mail it signs.
        selector: its name in DNS.
        path: the file, in a folder of its own.
        user: the signer's account; root owns the key while there is no such account.
    """

    domain: str
    selector: str
    path: str
    user: str

    @property
    def id(self) -> str:
        return f"dkim_key:{self.selector}._domainkey.{self.domain}"

    @property
    def summary(self) -> str:
        return f"DKIM key {self.selector} of {self.domain}"

    def diff(self, host: Host) -> Change | None:
        found = host.stat(self.path)
        if found is None:
            return Change(
                summary=f"make the DKIM key {self.selector} of {self.domain}",
                diff=f"{self.path}: not there → RSA, {BITS} bits, mode 0600\n",
                kept=f"the key {self.path}: a record in DNS belongs to it",
            )
        try:
            there = found.kind == "file" and public_key(host, self.path)
        except ValueError as error:
            raise OperationFailed(self.summary, str(error), self._advice) from None
        if not there:
            raise OperationFailed(self.summary, f"{self.path}: a {found.kind} is there", self._advice)
        return None

    @property
    def _advice(self) -> str:
        return f"Keys are never overwritten. Move {self.path} away, then apply again: a new one is made."

    def apply(self, host: Host) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
        # The form that `openssl genrsa` writes, which every OpenDKIM reads.
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        owner = self.user if _has_account(host, self.user) else "root"
        try:
            host.make_directory(self.path.rpartition("/")[0], mode=0o700, owner=owner, group=owner)
            host.write(self.path, pem, mode=0o600, owner=owner, group=owner)
        except (HostError, OSError, KeyError) as error:
            raise OperationFailed(f"write {self.path}", str(error), "Mend that, then apply again.") from error


def make_key(context: Context, domain: str) -> MakeDkimKey:
    """The operation that gives a mail domain its key."""
    return MakeDkimKey(domain, context.answers.dkim.selector, key_path(context, domain), context.platform.users["dkim"])


def _has_account(host: Host, name: str) -> bool:
    text = (host.read("/etc/passwd") or b"").decode(errors="replace")
    return re.search(rf"^{re.escape(name)}:", text, re.MULTILINE) is not None
