"""The firewall, driven by its own tool: ufw on Debian, firewalld on the Red Hat family.

What is there is read from ufw's own rule files, whose "tuple" lines are the rules in the order in which they are
tried; `ufw status` does not tell that order across both address families.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.operation import Change, Command, Operation, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wizard.host import Host
    from wizard.platforms import Platform

# Stands behind each of our rules, so that one which is no longer wanted is known from the operator's.
COMMENT = "relay-wizard"
# Stands behind the rule for port 80 for as long as a certificate is renewed; the renewal takes it away itself.
RENEWAL = "certificate renewal"
UFW_FILES = {4: "/etc/ufw/user.rules", 6: "/etc/ufw/user6.rules"}
UFW_DEFAULTS = "/etc/default/ufw"
UFW_STATE = "/etc/ufw/ufw.conf"
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
ZONES = "/etc/firewalld/zones"


def open_port_command(platform: Platform, port: int) -> Command:
    """Open a TCP port for a while, as a certificate's renewal needs it; on firewalld until the next reload."""
    if platform.family == "redhat":
        return ("firewall-cmd", f"--add-port={port}/tcp")
    return ("ufw", "allow", f"{port}/tcp")


def close_port_command(platform: Platform, port: int) -> Command:
    """Close what `open_port_command` opened. Ask `is_open` before opening: an operator's own rule must stay."""
    if platform.family == "redhat":
        return ("firewall-cmd", f"--remove-port={port}/tcp")
    return ("ufw", "delete", "allow", f"{port}/tcp")


@dataclass(frozen=True)
class UfwRule:
    """One "### tuple ###" line of ufw's rule files.

    Attributes:
        version: 4 or 6.
        action: "allow", "limit", "deny" or "reject".
        protocol: "tcp", "udp" or "any".
        ports: "25", "25,465", "1000:1010" or "any".
        source: where the packets come from.
        plain: True when neither a destination address, a source port nor an interface narrows the rule.
        comment: what stands behind it.
    """

    version: int
    action: str
    protocol: str
    ports: str
    source: str
    plain: bool
    comment: str

    @property
    def lets_in(self) -> bool:
        """True for a rule that accepts."""
        return self.action in {"allow", "limit"}

    def opens(self, port: int) -> bool:
        """True when everybody can reach this TCP port by the rule."""
        everybody = self.plain and self.source == ANYWHERE[self.version] and self.protocol in {"tcp", "any"}
        return self.lets_in and everybody and _holds(self.ports, port)

    def shuts_out(self, network: str) -> bool:
        """True when nothing of this network gets in by the rule."""
        wanted = ipaddress.ip_network(network)
        if self.version != wanted.version or not self.plain or (self.protocol, self.ports) != ("any", "any"):
            return False
        return self.action in {"deny", "reject"} and wanted.subnet_of(ipaddress.ip_network(self.source))  # type: ignore[arg-type]

    def __str__(self) -> str:
        """The rule as a line for people."""
        where = self.ports if self.protocol == "any" else f"{self.ports}/{self.protocol}"
        source = "anywhere" if self.source == ANYWHERE[self.version] else self.source
        return f"{self.action} {where} from {source}"


def _holds(ports: str, port: int) -> bool:
    for part in ports.split(","):
        first, _, last = part.partition(":")
        if first == "any" or (re.fullmatch("[0-9]{1,5}", first) and int(first) <= port <= int(last or first)):
            return True
    return False


def ufw_rules(host: Host) -> tuple[UfwRule, ...]:
    """All rules for incoming packets that were added to ufw, in the order in which they are tried."""
    found: list[UfwRule] = []
    for version, path in UFW_FILES.items():
        text = (host.read(path) or b"").decode(errors="replace")
        for line in re.findall(r"^### tuple ### (.*)$", text, re.MULTILINE):
            rule = _ufw_rule(version, line)
            if rule is not None:
                found.append(rule)
    return tuple(found)


def _ufw_rule(version: int, line: str) -> UfwRule | None:
    """The rule of "allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in comment=6162"; None for outgoing and routed ones."""
    words, _, comment = line.partition(" comment=")
    parts = words.split()
    if len(parts) < 7 or not parts[-1].startswith("in") or parts[0].startswith("route:"):
        return None
    action, protocol, ports, destination, source_port, source = parts[:6]
    plain = destination == ANYWHERE[version] and source_port == "any" and parts[-1] == "in"
    action = action.split("_")[0]
    return UfwRule(version, action, protocol, ports, source, plain, _text(comment))


def _text(comment: str) -> str:
    try:
        return bytes.fromhex(comment.strip()).decode(errors="replace")
    except ValueError:
        return ""


def ufw_default(host: Host, name: str) -> str:
    """A value of /etc/default/ufw: "DEFAULT_INPUT_POLICY", "IPV6"; '' when it is not set."""
    text = (host.read(UFW_DEFAULTS) or b"").decode(errors="replace")
    found = re.findall(rf"^{name}=[\"']?([^\"'\n]*)", text, re.MULTILINE)
    return found[-1].strip() if found else ""


def versions(host: Host) -> tuple[int, ...]:
    """The address families that ufw looks after."""
    return (4,) if ufw_default(host, "IPV6").lower() == "no" else (4, 6)


def ufw_active(host: Host) -> bool:
    """True when ufw filters now."""
    return host.ask(["ufw", "status"]).out.startswith("Status: active")


def firewalld_active(host: Host) -> bool:
    """True when firewalld filters now."""
    return host.ask(["firewall-cmd", "--state"]).ok


def is_active(host: Host, platform: Platform) -> bool:
    """True when the family's firewall filters now."""
    return firewalld_active(host) if platform.family == "redhat" else ufw_active(host)


def is_open(host: Host, platform: Platform, port: int) -> bool:
    """True when the firewall's rules let everybody reach this TCP port, over every family that it filters."""
    if platform.family == "redhat":
        return f"{port}/tcp" in firewalld_ports(host)
    rules = ufw_rules(host)
    return all(any(rule.version == version and rule.opens(port) for rule in rules) for version in versions(host))


# --- ufw --------------------------------------------------------------------------------------------------------------


def ufw_commands(host: Host, allow: Iterable[int], block: Iterable[str]) -> list[tuple[Command, Command]]:
    """What ufw has to be told, each with the command that takes it back; empty when the rules are as wanted."""
    rules = ufw_rules(host)
    wanted_ports, wanted_blocks = tuple(dict.fromkeys(allow)), tuple(dict.fromkeys(block))
    pairs: list[tuple[Command, Command]] = [
        (_allow(port), _delete(_allow(port)))
        for port in wanted_ports
        if not all(any(rule.version == each and rule.opens(port) for rule in rules) for each in versions(host))
    ]
    for network in wanted_blocks:
        pairs += _block(rules, network)
    pairs += _stale(rules, wanted_ports, wanted_blocks)
    policy = ufw_default(host, "DEFAULT_INPUT_POLICY")
    # Empty: ufw is not installed yet, and its own default is DROP.
    if policy not in {"DROP", "REJECT", ""}:
        pairs.append((("ufw", "default", "deny", "incoming"), ("ufw", "default", "allow", "incoming")))
    return pairs


def _allow(port: int) -> Command:
    return ("ufw", "allow", f"{port}/tcp", "comment", COMMENT)


def _deny(network: str) -> Command:
    # In front of all others: a rule that lets a port in would win otherwise. ufw keeps the families apart by itself.
    return ("ufw", "prepend", "deny", "from", network, "comment", COMMENT)


def _delete(command: Command) -> Command:
    """The command that takes an added rule away; ufw wants neither comment nor position for that."""
    words = [word for word in command[1 : command.index("comment")] if word != "prepend"]
    return ("ufw", "--force", "delete", *words)


def ufw_keeps_out(host: Host, network: str) -> bool:
    """True when the network is refused before any rule of its family lets something in."""
    return not _block(ufw_rules(host), network)


def _block(rules: tuple[UfwRule, ...], network: str) -> list[tuple[Command, Command]]:
    version = ipaddress.ip_network(network).version
    same = [rule for rule in rules if rule.version == version]
    first_open = next((number for number, rule in enumerate(same) if rule.lets_in), len(same))
    at = [number for number, rule in enumerate(same) if rule.shuts_out(network)]
    if at and at[0] < first_open:
        return []
    add = _deny(network)
    if any(rule.source == short(network) for rule in (same[number] for number in at)):
        # It stands too late: a rule is moved by taking it away and adding it again.
        return [(_delete(add), ("ufw", "deny", "from", network)), (add, _delete(add))]
    return [(add, _delete(add))]


def short(network: str) -> str:
    """As ufw writes it: an address without its /32 or /128."""
    found = ipaddress.ip_network(network)
    return str(found.network_address) if found.prefixlen == found.max_prefixlen else str(found)


def _stale(
    rules: tuple[UfwRule, ...], ports: tuple[int, ...], blocks: tuple[str, ...]
) -> list[tuple[Command, Command]]:
    """Rules of ours that the answers no longer ask for."""
    pairs: dict[Command, Command] = {}
    for rule in rules:
        if rule.comment != COMMENT:
            continue
        if rule.lets_in and rule.ports.isdigit() and int(rule.ports) not in ports:
            add = _allow(int(rule.ports))
        elif rule.action == "deny" and rule.source not in {short(network) for network in blocks}:
            add = _deny(rule.source)
        else:
            continue
        pairs[_delete(add)] = add
    return list(pairs.items())


@dataclass(frozen=True)
class SetUfwRules(Operation):
    """Have ufw let these TCP ports in, keep these networks out, and refuse what no rule lets in.

    Rules of the operator stay. Nothing is filtered by this: see EnableUfw.
    """

    allow: tuple[int, ...]
    block: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return "firewall:rules"

    @property
    def summary(self) -> str:
        return f"firewall lets in {', '.join(map(str, self.allow))}"

    def diff(self, host: Host) -> Change | None:
        pairs = ufw_commands(host, self.allow, self.block)
        six = versions(host) == (4,)
        if not pairs and not six:
            return None
        lines = [" ".join(command) for command, _ in pairs]
        if six:
            lines.insert(0, f"{UFW_DEFAULTS}: IPV6=no → IPV6=yes")
        back = tuple(undo for _, undo in reversed(pairs))
        return Change(
            summary=f"tell the firewall {len(lines)} thing{'s'[: len(lines) != 1]}",
            diff="".join(f"+{line}\n" for line in lines),
            command=pairs[0][0] if len(pairs) == 1 else None,
            paths=(*UFW_FILES.values(), UFW_DEFAULTS),
            undo_edit=back,
            undo=(("ufw", "reload"),),
        )

    def apply(self, host: Host) -> None:
        if versions(host) == (4,):
            self._look_after_ipv6(host)
        for command, _ in ufw_commands(host, self.allow, self.block):
            _tell(host, command)
        left = ufw_commands(host, self.allow, self.block)
        if left:
            raise OperationFailed(
                "set the firewall's rules", f"still missing after it was told: {' '.join(left[0][0])}",
                "Look with: ufw show added   and take away the rule that contradicts, then apply again.",
            )  # fmt: skip

    def _look_after_ipv6(self, host: Host) -> None:
        text = (host.read(UFW_DEFAULTS) or b"").decode(errors="surrogateescape")
        found = host.stat(UFW_DEFAULTS)
        new = re.sub(r"(?m)^IPV6=.*$", "IPV6=yes", text)
        mode = found.mode if found else 0o644
        host.write(UFW_DEFAULTS, new.encode(errors="surrogateescape"), mode=mode)
        host.run(["ufw", "reload"])


def _tell(host: Host, command: Command) -> None:
    done = host.run(command, timeout=60)
    if not done.ok:
        raise OperationFailed(
            " ".join(command), done.complaint,
            "Look with: ufw status verbose   Does the kernel have netfilter (iptables -L)? Then apply again.",
        )  # fmt: skip


def ssh_session_ports(host: Host) -> tuple[int, ...]:
    """The local ports that SSH sessions came in on, as far as they are going on now."""
    asked = host.ask(["ss", "-Htnp", "state", "established"])
    # Recv-Q Send-Q Local:Port Peer:Port users:(("sshd",…; from OpenSSH 9.8 on the process is called sshd-session.
    found = re.findall(r"^\s*\d+\s+\d+\s+\S+:(\d+)\s+\S+:\d+\s+users:\(\(\"sshd", asked.out, re.MULTILINE)
    return tuple(sorted({int(port) for port in found}))


@dataclass(frozen=True)
class EnableUfw(Operation):
    """Have ufw filter, now and after every boot, without cutting an SSH session that is going on."""

    @property
    def id(self) -> str:
        return "firewall:on"

    @property
    def summary(self) -> str:
        return "firewall on"

    def diff(self, host: Host) -> Change | None:
        active = ufw_active(host)
        boots = host.ask(["systemctl", "is-enabled", "ufw"]).text == "enabled"
        if active and boots:
            return None
        return Change(
            summary="turn the firewall on",
            diff=f"firewall: {'on' if active else 'off'}, at boot {'on' if boots else 'off'} → on, at boot on\n",
            command=("ufw", "--force", "enable"),
            paths=(UFW_STATE,),
            undo=() if active else (("ufw", "disable"),),
        )

    def apply(self, host: Host) -> None:
        if not ufw_active(host):
            sessions = ssh_session_ports(host)
            _tell(host, ("ufw", "--force", "enable"))
            self._adopt(host, sessions)
        host.run(["systemctl", "enable", "ufw"])
        if not ufw_active(host):
            raise OperationFailed(
                "turn the firewall on", "ufw says that it is not active",
                "Look with: ufw status verbose   and: journalctl -u ufw",
            )  # fmt: skip

    def _adopt(self, host: Host, ports: tuple[int, ...]) -> None:
        """Let packets of sessions older than the firewall in.

        The kernel has not followed them, takes their next packet for a new connection and would drop it; a packet
        with SYN, a really new connection, is not let in by this. The rule is gone with the next reload.
        """
        for port in ports:
            match = ("-p", "tcp", "--dport", str(port), "!", "--syn", "-m", "conntrack", "--ctstate", "NEW")
            host.run(["iptables", "-I", "ufw-before-input", "1", *match, "-j", "ACCEPT"])
            host.run(["ip6tables", "-I", "ufw6-before-input", "1", *match, "-j", "ACCEPT"])


# --- firewalld --------------------------------------------------------------------------------------------------------


def _firewalld(host: Host, *words: str) -> str:
    """What firewalld has stored, asked of the daemon or, while it does not run, of its files."""
    if firewalld_active(host):
        return host.ask(["firewall-cmd", "--permanent", *words]).text
    return host.ask(["firewall-offline-cmd", *words]).text


def firewalld_zone(host: Host) -> str:
    """The zone that the interface to the Internet is in."""
    tool = "firewall-cmd" if firewalld_active(host) else "firewall-offline-cmd"
    return host.ask([tool, "--get-default-zone"]).text or "public"


def firewalld_ports(host: Host, *, runtime: bool = False) -> set[str]:
    """The open ports of the default zone, "25/tcp", those of its services among them."""

    def ask(*words: str) -> str:
        return host.ask(["firewall-cmd", *words]).text if runtime else _firewalld(host, *words)

    found = set(ask("--list-ports").split())
    for service in ask("--list-services").split():
        asked = _firewalld(host, f"--info-service={service}")
        listed = re.search(r"^\s*ports: (.*)$", asked, re.MULTILINE)
        found |= set(listed[1].split()) if listed else set()
    return found


def drop_rule(network: str) -> str:
    """The rich rule that keeps a network out, in the words in which firewalld lists it."""
    return f'rule family="ipv{ipaddress.ip_network(network).version}" source address="{network}" drop'


@dataclass(frozen=True)
class SetFirewalldRules(Operation):
    """Have firewalld let these TCP ports in and keep these networks out, for good and, where it runs, at once."""

    allow: tuple[int, ...]
    block: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return "firewall:rules"

    @property
    def summary(self) -> str:
        return f"firewall lets in {', '.join(map(str, self.allow))}"

    def _missing(self, host: Host) -> list[str]:
        """The options that are still to be given, each the same for `--add-` and `--remove-`."""
        active = firewalld_active(host)
        ports, rules = firewalld_ports(host), _firewalld(host, "--list-rich-rules").splitlines()
        if active:
            ports &= firewalld_ports(host, runtime=True)
            now = host.ask(["firewall-cmd", "--list-rich-rules"]).text.splitlines()
            rules = [rule for rule in rules if rule in now]
        missing = [f"port={port}/tcp" for port in self.allow if f"{port}/tcp" not in ports]
        return missing + [f"rich-rule={drop_rule(net)}" for net in self.block if drop_rule(net) not in rules]

    def diff(self, host: Host) -> Change | None:
        missing = self._missing(host)
        if not missing:
            return None
        zone = f"{ZONES}/{firewalld_zone(host)}.xml"
        return Change(
            summary=f"tell the firewall {len(missing)} thing{'s'[: len(missing) != 1]}",
            diff="".join(f"+--add-{entry}\n" for entry in missing),
            paths=(zone, f"{zone}.old"),
            undo_edit=tuple(("firewall-offline-cmd", f"--remove-{entry}") for entry in reversed(missing)),
            undo=(("systemctl", "try-reload-or-restart", "firewalld"),),
        )

    def apply(self, host: Host) -> None:
        active = firewalld_active(host)
        for entry in self._missing(host):
            commands: list[Command] = [("firewall-offline-cmd", f"--add-{entry}")]
            if active:
                # Both, and no reload: that would forget fail2ban's bans.
                commands = [("firewall-cmd", "--permanent", f"--add-{entry}"), ("firewall-cmd", f"--add-{entry}")]
            for command in commands:
                done = host.run(command, timeout=60)
                if not done.ok and "ALREADY_ENABLED" not in done.out:
                    raise OperationFailed(
                        " ".join(command), done.complaint, "Look with: firewall-cmd --list-all   then apply again.",
                    )  # fmt: skip


# --- either -----------------------------------------------------------------------------------------------------------


def set_rules(platform: Platform, allow: Iterable[int], block: Iterable[str] = ()) -> Operation:
    """The operation that lets ports in and keeps networks out, on this family."""
    ports, networks = tuple(sorted(set(allow))), tuple(block)
    if platform.family == "redhat":
        return SetFirewalldRules(ports, networks)
    return SetUfwRules(ports, networks)


@dataclass(frozen=True)
class OpenPort(Operation):
    """Have a TCP port open where a firewall filters already; nothing where none does."""

    platform: Platform
    port: int

    @property
    def id(self) -> str:
        return f"firewall:port:{self.port}"

    @property
    def summary(self) -> str:
        return f"port {self.port} open in the firewall"

    def diff(self, host: Host) -> Change | None:
        if not is_active(host, self.platform) or is_open(host, self.platform, self.port):
            return None
        if self.platform.family == "redhat":
            return SetFirewalldRules((self.port,)).diff(host)
        return Change(
            summary=f"open port {self.port} in the firewall", command=_allow(self.port),
            paths=tuple(UFW_FILES.values()), undo_edit=(_delete(_allow(self.port)),), undo=(("ufw", "reload"),),
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        if self.platform.family == "redhat":
            SetFirewalldRules((self.port,)).apply(host)
        else:
            _tell(host, _allow(self.port))
