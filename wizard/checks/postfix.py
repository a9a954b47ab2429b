"""What Postfix itself says about its state: configuration, values in force, queue."""

from __future__ import annotations

import ipaddress
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.operations.postfix import effective, is_running, warnings
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.host import Host

MEND = "Run: relay-wizard apply postfix"
# Seconds after which a message that has not left is worth a word.
STUCK = 4 * 3600
# Who may hold Postfix's ports: its master opens them and hands them on to the servers that it starts.
OWN_PROGRAMS = {"master", "smtpd", "postscreen", ""}
# How often one address may be redirected before it is called a loop.
ALIAS_STEPS = 10


def running(host: Host) -> Finding:
    """Postfix's master process is there and holds both ports, for the whole world and not for loopback alone."""
    asked, want = "this machine: postfix status, listening sockets", "Postfix on ports 25 and 465"
    if not is_running(host):
        return failed(asked, "Postfix does not run", want, f"{MEND}   or see: journalctl -u 'postfix*' -n 50")
    found = [entry for entry in host.listeners() if entry.port in {25, 465}]
    got = ", ".join(f"{entry.program or 'unknown'} on {entry.address} port {entry.port}" for entry in found)
    for port in (25, 465):
        entries = [entry for entry in found if entry.port == port and entry.address not in {"127.0.0.1", "::1"}]
        if not entries:
            return failed(asked, got or "neither port", want, MEND)
        others = {entry.program for entry in entries} - OWN_PROGRAMS
        if others:
            return failed(asked, got, want, f"Stop {', '.join(sorted(others))}, then run: relay-wizard apply postfix")
    return passed(asked, got, want)


def configuration(host: Host) -> Finding:
    """`postfix check`, and postconf's own warnings: unused, overridden and deprecated parameters."""
    asked, want = "postconf -n, postconf -M and postfix check, standard error", "no warning"
    said = [line for what in ("-n", "-M") for line in warnings(host.ask(["postconf", what]))]
    judged = host.ask(["postfix", "check"])
    said += [line for line in warnings(judged) if line not in said]
    if said:
        return failed(asked, printable(" / ".join(said), 500), want, "Mend in main.cf or master.cf what it names.")
    if not judged.ok:
        return failed(asked, printable(judged.complaint, 500), want, MEND)
    return passed(asked, "no warning", want)


def networks(host: Host, *, allowed: Sequence[str]) -> Finding:
    """The networks that Postfix trusts now, against those that the answers name."""
    asked, want = "postconf -x mynetworks", f"nothing but {', '.join(allowed)}"
    found = effective(host, "mynetworks").get("mynetworks")
    if found is None:
        return failed(asked, "no answer", want, MEND)
    known = [ipaddress.ip_network(network) for network in allowed]
    foreign = []
    for word in found.replace(",", " ").split():
        try:
            network = ipaddress.ip_network(word.replace("[", "").replace("]", ""))
        except ValueError:
            foreign.append(word)
            continue
        if not any(network.version == other.version and network.subnet_of(other) for other in known):  # type: ignore[arg-type]
            foreign.append(word)
    if foreign:
        return failed(
            asked, printable(found), want,
            f"{printable(', '.join(foreign))} may relay without a login. {MEND}",
        )  # fmt: skip
    return passed(asked, printable(found), want)


def names(context: Context, host: Host) -> Finding:
    """The names in force: how Postfix introduces itself, and whose mail it keeps."""
    asked = "postconf -x myhostname mydomain myorigin"
    want = f"{context.hostname}, {context.domain}, {context.domain}"
    found = effective(host, "myhostname", "mydomain", "myorigin")
    got = ", ".join(found.values())
    return passed(asked, got, want) if got == want else failed(asked, printable(got) or "no answer", want, MEND)


def smuggling(host: Host) -> Finding:
    """The setting that ends SMTP smuggling, where this Postfix has it."""
    asked, want = "postconf smtpd_forbid_bare_newline", '"normalize" or "reject"'
    asked_host = host.ask(["postconf", "-h", "smtpd_forbid_bare_newline"])
    got = asked_host.text
    if not asked_host.ok or "unknown parameter" in asked_host.err:
        return warned(
            asked, "this Postfix does not know it", want,
            "Install the security updates of the system: relay-wizard apply updates",
        )  # fmt: skip
    return passed(asked, got, want) if got in {"normalize", "reject"} else failed(asked, got, want, MEND)


def root_mail(context: Context, host: Host) -> Finding:
    """Follow the aliases of root: reports and warnings of the machine have to reach a person."""
    asked, want = "postmap -q root, alias_maps", "an address of a person"
    admin = context.answers.relay.admin_email
    target, path = "root", ["root"]
    for _ in range(ALIAS_STEPS):
        answer = _alias(host, target)
        if not answer:
            break
        target = answer.split(",")[0].strip()
        path.append(target)
        local, at, domain = target.rpartition("@")
        if at and domain not in {context.domain, context.hostname}:
            return passed(asked, " → ".join(path), want)
        target = local if at else target
    got = printable(" → ".join(path))
    if len(path) > ALIAS_STEPS:
        return failed(asked, got, want, "Break that loop in /etc/aliases, then run: newaliases")
    if target == "root":
        do = "Answer relay.admin_email with an address that you read, then run: relay-wizard apply postfix"
        return failed(asked, f"{got}: a mailbox on this machine that nobody reads", want, do)
    if (host.read("/etc/passwd") or b"").decode(errors="replace").find(f"\n{target}:") < 0:
        do = f"Make the user {target}, or answer relay.admin_email with an address that exists (now: {admin})."
        return failed(asked, f"{got}: there is no such mailbox", want, do)
    return passed(asked, f"{got}: the mailbox /var/mail/{target}", want)


def _alias(host: Host, name: str) -> str:
    maps = effective(host, "alias_maps").get("alias_maps", "")
    for table in maps.replace(",", " ").split():
        asked = host.ask(["postmap", "-q", name, table])
        if asked.ok and asked.text:
            return asked.text
    return ""


def queued(text: str) -> list[dict[str, Any]]:
    """The messages that `postqueue -j` lists, one a line; a line that is none is left out."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
            recipients = entry.get("recipients") if isinstance(entry, dict) else None
            if isinstance(recipients, list) and all(isinstance(who, dict) for who in recipients):
                found.append(entry)
    return found


def queue(host: Host) -> Finding:
    """How many messages wait, for how long, and why."""
    asked, want = "postqueue -j", "no message that has waited for hours"
    answer = host.ask(["postqueue", "-j"])
    if not answer.ok:
        return skipped(asked, printable(answer.complaint), want)
    now = host.now().timestamp()
    entries = queued(answer.out)
    waiting = [entry for entry in entries if entry.get("queue_name") in {"deferred", "hold"}]
    old = [entry for entry in waiting if now - float(entry.get("arrival_time", now)) > STUCK]
    got = f"{len(entries)} in the queue, {len(waiting)} deferred, {len(old)} of them for more than four hours"
    if not old:
        return passed(asked, got, want)
    reasons = {str(who.get("delay_reason", "")) for entry in old for who in entry.get("recipients", [])} - {""}
    return failed(
        asked, printable(f"{got}: {' / '.join(sorted(reasons)[:3])}", 600), want,
        "Mend what the reason names, then try again at once with: postqueue -f",
    )  # fmt: skip


def transport_of(host: Host, domain: str) -> str:
    """Where Postfix would send mail for a domain: what its transport maps say, '' for nothing."""
    maps = effective(host, "transport_maps").get("transport_maps", "")
    for table in maps.replace(",", " ").split():
        asked = host.ask(["postmap", "-q", domain, table])
        if asked.ok and asked.text:
            return asked.text
    return ""
