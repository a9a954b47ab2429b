"""Authentication-Results explained: what a receiver wrote about a message, in words (RFC 8601).

For pasted headers of a reply or a delivered test message: any text may come in, and everybody on the way can have
written a field that says "pass". Only the receiver's own words count: those of the topmost field, which is the last one
that was added (RFC 8601, sections 4.1 and 7.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from wizard.printable import printable

# A pasted message may be large; what stands in a header is not.
LONGEST = 65536
RESULTS = re.compile(r"(?:arc-|x-[a-z-]*)?authentication-results(?:-original)?")
# Marks of quoting may stand before it; were they part of the name as well, a line of them would take minutes.
HEADER = re.compile(r"^[ >|]*([!-9;-=?-{}~]+):")
RESULT = re.compile(r"(?i)^\s*([a-z][a-z0-9-]*)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)\s*(.*)$", re.DOTALL)
# The look behind keeps the search from starting anew inside of each word: a word of 64 KiB would take minutes.
PROPERTY = re.compile(r"(?i)(?<![a-z0-9-])([a-z][a-z0-9-]*\.[a-z][a-z0-9_-]*)\s*=\s*([^\s]+)")

# Words of the receiver, into which a sender may have talked.
REASON = re.compile(r'(?i)\breason\s*=\s*"[^"]*"')
QUOTING = frozenset('"\\();')

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
    ("compauth", "pass"): "Microsoft's sum of all of these: it believes who the sender is",
    ("compauth", "softpass"): "Microsoft's sum of all of these: it rather believes who the sender is",
    ("compauth", "fail"): "Microsoft's sum of all of these: it does not believe who the sender is",
    ("compauth", "none"): "Microsoft did not sum up",
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
        doubt: why it is not to be believed; '' for the receiver's own words.
    """

    judge: str
    method: str
    result: str
    domain: str
    meaning: str
    doubt: str = ""


@dataclass(frozen=True)
class Field:
    """One field: its name in lower case, its body on one line, and how many Received fields stand above it."""

    name: str
    body: str
    hops: int


def explain(text: str) -> tuple[Result, ...]:
    """Find every Authentication-Results field in a pasted header, say what it means, and what of it can be believed.

    Args:
        text: a header, several, or a whole message; its body is left alone.
    """
    found = fields(text)
    receiver = next((field for field in found if field.name == "authentication-results"), None) or next(
        iter(found), None
    )
    told: list[Result] = []
    for field in found:
        for result in parse(field.body):
            doubted = replace(result, doubt=_doubt(result, field, receiver, told))
            told += [] if doubted in told else [doubted]
    return tuple(told)


def _doubt(result: Result, field: Field, receiver: Field | None, told: list[Result]) -> str:
    judge = _judge(receiver.body) if receiver else ""
    if result.judge != judge:
        return f"it is not {judge or 'the receiver'} who says so, and anybody on the way could have written it"
    if receiver and field.hops > receiver.hops:
        return "it stands below the mark of another server, so it was there before the receiver had the message"
    earlier = [one for one in told if (one.judge, one.method) == (judge, result.method) and not one.doubt]
    if result.method in SAID_ONCE and any(one.result != result.result for one in earlier):
        return f"the receiver says {earlier[0].result} above; the sender could have written this one"
    return ""


def fields(text: str) -> tuple[Field, ...]:
    """The Authentication-Results fields of a pasted header."""
    return tuple(field for field in unfold(text) if RESULTS.fullmatch(field.name))


def unfold(text: str) -> tuple[Field, ...]:
    """All fields of a pasted header, their continuation lines joined (RFC 5322, section 2.2.3)."""
    found: list[tuple[str, list[str], int]] = []
    inside, hops = False, 0
    for line in text[:LONGEST].split("\n"):
        # A line that begins with a blank goes on with the field above it, whatever it looks like.
        folded = bool(found) and line[:1].isspace()
        header = None if folded else HEADER.match(line)
        if header:
            found.append((header[1].lower(), [line[header.end() :].strip()], hops))
            hops += found[-1][0] == "received"
        elif inside and folded and line.strip():
            found[-1][1].append(line.strip())
        elif found and not line.strip(" >|\r\t"):
            # Below the blank line stands what the sender wrote.
            break
        inside = bool(header) or (inside and folded)
    return tuple(Field(name, " ".join(parts), above) for name, parts, above in found)


def parse(body: str) -> tuple[Result, ...]:
    """Read one field: "mx.example; spf=pass smtp.mailfrom=a@b.example; dkim=fail header.d=b.example"."""
    judge, parts = _parts(body)
    found = []
    for part in parts:
        match = RESULT.match(part)
        if match:
            method, result = match[1].lower(), match[2].lower()
            meaning = MEANINGS.get((method, result), "")
            found.append(Result(judge, method, result, _domain(method, match[3]), meaning))
    return tuple(found)


def _judge(body: str) -> str:
    return _parts(body)[0]


def _parts(body: str) -> tuple[str, list[str]]:
    """Who says it, and what."""
    parts = [part.strip() for part in _split(_without_comments(body))]
    # ARC puts an instance before the judge.
    if parts and re.match(r"(?i)^i\s*=\s*\d+$", parts[0]):
        parts = parts[1:]
    # Microsoft leaves the judge out.
    if not parts or RESULT.match(parts[0]):
        return "", parts
    return _plain(next(iter(parts[0].split()), "")), parts[1:]


def _plain(text: str) -> str:
    """A name as letters that cannot be taken for others: what is not ASCII is spelt out."""
    return printable(text.encode("ascii", "backslashreplace").decode(), 255)


def _domain(method: str, rest: str) -> str:
    properties: dict[str, str] = {}
    for name, value in PROPERTY.findall(REASON.sub("", rest)):
        properties.setdefault(name.lower(), value.strip('"'))
    for name in PREFERRED.get(method, ()):
        if name in properties:
            return _plain(properties[name].rpartition("@")[2].lower())
    return ""


# A message has one envelope sender and one author, but many signatures.
SAID_ONCE = frozenset({"spf", "dmarc"})
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
            # It stands for itself, and must not be read as the end of anything later on.
            character = "'" if character in QUOTING else character  # noqa: PLW2901
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
