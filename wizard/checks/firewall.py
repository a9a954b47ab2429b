"""The firewall: on, with exactly the rules that the relay needs, and with SSH's port among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wizard.check import Finding, failed, passed, skipped, warned
from wizard.operations import firewall, ssh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.host import Host
    from wizard.platforms import Platform

APPLY = "Run: relay-wizard apply firewall"


def active(platform: Platform, host: Host) -> Finding:
    """It filters now, and will after a boot."""
    service = platform.services["firewall"]
    asked, want = f"{service}, and systemctl is-enabled {service}", "active, enabled"
    boots = host.ask(["systemctl", "is-enabled", service]).text or "unknown"
    now = "active" if firewall.is_active(host, platform) else "not active"
    got = f"{now}, {boots}"
    return passed(asked, got, want) if got == want else failed(asked, got, want, APPLY)


def refuses_the_rest(platform: Platform, host: Host) -> Finding:
    """What no rule lets in is dropped, by the kernel's own word, for IPv4 and IPv6."""
    if platform.family == "redhat":
        asked, want = "firewall-cmd, target of the default zone", "default or DROP"
        zone = firewall.firewalld_zone(host)
        target = host.ask(["firewall-cmd", "--permanent", f"--zone={zone}", "--get-target"]).text
        if target in {"default", "DROP", "%%REJECT%%"}:
            return passed(asked, target, want)
        return failed(
            asked, target or "no answer", want,
            f"firewall-cmd --permanent --zone={zone} --set-target=default; firewall-cmd --reload",
        )  # fmt: skip
    asked, want = "iptables -S INPUT, ip6tables -S INPUT", "policy DROP for both"
    found = {tool: _policy(host, tool) for tool in ("iptables", "ip6tables")}
    got = ", ".join(f"{tool}: {policy}" for tool, policy in found.items())
    if found["ip6tables"] == "unknown" and host.stat("/proc/net/if_inet6") is None and found["iptables"] == "DROP":
        return passed(asked, f"{got} (this kernel has no IPv6)", want)
    if all(policy == "DROP" for policy in found.values()):
        return passed(asked, got, want)
    return failed(asked, got, want, f"{APPLY}   or: ufw default deny incoming; ufw reload")


def _policy(host: Host, tool: str) -> str:
    found = re.search(r"^-P INPUT (\w+)", host.ask([tool, "-S", "INPUT"]).out, re.MULTILINE)
    return found[1] if found else "unknown"


def lets_in(platform: Platform, ports: Sequence[int], host: Host) -> Finding:
    """Every port that the relay needs is open to everybody, in the rules and in the kernel."""
    asked = "the firewall's rules, stored and in force"
    want = f"{', '.join(map(str, ports))} open"
    closed = [port for port in ports if not firewall.is_open(host, platform, port)]
    if closed:
        return failed(asked, f"{', '.join(map(str, closed))} closed", want, APPLY)
    absent = _not_in_force(platform, ports, host)
    if absent:
        do = "firewall-cmd --reload" if platform.family == "redhat" else "ufw reload"
        return failed(asked, f"stored, but not in force: {', '.join(absent)}", want, f"Run: {do}")
    return passed(asked, want, want)


def _not_in_force(platform: Platform, ports: Sequence[int], host: Host) -> list[str]:
    """Ports whose stored rule the kernel (or firewalld's runtime) does not have."""
    if platform.family == "redhat":
        now = firewall.firewalld_ports(host, runtime=True)
        return [str(port) for port in ports if f"{port}/tcp" not in now]
    missing: list[str] = []
    for version in firewall.versions(host):
        tool, chain = ("iptables", "ufw-user-input") if version == 4 else ("ip6tables", "ufw6-user-input")
        rules = host.ask([tool, "-S", chain]).out
        stored = [rule for rule in firewall.ufw_rules(host) if rule.version == version]
        for port in ports:
            # Only a rule of exactly this port can be found again by its number.
            plain = any(rule.opens(port) and rule.ports == str(port) for rule in stored)
            if plain and not re.search(rf"--dport {port} ", rules):
                missing.append(f"{port} (IPv{version})")
    return missing


def ssh_port_open(platform: Platform, host: Host) -> Finding:
    """Every port on which SSH is answered now is open: the way in."""
    ports = ssh.listening_ports(host) or ssh.ports_in_use(host)
    asked, want = "the ports that sshd listens on, in the firewall's rules", "open"
    closed = [port for port in ports if not firewall.is_open(host, platform, port)]
    shown = ", ".join(map(str, ports))
    if closed:
        return failed(
            asked, f"{', '.join(map(str, closed))} closed", want,
            f"Do not close this session. {APPLY}",
        )  # fmt: skip
    return passed(asked, f"{shown} open", want)


def keeps_out(platform: Platform, networks: Sequence[str], host: Host) -> Finding:
    """The blocked networks are refused before any rule lets something in."""
    asked, want = "the firewall's rules", f"{', '.join(networks)} refused first"
    if platform.family == "redhat":
        rules = host.ask(["firewall-cmd", "--list-rich-rules"]).text.splitlines()
        missing = [network for network in networks if firewall.drop_rule(network) not in rules]
    else:
        missing = [network for network in networks if not firewall.ufw_keeps_out(host, network)]
    if missing:
        return failed(asked, f"not, or too late: {', '.join(missing)}", want, APPLY)
    return passed(asked, want, want)


def nothing_else(platform: Platform, ports: Sequence[int], host: Host) -> Finding:
    """No other port is open; an operator's own rules stay, but are named."""
    asked, want = "the firewall's rules", f"{', '.join(map(str, ports))} and nothing else"
    if platform.family == "redhat":
        others = sorted(firewall.firewalld_ports(host) - {f"{port}/tcp" for port in ports})
        do = "If nobody needs it: firewall-cmd --permanent --remove-port=PORT/tcp (or --remove-service), then --reload"
    else:
        rules = [rule for rule in firewall.ufw_rules(host) if rule.lets_in and rule.comment != firewall.RENEWAL]
        others = list(dict.fromkeys(str(rule) for rule in rules if rule.ports not in {str(port) for port in ports}))
        do = "If nobody needs it: ufw status numbered, then ufw delete NUMBER"
    if not others:
        return passed(asked, want, want)
    return warned(asked, f"also {'; '.join(others)}", want, do)


def permanent_is_runtime(host: Host) -> Finding:
    """What firewalld does now is what it will do after a reload."""
    asked, want = "firewall-cmd --list-ports, with and without --permanent", "the same"
    if not firewall.firewalld_active(host):
        return skipped(asked, "firewalld does not run", want, APPLY)
    stored, now = firewall.firewalld_ports(host), firewall.firewalld_ports(host, runtime=True)
    if stored == now:
        return passed(asked, ", ".join(sorted(now)), want)
    only_now, only_stored = (", ".join(sorted(ports)) or "none" for ports in (now - stored, stored - now))
    got = f"only now: {only_now}; only stored: {only_stored}"
    return failed(asked, got, want, "Keep what is in force: firewall-cmd --runtime-to-permanent")
