"""The certificate on disk, whether it will renew itself, and port 80. How it is served: `wizard.checks.smtp`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wizard import certificate
from wizard.check import Finding, failed, passed, skipped, warned
from wizard.operations import certificate as operation
from wizard.operations import firewall
from wizard.operations.services import unit_name
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.host import Host

MEND = "Run: relay-wizard apply certbot"
# While certbot works, it holds these.
LOCKS = ("/etc/letsencrypt/.certbot.lock", "/var/lib/letsencrypt/.certbot.lock")
REHEARSAL_SECONDS = 180.0
BUSY = "Another instance of Certbot is already running"


# --- on disk ----------------------------------------------------------------------------------------------------------


def names(context: Context, wanted: Sequence[str], host: Host) -> Finding:
    """It is for the mail host, and for the domain when that points here."""
    asked, want = _asked(context), ", ".join(wanted)
    found = certificate.installed(host, context.certificate)
    if found is None:
        return failed(asked, "no certificate", want, MEND)
    got = printable(", ".join(found.names), 300)
    missing = [name for name in wanted if not found.covers(name)]
    return failed(asked, got or "no name at all", want, MEND) if missing else passed(asked, got, want)


def key_matches(context: Context, host: Host) -> Finding:
    """The private key beside it is its own, and nobody else can read that."""
    asked, want = f"{context.certificate}: fullchain.pem, privkey.pem", "one key, readable by root alone"
    found = certificate.installed(host, context.certificate)
    key = certificate.public_half(host, context.certificate)
    if found is None or key is None:
        return failed(asked, "no certificate" if found is None else "no private key", want, MEND)
    if found.key != key:
        return failed(asked, "the private key belongs to another certificate", want, MEND)
    private = f"{context.certificate}/privkey.pem"
    stat = host.stat(private)
    target = stat.target if stat and stat.kind == "symlink" else ""
    real = host.stat(_beside(private, target)) if target else stat
    if real is not None and real.mode & 0o077:
        path = _beside(private, target) if target else private
        return failed(asked, f"others can read {path} (mode {real.mode:04o})", want, f"Run: chmod 0600 {path}")
    return passed(asked, "one key", want)


def _beside(path: str, target: str) -> str:
    """Where a symlink at `path` leads, its own folder and `..` resolved."""
    from posixpath import dirname, join, normpath

    return normpath(join(dirname(path), target))


def in_date(context: Context, host: Host) -> Finding:
    """It has begun, and there is time enough left to mend a renewal that fails."""
    asked = _asked(context)
    found = certificate.installed(host, context.certificate)
    if found is None:
        return failed(asked, "no certificate", "one that is in date", MEND)
    now = host.now()
    days = found.days_left(now)
    due, late = found.lifetime * certificate.DUE, found.lifetime * certificate.LATE
    want, got = f"{late:.0f} days left at least", f"{days:.0f} days left, until {found.ends:%Y-%m-%d %H:%M} UTC"
    if late < 1:
        want = "one that is in date"
    if days < 0:
        return failed(asked, f"it ended on {found.ends:%Y-%m-%d %H:%M} UTC", want, MEND)
    if found.begins > now:
        do = "Is the clock right? relay-wizard verify clock"
        return failed(asked, f"it begins only on {found.begins:%Y-%m-%d %H:%M} UTC", want, do)
    if found.is_late(now):
        return failed(asked, got, want, MEND)
    if found.is_due(now):
        do = f"Its renewal is overdue: journalctl -u certbot -n 50   {MEND}"
        return warned(asked, got, f"{due:.0f} days left at least", do)
    return passed(asked, got, want)


def trusted(context: Context, host: Host) -> Finding:
    """Its chain leads to an authority that mail programs and servers know."""
    asked, want = _asked(context, "fullchain.pem, judged as a receiver does"), "a chain to a known authority"
    found = certificate.installed(host, context.certificate)
    if found is None:
        return failed(asked, "no certificate", want, MEND)
    chain = certificate.encoded_chain(host.read(f"{context.certificate}/fullchain.pem") or b"")
    problem = _chain_problem(host, context, chain)
    if not problem:
        return passed(asked, f"signed by {printable(found.issuer, 200)}", want)
    if "staging" in context.answers.certbot.server:
        do = "Answer certbot.server with the authority's real address, then run: relay-wizard apply certbot"
        return failed(asked, problem, want, do)
    return failed(asked, problem, want, f"{MEND}   (a private authority belongs into certbot.ca_bundle)")


def _chain_problem(host: Host, context: Context, chain: Sequence[bytes]) -> str:
    """Why the chain is not to be believed; '' when it is."""
    from cryptography import x509
    from cryptography.x509 import verification

    roots = [*certificate.encoded_chain(host.read(context.platform.paths["ca_bundle"]) or b"")]
    if context.answers.certbot.ca_bundle:
        roots += certificate.encoded_chain(host.read(context.answers.certbot.ca_bundle) or b"")
    if not roots:
        return "no authority is known here at all: the package ca-certificates is missing"
    store = verification.Store([found for root in roots if (found := certificate.load(root)) is not None])
    loaded = [found for part in chain if (found := certificate.load(part)) is not None]
    now = min(host.now(), loaded[0].not_valid_after_utc)
    verifier = verification.PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(context.hostname))
    try:
        verifier.verify(loaded[0], loaded[1:])
    except verification.VerificationError as error:
        return printable(str(error), 300)
    return ""


def _asked(context: Context, what: str = "fullchain.pem") -> str:
    return f"{context.certificate}/{what}"


# --- its renewal ------------------------------------------------------------------------------------------------------


def timer_runs(service: str, host: Host) -> Finding:
    """The timer that renews is on, now and after a boot."""
    unit = f"{service}.timer"
    asked, want = f"systemctl is-active {unit}, is-enabled {unit}", "active, enabled"
    got = f"{host.ask(['systemctl', 'is-active', unit]).text}, {host.ask(['systemctl', 'is-enabled', unit]).text}"
    return passed(asked, got, want) if got == want else failed(asked, got, want, MEND)


def authority_trusted(service: str, ca_bundle: str, host: Host) -> Finding:
    """The timer's renewals know the CA file that the authority's server needs, and it is there."""
    unit = unit_name(service)
    asked, want = f"systemctl show {unit}, Environment", f"REQUESTS_CA_BUNDLE={ca_bundle}"
    if not certificate.encoded_chain(host.read(ca_bundle) or b""):
        do = f"Put the authority's CA certificate into {ca_bundle}, or answer certbot.ca_bundle with another file."
        return failed(f"the file {ca_bundle}", "no certificate in it", "a CA certificate", do)
    got = host.ask(["systemctl", "show", "--property=Environment", "--value", unit]).text
    if want in got.replace('"', ""):
        return passed(asked, printable(got, 300), want)
    return failed(asked, printable(got, 300) or "nothing", want, MEND)


def hooks_in_place(host: Host) -> Finding:
    """The hooks that open port 80, close it, and have the new certificate served can be run."""
    paths = (operation.PRE, operation.POST, operation.DEPLOY)
    asked, want = f"{operation.HOOKS}: pre, post, deploy", "relay-wizard in each, executable by root"
    bad = []
    for path in paths:
        found = host.stat(path)
        if found is None or found.kind != "file":
            bad.append(f"{path} is missing")
        elif found.mode & 0o022 or found.owner != "root" or not found.mode & 0o100:
            bad.append(f"{path} has mode {found.mode:04o} and owner {found.owner}")
    return failed(asked, "; ".join(bad), want, MEND) if bad else passed(asked, "all three", want)


def renews(context: Context, host: Host) -> Finding:
    """Rehearse the renewal with the firewall and the hooks as they are.

    `certbot renew --dry-run` asks for a certificate that is thrown away, from the authority's test server where it has
    one. The hooks open port 80 for that moment and close it again; nothing that lasts is changed, so it may be asked.
    """
    if certificate.installed(host, context.certificate) is None:
        return failed("certbot renew --dry-run", "there is no certificate yet", "a rehearsal that succeeds", MEND)
    command = operation.trusting(
        context.answers.certbot.ca_bundle,
        (
            # Without its name, another authority than the usual one would not be asked in a dry run.
            "certbot",
            "renew",
            "--dry-run",
            "--no-random-sleep-on-renew",
            "--cert-name",
            context.hostname,
            "--server",
            context.answers.certbot.server,
        ),
    )
    asked, want = " ".join(command), "a rehearsal that succeeds, and port 80 shut afterwards"
    done = host.ask(command, timeout=REHEARSAL_SECONDS)
    for _ in range(3):
        if BUSY not in done.out + done.err:
            break
        host.sleep(10)
        done = host.ask(command, timeout=REHEARSAL_SECONDS)
    if BUSY in done.out + done.err:
        return skipped(asked, "certbot is at work already", want, "Ask again in a minute: relay-wizard verify certbot")
    if not done.ok:
        text = f"{done.out}\n{done.err}"
        return failed(asked, operation.complaint(done), want, operation.advice(text, (context.hostname,)))
    if any(rule.comment == firewall.RENEWAL for rule in firewall.ufw_rules(host)):
        return failed(asked, "port 80 was left open", want, f"Run: {operation.POST}")
    return passed(asked, "it succeeded", want)


# --- port 80 ----------------------------------------------------------------------------------------------------------


def port_80_free(apache: str, host: Host) -> Finding:
    """Nobody holds port 80 but those who answer the certificate authority.

    Args:
        apache: the web server that is woken for renewals, '' when certbot itself answers.
        host: the machine.
    """
    asked, want = "the listening sockets of this machine, port 80", "nobody, but for the moments of a renewal"
    found = [entry for entry in host.listeners() if entry.port == 80]
    ours = {"certbot", apache}
    others = sorted({entry.program or "unknown" for entry in found} - ours)
    if others:
        held = ", ".join(others)
        do = f"Stop it: systemctl disable --now {others[0]}" if others[0] != "unknown" else "Find it with: ss -ltnp"
        if others[0] in {"apache2", "httpd"} and not apache:
            do = f'{do}   or let it answer: web.method = "apache"'
        return failed(asked, held, want, do)
    return passed(asked, ", ".join(entry.program for entry in found) or "nobody", want)


def web_server_sleeps(service: str, host: Host) -> Finding:
    """The web server is masked: neither a boot nor another package can start it."""
    unit = unit_name(service)
    asked, want = f"systemctl is-enabled {unit}, is-active {unit}", "masked, inactive"
    got = ""
    # A renewal, or its rehearsal, may just be going on: it wakes the web server for some seconds.
    for _ in range(30):
        busy = any(host.stat(lock) is not None for lock in LOCKS)
        enabled = host.ask(["systemctl", "is-enabled", unit]).text
        got = f"{enabled}, {host.ask(['systemctl', 'is-active', unit]).text}"
        if got in {want, "masked, failed"}:
            return passed(asked, got, want)
        if not busy:
            break
        host.sleep(2)
    return failed(asked, got, want, "Run: relay-wizard apply web")


def blank_page(path: str, host: Host) -> Finding:
    """What the web server shows is an empty page, and not its maker's greeting."""
    asked, want = path, "an empty page"
    text = (host.read(path) or b"").decode(errors="replace")
    body = re.search(r"<body>(.*?)</body>", text, re.DOTALL)
    if body and not body[1].strip():
        return passed(asked, "an empty page", want)
    return failed(asked, "another page" if text else "no page", want, "Run: relay-wizard apply web")
