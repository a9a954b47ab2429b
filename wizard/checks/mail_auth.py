"""A message judged as a strict receiver judges it: DKIM and DMARC, with live DNS.

dkimpy verifies signatures, as it does for many receivers; its DNS questions go through the function that is given, so
that a test can answer them. SPF is evaluated elsewhere, by pyspf.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wizard.checks import dmarc_record
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    # The TXT records at a name, strings joined: () when there are none, None when DNS could not be asked.
    Texts = Callable[[str], tuple[str, ...] | None]

# RFC 8301, section 3.2: what is signed with a shorter key counts as unsigned.
SHORTEST_KEY = 1024
# An RSA key of 8192 bits has 1400 characters in its record.
LONGEST_KEY_RECORD = 2000
# More signatures than this are not looked at: each costs DNS questions.
MOST_SIGNATURES = 10


@dataclass(frozen=True)
class Signature:
    """One DKIM-Signature field and what became of it; `why` says what is wrong."""

    domain: str
    selector: str
    valid: bool
    why: str = ""

    @property
    def text(self) -> str:
        """As the operator reads it."""
        shown = f"d={self.domain} s={self.selector}"
        return f"{shown}: valid" if self.valid else f"{shown}: {self.why or 'not valid'}"


@dataclass(frozen=True)
class SpfResult:
    """The result of SPF ("pass", "fail" …) for one sending address."""

    address: str
    domain: str
    result: str


@dataclass(frozen=True)
class Verdict:
    """What a strict receiver thinks of a message.

    Attributes:
        author: the domain of the From header, '' when there is not exactly one.
        signatures: every DKIM signature.
        spf: SPF for each address that the message may be sent from.
        dkim_aligned: True when a valid signature stands for the author's domain.
        spf_aligned: True when SPF passes from every address, for the author's domain.
        policy: p= of the author's DMARC record, None when there is no record.
        trouble: what could not be asked.
    """

    author: str
    signatures: tuple[Signature, ...]
    spf: tuple[SpfResult, ...]
    dkim_aligned: bool = False
    spf_aligned: bool = False
    policy: str | None = None
    trouble: tuple[str, ...] = field(default=())

    @property
    def trusted(self) -> bool:
        """True when SPF, DKIM and DMARC all pass and each stands for the author's domain."""
        return self.dkim_aligned and self.spf_aligned and self.policy is not None

    @property
    def text(self) -> str:
        """The verdict in a line."""
        spf = ", ".join(f"spf={entry.result} from {entry.address}" for entry in self.spf) or "spf not asked"
        dkim = "; ".join(entry.text for entry in self.signatures) or "not signed"
        passes = self.policy is not None and (self.dkim_aligned or self.spf_aligned)
        dmarc = "no record" if self.policy is None else f"{'pass' if passes else 'fail'} (p={self.policy})"
        words = f"From {self.author or 'nobody'}: {spf}; dkim {dkim}; dmarc {dmarc}"
        return printable(" / ".join((words, *self.trouble)), 700)


def judge(message: bytes, *, spf: tuple[SpfResult, ...], texts: Texts) -> Verdict:
    """Judge a whole message, header and body, with CRLF or LF line ends.

    Args:
        message: as a receiver gets it.
        spf: the results for the envelope sender, one for each address that it may come from.
        texts: asks DNS.
    """
    author = author_domain(message)
    signatures = verify(message, texts)
    try:
        record, _ = dmarc_record.discover(author, texts) if author else (None, "")
        strict_dkim = bool(record and record.strict("adkim"))
        strict_spf = bool(record and record.strict("aspf"))
        dkim = any(
            entry.valid and dmarc_record.aligned(entry.domain, author, strict=strict_dkim, texts=texts)
            for entry in signatures
        )
        passes = bool(spf) and all(
            entry.result == "pass" and dmarc_record.aligned(entry.domain, author, strict=strict_spf, texts=texts)
            for entry in spf
        )
    except LookupError as error:
        return Verdict(author, signatures, spf, trouble=(f"DNS does not answer about {error}",))
    return Verdict(author, signatures, spf, dkim, passes, record.policy if record else None)


def author_domain(message: bytes) -> str:
    """The domain of the From header, in lower case; '' when there is not exactly one author."""
    import email
    import email.utils

    found = email.message_from_bytes(message).get_all("From", [])
    addresses = email.utils.getaddresses([str(value) for value in found])
    if len(found) != 1 or len(addresses) != 1:
        return ""
    return addresses[0][1].rpartition("@")[2].lower()


def verify(message: bytes, texts: Texts) -> tuple[Signature, ...]:
    """Verify every signature of a message."""
    import dkim

    def ask(name: bytes, timeout: float = 5) -> bytes | None:  # noqa: ARG001 - dkimpy's signature
        found = texts(name.decode(errors="replace").rstrip("."))
        if found is None:
            raise dkim.DnsTimeoutError(f"DNS does not answer about {name.decode(errors='replace')}")
        # RSA with a key as long as a record may be would take minutes; what is longer than any real key is none.
        return found[0].encode() if found and len(found[0]) <= LONGEST_KEY_RECORD else None

    heard = _Ears()
    found: list[Signature] = []
    try:
        fields_of_it, _ = dkim.rfc822_parse(message)
    except Exception as error:  # noqa: BLE001 - what a message that is none makes of the library is no signature
        return (Signature("", "", valid=False, why=f"no message: {printable(str(error), 200)}"),)
    count = sum(name.lower() == b"dkim-signature" for name, _ in fields_of_it)
    for number in range(min(count, MOST_SIGNATURES)):
        heard.words.clear()
        judge_one = dkim.DKIM(message, logger=heard, minkey=SHORTEST_KEY)
        try:
            valid, why = bool(judge_one.verify(number, dnsfunc=ask)), ""
        except Exception as error:  # noqa: BLE001 - so is a signature that breaks it
            valid, why = False, str(error) or type(error).__name__
        fields = getattr(judge_one, "signature_fields", {}) or {}
        domain, selector = (fields.get(tag, b"").decode(errors="replace").lower() for tag in (b"d", b"s"))
        # A signature that does not fit raises nothing and says nothing.
        why = why or " / ".join(heard.words) or "the signature does not fit the message and the key in DNS"
        found.append(Signature(printable(domain, 255), printable(selector, 255), valid, printable(why, 200)))
    return tuple(found)


class _Ears:
    """Keeps what dkimpy says about a key, as it tells that to a logger instead of raising it."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def error(self, text: str) -> None:
        self.words.append(str(text))

    def debug(self, text: str) -> None:
        """Nobody listens."""

    warning = info = debug
