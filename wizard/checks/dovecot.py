"""What Dovecot itself says about its state: settings in force, its socket, its ports, whom it lets in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed
from wizard.operations.services import activity, unit_name
from wizard.operations.users import MAIL_GROUP
from wizard.printable import printable

if TYPE_CHECKING:
    from wizard.host import Host

SOCKET = "/var/spool/postfix/private/auth"
MEND = "Run: relay-wizard apply dovecot"


def running(host: Host, *, service: str) -> Finding:
    """The service is active."""
    unit = unit_name(service)
    got = activity(host, unit) or "unknown"
    do = f"{MEND}   or see: journalctl -u {unit} -n 50"
    question = f"systemctl is-active {unit}"
    return passed(question, got, "active") if got == "active" else failed(question, got, "active", do)


def configuration(host: Host) -> Finding:
    """`doveconf -n` reads all files without a complaint."""
    answer = host.ask(["doveconf", "-n"])
    complaints = [line for line in answer.err.splitlines() if re.search(r"(?i)\b(warning|error|fatal)\b", line)]
    if answer.ok and not complaints:
        return passed("doveconf -n", "no complaint", "no complaint")
    got = printable(" / ".join(complaints) or answer.complaint, 500)
    return failed(
        "doveconf -n", got, "no complaint", "Mend what it names below /etc/dovecot, then " + MEND[0].lower() + MEND[1:]
    )


def socket(host: Host) -> Finding:
    """The socket in Postfix's own root: Postfix may use it, others may not."""
    want = "a socket, mode 0660, owner postfix:postfix"
    found = host.stat(SOCKET)
    if found is None:
        return failed(SOCKET, "it is not there", want, MEND)
    got = f"a {found.kind}, mode {found.mode:04o}, owner {found.owner}:{found.group}"
    return passed(SOCKET, got, want) if got == want else failed(SOCKET, got, want, MEND)


def no_ports(host: Host) -> Finding:
    """None of Dovecot's processes listens on a TCP port."""
    asked, want = "this machine's listening sockets", "none of Dovecot's"
    names = ("dovecot", "imap", "pop3", "managesieve", "lmtp", "submission")
    found = [entry for entry in host.listeners() if entry.program.startswith(names)]
    if not found:
        return passed(asked, "none", want)
    got = ", ".join(f"{entry.program} on {entry.address} port {entry.port}" for entry in found)
    do = f'{MEND}   and look for another "protocols" below /etc/dovecot'
    return failed(asked, got, want, do)


def mail_users_only(host: Host, *, pam: str) -> Finding:
    """The first source of passwords in force is our PAM service, and that asks for the group."""
    asked, want = f"doveconf -n passdb, /etc/pam.d/{pam}", f"PAM service {pam}, which wants the group {MAIL_GROUP}"
    blocks = re.findall(r"^passdb\b[^{]*\{(.*?)^\}", host.ask(["doveconf", "-n"]).out, re.MULTILINE | re.DOTALL)
    first = " ".join(blocks[0].split()) if blocks else ""
    ends = len(blocks) == 1 or "result_failure = return-fail" in first
    rules = (host.read(f"/etc/pam.d/{pam}") or b"").decode(errors="replace")
    guarded = re.search(rf"^auth\s+requisite\s+pam_succeed_if\.so.*ingroup {MAIL_GROUP}\s*$", rules, re.MULTILINE)
    if pam in first and ends and guarded:
        return passed(asked, want, want)
    got = f"first passdb: {first or 'none'}; group asked for: {'yes' if guarded else 'no'}; passdbs: {len(blocks)}"
    return failed(asked, printable(got, 400), want, MEND)
