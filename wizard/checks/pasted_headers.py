"""The lines of a pasted header that tell something about trust, in words, one by one.

Any text may come in: what is quoted from it is ASCII, printable and short, and what others than the receiver can have
written is called so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wizard.checks.authentication_results import MEANINGS, parse, unfold
from wizard.checks.dkim_record import tags_of
from wizard.checks.mail_auth import author_domain
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wizard.checks.authentication_results import Field

# What is read of one line, what is quoted of it, and how many lines are explained.
LONGEST_LINE, LONGEST_WORD, MOST_LINES = 2000, 100, 60

TLS = re.compile(r"(?i)\bTLS ?v?1[._]([0-3])(?![0-9])")
ADDRESS = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]{2,45})\]")
# RFC 3848: S for encrypted, A for a login.
PROTOCOL = re.compile(r"(?i)\bwith\s+(?:UTF8)?(?:E?SMTP|LMTP)(S?A?)\b")
SENDER = re.compile(r"@([A-Za-z0-9._-]{1,253})")
SCORE = re.compile(r"(?i)\bscore=(-?[0-9.]{1,10})\b.{0,40}?\brequired=(-?[0-9.]{1,10})")
NUMBER = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?")


@dataclass(frozen=True)
class Remark:
    """What one line tells: the field's name as people know it, and what it means."""

    name: str
    said: str


@dataclass(frozen=True)
class Case:
    """What the lines are seen against.

    Attributes:
        author: the domain in From, which is what the reader sees; '' when there is not exactly one.
        domains: the domains that mail is sent for.
        machines: host name and addresses of the relay.
        hops: how many servers had written their Received line above the receiver's verdict; -1 without a verdict.
    """

    author: str
    domains: tuple[str, ...]
    machines: tuple[str, ...]
    hops: int


def explain(text: str, domains: Sequence[str], machines: Sequence[str]) -> tuple[Remark, ...]:
    """Explain each line of a pasted header that can be explained, from the top.

    Args:
        text: headers, or a whole message; its body is left alone.
        domains: the domains that mail is sent for.
        machines: host name and addresses of the relay.
    """
    found = unfold(text)
    senders = [field.body[:LONGEST_LINE].replace("\r", " ") for field in found if field.name == "from"][:2]
    lines = "".join(f"From: {sender}\r\n" for sender in senders)
    author = _word(author_domain(f"{lines}\r\n".encode("ascii", "replace")))
    hops = next((field.hops for field in found if field.name == "authentication-results"), -1)
    case = Case(author, tuple(domains), tuple(machines), hops)
    known = [replace(field, body=field.body[:LONGEST_LINE]) for field in found if field.name in LINES][:MOST_LINES]
    told = ((LINES[field.name], field) for field in known)
    return tuple(Remark(name, said) for (name, tell), field in told if (said := tell(field, case)))


def _word(text: str) -> str:
    """A piece of outside text that can be shown."""
    shown = printable(text.strip()[:LONGEST_WORD])
    # Cut last: what stands for a letter is longer than the letter.
    return shown.encode("ascii", "backslashreplace").decode()[:LONGEST_WORD]


def _within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _aligned(one: str, other: str) -> bool:
    """Relaxed alignment of names of one family; what belongs together by a public suffix alone is not known here."""
    return bool(one and other) and (_within(one, other) or _within(other, one))


def _ours(domain: str, case: Case) -> str:
    return "one of your domains" if any(_within(domain, own) for own in case.domains) else "not one of your domains"


def _from(_field: Field, case: Case) -> str:
    if not case.author:
        return "there is not exactly one sender's address: receivers distrust that"
    return f"the sender that the reader sees, of {case.author}: {_ours(case.author, case)}. SPF or DKIM has to fit it"


def _return_path(field: Field, case: Case) -> str:
    found = SENDER.search(field.body)
    if not found:
        return "nobody: it is a bounce or a notice of a machine" if "<>" in field.body.replace(" ", "") else ""
    domain = _word(found[1].lower())
    if _aligned(domain, case.author):
        return f"bounces go to {domain}, which fits From: SPF counts for DMARC"
    return f"bounces go to {domain}, which does not fit From: SPF does not count for DMARC, so DKIM has to pass"


def _received_spf(field: Field, _case: Case) -> str:
    result = _word(field.body.split(maxsplit=1)[0] if field.body.split() else "").lower()
    address = tags_of(field.body.replace(" client-ip", ";client-ip")).get("client-ip", "")
    meaning = MEANINGS.get(("spf", result), "")
    came = f" for mail from {_word(address)}" if address else ""
    return f"{result}{came}: {meaning}" if meaning else ""


def _dkim_signature(field: Field, case: Case) -> str:
    tags = tags_of(field.body)
    domain = _word(tags.get("d", "").lower())
    if not domain:
        return "a signature without a domain (d=): nobody stands for it"
    key = f"selector {_word(tags.get('s', '?'))}, {_word(tags.get('a', '?'))}"
    said = f"signed by {domain} ({key}), {_ours(domain, case)}; "
    if _aligned(domain, case.author):
        said += "it fits From, so it counts for DMARC when dkim= says pass"
    else:
        said += "it does not fit From, so it does not count for DMARC"
    return said + ("; l= leaves what was added at the end unsigned" if "l" in tags else "")


def _arc_results(field: Field, _case: Case) -> str:
    judge = _word(next((result.judge for result in parse(field.body)), ""))
    number = _word(tags_of(field.body).get("i", "?"))
    return (
        f"what {judge or 'a forwarder'} says it saw (number {number}), for those to whom the message is forwarded. "
        "The receiver's own word is Authentication-Results"
    )


def _arc_seal(field: Field, _case: Case) -> str:
    tags = tags_of(field.body)
    chain = {"none": "it is the first", "pass": "those before it hold", "fail": "one before it is broken"}
    said = chain.get(tags.get("cv", "").lower(), "")
    return (
        f"seal {_word(tags.get('i', '?'))}, of {_word(tags.get('d', '?'))}, on what it saw{f'; {said}' if said else ''}"
    )


def _received(field: Field, case: Case) -> str:
    """Which machine handed it over, to whom, and how."""
    by, came = (_after(word, field.body) for word in ("by", "from"))
    address = found[1] if (found := ADDRESS.search(field.body)) else ""
    protocol = found[1].upper() if (found := PROTOCOL.search(field.body)) else ""
    if not by and not came:
        return ""
    said = f"{by or 'somebody'} took it"
    if came:
        said += f" from {came}{f' ({_word(address)})' if address and address not in came else ''}"
    if {came, address} & {*case.machines}:
        said += ", this relay"
    if version := TLS.search(field.body):
        said += f", encrypted with TLS 1.{version[1]}"
    elif protocol.endswith(("S", "SA")):
        said += ", encrypted"
    said += ", after a login" if protocol.endswith("A") else ""
    below = field.hops == case.hops
    return f"{said}. This and those below were there before: only the senders say so" if below else said


def _after(word: str, body: str) -> str:
    found = re.search(rf"(?i)(?:^|\s){word}\s+([^\s;()]+)", body)
    return _word(found[1]).lower() if found else ""


def _marks(body: str) -> dict[str, str]:
    """Names and values of a text like SCL:1;CAT:NONE."""
    pairs = (part.partition(":") for part in body.split(";"))
    return {name.strip().upper(): value.strip().upper() for name, _, value in pairs}


FOLDERS = {"I": "it was put into the inbox", "J": "it was put into the junk folder"}
KINDS = {
    "SPM": "spam", "HSPM": "certainly spam", "PHSH": "phishing", "HPHSH": "certainly phishing",
    "HPHISH": "certainly phishing", "SPOOF": "a forged sender", "BULK": "bulk mail", "MALW": "malware",
    "DIMP": "a forged domain", "UIMP": "a forged person",
}  # fmt: skip


def _microsoft(field: Field, _case: Case) -> str:
    marks = _marks(field.body)
    said = [_scl(marks["SCL"])] if "SCL" in marks else []
    said += [f"kind: {KINDS[marks['CAT']]}"] if marks.get("CAT") in KINDS else []
    said += [_bcl(marks["BCL"])] if "BCL" in marks else []
    said += [FOLDERS[marks["DEST"]]] if marks.get("DEST") in FOLDERS else []
    return "; ".join(one for one in said if one)


def _scl(level: str) -> str:
    if not re.fullmatch("-1|[0-9]", level):
        return ""
    if level == "-1":
        return "SCL -1: it was not asked whether it is spam"
    meaning = "not spam" if int(level) < 5 else "spam" if int(level) < 7 else "certainly spam"
    return f"SCL {level} (spam confidence level): {meaning}"


def _level(field: Field, _case: Case) -> str:
    return _scl(field.body.strip())


def _bcl(level: str) -> str:
    if not re.fullmatch("[0-9]", level):
        return ""
    told = "no bulk mail" if level == "0" else "bulk mail with few complaints" if int(level) < 4 else "bulk mail"
    return f"BCL {level} (bulk complaint level): {told}{', with many complaints' if int(level) > 7 else ''}"


def _spam(field: Field, _case: Case) -> str:
    """SpamAssassin and those who write as it does."""
    word = field.body.strip().split(",", maxsplit=1)[0].split(maxsplit=1)[0].lower() if field.body.strip(", \t") else ""
    verdict = {"yes": "the filter calls it spam", "no": "the filter does not call it spam"}.get(word, "")
    points = f"{found[1]} points, spam from {found[2]} on" if (found := SCORE.search(field.body)) else ""
    return ": ".join(part for part in (verdict, points) if part)


def _points(field: Field, _case: Case) -> str:
    found = NUMBER.match(field.body.strip())
    return f"{found[0]} points of the spam filter; fewer are better" if found else ""


def _rspamd(field: Field, _case: Case) -> str:
    found = re.search(r"\[(-?[0-9.]{1,10}) ?/ ?(-?[0-9.]{1,10})\]", field.body)
    return f"{found[1]} points of the spam filter, spam from {found[2]} on" if found else ""


def _folder(field: Field, _case: Case) -> str:
    return f"it was put into {_word(field.body)}" if field.body.strip() else ""


def _filter_results(field: Field, _case: Case) -> str:
    word = field.body.strip().partition(":")[0].lower()
    return {"notjunk": "the filter does not call it spam", "junk": "the filter calls it spam"}.get(word, "")


def _forwarded(_field: Field, _case: Case) -> str:
    return "somebody passed it on: SPF then fails, and what a list changes breaks DKIM; send one directly to compare"


LINES: dict[str, tuple[str, Callable[[Field, Case], str]]] = {
    "from": ("From", _from),
    "return-path": ("Return-Path", _return_path),
    "received": ("Received", _received),
    "received-spf": ("Received-SPF", _received_spf),
    "dkim-signature": ("DKIM-Signature", _dkim_signature),
    "arc-authentication-results": ("ARC-Authentication-Results", _arc_results),
    "arc-seal": ("ARC-Seal", _arc_seal),
    "x-forefront-antispam-report": ("X-Forefront-Antispam-Report", _microsoft),
    "x-microsoft-antispam": ("X-Microsoft-Antispam", _microsoft),
    "x-microsoft-antispam-mailbox-delivery": ("X-Microsoft-Antispam-Mailbox-Delivery", _microsoft),
    "x-ms-exchange-organization-scl": ("X-MS-Exchange-Organization-SCL", _level),
    "x-spam-status": ("X-Spam-Status", _spam),
    "x-spam-flag": ("X-Spam-Flag", _spam),
    "x-spam-score": ("X-Spam-Score", _points),
    "x-rspamd-score": ("X-Rspamd-Score", _points),
    "x-spamd-result": ("X-Spamd-Result", _rspamd),
    "x-ui-filterresults": ("X-UI-Filterresults", _filter_results),
    "x-apple-movetofolder": ("X-Apple-MoveToFolder", _folder),
    "x-gmail-labels": ("X-Gmail-Labels", _folder),
    "x-forwarded-for": ("X-Forwarded-For", _forwarded),
    "x-forwarded-to": ("X-Forwarded-To", _forwarded),
    "list-id": ("List-Id", _forwarded),
}
