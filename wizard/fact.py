"""Facts: what the machine is, observed when asked, never remembered; and the context that steps are computed from."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from wizard import platforms
from wizard.answers import PROBE_TARGETS, PUBLIC_RESOLVERS, Answers, AnswersError
from wizard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wizard.host import Host

Version = tuple[int, ...]

# Ranges that no packet from the Internet can reach. Not `is_global`: that is false for documentation ranges as well.
PRIVATE_RANGES = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip


def is_address(text: str) -> bool:
    """True for an IP address of either version, and nothing around it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """True when the Internet can reach `address` (not RFC 1918, RFC 6598, loopback, link-local, ULA, multicast)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not any(found in network for network in PRIVATE_RANGES if network.version == found.version)


def version_of(text: str) -> Version:
    """The leading numbers of a version: "1:3.10.13-0+deb13u1" → (3, 10, 13); () when there are none."""
    match = re.match(r"(?:\d+:)?([0-9]{1,9}(?:\.[0-9]{1,9})*)", text.strip())
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def source_of(route: str) -> str:
    """The source address in what `ip -j route get` prints, '' when there is none."""
    try:
        return str(ipaddress.ip_address(json.loads(route)[0]["prefsrc"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""


class WayIn(Enum):
    """What is known of the operator's way in while steps that could cut it off are applied.

    TRUSTED: no proof is asked for. UNPROVED: the old way stays open until the new one is proved. PROVED: it is, and
    the old one can be closed.
    """

    TRUSTED = "trusted"
    UNPROVED = "unproved"
    PROVED = "proved"


class Facts:
    """Typed observations of one machine, each made once for this object. A new object observes again."""

    def __init__(self, host: Host, operator: str = "") -> None:
        """Observe `host`; `operator` is the address of the SSH connection that started the run, '' when local."""
        self.host = host
        self.operator = operator

    @cached_property
    def platform(self) -> platforms.Platform:
        """The family's names; Debian's when the family is unknown (preflight says that it is not supported)."""
        release = self.host.os_release()
        found = platforms.of(release.get("id", ""), release.get("id_like", ""))
        return found or platforms.of("debian", "")  # type: ignore[return-value]

    @cached_property
    def postfix_version(self) -> Version:
        """The installed Postfix, else the one that would be installed: (3, 7, 11)."""
        asked = self.host.ask(["postconf", "-h", "mail_version"])
        return version_of(asked.text) if asked.ok else self._candidate("postfix")

    @cached_property
    def dovecot_version(self) -> Version:
        """The installed Dovecot, else the one that would be installed: (2, 4, 1)."""
        asked = self.host.ask(["dovecot", "--version"])
        return version_of(asked.text) if asked.ok else self._candidate("dovecot")

    def _candidate(self, purpose: str) -> Version:
        name = self.platform.packages[purpose][0]
        if self.platform.family == "debian":
            answer = self.host.ask(["apt-cache", "policy", name])
            match = re.search(r"Candidate:\s*(\S+)", answer.out)
            return version_of(match[1]) if match else ()
        answer = self.host.ask(["dnf", "-q", "repoquery", "--latest-limit=1", "--qf", "%{version}", name])
        return version_of(answer.text)

    @cached_property
    def database_type(self) -> str:
        """The map type that this Postfix builds by default: "hash", "lmdb", "cdb"."""
        asked = self.host.ask(["postconf", "-h", "default_database_type"])
        return asked.text if asked.ok else "hash"

    @cached_property
    def ssh_socket_active(self) -> bool:
        """True when systemd's ssh.socket, not sshd itself, owns the port (Ubuntu from 22.10)."""
        return self.host.ask(["systemctl", "is-active", "ssh.socket"]).text == "active"

    @cached_property
    def ssh_ports(self) -> tuple[int, ...]:
        """The ports that sshd is configured to listen on now (`sshd -T`); 22 when it cannot be asked."""
        asked = self.host.ask(["sshd", "-T"])
        found = {int(port) for port in re.findall(r"^port ([0-9]{1,5})$", asked.out, re.MULTILINE)}
        return tuple(sorted(found)) or (22,)

    @cached_property
    def source_ipv4(self) -> str:
        """The address that packets to the Internet leave from, '' without a route."""
        asked = self.host.ask(["ip", "-j", "-4", "route", "get", "192.88.99.1"])
        return source_of(asked.out) if asked.ok else ""


@dataclass(frozen=True)
class Context:
    """What plans and checks are computed from.

    Attributes:
        host: the machine; plans and checks only look at it.
        answers: the operator's answers.
        facts: observations of the machine.
        passwords: passwords that the operator typed, by account name; they win over password files.
        way_in: whether the operator has shown that the new way in works.
    """

    host: Host
    answers: Answers
    facts: Facts
    passwords: Mapping[str, Secret] = field(default_factory=dict)
    way_in: WayIn = WayIn.TRUSTED

    @property
    def platform(self) -> platforms.Platform:
        """The family's names."""
        return self.facts.platform

    @property
    def domain(self) -> str:
        """The relay's domain."""
        return self.answers.relay.domain

    @property
    def hostname(self) -> str:
        """The relay's host name."""
        return self.answers.relay.hostname

    @property
    def ipv4(self) -> str:
        """The relay's public IPv4 address: as answered, else as detected."""
        return self.answers.relay.ipv4 or self.facts.source_ipv4

    @property
    def addresses(self) -> tuple[str, ...]:
        """All public addresses that mail leaves from: IPv4, and IPv6 where it was answered."""
        return tuple(address for address in (self.ipv4, self.answers.relay.ipv6) if address)

    @property
    def resolvers(self) -> tuple[str, ...]:
        """The resolvers that stand for the world."""
        return self.answers.dns.resolvers or PUBLIC_RESOLVERS

    @property
    def probe_targets(self) -> tuple[str, ...]:
        """Hosts whose port 25 shows that mail can leave."""
        return self.answers.probe.smtp or PROBE_TARGETS

    @property
    def certificate(self) -> str:
        """The folder in which certbot keeps the certificate in force (its `--cert-name` is the host name)."""
        return f"/etc/letsencrypt/live/{self.hostname}"

    def password(self, account: str, password_file: str) -> Secret | None:
        """The password meant for `account`: typed by the operator, else read from its 0600 file; None without either.

        Raises:
            AnswersError: when the file is missing, empty or readable by others.
        """
        if account in self.passwords:
            return self.passwords[account]
        if not password_file:
            return None
        found = self.host.stat(password_file)
        if found is None or found.kind != "file":
            raise AnswersError(f"{password_file}: there is no such file; write {account}'s password into it, mode 0600")
        if found.mode & 0o077:
            raise AnswersError(f"{password_file}: others can read it (mode {found.mode:04o}); run chmod 0600 on it")
        words = (self.host.read(password_file) or b"").decode(errors="replace").splitlines()
        if not words or not words[0]:
            raise AnswersError(f"{password_file}: it is empty; write {account}'s password into its first line")
        return self.host.learn(Secret(words[0]))
