"""RHEL, AlmaLinux, Rocky and Fedora: names and paths, from their packages' documentation."""

from __future__ import annotations

from wizard.platforms import Platform

PLATFORM = Platform(
    family="redhat",
    packages={
        "postfix": ("postfix",),
        "dovecot": ("dovecot",),
        "spf": ("pypolicyd-spf",),
        "dkim": ("opendkim", "opendkim-tools"),
        # The list of public suffixes (co.uk) is only recommended there.
        "dmarc": ("opendmarc", "opendmarc-tools", "publicsuffix-list"),
        "certbot": ("certbot",),
        "apache": ("httpd",),
        "certbot_apache": ("python3-certbot-apache",),
        "fail2ban": ("fail2ban", "python3-systemd"),
        "firewall": ("firewalld",),
        "updates": ("dnf-automatic",),
        "clock": ("chrony",),
        "sudo": ("sudo",),
        # fail2ban, certbot, opendkim, opendmarc and pypolicyd-spf live in EPEL: it has to be enabled before them.
        "epel": ("epel-release",),
        # semanage, which lets sshd listen on another port.
        "selinux": ("policycoreutils-python-utils",),
    },
    preseed=(),
    services={
        "ssh": "sshd",
        "postfix": "postfix",
        "dovecot": "dovecot",
        "dkim": "opendkim",
        "dmarc": "opendmarc",
        "fail2ban": "fail2ban",
        "firewall": "firewalld",
        "apache": "httpd",
        "renewal": "certbot-renew",
        "clock": "chronyd",
    },
    paths={
        "ca_bundle": "/etc/pki/tls/certs/ca-bundle.crt",
        "dkim_conf": "/etc/opendkim.conf",
        "dkim_keys": "/etc/opendkim/keys",
        "dmarc_conf": "/etc/opendmarc.conf",
        "spf_program": "/usr/libexec/postfix/policyd-spf",
        "spf_conf": "/etc/python-policyd-spf/policyd-spf.conf",
        "web_root": "/var/www/html",
        "mail_log": "/var/log/maillog",
        "auth_log": "/var/log/secure",
    },
    users={"spf": "nobody", "dkim": "opendkim", "dmarc": "opendmarc"},
    releases={
        "almalinux": {"9": "2032-05-31", "10": "2035-05-31"},
        "rocky": {"9": "2032-05-31", "10": "2035-05-31"},
        "rhel": {"9": "2032-05-31", "10": "2035-05-31"},
        "centos": {"9": "2027-05-31", "10": "2030-01-01"},
        "fedora": {"43": "2026-12-02", "44": "2027-06-02"},
    },
)
