"""What a family of systems calls things. Versions of daemons are asked of the machine, never derived from its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Platform:
    """The names of one family.

    Attributes:
        family: decides which tools install packages and drive the firewall.
        packages: purpose → package names: "postfix", "dovecot", "spf", "dkim", "dmarc", "certbot", "apache",
            "certbot_apache", "fail2ban", "firewall", "updates", "clock", "sudo", "selinux", "epel".
        preseed: debconf answers for packages that ask: (package, question, type, value).
        services: purpose → unit name without suffix: "ssh", "postfix", "dovecot", "dkim", "dmarc", "fail2ban",
            "firewall", "apache", "renewal", "clock".
        paths: purpose → path: see the families' files.
        users: purpose → account: "spf", "dkim".
        releases: `ID` of os-release → (versions that are supported, with the day their support ends).
    """

    family: Literal["debian", "redhat"]
    packages: Mapping[str, tuple[str, ...]]
    preseed: tuple[tuple[str, str, str, str], ...]
    services: Mapping[str, str]
    paths: Mapping[str, str]
    users: Mapping[str, str]
    releases: Mapping[str, Mapping[str, str]]


def of(os_id: str, id_like: str) -> Platform | None:
    """The platform for the `ID` and `ID_LIKE` of os-release(5), None when the family is not known."""
    from wizard.platforms import debian, redhat

    words = {os_id, *id_like.split()}
    if words & {"debian", "ubuntu"}:
        return debian.PLATFORM
    if words & {"rhel", "fedora", "centos", "almalinux", "rocky"}:
        return redhat.PLATFORM
    return None
