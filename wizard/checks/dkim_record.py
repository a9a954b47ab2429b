"""DKIM records compared with the key on disk, and the ways in which registrars' forms mangle them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST_KEY = 2048


@dataclass(frozen=True)
class DkimOpinion:
    """What is to be said about the TXT records at a selector's name.

    Attributes:
        state: "ok", "missing", or "wrong".
        got: what is there, in words.
        doubt: what should be better though mail will verify; '' when nothing.
    """

    state: Literal["ok", "missing", "wrong"]
    got: str
    doubt: str = ""


def tags_of(text: str) -> dict[str, str]:
    """The tags of a record (RFC 6376, section 3.2); the first of each name, white space inside values removed."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), re.sub(r"\s+", "", value))
    return tags


def compare(texts: Sequence[str], wanted: str) -> DkimOpinion:
    """Judge the TXT records at the name against the public key `wanted` (base64 of the SubjectPublicKeyInfo)."""
    if not texts:
        return DkimOpinion("missing", "no TXT record")
    candidates = [text for text in texts if "p" in tags_of(_unmangled(text))]
    if len(texts) > 1 and (len(candidates) != 1 or _in_pieces(texts, wanted)):
        return DkimOpinion("wrong", f"{len(texts)} TXT records {_too_many(texts, wanted)}")
    if not candidates:
        return DkimOpinion("wrong", f"no key in it: {printable(texts[0], 120)}")
    text = candidates[0]
    if mangling := _mangling(text):
        return DkimOpinion("wrong", mangling)
    return _compare_tags(tags_of(text), wanted)


def _compare_tags(tags: dict[str, str], wanted: str) -> DkimOpinion:
    found = tags["p"]
    if not found:
        return DkimOpinion("wrong", "p= is empty, which says that the key was revoked")
    if found != wanted:
        return DkimOpinion("wrong", _difference(found, wanted))
    if tags.get("v", "DKIM1") != "DKIM1":
        return DkimOpinion("wrong", f"v={printable(tags['v'], 40)}, which receivers do not know")
    if tags.get("k", "rsa") != "rsa":
        return DkimOpinion("wrong", f"k={printable(tags['k'], 40)}, but the key is an RSA key")
    if "h" in tags and "sha256" not in tags["h"].split(":"):
        return DkimOpinion("wrong", f"h={printable(tags['h'], 40)}: sha256, which signs, is not allowed")
    if "s" in tags and not {"*", "email"} & set(tags["s"].split(":")):
        return DkimOpinion("wrong", f"s={printable(tags['s'], 40)}: not for e-mail")
    bits = key_bits(found)
    if bits < SHORTEST_KEY:
        return DkimOpinion("wrong", f"a key of {bits} bits, which receivers no longer trust")
    doubt = "t=y: receivers ignore the signature" if "y" in tags.get("t", "").split(":") else ""
    return DkimOpinion("ok", f"the public half of the key on this server, {bits} bits", doubt)


def _unmangled(text: str) -> str:
    return text.replace('"', "").replace("\\", "")


def _mangling(text: str) -> str:
    """What a form has added to the text, '' when nothing."""
    if '"' in text:
        return "quotation marks stand in the value itself: the form adds them by itself, so type it without"
    if "\\" in text:
        return "backslashes stand in the value itself: they belong into zone files only, not into a form"
    return ""


def _in_pieces(texts: Sequence[str], wanted: str) -> bool:
    """True when the key stands in several records that would make it whole."""
    whole = {re.sub(r"\s+", "", "".join(order)) for order in (texts, tuple(reversed(texts)))}
    return any(wanted in text for text in whole) and not any(wanted in text for text in texts)


def _too_many(texts: Sequence[str], wanted: str) -> str:
    if _in_pieces(texts, wanted):
        return "instead of one: the pieces of a long value belong into one record, each in quotation marks"
    return "where there has to be one"


def _difference(found: str, wanted: str) -> str:
    """Where and how a published key departs from ours."""
    if not re.fullmatch(r"[A-Za-z0-9+/=]*", found):
        bad = next(character for character in found if not re.match(r"[A-Za-z0-9+/=]", character))
        return f"the character {printable(bad)!r} stands in the key"
    if wanted.startswith(found):
        return f"the key is cut off after {len(found)} of {len(wanted)} characters"
    at = next((n for n, (one, other) in enumerate(zip(found, wanted, strict=False)) if one != other), len(wanted))
    # All RSA keys of one length begin with the same 44 characters, which say what they are.
    if at < 60:
        return f"another key (it differs from character {at + 1} on)"
    if sorted(found) == sorted(wanted):
        return f"the pieces of the key stand in the wrong order (from character {at + 1} on)"
    return f"the key differs at character {at + 1}"


def key_bits(encoded: str) -> int:
    """The length of a published RSA key; 0 when it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = serialization.load_der_public_key(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return 0
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else 0
