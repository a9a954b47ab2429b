"""The pretend Internet's cables: one network namespace a host, one that routes between them, no way out.

A namespace is named after its lab, so that several labs with the same addresses live side by side.
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .places import LINKS
from .shell import LabError, run

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
NETNS = Path("/run/netns")
# Every systemd watches dozens of folders; the kernel's usual 128 for all of root's processes are used up by a few labs.
WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_WATCHERS = 1024


def namespace(lab: str, host: str) -> str:
    """The name of a host's network namespace."""
    return f"rwlab-{lab}-{host}"


def build_router(lab: str) -> None:
    """Make the namespace that everything else is plugged into."""
    if int(WATCHERS.read_text()) < ENOUGH_WATCHERS:
        WATCHERS.write_text(str(ENOUGH_WATCHERS))
    inet = namespace(lab, "inet")
    run(["ip", "netns", "add", inet])
    run(["ip", "-n", inet, "link", "set", "lo", "up"])
    switches = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]
    run(["ip", "netns", "exec", inet, "sh", "-c", "".join(f"echo 1 > /proc/sys/{name};" for name in switches)])


def plug(lab: str, host: str) -> None:
    """Give a host a fresh namespace, with its addresses and a route to everybody else."""
    unplug(lab, host)
    link, inet, own = LINKS[host], namespace(lab, "inet"), namespace(lab, host)
    run(["ip", "netns", "add", own])
    run(["ip", "-n", inet, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", own])
    # Without duplicate address detection an IPv6 address can be used at once.
    wanted = [
        f"-n {own} link set lo up",
        *(f"-n {own} addr add {address}/{link.ipv4_length} dev eth0" for address in link.ipv4),
        *(f"-n {own} addr add {address}/64 dev eth0 nodad" for address in link.ipv6),
        f"-n {own} link set eth0 up",
        f"-n {inet} addr add {link.ipv4_router}/{link.ipv4_length} dev {host}",
        f"-n {inet} addr add {link.ipv6_router}/64 dev {host} nodad",
        f"-n {inet} link set {host} up",
        f"-n {own} route add default via {link.ipv4_router}",
        f"-n {own} -6 route add default via {link.ipv6_router}",
    ]
    for line in wanted:
        run(["ip", *line.split()])


def unplug(lab: str, host: str) -> None:
    """Take a host's namespace away, if it has one; its firewall rules go with it."""
    own, inet = namespace(lab, host), namespace(lab, "inet")
    if (NETNS / inet).exists():
        # Deleted by hand, because a namespace that something still holds would keep its end for a while.
        run(["ip", "-n", inet, "link", "del", host], check=False)
    if (NETNS / own).exists():
        run(["ip", "netns", "del", own])


def tear_down(lab: str) -> None:
    """Remove every namespace of a lab."""
    for host in [*LINKS, "inet"]:
        name = namespace(lab, host)
        if (NETNS / name).exists():
            run(["ip", "netns", "del", name])


def inside(lab: str, host: str, work: Callable[[], T]) -> T:
    """Run `work` in a thread that lives in a host's network: its sockets are that host's.

    Only addresses work there: names would be looked up as the machine of the lab does.
    """
    outcome: list[T] = []
    trouble: list[BaseException] = []

    def body() -> None:
        try:
            _enter(NETNS / namespace(lab, host))
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, whatever it is
            trouble.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
    return outcome[0]


def _enter(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise LabError(f"cannot enter {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
