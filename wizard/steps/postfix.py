"""The mail server itself: who may relay, what is encrypted, and port 465 for those with a login."""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, recommended
from wizard.hooks import (
    ACCESS_CLIENT,
    ACCESS_SENDER,
    DKIM_MILTER,
    DMARC_MILTER,
    FOLDER,
    HOME_RECIPIENTS,
    HOME_TRANSPORT,
    HOOKS,
    SPF,
    TEST_TRANSPORT,
)
from wizard.step import CARRY, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.answers import Answers
    from wizard.fact import Context, Version
    from wizard.host import Host
    from wizard.operation import Operation

ALIASES = f"texthash:{FOLDER}/relay-wizard-aliases"
LOGINS = f"texthash:{FOLDER}/relay-wizard-logins"
LOOPBACK = ("127.0.0.0/8", "[::ffff:127.0.0.0]/104", "[::1]/128")
# Mailboxes that RFC 2142 wants of every domain, beside the ones that reports go to.
ROLES = ("postmaster", "abuse")
# 50 MiB: what large providers accept, grown by a third when it is encoded.
LARGEST_MESSAGE = 52428800
# The first patch level of each older release that can repair bare line feeds (Postfix's announcement of 2024-01-22).
NORMALIZES: dict[Version, int] = {(3, 5): 24, (3, 6): 14, (3, 7): 10, (3, 8): 5}


def plan(context: Context) -> Sequence[Operation]:
    """Packages, maps, main.cf, port 465, and Postfix running."""
    from wizard.operations.files import write_template
    from wizard.operations.packages import InstallPackages
    from wizard.operations.postfix import RunPostfix, SetPostfixParameters, SetPostfixService

    service = context.platform.services["postfix"]
    reads = (service,)
    return (
        InstallPackages(context.platform, context.platform.packages["postfix"]),
        write_template(
            "postfix", f"{FOLDER}/relay-wizard-aliases", notify=reads, aliases=aliases(context.answers),
        ),
        write_template(
            "postfix", f"{FOLDER}/relay-wizard-logins", notify=reads, owners=owners(context.answers),
        ),
        # A restart: addresses to listen on and the files in Postfix's own root are only read when it starts.
        SetPostfixParameters(parameters(context), remove=OBSOLETE, define=HOOKS, restart=reads),
        SetPostfixService(submissions(context.host), SUBMISSIONS_OPTIONS, notify=reads),
        RunPostfix(service),
    )  # fmt: skip


# Settings that distributions or older guides leave behind: deprecated ones, and a folder of certificates that
# Postfix cannot see from its own root (smtp_tls_CAfile is read before it goes there).
OBSOLETE = ("smtpd_use_tls", "smtp_use_tls", "smtpd_enforce_tls", "smtp_tls_CApath", "smtpd_tls_session_cache_database")

# The login alone decides here; what port 25 asks of strangers does not apply.
SUBMISSIONS_OPTIONS = (
    ("syslog_name", "postfix/submissions"),
    ("smtpd_tls_wrappermode", "yes"),
    ("smtpd_tls_security_level", "encrypt"),
    ("smtpd_sasl_auth_enable", "yes"),
    ("smtpd_client_restrictions", ""),
    ("smtpd_helo_restrictions", ""),
    ("smtpd_sender_restrictions", "reject_authenticated_sender_login_mismatch"),
    ("smtpd_relay_restrictions", "permit_sasl_authenticated,reject"),
    ("smtpd_recipient_restrictions", ""),
    ("smtpd_milters", f"${DKIM_MILTER}"),
    ("milter_macro_daemon_name", "ORIGINATING"),
)


def parameters(context: Context) -> tuple[tuple[str, str], ...]:
    """What main.cf has to say, whatever the other steps put into their hooks."""
    from wizard.operations.postfix import main_parameters

    answers, version, own = context.answers, context.facts.postfix_version, main_parameters(context.host)
    values = {
        "myhostname": context.hostname,
        "mydomain": context.domain,
        "myorigin": "$mydomain",
        "mydestination": "$mydomain, $myhostname, localhost.$mydomain, localhost",
        "mynetworks": " ".join((*LOOPBACK, *map(postfix_network, answers.home.networks if answers.home else ()))),
        "inet_interfaces": "all",
        "inet_protocols": "all" if answers.relay.ipv6 else "ipv4",
        "relayhost": "",
        "alias_maps": alias_maps(context.host),
        "alias_database": own.get("alias_database", system_aliases(context.host)),
        "recipient_delimiter": own.get("recipient_delimiter") or "+",
        "mailbox_size_limit": "0",
        "message_size_limit": str(LARGEST_MESSAGE),
        "disable_vrfy_command": "yes",
        "smtpd_helo_required": "yes",
        "smtpd_client_restrictions": f"permit_mynetworks, ${ACCESS_CLIENT}",
        "smtpd_sender_restrictions": f"permit_mynetworks, ${ACCESS_SENDER}",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination, reject_non_fqdn_sender, "
        f"reject_unknown_sender_domain, ${SPF}, ${HOME_RECIPIENTS}",
        "transport_maps": f"${HOME_TRANSPORT} ${TEST_TRANSPORT}",
        "smtpd_milters": f"${DKIM_MILTER} ${DMARC_MILTER}",
        "non_smtpd_milters": f"${DKIM_MILTER}",
        "milter_default_action": "tempfail",
        "smtpd_tls_cert_file": f"{context.certificate}/fullchain.pem",
        "smtpd_tls_key_file": f"{context.certificate}/privkey.pem",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_auth_only": "yes",
        "smtpd_tls_mandatory_protocols": mandatory_protocols(version),
        "smtpd_tls_received_header": "yes",
        "smtpd_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
        "smtp_tls_CAfile": context.platform.paths["ca_bundle"],
        "smtp_tls_loglevel": "1",
        "smtpd_sasl_auth_enable": "no",
        "smtpd_sasl_type": "dovecot",
        "smtpd_sasl_path": "private/auth",
        "smtpd_sasl_security_options": "noanonymous",
        "smtpd_sender_login_maps": LOGINS,
    }
    if normalizes(version):
        values["smtpd_forbid_bare_newline"] = "normalize"
    if context.ipv4 and context.ipv4 not in context.host.addresses():
        # Behind address translation Postfix would not know its own public address, and send to itself for ever.
        values["proxy_interfaces"] = context.ipv4
    return tuple(values.items())


def postfix_network(network: str) -> str:
    """A network as Postfix writes it: IPv6 addresses in brackets."""
    found = ipaddress.ip_network(network)
    return f"[{found.network_address}]/{found.prefixlen}" if found.version == 6 else str(found)


def mandatory_protocols(version: Version) -> str:
    """TLS 1.2 or newer where TLS is a must, in the words of this version (">=" came with 3.6)."""
    return ">=TLSv1.2" if version >= (3, 6) else "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


def normalizes(version: Version) -> bool:
    """True when this version can turn bare line feeds into line ends, which stops SMTP smuggling."""
    return version >= (3, 9) or (version[:2] in NORMALIZES and version >= (*version[:2], NORMALIZES[version[:2]]))


# The package copies this from its template, and replaces it by the system's aliases: when it was killed in between, it
# stays, and names a kind of map that Postfix does not have.
HALF_CONFIGURED = "$alias_database, nis:mail.aliases"


def alias_maps(host: Host) -> str:
    """The aliases that are configured already, else the system's, and ours after them: the first answer counts."""
    from wizard.operations.postfix import main_parameters

    system = system_aliases(host)
    before = main_parameters(host).get("alias_maps", system).replace(HALF_CONFIGURED, system)
    words = [word for word in before.replace(",", " ").split() if word != ALIASES]
    return ", ".join((*words, ALIASES))


def system_aliases(host: Host) -> str:
    """The map made from /etc/aliases."""
    return f"{host.ask(['postconf', '-h', 'default_database_type']).text or 'hash'}:/etc/aliases"


def submissions(host: Host) -> str:
    """The master.cf entry of port 465, in a root of its own (chroot) or not as the entry of port 25 is."""
    from wizard.operations.postfix import services, submissions_name

    stock = services(host).get("smtp/inet")
    chroot = stock.fields[4] if stock else "y"
    return f"{submissions_name(host)} inet n - {chroot} - - smtpd"


def aliases(answers: Answers) -> tuple[tuple[str, str], ...]:
    """Who gets the mail for root, for the roles, for the reports, and for home's login, which nobody reads as."""
    domain, admin = answers.relay.domain, answers.relay.admin_email
    reports = [uri.removeprefix("mailto:").rpartition("@") for uri in answers.report_addresses]
    names = [*ROLES, *(local.lower() for local, _, at in reports if at == domain)]
    names += [answers.home.login] if answers.home else []
    users = {user.name for user in answers.users}
    found = [(name, "root") for name in dict.fromkeys(names) if name not in users]
    admin_local, _, admin_domain = admin.rpartition("@")
    loops = admin_domain in {domain, answers.relay.hostname} and admin_local.lower() in {"root", *names} - users
    return tuple(found) if loops or not admin else (("root", admin), *found)


def owners(answers: Answers) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Which logins may send as which address.

    A user sends as their name at the relay's and each home domain, home as any address of its domains. Postfix takes
    the first line that fits an address, so a user's line at a home domain has to name home as well.
    """
    home = (answers.home.login,) if answers.home else ()
    lines = []
    for user in answers.mail_users:
        lines.append((f"{user.name}@{answers.relay.domain}", (user.name,)))
        lines += [(f"{user.name}@{domain}", (user.name, *home)) for domain in answers.home_domains]
    return (*lines, *((f"@{domain}", home) for domain in answers.home_domains))


def checks(context: Context) -> Sequence[Check]:
    """Configuration, then the relay's behaviour as a stranger sees it."""
    from wizard.checks import postfix as ask
    from wizard.checks import smtp

    return (
        Check("postfix.running", "Postfix runs and listens on ports 25 and 465", ask.running),
        Check("postfix.configuration", "Postfix's configuration is sound, without a warning", ask.configuration),
        Check(
            "postfix.networks", "Only this machine, and what the answers name, sends without a login",
            partial(ask.networks, allowed=answered_networks(context)),
        ),
        Check("postfix.names", f"Postfix calls itself {context.hostname}", partial(ask.names, context)),
        Check(
            "postfix.no_open_relay", "A stranger cannot relay to other domains",
            partial(smtp.no_open_relay, context),
        ),
        Check(
            "postfix.local_recipients", f"Mail for {context.domain} is accepted, for an unknown name there refused",
            partial(smtp.local_recipients, context),
        ),
        Check("postfix.no_login_on_25", "Port 25 offers no login", partial(smtp.no_login_on_25, context)),
        Check("postfix.starttls", "Port 25 offers encryption", partial(smtp.starttls_on_25, context)),
        Check(
            "postfix.certificate", "Port 25 serves the certificate that is on the disk",
            partial(smtp.serves_the_file, context, port=25),
        ),
        Check("postfix.vrfy", "Postfix does not tell strangers who has a mailbox (VRFY)", partial(smtp.vrfy, context)),
        Check("postfix.smuggling", "Messages cannot be smuggled in by bare line feeds", ask.smuggling),
        recommended(Check("postfix.root_mail", "Mail for root goes to somebody", partial(ask.root_mail, context))),
        recommended(Check("postfix.queue", "No mail is stuck in the queue", ask.queue)),
    )  # fmt: skip


def answered_networks(context: Context) -> tuple[str, ...]:
    """The networks that may relay without a login: loopback, and home's where the answers give them."""
    home = context.answers.home.networks if context.answers.home else ()
    return ("127.0.0.0/8", "::ffff:127.0.0.0/104", "::1/128", *home)


STEP = Step(
    id="postfix",
    title="Postfix",
    group=CARRY,
    why="The mail server: it takes mail for your domains on port 25, and mail from those with a login on port 465.",
    better="Logins are possible on port 465 only, and a login sends only as its own addresses. No address relays\n"
    "without a login unless you say so: an address that changes owners would let strangers send as you.",
    plan=plan,
    checks=checks,
    requires=("certbot", "hostname", "firewall"),
)
