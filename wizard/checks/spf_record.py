"""SPF records read and evaluated as receivers do (RFC 7208). pyspf judges; its questions go through our own door."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from wizard.lookup import chain, owned, plain
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from wizard.host import DnsReply

    # A name and a type in, an answer out.
    Ask = Callable[[str, str], DnsReply]

# RFC 7208, section 4.6.4: receivers give up after ten lookups, and need not spend more than 20 seconds.
MOST_LOOKUPS = 10
SECONDS = 20.0
# Nobody can have this address (RFC 1112, class E): what it gets is what every stranger gets.
STRANGER = "240.0.0.1"


@dataclass(frozen=True)
class SpfResult:
    """What a receiver would decide.

    Attributes:
        result: "pass", "fail", "softfail", "neutral", "none", "temperror" or "permerror".
        explanation: why, printable.
        lookups: DNS lookups that it took, of the ten that are allowed.
    """

    result: str
    explanation: str
    lookups: int = 0


def is_spf(text: str) -> bool:
    """True when a TXT record is an SPF record (RFC 7208, section 4.5); others at the name do not count."""
    return re.match(r"(?i)v=spf1( |$)", text) is not None


def evaluate(ask: Ask, ip: str, sender: str, helo: str, clock: Callable[[], float]) -> SpfResult:
    """Decide as a receiver does who gets mail from `ip`.

    Args:
        ask: answers DNS questions.
        ip: the sending address.
        sender: the envelope sender; '' judges the HELO name alone.
        helo: the name in HELO.
        clock: seconds that never jump; the evaluation ends after SECONDS.
    """
    import spf

    query = _query_class()(i=ip, s=sender, h=helo, strict=True)
    query.put(ask, clock)
    try:
        result, _, explanation = query.check()
    except (ValueError, AssertionError, TypeError, LookupError, RecursionError, spf.AmbiguityWarning) as error:
        return SpfResult("permerror", printable(str(error), 300), query.lookups)
    return SpfResult(str(result), printable(str(explanation), 300), query.lookups)


@cache
def _query_class() -> Any:
    import spf

    class Query(spf.query):  # type: ignore[misc]
        """pyspf's evaluation, with DNS asked through ours instead of the resolver of the machine."""

        def put(self, ask: Ask, clock: Callable[[], float]) -> None:
            self._ask, self._clock, self._end = ask, clock, clock() + SECONDS

        def dns(self, name: object, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:  # noqa: ARG002, FBT001, FBT002 - pyspf's signature
            wanted = plain(str(name))
            if len(wanted) > 253 or not all(0 < len(label) < 64 for label in wanted.split(".")):
                return []
            if self._clock() > self._end:
                raise spf.TempError(f"no end after {SECONDS:.0f} seconds")
            reply = self._ask(wanted, qtype)
            if not reply.answered:
                raise spf.TempError(f"DNS {qtype} of {wanted}: {reply.rcode}")
            names = chain(reply, wanted)
            found = [_as_pyspf(qtype, record.text) for record in owned(reply, names[-1], qtype)]
            if not found and not ignore_void:
                self.void_lookups += 1
                if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                    raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} lookups that found nothing")
            return found

    return Query


def _as_pyspf(rdtype: str, text: str) -> Any:
    if rdtype == "TXT":
        return (text.encode(),)
    if rdtype == "MX":
        priority, _, name = text.partition(" ")
        return (int(priority) if priority.isdigit() else 0, plain(name))
    return plain(text) if rdtype == "PTR" else text


def with_mechanism(text: str, mechanism: str) -> str:
    """An existing record with one more mechanism, in front of its last word on all others."""
    words = [word for word in text.split() if word != mechanism]
    at = next((n for n, word in enumerate(words) if re.match(r"(?i)[-+~?]?all$|redirect=", word)), len(words))
    return " ".join([*words[:at], mechanism, *words[at:]])
