"""One host of the lab: an overlay on a cached root file system, booted with systemd as PID 1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import control_groups, network
from .places import LABS
from .shell import LabError, Result, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POWER_OFF = signal.SIGRTMIN + 14
# What a command that comes in from outside leaves behind, like PID 1 inside: above all the power over the one clock.
NOT_INSIDE = "-sys_time,-sys_module,-sys_rawio,-syslog"
# Units of the bare system alone, that have nothing to do with what is tried here: /run/lock is there without a mount,
# and no device has to be waited for before the network.
MAY_FAIL = {"run-lock.mount", "ifupdown-pre.service"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Machine:
    """A host by its name in the lab ("vps", "home", "world")."""

    lab: str
    name: str
    base: Path
    # What was put on top of it since, the newest first: see `freeze`.
    layers: tuple[Path, ...] = ()
    # Folders of this machine seen inside, read-only: inside -> outside.
    binds: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the host's own layer lies."""
        return LABS / self.lab / self.name

    @property
    def root(self) -> Path:
        """The host's root directory, as seen from outside."""
        return self.folder / "root"

    @property
    def called(self) -> str:
        """Its name among the machines of all labs."""
        return f"rwlab-{self.lab}-{self.name}"

    def create(self) -> None:
        """A fresh machine: the cached tree below, nothing of its own yet."""
        self.destroy()
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        below = ":".join(str(layer) for layer in (*self.layers, self.base))
        layers = f"lowerdir={below},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)])
        # An empty machine id makes systemd take this for a first boot of its own.
        self.write("/etc/machine-id", "")
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{self.name}\n::1\tlocalhost ip6-localhost\n")

    def destroy(self) -> None:
        """Stop the machine and forget its layer."""
        self.stop(kill=True)
        if os.path.ismount(self.root):
            run(["umount", "-R", str(self.root)])
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def freeze(self) -> None:
        """Power off; what the machine is now is what `create` gives from now on."""
        self.stop()
        run(["umount", str(self.root)])
        layer = self.folder.with_name(f"{self.name}-layer-{len(self.layers)}")
        (self.folder / "upper").rename(layer)
        self.layers = (layer, *self.layers)

    def start(self, *, sound: bool = True) -> None:
        """Boot, with a fresh network namespace: a reboot forgets what the kernel's firewall knew.

        Unless it must be `sound`, units may have failed at boot.
        """
        network.plug(self.lab, self.name)
        binds = [f"--bind-ro={outside}:{inside}" for inside, outside in self.binds.items()]
        log = (self.folder / "console.log").open("ab")
        with log:
            started = subprocess.Popen(
                [
                    *control_groups.entering(self.called),
                    *["systemd-nspawn", "-q", "-b", "-D", str(self.root), f"--machine={self.called}"],
                    f"--network-namespace-path={network.NETNS / network.namespace(self.lab, self.name)}",
                    # A namespace made by us is not "private" to nspawn, so it would keep the firewall from the machine.
                    "--capability=CAP_NET_ADMIN",
                    *["--resolv-conf=off", "--timezone=off", "--register=no", "--keep-unit", "--console=pipe", *binds],
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **control_groups.VERSION_2, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
            )
        (self.folder / "nspawn.pid").write_text(str(started.pid))
        self._wait_for_boot(started, sound=sound)

    def stop(self, *, kill: bool = False) -> None:
        """Power off, in good order unless `kill`; nothing happens when it is off."""
        pid, leader = self.nspawn(), self.leader()
        if leader is not None:
            os.kill(leader, signal.SIGKILL if kill else POWER_OFF)
        if pid is not None and not _gone(pid, 60):
            os.kill(pid, signal.SIGKILL)
            _gone(pid, 10)
        network.unplug(self.lab, self.name)
        control_groups.remove(self.called)
        (self.folder / "nspawn.pid").unlink(missing_ok=True)

    def reboot(self) -> None:
        """Power off and boot again on the same disk."""
        self.stop()
        self.start()

    def nspawn(self) -> int | None:
        """The process that holds the machine, if it runs."""
        try:
            pid = int((self.folder / "nspawn.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The number alone proves nothing: after a crash of the lab it may be somebody else's by now.
        return pid if str(self.root).encode() in command else None

    def leader(self) -> int | None:
        """PID 1 of the machine, by its number outside."""
        pid = self.nspawn()
        if pid is None:
            return None
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def argv(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """How to run a command inside, from outside."""
        leader = self.leader()
        if leader is None:
            raise LabError(f"{self.name} of lab {self.lab} is not running")
        variables = {
            "PATH": PATH,
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "USER": "root",
            "TERM": os.environ.get("TERM", "dumb"),
        }
        settings = [f"{name}={value}" for name, value in {**variables, **self.environment, **(env or {})}.items()]
        enter = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C", "--wdns=/root", "--"]
        return [*enter, "setpriv", f"--bounding-set={NOT_INSIDE}", "env", "-i", *settings, *command]

    def run(
        self,
        *command: str,
        stdin: str | bytes | None = None,
        check: bool = True,
        timeout: float = 600,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command inside as root, in /root."""
        return run(self.argv(command, env), stdin=stdin, check=check, timeout=timeout)

    def chroot(self, *command: str) -> Result:
        """Run a command in the machine's tree while it is not running."""
        return run(["chroot", str(self.root), *command])

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Put a file into the machine, from outside."""
        target = self._outside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)

    def read(self, path: str) -> str:
        """A text file of the machine."""
        return self._outside(path).read_text()

    def _outside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _mends_boot(self) -> bool:
        """Try again what the container's own boot now and then cannot do while many others boot, or do without it."""
        failed = self.run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager").out
        names = {line.split()[0] for line in failed.splitlines()}
        if not names <= MAY_FAIL:
            return False
        verbs = ("restart", "reset-failed")
        return any(self.run("systemctl", verb, *names, check=False).status == 0 for verb in verbs)

    def _wait_for_boot(self, started: subprocess.Popen[bytes], *, sound: bool, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        state = "not started"
        while time.monotonic() < deadline:
            if started.poll() is not None:
                break
            if self.leader() is not None:
                asked = self.run("systemctl", "is-system-running", check=False, timeout=30)
                state = asked.out.strip() or asked.err.strip()
                if state == "running" or (state == "degraded" and not sound):
                    return
                if state == "degraded" and not self._mends_boot():
                    failed = self.run("systemctl", "--failed", "--no-pager", check=False).out
                    journal = self.run("journalctl", "-b", "-p", "warning", "-n", "30", "--no-pager", check=False).out
                    raise LabError(f"{self.name} booted, but not in good health:\n{failed}\n{journal}")
            time.sleep(0.2)
        console = (self.folder / "console.log").read_text(errors="replace")[-3000:]
        raise LabError(f"{self.name} did not boot in {seconds:.0f} s (last state: {state})\n{console}")


def _gone(pid: int, seconds: float) -> bool:
    """Wait for a process to end, also one that is our own child."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False
