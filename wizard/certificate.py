"""The certificate on disk, read as far as the program needs it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from wizard.host import Host

# Of a lifetime of 90 days, certbot renews when 30 are left; below 14 something is wrong with that. Lifetimes are
# getting shorter (45 days by 2028), and both limits with them.
DUE = 30 / 90
LATE = 14 / 90


@dataclass(frozen=True)
class Certificate:
    """A server's certificate.

    Attributes:
        names: the DNS names it is for, lower case.
        begins, ends: aware, UTC.
        issuer: who has signed it, in the form of RFC 4514.
        key: the public key, DER of its SubjectPublicKeyInfo.
        encoded: the certificate itself, DER.
    """

    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    issuer: str
    key: bytes
    encoded: bytes

    def days_left(self, now: datetime) -> float:
        """Days until it ends, negative afterwards."""
        return (self.ends - now).total_seconds() / 86400

    @property
    def lifetime(self) -> float:
        """Days from its beginning to its end."""
        return (self.ends - self.begins).total_seconds() / 86400

    def is_due(self, now: datetime) -> bool:
        """True when it should have been renewed by now."""
        return self.days_left(now) < self.lifetime * DUE

    def is_late(self, now: datetime) -> bool:
        """True when its renewal must have failed for weeks."""
        return self.days_left(now) < self.lifetime * LATE

    def covers(self, name: str) -> bool:
        """True when it is for this name."""
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names


def load(data: bytes) -> x509.Certificate | None:
    """A certificate in DER as the library has it, None when it cannot be read."""
    import warnings

    from cryptography import x509
    from cryptography.utils import CryptographyDeprecationWarning

    # Some systems' lists hold a root with a forbidden serial number; that is not the operator's business.
    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError:
        return None


def read(data: bytes) -> Certificate | None:
    """A certificate in DER, None when it cannot be read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    found = load(data)
    if found is None:
        return None
    try:
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        names = ()
    try:
        key = found.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, UnsupportedAlgorithm):
        return None
    issuer = found.issuer.rfc4514_string()
    return Certificate(names, found.not_valid_before_utc, found.not_valid_after_utc, issuer, key, data)


def encoded_chain(data: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM file, DER, in their order."""
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", data, re.DOTALL)
    found = []
    for block in blocks:
        with contextlib.suppress(binascii.Error):
            found.append(base64.b64decode(block))
    return tuple(found)


def installed(host: Host, folder: str) -> Certificate | None:
    """The certificate in certbot's folder (`Context.certificate`), None when there is none that can be read."""
    chain = encoded_chain(host.read(f"{folder}/fullchain.pem") or b"")
    return read(chain[0]) if chain else None


def public_half(host: Host, folder: str) -> bytes | None:
    """The public half of the private key in certbot's folder, DER; None when there is no key that can be read."""
    data = host.read(f"{folder}/privkey.pem")
    if data is None:
        return None
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
