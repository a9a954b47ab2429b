"""What /etc of a machine is made of, so that two moments of it can be compared."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine

# Runs inside the machine, with nothing but its own Python.
SCRIPT = """
import hashlib, json, os, stat, sys
found = {}
for folder, folders, files in os.walk("/etc"):
    for name in folders + files:
        path = os.path.join(folder, name)
        about = os.lstat(path)
        kind = stat.S_IFMT(about.st_mode)
        if kind == stat.S_IFLNK:
            content = "-> " + os.readlink(path)
        elif kind == stat.S_IFREG:
            content = hashlib.sha256(open(path, "rb").read()).hexdigest()
        else:
            content = "folder" if kind == stat.S_IFDIR else "special"
        found[path] = [content, oct(about.st_mode), about.st_uid, about.st_gid]
json.dump(found, sys.stdout)
"""

# What a rollback does not put back, and why. Nothing that the wizard writes itself belongs here.
LEFT_ASIDE = {
    # Kept by promise.
    "/etc/letsencrypt": "certbot's own folder, kept with the certificates",
    "/etc/letsencrypt/accounts*": "the account at the certificate authority",
    "/etc/letsencrypt/archive*": "certificates are kept",
    "/etc/letsencrypt/live*": "certificates are kept",
    "/etc/letsencrypt/keys*": "certificates are kept",
    "/etc/letsencrypt/csr*": "certificates are kept",
    "/etc/letsencrypt/renewal": "certificates are kept, and how they are renewed",
    "/etc/letsencrypt/renewal/*.conf": "certificates are kept, and how they are renewed",
    "/etc/letsencrypt/.updated-options-ssl-apache-conf-digest.txt": "certbot's own",
    "/etc/dkimkeys/*": "DKIM keys are kept",
    "/etc/opendkim/keys*": "DKIM keys are kept",
    # Written by tools whenever they run, with no meaning of their own.
    "/etc/passwd-": "useradd's backup of the last version",
    "/etc/group-": "useradd's backup of the last version",
    "/etc/shadow-": "useradd's backup of the last version",
    "/etc/gshadow-": "useradd's backup of the last version",
    "/etc/subuid-": "useradd's backup of the last version",
    "/etc/subgid-": "useradd's backup of the last version",
    "/etc/.pwd.lock": "lock of the tools that change accounts",
    "/etc/ld.so.cache": "the linker's cache",
    "/etc/machine-id": "made at boot",
    "/etc/mtab": "the kernel's list of mounts",
    "/etc/resolv.conf": "belongs to the machine's network",
    "/etc/adjtime": "the clock's drift",
}


def take(machine: Machine) -> dict[str, list[object]]:
    """Every path below /etc with its content, mode and owner."""
    found: dict[str, list[object]] = json.loads(machine.run("python3", "-c", SCRIPT).out)
    return found


def differences(before: dict[str, list[object]], after: dict[str, list[object]]) -> list[str]:
    """What changed, was added or went away, but for what is left aside."""
    told: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path) or any(fnmatch.fnmatch(path, pattern) for pattern in LEFT_ASIDE):
            continue
        told.append(f"{path}: {before.get(path, 'was not there')} -> {after.get(path, 'is gone')}")
    return told
