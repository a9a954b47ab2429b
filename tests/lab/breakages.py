"""What goes wrong with a relay later: ten breakages, each with the check that must name it and who mends it.

Adjust `named` when a check gets another id: it is searched in "STEP ID" of each failing check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from .relay import DOMAIN, MAIL_HOST
from .shell import LabError, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .relay import Relay


@dataclass(frozen=True)
class Breakage:
    """One thing that breaks."""

    id: str
    # A regular expression, found in the step and id of a check that fails.
    named: str
    # The operator mends what is outside the machine; what is the machine's own, `apply` mends.
    mended_by_apply: bool
    # Breaking gives back how to mend by hand.
    break_it: Callable[[Relay], Callable[[], object]]

    def names(self, check: Mapping[str, str]) -> bool:
        """Whether a check is one that must notice."""
        return re.search(self.named, f"{check['step']} {check['id']}") is not None


def remove_ptr(relay: Relay) -> Callable[[], object]:
    """The provider forgets the reverse names."""
    relay.operator.set_ptr(None)
    return lambda: relay.operator.set_ptr(MAIL_HOST)


def second_spf_record(relay: Relay) -> Callable[[], object]:
    """Somebody adds another SPF record beside ours: both count for nothing then."""
    before = relay.operator.get(DOMAIN, "TXT")
    relay.operator.set(DOMAIN, "TXT", [*before, "v=spf1 a mx ~all"])
    return lambda: relay.operator.set(DOMAIN, "TXT", before)


def dkim_record_of_another_key(relay: Relay) -> Callable[[], object]:
    """The published key is not the one that signs."""
    name = f"default._domainkey.{DOMAIN}"
    before = relay.operator.get(name, "TXT")
    private = run(["openssl", "genrsa", "2048"]).out
    public = run(["openssl", "pkey", "-pubout"], stdin=private).out
    key = "".join(line for line in public.splitlines() if not line.startswith("-"))
    relay.operator.set(name, "TXT", [f"v=DKIM1; k=rsa; p={key}"])
    return lambda: relay.operator.set(name, "TXT", before)


def stop_opendkim(relay: Relay) -> Callable[[], object]:
    """The signer is down."""
    return _stop(relay, "opendkim")


def stop_fail2ban(relay: Relay) -> Callable[[], object]:
    """Nobody bans anybody."""
    return _stop(relay, "fail2ban")


def lose_transport_map(relay: Relay) -> Callable[[], object]:
    """The map that says where home is goes away."""
    vps = relay.lab.vps
    setting = vps.run("postconf", "-hx", "transport_maps").out.strip()
    path = PurePosixPath(setting.split(",")[0].split()[0].partition(":")[2])
    if not path.is_absolute():
        raise LabError(f"transport_maps is {setting!r}: no file to lose")
    kept = vps.run("sh", "-c", 'tar -cf /root/transport.tar "$1"*', "sh", str(path))
    vps.run("sh", "-c", 'rm -f "$1" "$1".db "$1".lmdb "$1".cdb', "sh", str(path))
    vps.run("postfix", "reload")
    return lambda: (kept, vps.run("tar", "-C", "/", "-xf", "/root/transport.tar"), vps.run("postfix", "reload"))


def close_home_port(relay: Relay) -> Callable[[], object]:
    """Home's firewall shuts the port that the relay delivers to."""
    machine = relay.lab.home
    machine.run("nft", "add table inet closed")
    machine.run("nft", "add chain inet closed input { type filter hook input priority -10; }")
    machine.run("nft", "add rule inet closed input tcp dport 10025 reject with tcp reset")
    return lambda: machine.run("nft", "delete table inet closed")


def close_submission_port(relay: Relay) -> Callable[[], object]:
    """The rules that let 465 in are deleted."""
    vps = relay.lab.vps
    listed = vps.run("ufw", "status", "numbered").out.splitlines()
    numbers = [line.partition("[")[2].partition("]")[0].strip() for line in listed if "465" in line and "ALLOW" in line]
    if not numbers:
        raise LabError(f"ufw has no rule that allows 465:\n{listed}")
    for number in reversed(numbers):
        vps.run("ufw", "--force", "delete", number)
    if relay.client.connects(465):
        raise LabError("465 still answers from outside, though its rules are gone")
    return lambda: vps.run("ufw", "allow", "465/tcp")


def trust_everybody(relay: Relay) -> Callable[[], object]:
    """Everybody may relay."""
    vps = relay.lab.vps
    before = vps.run("postconf", "-h", "mynetworks").out.strip()
    vps.run("postconf", "-e", "mynetworks = 0.0.0.0/0")
    vps.run("postfix", "reload")
    return lambda: (vps.run("postconf", "-e", f"mynetworks = {before}"), vps.run("postfix", "reload"))


def expire_certificate(relay: Relay) -> Callable[[], object]:
    """The certificate on disk, and so the one served, ended yesterday."""
    vps = relay.lab.vps
    chain = vps.run("postconf", "-hx", "smtpd_tls_chain_files").out.strip()
    files = [word.strip(",") for word in chain.split()] or [
        vps.run("postconf", "-hx", "smtpd_tls_cert_file").out.strip()
    ]
    certificate = next(name for name in reversed(files) if "key" not in name)
    target = vps.run("readlink", "-f", certificate).out.strip()
    private = vps.run("readlink", "-f", str(PurePosixPath(certificate).with_name("privkey.pem"))).out.strip()
    vps.run("cp", "-a", target, "/root/certificate.kept")
    names = f"subjectAltName=DNS:{DOMAIN},DNS:{MAIL_HOST}"
    # OpenSSL before 3.4 has no dates to give, and from then on refuses days below zero.
    script = (
        'openssl req -new -key "$1" -subj "/CN=$3" -addext "$4" -out /root/expired.csr; '
        'set -e; key="$1"; sign() { openssl x509 -req -in /root/expired.csr -copy_extensions copy -signkey "$key" "$@" '
        "-out /root/expired.pem; }; sign -not_before 20260101000000Z -not_after 20260201000000Z || sign -days -1; "
        'cat /root/expired.pem > "$2"'
    )
    vps.run("sh", "-c", script, "sh", private, target, DOMAIN, names)
    vps.run("postfix", "reload")
    return lambda: (vps.run("cp", "-a", "/root/certificate.kept", target), vps.run("postfix", "reload"))


def _stop(relay: Relay, unit: str) -> Callable[[], object]:
    vps = relay.lab.vps
    vps.run("systemctl", "stop", unit)
    return lambda: vps.run("systemctl", "start", unit)


BREAKAGES = (
    Breakage("PTR removed", r"^ptr\b", False, remove_ptr),
    Breakage("second SPF record", r"^(spf|dns)\b.*spf|^spf\b", False, second_spf_record),
    Breakage("DKIM record of another key", r"^dkim\b|^dns\b.*dkim", False, dkim_record_of_another_key),
    Breakage("opendkim stopped", r"^dkim\b", True, stop_opendkim),
    Breakage("transport map missing", r"^(transport|home)\b", True, lose_transport_map),
    Breakage("home port closed", r"^home\b", False, close_home_port),
    Breakage("fail2ban stopped", r"^fail2ban\b", True, stop_fail2ban),
    Breakage("port 465 closed in the firewall", r"^firewall\b", True, close_submission_port),
    Breakage("mynetworks is the whole Internet", r"^(postfix|mail_test)\b", True, trust_everybody),
    Breakage("certificate expired", r"^(certbot|submission)\b", True, expire_certificate),
)
