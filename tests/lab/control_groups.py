"""Control groups: every machine in one of its own, as if it stood alone.

systemd-nspawn boots a machine inside of the group that it is itself started in. Two machines in one group would share
the group of every service that both of them have, and systemd would wait, until its patience ends, for the other
machine's processes before it calls a service stopped.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

# How systemd-nspawn is asked for version 2 inside, which every system of today boots with, whatever there is outside.
VERSION_2 = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
# $1 … are groups to go into, up to the word --; what follows is the command.
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


def entering(name: str) -> list[str]:
    """The beginning of a command line that runs in a group of its own, made here."""
    groups = [hierarchy / name for hierarchy in _hierarchies()]
    for group in groups:
        group.mkdir(exist_ok=True)
    return ["sh", "-ec", ENTER, "sh", *map(str, groups), "--"]


def remove(name: str) -> None:
    """Take the groups away again; one that still holds a dying process is waited for, but not for long."""
    until = time.monotonic() + 2
    for hierarchy in _hierarchies():
        while (hierarchy / name).exists():
            for folder, _, _ in os.walk(hierarchy / name, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
            if time.monotonic() > until:
                break
            time.sleep(0.01)


def _hierarchies() -> list[Path]:
    """Version 2, and the one of version 1 in which systemd counts processes, where there is one."""
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(place))
    return found
