"""A machine in memory with sshd, its journal, and systemd's timer; and a step that moves its port under a guard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fake_host import FakeHost
from wizard import guard as guards
from wizard.answers import Answers, Relay, Ssh
from wizard.check import Check, passed
from wizard.fact import Context, WayIn
from wizard.host import Completed, Host, Listener, SshSession
from wizard.operation import Change, Operation
from wizard.operations.files import WriteFile
from wizard.step import Step

ANSWERS = Answers(
    relay=Relay(domain="brightmail.example", hostname="mail.brightmail.example"), ssh=Ssh(revert_after=60)
)
SESSION = SshSession("203.0.113.70", 50000, "192.0.2.10", 22, "root")
# In tmux after `sudo -i`: somebody is there by SSH, more is not known.
SOMEBODY = SshSession("", 0, "", 0, "")
SSHD = "/etc/sshd"
# Made for the tests; nobody has its private half.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICVGGkgqO9Oi/lzyE80xzlvZNrnDeG7XdLDRRN2L8w/n"


class Killed(BaseException):
    """SIGKILL: nothing in the program sees it."""


@dataclass
class Machine(FakeHost):
    """A machine with systemd's timer, a journal, and what happens while a run waits."""

    falls: float | None = None
    journal: list[dict[str, str]] = field(default_factory=list)
    meanwhile: dict[float, Any] = field(default_factory=dict)
    broken: bool = False
    enabled: bool = False
    lives: int = 10**9

    def __post_init__(self) -> None:
        self.session = SESSION
        self.put("/etc/passwd", "root:x:0:0::/root:/bin/bash\nboss:x:1000:1000::/home/boss:/bin/bash\n")
        self.put("/etc/group", "sudo:x:27:boss\nboss:x:1000:\n")
        self.listening = (Listener("0.0.0.0", 22, "sshd"), Listener("0.0.0.0", 2222, "sshd"))
        self.commands |= {
            ("systemctl",): _systemctl, ("busctl",): _busctl, ("journalctl",): _journalctl,
        }  # fmt: skip

    def logs(self, *messages: str, uid: int = 0) -> None:
        """Have sshd say something; it has ended before journald asks the kernel for its _COMM."""
        told = {"_UID": str(uid), "SYSLOG_IDENTIFIER": "sshd"}
        self.journal += [{**told, "MESSAGE": message} for message in messages]

    def login(self, user: str, client: str, port: int, *, client_port: int = 40000) -> None:
        """Somebody logs in by SSH."""
        self.logs(
            f'Connection from {client} port {client_port} on 192.0.2.10 port {port} rdomain ""',
            f"Accepted publickey for {user} from {client} port {client_port} ssh2: ED25519 SHA256:abc",
        )

    def spend(self) -> None:
        """Die, when it is time."""
        self.lives -= 1
        if self.lives < 0:
            raise Killed

    def write(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        self.spend()
        super().write(path, data, mode=mode, owner=owner, group=group)
        self.spend()

    def remove(self, path: str) -> None:
        self.spend()
        super().remove(path)
        self.spend()

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        self.spend()
        done = super().run(argv, stdin=stdin)
        self.spend()
        return done

    def reboot(self) -> None:
        """What is enabled starts anew; what was only running is gone."""
        there = f"{guards.UNITS}/{guards.TIMER}" in self.files and f"{guards.UNITS}/{guards.SERVICE}" in self.files
        self.falls = self.ticks + 60 if self.enabled and there else None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        for moment in [at for at in self.meanwhile if at <= self.ticks]:
            self.meanwhile.pop(moment)()


def _systemctl(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
    assert isinstance(host, Machine)
    if argv[1] == "restart" and argv[2] == guards.TIMER:
        if host.broken:
            return Completed(argv, 1, "", "Failed to connect to bus")
        text = host.text(f"{guards.UNITS}/{guards.TIMER}")
        host.falls = host.ticks + float(text.partition("OnActiveSec=")[2].splitlines()[0])
    elif argv[1] == "stop":
        host.falls = None
    elif argv[-1] == guards.TIMER:
        host.enabled = "enable" in argv
    return Completed(argv, 0, "active")


def _busctl(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
    assert isinstance(host, Machine)
    if host.falls is None or host.falls <= host.ticks:
        return Completed(argv, 0, f"t {2**64 - 1}")
    return Completed(argv, 0, f"t {round(host.falls * 1e6)}")


def _journalctl(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
    assert isinstance(host, Machine)
    entries = [{**entry, "__CURSOR": f"s={number}"} for number, entry in enumerate(host.journal, start=1)]
    since = next((word.partition("=")[2] for word in argv if word.startswith("--cursor=")), None)
    if since is None:
        return Completed(argv, 0, json.dumps(entries[-1] if entries else {"__CURSOR": "s=0"}))
    wanted = " ".join(argv).partition(f"--cursor={since} ")[2].split(" + ")
    later = entries[max(0, int(since.removeprefix("s=")) - 1) :]
    found = [entry for entry in later if any(_matches(entry, words) for words in wanted)]
    return Completed(argv, 0, "\n".join(json.dumps(entry) for entry in found))


def _matches(entry: Mapping[str, str], words: str) -> bool:
    return all(f"{entry.get(word.partition('=')[0])}" == word.partition("=")[2] for word in words.split())


@dataclass(frozen=True)
class OpenPorts(Operation):
    """Stands for sshd's file: both ports until the proof, then one."""

    text: str

    @property
    def id(self) -> str:
        return "ports"

    @property
    def summary(self) -> str:
        return "ports"

    def diff(self, host: Host) -> Change | None:
        return WriteFile(SSHD, self.text).diff(host)

    def apply(self, host: Host) -> None:
        assert isinstance(host, Machine)
        assert host.falls is not None or "old" not in self.text, "changed before the guard was armed"
        WriteFile(SSHD, self.text).apply(host)


def ssh_step() -> Step:
    def plan(context: Context) -> list[Operation]:
        open_still = context.host.read(SSHD) != b"new"
        return [OpenPorts("new and old" if open_still and context.way_in is WayIn.UNPROVED else "new")]

    def checks(_context: Context) -> list[Check]:
        return [Check("ssh.file", "It is there", lambda host: passed(SSHD, str(host.read(SSHD)), "new"))]

    return Step(id="ssh", title="SSH", group="g", why="", plan=plan, checks=checks, guarded=lambda _: True)


def later_step() -> Step:
    def plan(_context: Context) -> list[Operation]:
        return [WriteFile("/etc/later", "later")]

    return Step(id="later", title="Later", group="g", why="", plan=plan, checks=lambda _: [])
