"""Public keys: whole ones of every kind pass, and nothing that sshd would not take."""

from __future__ import annotations

import base64

import pytest

from tests.fake_sshd import KEY
from wizard.public_key import SHAPES, fault


def made(kind: str, *fields: bytes) -> str:
    """The second word of a key: each field behind its length."""
    parts = (len(field).to_bytes(4) + field for field in (kind.encode(), *fields))
    return base64.b64encode(b"".join(parts)).decode()


def point(size: int) -> bytes:
    return b"\4" + b"\7" * (2 * size)


def rsa(bits: int) -> str:
    return made("ssh-rsa", b"\1\0\1", (1 << (bits - 1)).to_bytes(bits // 8 + 1))


WHOLE = {
    "ssh-ed25519": KEY.split()[1],
    "ssh-rsa": rsa(3072),
    "ecdsa-sha2-nistp256": made("ecdsa-sha2-nistp256", b"nistp256", point(32)),
    "ecdsa-sha2-nistp384": made("ecdsa-sha2-nistp384", b"nistp384", point(48)),
    "ecdsa-sha2-nistp521": made("ecdsa-sha2-nistp521", b"nistp521", point(66)),
    "sk-ssh-ed25519@openssh.com": made("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
    "sk-ecdsa-sha2-nistp256@openssh.com": made("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", point(32), b"ssh:"),
}


def test_a_whole_key_of_each_kind_is_well() -> None:
    assert {kind: fault(kind, WHOLE[kind]) for kind in SHAPES} == dict.fromkeys(SHAPES, "")


@pytest.mark.parametrize("kind", SHAPES)
def test_a_key_that_was_cut_off_anywhere_is_none(kind: str) -> None:
    body = WHOLE[kind]
    assert all(fault(kind, body[:length]) for length in range(len(body)))
    assert "not whole" in fault(kind, body[:8])
    assert "not whole" in fault(kind, f"{body}AAAA")


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("ssh-rsa", WHOLE["ssh-ed25519"], "another kind of key"),
        ("ssh-dss", made("ssh-dss", b"p"), "of a kind that is not taken"),
        ("ssh-ed25519", "AAAA_C3Nz", "not whole"),
        ("ssh-ed25519", "", "not whole"),
        ("ssh-ed25519", made("ssh-ed25519", b"k" * 31), "not whole"),
        ("ssh-ed25519", made("ssh-ed25519"), "not whole"),
        ("ssh-rsa", rsa(512), "has 512 bits, and sshd wants 1024"),
        ("ssh-rsa", rsa(16384 + 8), "more than sshd takes"),
        ("ssh-rsa", made("ssh-rsa", b"\1\0\1", b"\xff" * 256), "has 0 bits"),
        ("ecdsa-sha2-nistp256", made("ecdsa-sha2-nistp256", b"nistp384", point(32)), "no point of its curve"),
        ("ecdsa-sha2-nistp256", made("ecdsa-sha2-nistp256", b"nistp256", b"\2" + b"k" * 64), "no point of its curve"),
    ],
)
def test_a_key_that_sshd_would_not_take_says_why(kind: str, body: str, told: str) -> None:
    assert told in fault(kind, body)


def test_sshd_may_want_longer_rsa_keys() -> None:
    assert fault("ssh-rsa", rsa(1024)) == ""
    assert "wants 2048" in fault("ssh-rsa", rsa(1024), 2048)
