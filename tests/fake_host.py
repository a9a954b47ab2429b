"""A machine in memory: files, commands, sockets and name servers, for tests that must never touch the real one."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from wizard.host import NOT_FOUND, Completed, DnsReply, FileStat, Host, HostError, Listener, SshSession
from wizard.secret import Secret

# What a command does on the fake machine: its words and standard input in, its outcome out; it may change the host.
Handler = Callable[["FakeHost", tuple[str, ...], bytes], Completed]


@dataclass
class FakeFile:
    """A file, folder or symlink of the fake machine."""

    data: bytes = b""
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    kind: Literal["file", "directory", "symlink", "socket", "other"] = "file"
    target: str = ""


@dataclass
class FakeHost(Host):
    """A machine that is what the test says it is.

    `commands` maps the first words of an argv to a Completed, a text (printed, status 0) or a Handler; the longest
    match wins, and a command that nobody declared is "not found" (127), as on a machine without the package. What was
    run (not asked) is kept in `ran`.
    """

    files: dict[str, FakeFile] = field(default_factory=dict)
    commands: dict[tuple[str, ...], Completed | str | Handler] = field(default_factory=dict)
    dns: dict[tuple[str, str, str], DnsReply] = field(default_factory=dict)
    servers: dict[tuple[str, int], Callable[[socket.socket], None]] = field(default_factory=dict)
    release: dict[str, str] = field(
        default_factory=lambda: {
            "id": "debian", "version_id": "13", "pretty_name": "Debian GNU/Linux 13 (trixie)",
        }
    )  # fmt: skip
    listening: tuple[Listener, ...] = ()
    own_addresses: tuple[str, ...] = ("127.0.0.1", "::1", "192.0.2.10")
    ram: int = 1 << 30
    disk: int = 20 << 30
    root: bool = True
    session: SshSession | None = None
    clock: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    ticks: float = 0.0
    ran: list[tuple[str, ...]] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)
    learnt: list[Secret] = field(default_factory=list)

    def put(self, path: str, text: str | bytes, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        """Place a file, as a test prepares it."""
        self.files[path] = FakeFile(text.encode() if isinstance(text, str) else text, mode, owner, group)

    def text(self, path: str) -> str:
        """The text of a file that must be there."""
        return self.files[path].data.decode()

    def ask(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        self.asked.append(tuple(argv))
        return self._execute(tuple(argv), stdin)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        self.ran.append(tuple(argv))
        self.inputs.append(stdin)
        return self._execute(tuple(argv), stdin)

    def _execute(self, argv: tuple[str, ...], stdin: bytes) -> Completed:
        for length in range(len(argv), 0, -1):
            found = self.commands.get(argv[:length])
            if isinstance(found, Completed):
                return Completed(argv, found.status, found.out, found.err)
            if isinstance(found, str):
                return Completed(argv, 0, found)
            if found is not None:
                return found(self, argv, stdin)
        return Completed(argv, NOT_FOUND, "", f"{argv[0]}: No such file or directory")

    def read(self, path: str, *, follow: bool = True) -> bytes | None:
        found = self.files.get(path)
        if found is not None and found.kind == "symlink":
            return self.read(found.target) if follow else None
        return found.data if found is not None and found.kind == "file" else None

    def stat(self, path: str) -> FileStat | None:
        found = self.files.get(path)
        if found is None:
            inside = any(name.startswith(f"{path.rstrip('/')}/") for name in self.files)
            return FileStat("directory", 0o755, "root", "root", 0, 0.0) if inside else None
        return FileStat(
            found.kind,
            found.mode,
            found.owner,
            found.group,
            len(found.data),
            self.clock.timestamp(),
            found.target,
        )

    def list(self, path: str) -> tuple[str, ...]:
        prefix = f"{path.rstrip('/')}/"
        return tuple(
            sorted({name.removeprefix(prefix).split("/")[0] for name in self.files if name.startswith(prefix)})
        )

    def write(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        if path in self.files and self.files[path].kind == "symlink":
            raise HostError(f"{path} is a symbolic link to {self.files[path].target}; it is left alone")
        self.files[path] = FakeFile(data, mode, owner, group)

    def make_directory(self, path: str, *, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        self.files[path] = FakeFile(b"", mode, owner, group, "directory")

    def symlink(self, path: str, target: str) -> None:
        self.files[path] = FakeFile(b"", 0o777, "root", "root", "symlink", target)

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def connect(self, address: str, port: int, *, timeout: float = 10.0, source: str = "") -> socket.socket:
        serve = self.servers.get((address, port))
        if serve is None:
            raise ConnectionRefusedError(111, "Connection refused")
        near, far = socket.socketpair()
        near.settimeout(timeout)
        threading.Thread(target=serve, args=(far,), daemon=True).start()
        return near

    def listen(self, address: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        listener = FakeListener()
        listener.settimeout(timeout)
        self.servers[address, port] = listener.waiting.put
        return listener

    def query(self, server: str, name: str, rdtype: str, *, timeout: float = 3.0) -> DnsReply:
        key = (server, name.rstrip(".").lower(), rdtype)
        return self.dns.get(key) or self.dns.get(("*", *key[1:])) or DnsReply("NXDOMAIN")

    def listeners(self) -> tuple[Listener, ...]:
        return self.listening

    def addresses(self) -> tuple[str, ...]:
        return self.own_addresses

    def os_release(self) -> Mapping[str, str]:
        return self.release

    def memory(self) -> int:
        return self.ram

    def free_disk(self, path: str) -> int:
        return self.disk

    def crypt(self, secret: Secret, setting: str) -> str:
        return f"$fake${secret.reveal()}"

    def ssh_session(self) -> SshSession | None:
        return self.session

    def is_root(self) -> bool:
        return self.root

    def now(self) -> datetime:
        return self.clock + timedelta(seconds=self.ticks)

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.ticks += seconds

    def learn(self, secret: Secret) -> Secret:
        self.learnt.append(secret)
        return secret


class FakeListener(socket.socket):
    """A listening socket that nothing outside of the test can reach; `FakeHost.connect` leads to it."""

    def __init__(self) -> None:
        super().__init__(socket.AF_UNIX)
        self.waiting: queue.Queue[socket.socket] = queue.Queue()

    def accept(self) -> tuple[socket.socket, Any]:
        try:
            return self.waiting.get(timeout=self.gettimeout()), ("127.0.0.1", 0)
        except queue.Empty:
            raise TimeoutError("timed out") from None


def with_apt(host: FakeHost, heard: Callable[[], None] = lambda: None) -> None:
    """Give the machine dpkg, which has no package yet, and apt, which installs any; `heard` is called as it does."""
    there: set[str] = set()

    def install(_host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        heard()
        there.update(argv[argv.index("install") + 1 :])
        return Completed(argv, 0)

    def query(_host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        return Completed(argv, 0, "".join(f"{name} ii \n" for name in argv[4:] if name in there))

    host.commands |= {
        ("dpkg-query",): query, ("apt-get",): install, ("dpkg",): "", ("debconf-set-selections",): "",
        ("apt-cache",): "Candidate: 1\nCandidate: 1\n",
    }  # fmt: skip
