"""The big mail provider: a strict MTA that judges SPF, DKIM and DMARC, writes its verdict down, and delivers."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from .nameservers import PROVIDER_SELECTOR
from .places import MX, MX2, MX6, RESOLVER
from .shell import run

if TYPE_CHECKING:
    from .machine import Machine

DOMAIN = "bigmail.example"
HOST = "mx.bigmail.example"
READER = f"reader@{DOMAIN}"
KEY = f"/etc/dkimkeys/{PROVIDER_SELECTOR}.private"

# Like the large providers: no mail from an address without a confirmed name, or with a HELO name nobody knows.
MAIN_CF = f"""compatibility_level = 3.9
myhostname = {HOST}
myorigin = {DOMAIN}
mydestination = {DOMAIN}, {HOST}, localhost
inet_interfaces = {MX}, {MX2}, {MX6}
inet_protocols = all
mynetworks = {MX}/32
smtp_bind_address = {MX}
home_mailbox = Maildir/
local_recipient_maps = proxy:unix:passwd.byname
alias_maps =
alias_database =
smtpd_helo_required = yes
disable_vrfy_command = yes
smtpd_forbid_bare_newline = yes
unknown_client_reject_code = 550
unknown_hostname_reject_code = 550
smtpd_client_restrictions = permit_mynetworks, reject_unknown_client_hostname
smtpd_helo_restrictions = permit_mynetworks, reject_non_fqdn_helo_hostname, reject_unknown_helo_hostname
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient, check_policy_service unix:private/policyd-spf
policyd-spf_time_limit = 3600
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/postfix/receiver.pem
smtpd_tls_key_file = /etc/postfix/receiver.key
smtp_tls_security_level = may
smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8893
non_smtpd_milters = inet:127.0.0.1:8891
milter_default_action = tempfail
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
"""
POLICY_SERVICE = "policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf\n"
POLICY_CONF = f"""debugLevel = 1
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = True
Header_Type = AR
Authserv_Id = {HOST}
skip_addresses = 127.0.0.0/8
"""
OPENDKIM_CONF = f"""Syslog yes
UserID opendkim
PidFile /run/opendkim/opendkim.pid
Mode sv
Socket inet:8891@127.0.0.1
Canonicalization relaxed/simple
Domain {DOMAIN}
Selector {PROVIDER_SELECTOR}
KeyFile {KEY}
InternalHosts {MX}
AuthservID {HOST}
AlwaysAddARHeader yes
Nameservers {RESOLVER}
"""
OPENDMARC_CONF = f"""Syslog true
UserID opendmarc
Socket inet:8893@127.0.0.1
PidFile /run/opendmarc/opendmarc.pid
PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat
AuthservID {HOST}
TrustedAuthservIDs {HOST}
RejectFailures true
SPFSelfValidate false
"""


def furnish(world: Machine) -> None:
    """Write the provider's mail system into the machine, before it boots."""
    world.write("/etc/mailname", f"{DOMAIN}\n")
    world.write("/etc/postfix/main.cf", MAIN_CF)
    master = world.read("/etc/postfix/master.cf")
    world.write("/etc/postfix/master.cf", master + POLICY_SERVICE)
    world.write("/etc/postfix-policyd-spf-python/policyd-spf.conf", POLICY_CONF)
    world.write("/etc/opendkim.conf", OPENDKIM_CONF)
    world.write("/etc/opendmarc.conf", OPENDMARC_CONF)
    _certificate(world)
    # The tree is not running yet, so the users come in by chroot.
    for user in ("reader", "writer"):
        world.chroot("useradd", "--create-home", user)
    world.chroot("chown", "opendkim:", KEY)


def dkim_record(world: Machine) -> str:
    """Make the provider's signing key; the record that publishes it."""
    place = world.root / KEY.lstrip("/")
    run(["openssl", "genrsa", "-out", str(place), "2048"])
    place.chmod(0o600)
    public = run(["openssl", "pkey", "-in", str(place), "-pubout"]).out
    key = "".join(re.findall(r"^[^-].*$", public, re.MULTILINE))
    base64.b64decode(key, validate=True)
    halves = [f'"v=DKIM1; k=rsa; p={key[:200]}"', f'"{key[200:]}"']
    return f"{PROVIDER_SELECTOR}._domainkey TXT {' '.join(halves)}"


def _certificate(world: Machine) -> None:
    place = world.root / "etc/postfix"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    files = ["-keyout", str(place / "receiver.key"), "-out", str(place / "receiver.pem")]
    run(["openssl", "req", "-x509", *curve, "-subj", f"/CN={HOST}", *files])
