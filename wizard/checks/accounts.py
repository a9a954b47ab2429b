"""Accounts: who may become root, who may only send mail, and that the passwords are the ones meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.operations import users

if TYPE_CHECKING:
    from wizard.answers import User
    from wizard.host import Host
    from wizard.secret import Secret

APPLY = "Run: relay-wizard apply users"
DAY = 86400
# Made when the system first starts, so their time is the day on which this machine came to be.
FIRST_BOOT_FILES = ("/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key", "/etc/machine-id")


def root_password_changed(host: Host) -> Finding:
    """Root has no password, or one that was set after the provider made this machine."""
    asked, want = "/etc/shadow about root, and the day this machine was made", "no password, or a newer one"
    if not users.usable(users.stored_hash(host, "root")):
        return passed(asked, "root has no password: nobody can log in with one", want)
    changed = users.password_day(host, "root")
    made = [found.mtime for path in FIRST_BOOT_FILES if (found := host.stat(path)) is not None]
    do = "Change it: passwd root   or take it away: passwd -l root"
    if not made or changed is None:
        return skipped(asked, "the day is not known", want, do)
    age = changed - int(max(made) // DAY)
    if age > 0:
        return passed(asked, f"changed {age} day{'s'[: age != 1]} after this machine was made", want)
    return warned(asked, "the password is as old as this machine: the provider knows it", want, do)


def password_is(user: str, secret: Secret, step: str, host: Host) -> Finding:
    """The account has the password that the answers name."""
    stored = users.stored_hash(host, user)
    asked, want = f"/etc/shadow about {user}", "the password of the answers"
    if not users.usable(stored):
        return failed(asked, "no password that could be used", want, f"Run: relay-wizard apply {step}")
    made = host.crypt(secret, stored)
    if not made:
        return skipped(asked, "this machine's libcrypt cannot compute the hash", want)
    if made == stored:
        return passed(asked, "the password of the answers", want)
    return failed(asked, "another password", want, f"Run: relay-wizard apply {step}")


def password_usable(user: str, host: Host) -> Finding:
    """The account has a password at all: without one it cannot log in to send mail."""
    asked, want = f"/etc/shadow about {user}", "a password"
    if users.usable(users.stored_hash(host, user)):
        return passed(asked, "a password", want)
    return failed(
        asked, "none that could be used", want,
        f"Set one: passwd {user}   or name a file with it as password_file of this user, then apply users.",
    )  # fmt: skip


def administrator(user: User, group: str, host: Host) -> Finding:
    """The account has a shell, is at home, and may become root."""
    asked, want = f"/etc/passwd and /etc/group about {user.name}", f"a shell, and a place in the group {group}"
    found = users.account(host, user.name)
    if found is None:
        return failed(asked, "there is no such account", want, APPLY)
    if not found.has_shell:
        return failed(asked, f"the shell is {found.shell}", want, APPLY)
    if user.name not in users.members(host, group):
        return failed(asked, f"shell {found.shell}, not in {group}", want, APPLY)
    return passed(asked, f"shell {found.shell}, in {group}", want)


def may_sudo(user: User, host: Host) -> Finding:
    """Sudo itself says that the account may run everything, and would not ask for a password that does not exist."""
    asked, want = f"sudo -l -U {user.name}", "(ALL) ALL"
    listed = host.ask(["sudo", "-n", "-l", "-U", user.name])
    if listed.status == 127:
        return failed(asked, "sudo is not installed", want, APPLY)
    rules = [line.strip() for line in listed.out.splitlines() if line.strip().startswith("(")]
    if not any(rule.endswith("ALL") for rule in rules):
        return failed(asked, "; ".join(rules) or "nothing", want, APPLY)
    if not any("NOPASSWD" in rule for rule in rules) and not users.usable(users.stored_hash(host, user.name)):
        return failed(
            asked, "sudo would ask for a password, and there is none", want,
            f"Give {user.name} ssh_keys or a password_file in the answers, then: relay-wizard apply users",
        )  # fmt: skip
    return passed(asked, "; ".join(rules), want)


def keys_in_place(user: User, host: Host) -> Finding:
    """The keys of the answers are accepted by sshd: present, and no folder above them writable for others."""
    folder = users.home_of(host, user.name)
    path = f"{folder}/.ssh/authorized_keys"
    asked, want = path, f"{len(user.ssh_keys)} key{'s'[: len(user.ssh_keys) != 1]} of the answers, safe from others"
    there = users.authorized_keys(host, user.name)
    missing = [key for key in user.ssh_keys if users.public_key(key) not in there]
    if missing:
        return failed(asked, f"{len(missing)} missing", want, APPLY)
    for part in (folder, f"{folder}/.ssh", path):
        found = host.stat(part)
        if found is None or found.mode & 0o022 or found.owner not in {user.name, "root"}:
            got = "not there" if found is None else f"{found.mode:04o} {found.owner}"
            return failed(
                asked, f"{part} is {got}: sshd refuses its keys", want,
                f"chown {user.name} {part}; chmod go-w {part}",
            )  # fmt: skip
    return passed(asked, f"{len(user.ssh_keys)} of {len(there)}", want)


def only_mail(name: str, host: Host) -> Finding:
    """The account sends mail and can do nothing else: no shell, and the group that sshd refuses."""
    asked = f"/etc/passwd and /etc/group about {name}"
    want = f"no shell, in the group {users.MAIL_GROUP}"
    found = users.account(host, name)
    if found is None:
        return failed(asked, "there is no such account", want, APPLY)
    if found.has_shell:
        return failed(asked, f"the shell is {found.shell}", want, APPLY)
    if name not in users.members(host, users.MAIL_GROUP):
        return failed(asked, f"not in {users.MAIL_GROUP}", want, APPLY)
    return passed(asked, f"{found.shell}, in {users.MAIL_GROUP}", want)
