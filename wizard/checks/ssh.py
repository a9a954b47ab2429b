"""SSH as sshd itself says it works, and as it answers on its port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.checks.wire import Wire
from wizard.operations import ssh
from wizard.operations.users import MAIL_GROUP
from wizard.printable import printable

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.host import Host

APPLY = "Run: relay-wizard apply ssh"
# A reload is asked for and done a moment later.
START_SECONDS = 10.0


def valid(host: Host) -> Finding:
    """Sshd would start again with the files as they are."""
    found = host.ask(["sshd", "-t"])
    asked, want = "sshd -t", "no complaint"
    if found.ok:
        return passed(asked, "no complaint", want)
    return failed(asked, found.complaint, want, "Mend the file it names before anything restarts sshd.")


def settings(context: Context, host: Host) -> Finding:
    """The values in force, all files together; another file may have been read first."""
    answers = context.answers.ssh
    wanted = {
        "permitrootlogin": answers.permit_root_login,
        "passwordauthentication": "yes" if answers.password_authentication else "no",
        "kbdinteractiveauthentication": "no",
        "permitemptypasswords": "no",
    }
    found = ssh.effective(host)
    asked, want = "sshd -T", ", ".join(f"{key} {value}" for key, value in wanted.items())
    if not found:
        return failed(asked, "nothing: sshd cannot say its settings", want, "Look with: sshd -T")
    # sshd writes the old word for it.
    now = {key: found.get(key, "").replace("without-password", "prohibit-password") for key in wanted}
    wrong = [key for key in wanted if now[key] != wanted[key]]
    got = ", ".join(f"{key} {value}" for key, value in now.items())
    if wrong:
        look = f"grep -ri {wrong[0]} /etc/ssh/sshd_config /etc/ssh/sshd_config.d"
        return failed(asked, got, want, f"{APPLY}   If it stays, another file says so: {look}")
    return passed(asked, got, want)


def listens(port: int, host: Host) -> Finding:
    """Somebody who connects to the port now is answered by sshd."""
    asked, want = "the listening sockets", f"sshd on port {port}"
    until = host.monotonic() + START_SECONDS
    found = ssh.listening_ports(host)
    while port not in found and host.monotonic() < until:
        host.sleep(0.2)
        found = ssh.listening_ports(host)
    got = f"sshd on port {', '.join(map(str, found)) or 'none'}"
    if port not in found:
        return failed(asked, got, want, "Look with: journalctl -u ssh -n 20   then: relay-wizard apply ssh")
    if len(found) > 1:
        others = ", ".join(str(entry) for entry in found if entry != port)
        return warned(
            asked, got, f"{want} alone",
            f"Take the line Port {others} out of /etc/ssh/sshd_config or its .d folder, then: systemctl reload ssh",
        )  # fmt: skip
    return passed(asked, got, want)


def banner(context: Context, port: int, host: Host) -> Finding:
    """What answers on the port speaks SSH."""
    address = context.ipv4 if context.ipv4 in host.addresses() else "127.0.0.1"
    asked, want = f"{address} port {port}", "SSH-2.0-…"
    until = host.monotonic() + START_SECONDS
    while True:
        try:
            with host.connect(address, port, timeout=5.0) as connection:
                line = Wire(host, connection, 5.0).line().decode(errors="replace").strip()
            break
        except OSError as error:
            if host.monotonic() >= until:
                return failed(asked, (error.strerror or str(error)).lower(), want, APPLY)
            host.sleep(0.2)
    if line.startswith("SSH-2.0-"):
        return passed(asked, printable(line, 80), want)
    return failed(asked, printable(line, 80) or "it hung up", want, "Another program has the port: ss -ltnp")


def way_in(context: Context, host: Host) -> Finding:
    """An administrator can still log in."""
    ways = ssh.ways_in(context, host)
    asked, want = "accounts, their keys and passwords, against the settings", "at least one way in"
    if ways:
        return passed(asked, ", ".join(map(str, ways)), want)
    return failed(
        asked, "none", want,
        "Do not close this session. Put your key into /root/.ssh/authorized_keys, or add an admin with ssh_keys.",
    )  # fmt: skip


def mail_logins_out(host: Host) -> Finding:
    """The group of the mail logins is refused."""
    found = ssh.effective(host).get("denygroups", "")
    asked, want = "sshd -T, denygroups", MAIL_GROUP
    if MAIL_GROUP in found.split():
        return passed(asked, found, want)
    if not found and not ssh.effective(host):
        return skipped(asked, "sshd cannot say its settings", want, "Look with: sshd -T")
    return failed(asked, found or "nobody", want, APPLY)
