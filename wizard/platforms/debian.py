"""Debian and Ubuntu: names and paths, read in the packages of Debian 12 and 13."""

from __future__ import annotations

from wizard.platforms import Platform

PLATFORM = Platform(
    family="debian",
    packages={
        "postfix": ("postfix",),
        "dovecot": ("dovecot-core",),
        "spf": ("postfix-policyd-spf-python",),
        "dkim": ("opendkim", "opendkim-tools"),
        # opendmarc wants a database configuration; this package says "no thanks" to it.
        "dmarc": ("opendmarc", "dbconfig-no-thanks"),
        "certbot": ("certbot",),
        "apache": ("apache2",),
        "certbot_apache": ("python3-certbot-apache",),
        # python3-systemd reads the journal for fail2ban; it is only recommended, and without it nothing starts.
        "fail2ban": ("fail2ban", "python3-systemd", "iptables"),
        "firewall": ("ufw",),
        "updates": ("unattended-upgrades",),
        "clock": ("systemd-timesyncd",),
        "sudo": ("sudo",),
        "epel": (),
        "selinux": (),
    },
    preseed=(
        ("postfix", "postfix/main_mailer_type", "select", "Internet Site"),
        ("opendmarc", "opendmarc/dbconfig-install", "boolean", "false"),
    ),
    services={
        "ssh": "ssh",
        "postfix": "postfix",
        "dovecot": "dovecot",
        "dkim": "opendkim",
        "dmarc": "opendmarc",
        "fail2ban": "fail2ban",
        "firewall": "ufw",
        "apache": "apache2",
        "renewal": "certbot",
        "clock": "systemd-timesyncd",
    },
    paths={
        "ca_bundle": "/etc/ssl/certs/ca-certificates.crt",
        "dkim_conf": "/etc/opendkim.conf",
        "dkim_keys": "/etc/dkimkeys",
        "dmarc_conf": "/etc/opendmarc.conf",
        "spf_program": "/usr/bin/policyd-spf",
        "spf_conf": "/etc/postfix-policyd-spf-python/policyd-spf.conf",
        "web_root": "/var/www/html",
        "mail_log": "/var/log/mail.log",
        "auth_log": "/var/log/auth.log",
    },
    users={"spf": "policyd-spf", "dkim": "opendkim", "dmarc": "opendmarc"},
    releases={
        "debian": {"12": "2028-06-30", "13": "2030-06-30"},
        "ubuntu": {"24.04": "2029-05-31", "26.04": "2031-05-31"},
    },
)
