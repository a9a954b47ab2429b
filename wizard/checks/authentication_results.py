"""Authentication-Results explained: what a receiver wrote about a message, in words (RFC 8601).

For pasted headers of a reply or a delivered test message: any text may come in, nothing in it is trusted or executed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.printable import printable

# A pasted message may be large; what stands in a header is not.
LONGEST = 65536
FIELD = re.compile(r"(?i)^[ >|]*(?:ARC-|X-[a-z-]*)?Authentication-Results(?:-Original)?:")
RESULT = re.compile(r"(?i)^\s*([a-z][a-z0-9-]*)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)\s*(.*)$", re.DOTALL)
PROPERTY = re.compile(r"(?i)([a-z][a-z0-9-]*\.[a-z][a-z0-9_-]*)\s*=\s*([^\s]+)")

MEANINGS = {
    ("spf", "pass"): "the sending address is one that the domain names in its SPF record",
    (
        "spf",
        "fail",
    ): "the sending address is not in the SPF record: publish what `relay-wizard records` shows",
    (
        "spf",
        "softfail",
    ): "the sending address is not in the SPF record, whose ~all asks to accept it anyway",
    ("spf", "neutral"): "the SPF record says nothing about this address",
    ("spf", "none"): "the domain has no SPF record",
    ("spf", "permerror"): "the SPF record is wrong: two records, a typing slip, or more than ten look-ups",
    ("spf", "temperror"): "DNS did not answer; it may work the next time",
    ("dkim", "pass"): "the signature is valid: nobody has changed the message, and the domain stands for it",
    ("dkim", "fail"): "the signature does not fit: the message was changed on its way, or DNS has another key",
    ("dkim", "neutral"): "there is a signature, but it could not be judged",
    ("dkim", "none"): "the message is not signed",
    ("dkim", "policy"): "the signature is valid but not good enough for this receiver, such as a short key",
    ("dkim", "permerror"): "the key could not be had: no record, or a damaged one",
    ("dkim", "temperror"): "DNS did not answer; it may work the next time",
    ("dmarc", "pass"): "SPF or DKIM passed for the domain that the reader sees in From",
    ("dmarc", "fail"): "neither SPF nor DKIM passed for the domain in From",
    ("dmarc", "bestguesspass"): "there is no DMARC record, but with one it would have passed",
    ("dmarc", "none"): "the domain in From has no DMARC record",
    ("dmarc", "permerror"): "the DMARC record is wrong",
    ("dmarc", "temperror"): "DNS did not answer; it may work the next time",
    ("arc", "pass"): "those who forwarded the message have kept their word on what they received",
    ("arc", "none"): "nobody has forwarded the message with a seal",
    ("arc", "fail"): "a forwarder's seal does not fit",
    ("iprev", "pass"): "the reverse name of the sending address leads back to it",
    ("iprev", "fail"): "the reverse name of the sending address is missing or leads elsewhere: see the step ptr",
    ("auth", "pass"): "the sender had logged in",
}


@dataclass(frozen=True)
class Result:
    """One method's result.

    Attributes:
        judge: who says so (the authserv-id): "mx.google.com".
        method: "spf", "dkim", "dmarc" …
        result: "pass", "fail" …
        domain: the domain that was judged, '' when it is not said.
        meaning: what that means, in a sentence.
    """

    judge: str
    method: str
    result: str
    domain: str
    meaning: str


def explain(text: str) -> tuple[Result, ...]:
    """Find every Authentication-Results field in a pasted text, and say what it means.

    Args:
        text: a header, several, or a whole message.
    """
    return tuple(result for field in fields(text) for result in parse(field))


def fields(text: str) -> tuple[str, ...]:
    """The bodies of the Authentication-Results fields, their continuation lines joined (RFC 5322, section 2.2.3)."""
    found: list[str] = []
    inside = False
    for line in text[:LONGEST].splitlines():
        match = FIELD.match(line)
        if match:
            found.append(line[match.end() :])
        elif inside and line[:1].isspace() and line.strip():
            found[-1] += f" {line.strip()}"
        inside = bool(match) or (inside and line[:1].isspace() and bool(line.strip()))
    return tuple(found)


def parse(body: str) -> tuple[Result, ...]:
    """Read one field: "mx.example; spf=pass smtp.mailfrom=a@b.example; dkim=fail header.d=b.example"."""
    parts = [part.strip() for part in _split(_without_comments(body))]
    # ARC puts an instance before the judge.
    if parts and re.match(r"(?i)^i\s*=\s*\d+$", parts[0]):
        parts = parts[1:]
    # Microsoft leaves the judge out.
    judge = "" if not parts or RESULT.match(parts[0]) else parts.pop(0).split()[0] if parts[0] else parts.pop(0)
    found = []
    for part in parts:
        match = RESULT.match(part)
        if match:
            method, result = match[1].lower(), match[2].lower()
            meaning = MEANINGS.get((method, result), "")
            found.append(Result(printable(judge, 255), method, result, _domain(method, match[3]), meaning))
    return tuple(found)


def _domain(method: str, rest: str) -> str:
    properties = {name.lower(): value.strip('"') for name, value in PROPERTY.findall(rest)}
    for name in PREFERRED.get(method, ()):
        if name in properties:
            return printable(properties[name].rpartition("@")[2].lower(), 255)
    return ""


PREFERRED = {
    "spf": ("smtp.mailfrom", "smtp.mfrom", "smtp.helo"),
    "dkim": ("header.d", "header.i"),
    "dmarc": ("header.from",),
    "arc": ("header.oldest-pass",),
}


def _without_comments(body: str) -> str:
    """Take out what stands in parentheses, nested ones too, and leave quoted text alone."""
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for character in body:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
            continue
        elif character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth += 1
            continue
        elif character == ")" and not quoted and depth:
            depth -= 1
            continue
        if not depth:
            kept.append(character)
    return "".join(kept)


def _split(body: str) -> list[str]:
    """Split at the semicolons that stand outside of quotes."""
    parts, quoted = [""], False
    for character in body:
        quoted ^= character == '"'
        if character == ";" and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
