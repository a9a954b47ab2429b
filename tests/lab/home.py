"""The server behind the relay: a plain Debian with Postfix and a mailbox, as its owner had set it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine

DOMAIN = "hearth.example"
HOST = f"home.{DOMAIN}"
USER = "anna"
ADDRESS = f"{USER}@{DOMAIN}"

# The last two are nothing that a relay needs: the wizard's folder must leave them as they are.
OWN_SETTINGS = {"message_size_limit": "20480000", "recipient_delimiter": "-"}
MAIN_CF = f"""compatibility_level = 3.6
myhostname = {HOST}
mydomain = {DOMAIN}
myorigin = {DOMAIN}
mydestination = {DOMAIN}, {HOST}, localhost
inet_interfaces = all
inet_protocols = all
mynetworks = 127.0.0.0/8 [::1]/128
home_mailbox = Maildir/
alias_maps =
alias_database =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtp_tls_security_level = may
""" + "".join(f"{name} = {value}\n" for name, value in OWN_SETTINGS.items())


def furnish(home: Machine) -> None:
    """Make home what it is, before it boots."""
    home.write("/etc/hostname", "home\n")
    home.write("/etc/mailname", f"{DOMAIN}\n")
    home.write("/etc/postfix/main.cf", MAIN_CF)
    home.chroot("useradd", "--create-home", USER)
