"""A whole lab: its hosts, what the VPS is given before the wizard comes, and the way down again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import certifier, home, network, rootfs, world
from .machine import Machine
from .places import CACHE, CHECKOUT, LABS, LINKS, RELEASES, RESOLVER, VPS, WORLD_RELEASE
from .shell import LabError, run

HOSTS = ("world", "home", "vps")
# How the tests' own labs are called, before the number of their process.
OF_TESTS = {"proof", "luck", "kills", "lock", "ssh"}
PROGRAM = "/root/relay-wizard"
# What a copy of the checkout in the VPS keeps when it is refreshed.
KEPT = {".venv"}
# All that a lab writes fits into memory, which makes dpkg fast; the tmpfs is one mount to take away.
MOST_MEMORY = "8g"
SECRETS = {"/root/you.password": "correct horse 7 battery\n", "/root/home.password": "stapled-Hearth-4411\n"}


@dataclass
class Lab:
    """A lab by its id."""

    id: str
    release: str
    hosts: tuple[str, ...] = HOSTS
    machines: dict[str, Machine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,15}", self.id):
            raise LabError(f"a lab's id is up to 16 small letters, digits and hyphens, not {self.id!r}")
        if self.release not in RELEASES:
            raise LabError(f"the releases are {', '.join(RELEASES)}, not {self.release!r}")
        self.machines = {host: self._machine(host) for host in self.hosts}

    @property
    def folder(self) -> Path:
        """What the lab keeps outside its machines."""
        return LABS / self.id

    @property
    def key(self) -> Path:
        """The operator's SSH key."""
        return self.folder / "operator.key"

    @property
    def vps(self) -> Machine:
        """The machine that the wizard is for."""
        return self.machines["vps"]

    @property
    def home(self) -> Machine:
        """The server behind it."""
        return self.machines["home"]

    @property
    def world(self) -> Machine:
        """Everybody else."""
        return self.machines["world"]

    def up(self) -> None:
        """Make it all from nothing, after removing what an earlier run of the same id left."""
        rootfs.need_tools()
        down(self.id)
        self.folder.mkdir(parents=True)
        run(["mount", "-t", "tmpfs", "-o", f"size={MOST_MEMORY},mode=0700", "rwlab", str(self.folder)])
        (self.folder / "lab.json").write_text(json.dumps({"release": self.release, "hosts": self.hosts}))
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator@lab", "-f", str(self.key)])
        network.build_router(self.id)
        network.plug(self.id, "client")
        for host in self.hosts:
            self.reset(host)

    def reset(self, host: str) -> None:
        """A fresh machine in place of the one that is there."""
        machine = self.machines[host]
        machine.create()
        self._furnish(machine)
        machine.start()
        if host == "world":
            world.wait(machine)
        if host in ("world", "vps"):
            self._trust()

    def push(self) -> None:
        """Copy the checkout as it is now into the VPS, its environment there left alone."""
        target = self.vps.root / PROGRAM.lstrip("/")
        target.mkdir(exist_ok=True)
        for entry in target.iterdir():
            if entry.name in KEPT:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        listed = run(["git", "-C", str(CHECKOUT), "ls-files", "-coz", "--exclude-standard"]).out.split("\0")
        there = "\0".join(name for name in listed if name and os.path.lexists(CHECKOUT / name))
        packed = subprocess.run(
            ["tar", "-C", str(CHECKOUT), "--null", "--files-from=-", "--owner=0", "--group=0", "-cf", "-"],
            input=there.encode(),
            capture_output=True,
            check=True,
        ).stdout
        run(["tar", "-C", str(target), "-xf", "-"], stdin=packed)
        self.vps.environment = self._environment()

    def ssh(self, user: str = "root", port: int = 22) -> list[str]:
        """The command line of a real SSH session from outside, with the operator's key."""
        return [*self.from_outside("ssh"), "-p", str(port), f"{user}@{VPS}"]

    def from_outside(self, program: str) -> list[str]:
        """The beginning of a command line of the operator's own computer: ssh or scp, with the operator's key."""
        client = network.namespace(self.id, "client")
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
        flags = [part for option in options for part in ("-o", option)]
        return ["ip", "netns", "exec", client, program, "-i", str(self.key), *flags]

    def _trust(self) -> None:
        """Give the VPS the certificates of the authority that runs now."""
        running = [name for name in ("world", "vps") if name in self.machines and self.machines[name].leader()]
        if running == ["world", "vps"]:
            self.vps.write("/root/acme-ca.pem", certifier.bundle(self.world))

    def _machine(self, host: str) -> Machine:
        release = WORLD_RELEASE if host == "world" else self.release
        machine = Machine(self.id, host, rootfs.root(host, release))
        if host != "world":
            machine.binds = {"/srv/apt": rootfs.repository(release)}
        if host == "vps":
            rootfs.wheels()
            machine.binds = {**machine.binds, "/srv/wheels": CACHE / "wheels"}
            machine.environment = self._environment()
        return machine

    def _environment(self) -> dict[str, str]:
        """What makes pip inside install from the folder of wheels."""
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/srv/wheels/{rootfs.wheels().name}"}

    def _furnish(self, machine: Machine) -> None:
        """What a provider, and the operator's first minutes, leave on a machine."""
        machine.write("/etc/resolv.conf", f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n")
        if machine.name == "world":
            world.furnish(machine)
            return
        if machine.name == "home":
            home.furnish(machine)
        for entry in (machine.root / "etc/apt/sources.list.d").iterdir():
            entry.unlink()
        machine.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/apt ./\n")
        if machine.name == "vps":
            public = self.key.with_suffix(".key.pub").read_text()
            machine.write("/root/.ssh/authorized_keys", public, 0o600)
            answers = (CHECKOUT / "tests/lab/answers.toml").read_text()
            machine.write("/root/answers.toml", answers.replace("@OPERATOR_KEY@", public.strip()), 0o600)
            for path, secret in SECRETS.items():
                machine.write(path, secret, 0o600)
            self.push()


def find(lab: str) -> Lab:
    """A lab that is up."""
    try:
        known = json.loads((LABS / lab / "lab.json").read_text())
    except FileNotFoundError:
        raise LabError(f"no lab {lab!r} is up; there are: {', '.join(listed()) or 'none'}") from None
    return Lab(lab, known["release"], tuple(known["hosts"]))


def listed() -> list[str]:
    """The ids of the labs that are up."""
    return sorted(place.parent.name for place in LABS.glob("*/lab.json"))


def down(lab: str) -> None:
    """Take away every trace of a lab, also of one that died half-way."""
    folder = LABS / lab
    for host in LINKS:
        Machine(lab, host, folder).stop(kill=True)
    network.tear_down(lab)
    inner = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mounted in reversed([place for place in inner if place == str(folder) or place.startswith(f"{folder}/")]):
        run(["umount", mounted])
    if folder.exists():
        shutil.rmtree(folder)


def sweep() -> None:
    """Take away the labs of test runs that were killed, when nobody could: "luck-4711", where no 4711 lives."""
    with rootfs.lock("sweep"):
        for folder in LABS.glob("*"):
            kind, _, number = folder.name.rpartition("-")
            of_a_test = kind.partition("-")[0] in OF_TESTS and number.isdigit()
            if of_a_test and not Path(f"/proc/{number}").exists():
                down(folder.name)
