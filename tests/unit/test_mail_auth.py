"""Messages judged: signed here with a key of the test, verified with the test's DNS."""

from __future__ import annotations

import base64
import time

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from wizard.checks.mail_auth import SpfResult, author_domain, judge, verify

MESSAGE = b"From: You <you@brightmail.example>\r\nTo: a@b.example\r\nSubject: hi\r\n\r\nbody\r\n"
PASS = (
    SpfResult("192.0.2.10", "brightmail.example", "pass"),
    SpfResult("2001:db8:2::10", "brightmail.example", "pass"),
)


@pytest.fixture(scope="module")
def key() -> tuple[bytes, str]:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, base64.b64encode(public).decode()


def signed(key: tuple[bytes, str], domain: bytes = b"brightmail.example", message: bytes = MESSAGE) -> bytes:
    header: bytes = dkim.sign(message, b"default", domain, key[0], canonicalize=(b"relaxed", b"relaxed"))
    return header + message


class Zone:
    def __init__(self, **records: str) -> None:
        self.records = records
        self.silent = False

    def __call__(self, name: str) -> tuple[str, ...] | None:
        if self.silent:
            return None
        found = self.records.get(name.replace(".", "__"))
        return (found,) if found else ()


def zone(key: tuple[bytes, str], dmarc: str = "v=DMARC1; p=none", domain: str = "brightmail__example") -> Zone:
    return Zone(
        **{f"default___domainkey__{domain}": f"v=DKIM1; k=rsa; p={key[1]}", "_dmarc__brightmail__example": dmarc}
    )


def test_a_good_message_is_trusted(key: tuple[bytes, str]) -> None:
    found = judge(signed(key), spf=PASS, texts=zone(key))
    assert found.trusted
    assert "valid" in found.text
    assert "dmarc pass (p=none)" in found.text


def test_an_unsigned_message_is_not(key: tuple[bytes, str]) -> None:
    found = judge(MESSAGE, spf=PASS, texts=zone(key))
    assert not found.trusted
    assert "not signed" in found.text
    assert found.spf_aligned


def test_a_changed_body_breaks_the_signature(key: tuple[bytes, str]) -> None:
    found = judge(signed(key).replace(b"body", b"b0dy"), spf=PASS, texts=zone(key))
    assert not found.dkim_aligned
    assert "body hash mismatch" in found.text


def test_a_changed_subject_breaks_the_signature(key: tuple[bytes, str]) -> None:
    found = judge(signed(key).replace(b"Subject: hi", b"Subject: ho"), spf=PASS, texts=zone(key))
    assert "does not fit" in found.signatures[0].why


def test_another_key_in_dns(key: tuple[bytes, str]) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    encoded = base64.b64encode(
        other.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    assert not judge(signed(key), spf=PASS, texts=zone((key[0], encoded))).dkim_aligned


def test_no_key_in_dns(key: tuple[bytes, str]) -> None:
    found = verify(signed(key), Zone())
    assert not found[0].valid
    assert "missing public key" in found[0].why


def test_dns_that_keeps_silent_is_said(key: tuple[bytes, str]) -> None:
    silent = Zone()
    silent.silent = True
    found = judge(signed(key), spf=PASS, texts=silent)
    assert not found.trusted
    assert found.trouble
    assert "does not answer" in found.text


def test_a_signature_of_somebody_else_does_not_count(key: tuple[bytes, str]) -> None:
    found = judge(signed(key, b"mailer.example"), spf=PASS, texts=zone(key, domain="mailer__example"))
    assert found.signatures[0].valid
    assert not found.dkim_aligned


def test_spf_has_to_pass_from_every_address(key: tuple[bytes, str]) -> None:
    one = (PASS[0], SpfResult("2001:db8:2::10", "brightmail.example", "fail"))
    assert not judge(signed(key), spf=one, texts=zone(key)).spf_aligned


def test_no_dmarc_record(key: tuple[bytes, str]) -> None:
    found = judge(signed(key), spf=PASS, texts=zone(key, dmarc="v=spf1 -all"))
    assert not found.trusted
    assert found.policy is None


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (MESSAGE, "brightmail.example"),
        (b"From: a@b.example\r\nFrom: c@d.example\r\n\r\n", ""),
        (b"From: a@b.example, c@d.example\r\n\r\n", ""),
        (b"Subject: x\r\n\r\n", ""),
    ],
)
def test_author_domain(message: bytes, wanted: str) -> None:
    assert author_domain(message) == wanted


@pytest.mark.parametrize("header", [b"DKIM-Signature: x\r\n", b"DKIM-Signature: v=1; a=rsa-sha256; d=x\r\n"])
def test_a_broken_signature_is_survived(header: bytes) -> None:
    found = verify(header + MESSAGE, Zone())
    assert len(found) == 1
    assert not found[0].valid


@pytest.mark.parametrize("message", [b"", b"\n", b" x\n", b"DKIM-Signature v=1\nFrom: a@b.example\n\n"])
def test_what_is_no_message_is_judged_in_words(message: bytes) -> None:
    found = judge(message, spf=PASS, texts=Zone())
    assert not found.trusted
    assert "no message" in found.text or "not signed" in found.text


def test_a_key_as_long_as_a_record_may_be_costs_no_minutes(key: tuple[bytes, str]) -> None:
    # An RSA key of 50000 bits with an exponent of the same length: each signature would take pow() minutes.
    number = (1 << 50_000) - 1

    def wrapped(tag: int, data: bytes) -> bytes:
        return bytes([tag, 0x82]) + len(data).to_bytes(2, "big") + data

    integer = wrapped(2, number.to_bytes(6251, "big"))
    huge = base64.b64encode(wrapped(0x30, integer + integer)).decode()
    began = time.monotonic()
    (found,) = verify(signed(key), zone((key[0], huge)))
    assert not found.valid
    assert time.monotonic() - began < 2
