"""DMARC records read as receivers read them (RFC 9989, which replaced RFC 7489 in 2026)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


TAGS = frozenset({"v", "p", "sp", "np", "rua", "ruf", "adkim", "aspf", "fo", "psd", "t"})
# Gone with RFC 9989: receivers ignore them, and a `pct` that is ignored means a stricter policy than it says.
REMOVED = frozenset({"pct", "rf", "ri"})
POLICIES = frozenset({"none", "quarantine", "reject"})
VALUES = {
    "p": POLICIES,
    "sp": POLICIES,
    "np": POLICIES,
    "adkim": frozenset({"r", "s"}),
    "aspf": frozenset({"r", "s"}),
    "psd": frozenset({"y", "n", "u"}),
    "t": frozenset({"y", "n"}),
}
# RFC 9989, section 4.10: a name of more labels than this is cut before the walk goes on.
LONGEST_WALK = 8


@dataclass(frozen=True)
class DmarcRecord:
    """One record, its tags, and what is wrong with it.

    Attributes:
        tags: names in lower case, values as they stand.
        errors: why receivers would ignore the record, or a part of it.
        removed: tags that were taken out of the standard.
    """

    tags: Mapping[str, str]
    errors: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """What receivers are asked to do; "none" when the record does not say."""
        return self.tags.get("p", "none").lower()

    @property
    def testing(self) -> bool:
        """True when the policy is only announced (t=y)."""
        return self.tags.get("t", "n").lower() == "y"

    @property
    def report_addresses(self) -> tuple[str, ...]:
        """The mailboxes of `rua`, without a size limit ("!10m")."""
        uris = (uri.strip() for uri in self.tags.get("rua", "").split(","))
        return tuple(uri[7:].partition("!")[0] for uri in uris if uri.lower().startswith("mailto:"))

    def strict(self, tag: str) -> bool:
        """True when "adkim" or "aspf" wants the very same domain."""
        return self.tags.get(tag, "r").lower() == "s"


def is_dmarc(text: str) -> bool:
    """True when a TXT record begins as a DMARC record must; others at the name do not count."""
    return re.match(r"^v\s*=\s*DMARC1\s*(;|$)", text) is not None


def parse(text: str) -> DmarcRecord:
    """Read one record."""
    tags: dict[str, str] = {}
    errors: list[str] = []
    for part in text.split(";"):
        name, equals, value = (word.strip() for word in part.partition("="))
        name = name.lower()
        if not part.strip():
            continue
        if not equals:
            errors.append(f"{part.strip()!r} is no tag")
        elif name in tags:
            errors.append(f"{name} is there twice")
        tags.setdefault(name, value)
    if "p" not in tags:
        errors.append("there is no p, the policy")
    for name, value in tags.items():
        if name in VALUES and value.lower() not in VALUES[name]:
            errors.append(f"{name}={value} is none of {', '.join(sorted(VALUES[name]))}")
        if name not in TAGS | REMOVED:
            errors.append(f"there is no tag {name}")
    bad = [uri.strip() for uri in tags.get("rua", "").split(",") if uri.strip() and not _is_report_uri(uri.strip())]
    errors += [f"rua={uri} is no mailto: address" for uri in bad]
    return DmarcRecord(tags, tuple(errors), tuple(sorted(REMOVED & tags.keys())))


def _is_report_uri(uri: str) -> bool:
    return re.match(r"(?i)^mailto:[^@\s,!]+@[a-z0-9.-]+(![0-9]+[kmgt]?)?$", uri) is not None


def walk(domain: str) -> tuple[str, ...]:
    """The names whose DMARC record is asked for, the domain itself first (RFC 9989, section 4.10)."""
    labels = domain.rstrip(".").lower().split(".")
    names = [".".join(labels)]
    if len(labels) > LONGEST_WALK:
        labels = labels[-LONGEST_WALK:]
    names += [".".join(labels[at:]) for at in range(1, len(labels))]
    return tuple(names)


def discover(domain: str, texts: Callable[[str], tuple[str, ...] | None]) -> tuple[DmarcRecord | None, str]:
    """The record in force for mail From `domain`, and its organizational domain.

    Args:
        domain: the domain of the From header.
        texts: the TXT records at a name; None when DNS could not be asked.

    Raises:
        LookupError: when DNS could not be asked.
    """
    found: list[tuple[str, DmarcRecord]] = []
    for name in walk(domain):
        answer = texts(f"_dmarc.{name}")
        if answer is None:
            raise LookupError(f"_dmarc.{name}")
        records = [text for text in answer if is_dmarc(text)]
        # Two records are as good as none.
        if len(records) == 1:
            found.append((name, parse(records[0])))
            if found[-1][1].tags.get("psd", "u").lower() in {"n", "y"}:
                break
    record = found[0][1] if found else None
    return record, _organizational(domain.rstrip(".").lower(), found)


def _organizational(domain: str, found: list[tuple[str, DmarcRecord]]) -> str:
    """The name that counts as the owner: the one that says psd=n, the one below psd=y, else the shortest."""
    for name, record in found:
        flag = record.tags.get("psd", "u").lower()
        if flag == "n":
            return name
        if flag == "y" and name != domain:
            below = len(name.split(".")) + 1
            return ".".join(domain.split(".")[-below:])
    return found[-1][0] if found else domain


def aligned(domain: str, author: str, *, strict: bool, texts: Callable[[str], tuple[str, ...] | None]) -> bool:
    """True when a domain that passed SPF or DKIM stands for the domain of the From header.

    Raises:
        LookupError: when DNS could not be asked.
    """
    domain, author = domain.rstrip(".").lower(), author.rstrip(".").lower()
    if domain == author:
        return True
    return not strict and discover(domain, texts)[1] == discover(author, texts)[1]
