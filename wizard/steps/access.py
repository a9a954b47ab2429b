"""Whom the relay refuses: senders and servers that the operator names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, Finding, failed, passed, skipped
from wizard.hooks import ACCESS_CLIENT, ACCESS_SENDER, FOLDER
from wizard.printable import printable
from wizard.step import TRUST, Field, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.host import Host
    from wizard.operation import Operation

NETWORKS = f"{FOLDER}/relay-wizard-clients.cidr"
CLIENTS = f"{FOLDER}/relay-wizard-clients"
SENDERS = f"{FOLDER}/relay-wizard-senders"
REASON = "Mail from you is not wanted here"
ACTION = f"REJECT {REASON}"
MEND = "Run: relay-wizard apply access"


def entries(context: Context) -> dict[str, tuple[str, ...]]:
    """Which entry of the answer stands in which map. A domain is both a server's name and a sender's domain."""
    named = context.answers.access.reject
    networks = tuple(entry for entry in named if _is_network(entry))
    senders = tuple(entry for entry in named if entry not in networks)
    return {
        NETWORKS: networks,
        CLIENTS: tuple(entry for entry in senders if "@" not in entry),
        SENDERS: senders,
    }


def _is_network(entry: str) -> bool:
    return "@" not in entry and ("/" in entry or ":" in entry)


def plan(context: Context) -> Sequence[Operation]:
    """Maps that have entries first, then the hooks that name them, then maps that are not needed any more."""
    from wizard.operations.files import RemoveFile, write_template
    from wizard.operations.postfix import SetPostfixParameters

    reads = (context.platform.services["postfix"],)
    maps = entries(context)
    return (
        *(
            write_template("access", path, notify=reads, action=ACTION, entries=found)
            for path, found in maps.items()
            if found
        ),
        SetPostfixParameters(hooks(maps), notify=reads),
        *(RemoveFile(path, notify=reads) for path, found in maps.items() if not found),
    )


def hooks(maps: dict[str, tuple[str, ...]]) -> tuple[tuple[str, str], ...]:
    """The restrictions that name the maps with entries; '' for none."""
    tables = {
        NETWORKS: f"check_client_access cidr:{NETWORKS}",
        CLIENTS: f"check_client_access texthash:{CLIENTS}",
        SENDERS: f"check_sender_access texthash:{SENDERS}",
    }
    return (
        (ACCESS_CLIENT, ", ".join(tables[path] for path in (NETWORKS, CLIENTS) if maps[path])),
        (ACCESS_SENDER, ", ".join(tables[path] for path in (SENDERS,) if maps[path])),
    )


def checks(context: Context) -> Sequence[Check]:
    """The maps answer for each entry, Postfix asks the maps, and a refused sender is told so."""
    maps = entries(context)
    return (
        Check("access.maps", "Each refused name is in its map, and no other", partial(mapped, maps=maps)),
        Check("access.asked", "Postfix asks the maps on port 25", partial(asked, maps=maps)),
        Check("access.refused", "A refused sender is turned away on port 25", partial(refused, context)),
    )  # fmt: skip


def mapped(host: Host, *, maps: dict[str, tuple[str, ...]]) -> Finding:
    """Ask postmap(1) for every entry, as Postfix would, and look for lines that no answer stands behind."""
    wanted = sum(map(len, maps.values()))
    question, want = "postmap -q, the maps of refused clients and senders", f"REJECT for each of {wanted} entries"
    for path, found in maps.items():
        kind = "cidr" if path == NETWORKS else "texthash"
        for entry in found:
            answer = host.ask(["postmap", "-q", entry.partition("/")[0], f"{kind}:{path}"])
            if not answer.text.startswith("REJECT"):
                got = f"{entry} in {path}: {printable(answer.text or answer.complaint, 200)}"
                return failed(question, got, want, MEND)
        lines = (host.read(path) or b"").decode(errors="replace").splitlines()
        extra = [line for line in lines if line.strip() and not line.startswith("#")][len(found) :]
        if extra:
            return failed(question, f"{path} has a line besides: {printable(extra[-1], 200)}", want, MEND)
    return passed(question, "REJECT for each" if wanted else "no entries, none wanted", want)


def asked(host: Host, *, maps: dict[str, tuple[str, ...]]) -> Finding:
    """The maps stand in the restrictions in force for port 25, and for it alone."""
    from wizard.operations.postfix import effective

    lists = ("smtpd_client_restrictions", "smtpd_sender_restrictions")
    question = f"postconf -x {' '.join(lists)}"
    named = [path for path, found in maps.items() if found]
    want = ", ".join(named) or "no map of ours"
    found = " ".join(effective(host, *lists).values())
    words = {word.strip(",").partition(":")[2] for word in found.split()}
    here = [path for path in maps if path in words]
    if here == named:
        return passed(question, ", ".join(here) or "none", want)
    return failed(
        question, printable(", ".join(here)) or "none of them", want, "Run: relay-wizard apply postfix access"
    )


def refused(context: Context, host: Host) -> Finding:
    """Introduce the first refused sender, from an address that Postfix does not trust."""
    from wizard.checks import smtp

    senders = entries(context)[SENDERS]
    sender = next((entry if "@" in entry else f"somebody@{entry}" for entry in senders), "")
    question = f"{context.hostname}, port 25: MAIL FROM:<{sender}>, RCPT TO:<postmaster@{context.domain}>"
    want = f"5xx {REASON}"
    if not sender:
        only_networks = bool(context.answers.access.reject)
        return skipped(question, "only networks are refused" if only_networks else "nobody is refused", want)
    if not smtp.own_addresses(context):
        return skipped(question, "no public address is known, and from loopback nobody is refused", want)
    try:
        with smtp.as_stranger(context, host) as speak:
            reply = speak.recipient(sender, f"postmaster@{context.domain}")
    except smtp.SmtpError as error:
        return failed(question, str(error), want, "Run: relay-wizard apply postfix")
    # Other rules may refuse a name that does not exist; only this rule gives this reason.
    if reply.code >= 500 and REASON in reply.text:
        return passed(question, reply.text, want)
    return failed(question, reply.text, want, MEND)


STEP = Step(
    id="access",
    title="Refused senders",
    group=TRUST,
    why="Senders and servers that you want no mail from, refused before they can send a line.",
    better="Ranges of addresses are possible, and a refused network never touches your own: who logs in on port 465,\n"
    "this machine and home are not asked.",
    plan=plan,
    checks=checks,
    fields=(
        Field(
            "access.reject", "Whom do you want no mail from?",
            "Domains, e-mail addresses, IP addresses or ranges, such as spammer.example or 203.0.113.0/24.",
        ),
    ),
    requires=("postfix",),
)  # fmt: skip
