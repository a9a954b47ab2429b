"""A public key of SSH: whether its bytes are what its first word says (RFC 4253, 5656, 8709; PROTOCOL.u2f)."""

from __future__ import annotations

import base64
import binascii

# Fields behind the name, by their lengths; None is any. A point of a curve is one byte and two coordinates.
SHAPES: dict[str, tuple[int | None, ...]] = {
    "ssh-ed25519": (32,),
    "ssh-rsa": (None, None),
    "ecdsa-sha2-nistp256": (8, 65),
    "ecdsa-sha2-nistp384": (8, 97),
    "ecdsa-sha2-nistp521": (8, 133),
    "sk-ssh-ed25519@openssh.com": (32, None),
    "sk-ecdsa-sha2-nistp256@openssh.com": (8, 65, None),
}
# sshd's own bounds (sshd_config(5), RequiredRSASize; SSHBUF_MAX_BIGNUM in its source).
RSA_BITS, MOST_RSA_BITS = 1024, 16384


def fault(kind: str, body: str, rsa_bits: int = RSA_BITS) -> str:
    """Why sshd would never take a key, '' when it could.

    Args:
        kind: its type, the first word: "ssh-ed25519".
        body: the second word, in base64.
        rsa_bits: the shortest RSA key that is taken.
    """
    if kind not in SHAPES:
        return f"is of a kind that is not taken; {', '.join(SHAPES)} are"
    try:
        name, *fields = _fields(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError):
        return "is not whole; paste all of its line"
    if name != kind.encode():
        return f"says {kind} and holds another kind of key; paste its line as it is"
    shape = SHAPES[kind]
    if len(fields) != len(shape) or any(
        size not in {None, len(field)} for size, field in zip(shape, fields, strict=True)
    ):
        return "is not whole; paste all of its line"
    if kind == "ssh-rsa":
        return _rsa_fault(fields[1], rsa_bits)
    if "nistp" in kind and (fields[0].decode(errors="replace") not in kind or fields[1][0] != 4):
        return "is no point of its curve; paste its line as it is"
    return ""


def _rsa_fault(modulus: bytes, rsa_bits: int) -> str:
    bits = int.from_bytes(modulus, signed=True).bit_length() if modulus[:1] < b"\x80" else 0
    if bits < rsa_bits:
        return f"has {bits} bits, and sshd wants {rsa_bits} of an RSA key; make a new one with: ssh-keygen -t ed25519"
    if bits > MOST_RSA_BITS:
        return f"has {bits} bits, more than sshd takes; make a new one with: ssh-keygen -t ed25519"
    return ""


def _fields(data: bytes) -> list[bytes]:
    """The strings of the key, each behind its length (RFC 4251, section 5).

    Raises:
        ValueError: when they do not fill the data to the byte.
    """
    found = []
    while data:
        size = int.from_bytes(data[:4])
        found.append(data[4 : 4 + size])
        if len(data) < 4 + size:
            raise ValueError("it ends too early")
        data = data[4 + size :]
    return found
