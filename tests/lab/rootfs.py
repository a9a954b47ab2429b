"""The caches: root file systems, an offline apt repository for each release, and a folder of Python wheels.

Each lies under `places.CACHE` in a folder whose name ends in a hash of what it is made of; a folder that is
there is complete, because it is built beside its place and renamed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import apt_sources
from .places import CACHE, CHECKOUT, WORLD_RELEASE
from .shell import LabError, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Raise it when the way in which something is built changes, other than by its list of packages.
RECIPE = "1"

# For mmdebstrap: nothing may start while a tree is built.
NO_STARTS = 'p="$1/usr/sbin/policy-rc.d"; printf "#!/bin/sh\\nexit 101\\n" > "$p"; chmod 755 "$p"'

# Host command -> Debian package that brings it.
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "apt-ftparchive": "apt-utils",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "tar": "tar",
}

# What a provider's plain Debian image brings, and no more: no venv, no sudo, no firewall, no mail.
PLAIN = "systemd systemd-sysv libpam-systemd dbus openssh-server iproute2 python3 ca-certificates procps"
CLOCK = "systemd-timesyncd"
SERVERS = "bind9 bind9-dnsutils pebble postfix opendkim opendkim-tools opendmarc dbconfig-no-thanks publicsuffix"
JUDGES = "postfix-policyd-spf-python openssl curl swaks"
PACKAGES = {
    "vps": f"{PLAIN} {CLOCK}".split(),
    "home": f"{PLAIN} {CLOCK} postfix libsasl2-modules openssl".split(),
    "world": f"{PLAIN} {CLOCK} {SERVERS} {JUDGES}".split(),
}

# What the wizard may install, in calls whose packages go together. Each is fetched with its recommended
# packages, so that an install with or without them works.
WIZARD_MAY_INSTALL = [
    (
        "postfix postfix-pcre postfix-lmdb postfix-cdb postfix-policyd-spf-python dovecot-core opendkim opendkim-tools "
        "opendmarc dbconfig-no-thanks publicsuffix fail2ban python3-systemd ufw iptables nftables ipset certbot "
        "python3-certbot-apache apache2 unattended-upgrades apt-listchanges needrestart sudo libsasl2-modules "
        "sasl2-bin libsasl2-modules-db ca-certificates openssl ssl-cert curl bind9-dnsutils python3-venv python3-pip "
        "python3-dev debconf-utils locales tzdata cron logrotate rsyslog whois libnss-resolve psmisc lsof acl attr"
    ),
    (
        "postfix bsd-mailx s-nail mutt lnav nmap swaks telnet netcat-openbsd logwatch logcheck logcheck-database "
        "logtail gnutls-bin htop tmux git clang"
    ),
    "mailutils postfix",
    "exim4-daemon-light",
    "mailutils",
    "chrony",
    "systemd-resolved",
    "firewalld",
    "dovecot-imapd postfix",
    "apache2 nginx-light",
    "dma",
]

# The Pythons of the two releases.
PYTHONS = ("3.11", "3.13")


def need_tools() -> None:
    """Install what the lab needs on this machine; without root there is no lab."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes namespaces, mounts and containers")
    with lock("tools"):
        missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
        if missing:
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            run(["apt-get", "-q", "update"], env=quiet)
            run(["apt-get", "-qy", "--no-install-recommends", "install", *missing], env=quiet)


def root(kind: str, release: str) -> Path:
    """The root file system of a kind of machine; built when it is not there."""

    def build(target: Path) -> None:
        sources = target.with_suffix(".sources")
        sources.write_text(apt_sources.of_release(release))
        try:
            run(
                [
                    "mmdebstrap",
                    "--variant=important",
                    f"--include={','.join(PACKAGES[kind])}",
                    f"--essential-hook={NO_STARTS}",
                    '--customize-hook=rm "$1/usr/sbin/policy-rc.d"; rm -f "$1/etc/resolv.conf"',
                    release,
                    str(target),
                    str(sources),
                ]
            )
        finally:
            sources.unlink()

    return _cached(f"{kind}-{release}", [*PACKAGES[kind], apt_sources.of_release(release)], build)


def repository(release: str) -> Path:
    """A flat apt repository with all that the wizard may install on this release."""
    base = root("vps", release)

    def build(target: Path) -> None:
        target.mkdir()
        for wanted in WIZARD_MAY_INSTALL:
            _download(base, wanted.split(), target)
        listing = run(["sh", "-c", 'cd "$1" && apt-ftparchive packages .', "sh", str(target)]).out
        (target / "Packages").write_text(listing)

    return _cached(f"apt-{release}", [*WIZARD_MAY_INSTALL, base.name], build)


def wheels() -> Path:
    """The wheels of the project's locked requirements, for the Python of each release."""
    lock = CHECKOUT / "requirements.lock"
    text = lock.read_text() if lock.exists() else ""

    def build(target: Path) -> None:
        target.mkdir()
        if not text.strip():
            return
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
        # First with this Python, which also turns source distributions into wheels; then what other Pythons need.
        # (--use-pep517: built in an environment of their own, for which pip fetches what building needs.)
        run([*pip, "wheel", "--use-pep517", "--no-deps", "-w", str(target), "-r", str(lock)])
        for python in PYTHONS:
            run(
                [
                    *[*pip, "download", "--no-deps", "--only-binary=:all:", f"--python-version={python}"],
                    *["--find-links", str(target), "-d", str(target), "-r", str(lock)],
                ]
            )

    return _cached("wheels/lock", [text, *PYTHONS], build)


def build_all(releases: tuple[str, ...]) -> None:
    """Fill the caches for some releases."""
    for release in releases:
        root("vps", release)
        repository(release)
        root("home", release)
    root("world", WORLD_RELEASE)
    wheels()


def _cached(name: str, made_of: list[str], build: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256("\0".join([RECIPE, *made_of]).encode()).hexdigest()[:12]
    place = CACHE / f"{name}-{digest}"
    if place.exists():
        return place
    with lock(f"{name.replace('/', '-')}-{digest}"):
        if not place.exists():
            need_tools()
            print(f"lab: building {place}", file=sys.stderr, flush=True)
            rough = place.with_name(f".{place.name}.part")
            _remove(rough)
            rough.parent.mkdir(parents=True, exist_ok=True)
            try:
                build(rough)
            except BaseException:
                _remove(rough)
                raise
            rough.rename(place)
    return place


def _remove(tree: Path) -> None:
    if tree.exists():
        shutil.rmtree(tree)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """One process at a time: labs that start together build one cache, and nobody writes over another's work."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _download(base: Path, packages: list[str], target: Path) -> None:
    """Let the apt of a throw-away copy of `base` fetch packages and what they need."""
    work = target.with_name(target.name + ".work")
    _remove(work)
    merged = work / "merged"
    for part in (merged, work / "upper", work / "work"):
        part.mkdir(parents=True)
    layers = f"lowerdir={base},upperdir={work / 'upper'},workdir={work / 'work'}"
    run(["mount", "-t", "overlay", "overlay", "-o", layers, str(merged)])
    try:
        # The chroot finds the mirrors as this machine does.
        shutil.copy("/etc/resolv.conf", merged / "etc/resolv.conf")
        inside = ["chroot", str(merged), "env", "DEBIAN_FRONTEND=noninteractive"]
        run([*inside, "apt-get", "-q", "update"])
        run([*inside, "apt-get", "-qy", "install", "--download-only", *packages])
        for package in (merged / "var/cache/apt/archives").glob("*.deb"):
            if not (target / package.name).exists():
                shutil.move(package, target / package.name)
    finally:
        run(["umount", str(merged)])
        _remove(work)
