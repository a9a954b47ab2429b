"""Certificates for tests: a root, and what it signs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.fake_host import FakeFile, FakeHost

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FOLDER = "/etc/letsencrypt/live/mail.brightmail.example"
SETTINGS = "/etc/letsencrypt/renewal/mail.brightmail.example.conf"
SERVER = "https://acme.certifier.example:14000/dir"


def pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass
class Authority:
    """A root that signs leaves directly."""

    name: str = "Test root"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        self.certificate = (
            x509.CertificateBuilder(subject, subject, self.key.public_key(), 1)
            .not_valid_before(NOW - timedelta(days=900))
            .not_valid_after(NOW + timedelta(days=900))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=False, content_commitment=False, key_encipherment=False,
                    data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
                    encipher_only=False, decipher_only=False,
                ),
                critical=True,
            )
            .sign(self.key, hashes.SHA256())
        )  # fmt: skip

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, *names: str, days_left: float = 80, lifetime: float = 90, key: ec.EllipticCurvePrivateKey | None = None
    ) -> tuple[bytes, bytes]:
        """A certificate and its key, PEM."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        ends = NOW + timedelta(days=days_left)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ends - timedelta(days=lifetime))
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )  # fmt: skip
        return made.public_bytes(serialization.Encoding.PEM), pem_key(key)


def install(host: FakeHost, chain: bytes, key: bytes, method: str = "standalone", server: str = SERVER) -> None:
    """What certbot leaves behind."""
    host.put(f"{FOLDER}/fullchain.pem", chain)
    host.put("/etc/letsencrypt/archive/mail.brightmail.example/privkey1.pem", key, 0o600)
    host.files[f"{FOLDER}/privkey.pem"] = FakeFile(
        b"", 0o777, kind="symlink", target="/etc/letsencrypt/archive/mail.brightmail.example/privkey1.pem"
    )
    host.put(SETTINGS, f"[renewalparams]\naccount = 1\nserver = {server}\nauthenticator = {method}\n")
