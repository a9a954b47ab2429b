"""The only door to the machine and to the network.

Everything that reads or changes the world goes through a `Host`, so that the rest of the program is pure and can be
tried on a fake. `ask` looks, `run` changes: a plan is computed on a `DryRunHost`, on which every change is refused.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import resource
import signal
import socket
import stat as stat_module
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wizard.folders import FolderError, opened
from wizard.secret import Redactor, Secret, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psutil

# Every child sees this and nothing of ours but PATH and HOME: output that can be parsed, no questions, no colours.
CHILD_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_MODE": "a",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
}
# More output than this of one command is not kept in memory; the run's log file has all of it.
OUTPUT_LIMIT = 1 << 20
# Seconds between two looks at what a running command has said, and bytes taken at once.
COPY_PAUSE, COPY_PIECE = 0.2, 1 << 16
# No file that the program reads comes near; one that somebody has blown up costs no memory.
FILE_LIMIT = 16 << 20
# What `status` is when the program does not exist, as in sh(1), and when it was stopped for taking too long, as in
# timeout(1).
NOT_FOUND = 127
TIMED_OUT = 124
# The library of crypt(3), as Debian and as Red Hat have it.
LIBCRYPT = ("libcrypt.so.1", "libcrypt.so.2")
_CRYPT = threading.Lock()


class HostError(Exception):
    """The machine or the network did not do what was asked; the text says what was asked and what came back."""


class DryRunError(HostError):
    """A change was attempted while only looking was allowed: a mistake in an operation."""


@dataclass(frozen=True)
class Completed:
    """A command that has ended. `out` and `err` are text, cut at OUTPUT_LIMIT; `run` puts both into `out`."""

    argv: tuple[str, ...]
    status: int
    out: str = ""
    err: str = ""

    @property
    def ok(self) -> bool:
        """True for exit status 0."""
        return self.status == 0

    @property
    def text(self) -> str:
        """Standard output without the spaces around it."""
        return self.out.strip()

    @property
    def complaint(self) -> str:
        """The last lines of what the command said, for an error message."""
        lines = [line for line in f"{self.out}\n{self.err}".splitlines() if line.strip()]
        return " / ".join(lines[-4:]) or f"exit status {self.status}, without a word"


@dataclass(frozen=True)
class FileStat:
    """What a path is, without following a symlink. `mode` has the permission bits alone."""

    kind: Literal["file", "directory", "symlink", "socket", "other"]
    mode: int
    owner: str
    group: str
    size: int
    mtime: float
    target: str = ""


@dataclass(frozen=True)
class Listener:
    """A TCP socket that waits for connections, and the program that holds it ('' when it cannot be seen)."""

    address: str
    port: int
    program: str


@dataclass(frozen=True)
class SshSession:
    """An SSH session that is going on. What is not known of it is empty, or 0.

    Attributes:
        client: where it comes from, address and port.
        server: where it came in, address and port.
        user: who logged in.
    """

    client: str
    client_port: int
    server: str
    server_port: int
    user: str


@dataclass(frozen=True)
class DnsRecord:
    """One record of an answer. `text` is the presentation form; for TXT the strings joined, unquoted."""

    name: str
    type: str
    ttl: int
    text: str


@dataclass(frozen=True)
class DnsReply:
    """What one name server answered to one question.

    Attributes:
        rcode: "NOERROR", "NXDOMAIN", "SERVFAIL" …; "TIMEOUT" or "UNREACHABLE" when no answer came.
        records: the answer section, names lower-case with the final dot.
        authority: the authority section (SOA for the negative TTL, NS of a delegation).
        authoritative: the AA bit.
        authenticated: the AD bit: the resolver validated DNSSEC.
    """

    rcode: str
    records: tuple[DnsRecord, ...] = ()
    authority: tuple[DnsRecord, ...] = ()
    authoritative: bool = False
    authenticated: bool = False

    @property
    def answered(self) -> bool:
        """True when a server spoke about the name at all, be it to say that it does not exist."""
        return self.rcode in {"NOERROR", "NXDOMAIN"}

    def texts(self, rdtype: str) -> tuple[str, ...]:
        """The values of the answer records of one type."""
        return tuple(record.text for record in self.records if record.type == rdtype)


class Host(ABC):
    """What steps, operations, facts and checks may ask of a machine. Paths are absolute text, bytes are bytes."""

    @abstractmethod
    def ask(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        """Run a command that only looks. A missing program is status 127, one that takes too long status 124."""

    @abstractmethod
    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command that may change the machine; its output goes to the log of the run as well."""

    @abstractmethod
    def read(self, path: str, *, follow: bool = True) -> bytes | None:
        """The bytes of a regular file, None when there is none.

        Args:
            path: the file.
            follow: False takes a symlink for no file: for what stands in a folder that is not root's alone.

        Raises:
            HostError: when it is larger than FILE_LIMIT.
        """

    @abstractmethod
    def stat(self, path: str) -> FileStat | None:
        """What the path itself is (lstat), None when it is not there."""

    @abstractmethod
    def list(self, path: str) -> tuple[str, ...]:
        """The names in a directory, sorted; empty when there is no such directory."""

    @abstractmethod
    def write(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        """Replace or create a file atomically, created with its final mode; never through a symlink."""

    @abstractmethod
    def make_directory(self, path: str, *, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        """Create a directory with its parents, or set mode and owner of the one that is there."""

    @abstractmethod
    def symlink(self, path: str, target: str) -> None:
        """Make `path` a symlink to `target`, in place of a file or symlink there."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, a symlink or an empty directory; nothing happens when it is not there."""

    @abstractmethod
    def connect(self, address: str, port: int, *, timeout: float = 10.0, source: str = "") -> socket.socket:
        """Open a TCP connection to an IP address or name. Raises OSError as the socket module does."""

    @abstractmethod
    def listen(self, address: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        """Wait for TCP connections on a loopback address; each `accept` waits `timeout` seconds. Raises OSError."""

    @abstractmethod
    def query(self, server: str, name: str, rdtype: str, *, timeout: float = 3.0) -> DnsReply:
        """Ask one name server (IP address) one question, by UDP and by TCP when the answer was cut. Never raises."""

    @abstractmethod
    def listeners(self) -> tuple[Listener, ...]:
        """All listening TCP sockets."""

    @abstractmethod
    def addresses(self) -> tuple[str, ...]:
        """All IP addresses of the machine's own interfaces."""

    @abstractmethod
    def os_release(self) -> Mapping[str, str]:
        """The fields of os-release(5), keys in lower case: "id", "id_like", "version_id", "pretty_name"."""

    @abstractmethod
    def memory(self) -> int:
        """Bytes of main memory."""

    @abstractmethod
    def free_disk(self, path: str) -> int:
        """Bytes free for root on the file system of `path`."""

    @abstractmethod
    def crypt(self, secret: Secret, setting: str) -> str:
        """Hash `secret` as libcrypt does under `setting`, a whole stored hash, say; '' when it cannot."""

    @abstractmethod
    def ssh_session(self) -> SshSession | None:
        """The SSH session that the operator sits at, as far as it is known; None at the console."""

    @abstractmethod
    def is_root(self) -> bool:
        """True when the program may change the machine."""

    @abstractmethod
    def now(self) -> datetime:
        """The time, aware, in UTC."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds of a clock that never jumps."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Wait."""

    def learn(self, secret: Secret) -> Secret:
        """Remember a secret so that it is hidden in all that is recorded; hands it back."""
        return secret

    def own_use(self) -> dict[str, float]:
        """What this process itself has used: seconds of computing, not of its children, and peak memory in MiB."""
        return {}


class LocalHost(Host):
    """The machine that the program runs on.

    Args:
        log: the file (created 0600) that gets the output of everything `run`; None drops it after the command.
        redactor: hides secrets in the log and in command output.
    """

    def __init__(self, log: Path | None = None, redactor: Redactor | None = None) -> None:
        self.log = log
        self.redactor = redactor or Redactor()

    def ask(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = _execute(argv, stdin, timeout, CHILD_ENVIRONMENT, out.fileno(), err.fileno())
            return Completed(tuple(argv), status, self._text(out.fileno(), 0), self._text(err.fileno(), 0))

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        # A file, not a pipe: a child that writes to a pipe dies with its reader, and a package manager must not. Nobody
        # else can open it: what others may read is the log, into which everything is copied without secrets.
        folder = self.log.parent if self.log else None
        with tempfile.TemporaryFile(dir=folder) as output, self._logged(argv, output.fileno()):
            fd = output.fileno()
            status = _execute(argv, stdin, timeout, CHILD_ENVIRONMENT | dict(environment or {}), fd, fd)
            return Completed(tuple(argv), status, self._text(fd, 0))

    @contextlib.contextmanager
    def _logged(self, argv: Sequence[str], output: int) -> Iterator[None]:
        """Copy what comes into the file `output` to the log, while a command runs."""
        if self.log is None:
            yield
            return
        ended = threading.Event()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(log, self.redactor.clean(f"\n$ {' '.join(argv)}\n").encode())
        copier = threading.Thread(target=_copy, args=(output, log, self.redactor.stream(), ended))
        copier.start()
        try:
            yield
        finally:
            ended.set()
            copier.join()
            os.close(log)

    def _text(self, fd: int, start: int) -> str:
        """What was written to `fd` from `start` on: all of it, or its end."""
        size = os.fstat(fd).st_size - start
        data = os.pread(fd, min(size, OUTPUT_LIMIT), start + max(0, size - OUTPUT_LIMIT))
        return self.redactor.clean(data.decode(errors="replace"))

    def read(self, path: str, *, follow: bool = True) -> bytes | None:
        # Without O_NONBLOCK a pipe that somebody made there would be waited for without end.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        try:
            fd = os.open(path, flags)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
                return None
            raise
        try:
            if not stat_module.S_ISREG(os.fstat(fd).st_mode):
                return None
            data = bytearray()
            # In small pieces: files below /proc/sys refuse to be asked for megabytes.
            while part := os.read(fd, 1 << 16):
                data += part
                if len(data) > FILE_LIMIT:
                    raise HostError(f"{path} is larger than {FILE_LIMIT >> 20} MiB: it is not what it should be")
            return bytes(data)
        finally:
            os.close(fd)

    def stat(self, path: str) -> FileStat | None:
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        kind = _kind(found.st_mode)
        return FileStat(
            kind=kind,
            mode=stat_module.S_IMODE(found.st_mode),
            owner=_user_name(found.st_uid),
            group=_group_name(found.st_gid),
            size=found.st_size,
            mtime=found.st_mtime,
            target=str(Path(path).readlink()) if kind == "symlink" else "",
        )

    def list(self, path: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(entry.name for entry in Path(path).iterdir()))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def write(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        with _folder_of(path, uid, make=True) as (folder, name):
            _refuse_link(folder, name, path)
            # Always the same name, so that the next write clears away what a killed one left.
            temporary = f".{name}.relay-wizard"
            _unlink(folder, temporary)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                    # Owner first: chown clears set-id bits, and the file is 0600 until both are right.
                    os.fchown(fd, uid, gid)
                    os.fchmod(fd, mode)
                    _copy_label(folder, name, fd)
                    file.flush()
                    os.fsync(fd)
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                _unlink(folder, temporary)
                raise
            os.fsync(folder)

    def make_directory(self, path: str, *, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        with _folder_of(path, uid, make=True) as (folder, name):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
            try:
                fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except OSError as error:
                if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                    raise
                raise HostError(f"{path} is in the way: a directory was wanted there") from None
            try:
                os.fchown(fd, uid, gid)
                os.fchmod(fd, mode)
            finally:
                os.close(fd)
            os.fsync(folder)

    def symlink(self, path: str, target: str) -> None:
        with _folder_of(path, os.geteuid()) as (folder, name):
            temporary = f".{name}.relay-wizard"
            _unlink(folder, temporary)
            os.symlink(target, temporary, dir_fd=folder)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def remove(self, path: str) -> None:
        try:
            with _folder_of(path, None) as (folder, name):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat_module.S_ISDIR(found.st_mode):
                    os.rmdir(name, dir_fd=folder)
                else:
                    os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError):
            return

    def connect(self, address: str, port: int, *, timeout: float = 10.0, source: str = "") -> socket.socket:
        origin = (source, 0) if source else None
        return socket.create_connection((address, port), timeout=timeout, source_address=origin)

    def listen(self, address: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        listener = socket.create_server((address, port))
        listener.settimeout(timeout)
        return listener

    def query(self, server: str, name: str, rdtype: str, *, timeout: float = 3.0) -> DnsReply:
        from wizard import resolver  # dnspython is loaded by the first question, not by `steps`

        return resolver.query(server, name, rdtype, timeout)

    def listeners(self) -> tuple[Listener, ...]:
        import psutil

        found = set()
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            program = ""
            with contextlib.suppress(psutil.Error, TypeError):
                program = _holder(psutil.Process(connection.pid), connection.laddr).name() if connection.pid else ""
            found.add(Listener(connection.laddr.ip, connection.laddr.port, program))
        return tuple(sorted(found, key=lambda entry: (entry.port, entry.address)))

    def addresses(self) -> tuple[str, ...]:
        import psutil

        entries = [entry for group in psutil.net_if_addrs().values() for entry in group]
        families = (socket.AF_INET, socket.AF_INET6)
        return tuple(sorted(entry.address.split("%")[0] for entry in entries if entry.family in families))

    def os_release(self) -> Mapping[str, str]:
        import distro

        return distro.os_release_info()

    def memory(self) -> int:
        import psutil

        return int(psutil.virtual_memory().total)

    def free_disk(self, path: str) -> int:
        import psutil

        return int(psutil.disk_usage(path).free)

    def crypt(self, secret: Secret, setting: str) -> str:
        # libcrypt itself, in this process: no child ever sees the password (Python's crypt module is gone in 3.13).
        import ctypes

        library = None
        for name in LIBCRYPT:
            with contextlib.suppress(OSError):
                library = library or ctypes.CDLL(name)
        if library is None:
            return ""
        function = library.crypt
        function.restype = ctypes.c_char_p
        # It works in one buffer for all threads (crypt(3), ATTRIBUTES); checks run beside each other.
        with _CRYPT:
            made = function(secret.reveal().encode(), setting.encode())
            return "" if made is None or made.startswith(b"*") else bytes(made).decode()

    def ssh_session(self) -> SshSession | None:
        return _session_above() or self._session_of_scope() or _session_elsewhere()

    def _session_of_scope(self) -> SshSession | None:
        """What logind knows: tmux and screen leave the processes above them, but not the scope of the login."""
        scope = re.search(r"/session-([^/]+)\.scope", (self.read("/proc/self/cgroup") or b"").decode(errors="replace"))
        if scope is None:
            return None
        wanted = [word for name in ("Remote", "RemoteHost", "Name") for word in ("-p", name)]
        told = self.ask(["loginctl", "show-session", scope[1], *wanted]).out
        known = dict(line.partition("=")[::2] for line in told.splitlines())
        if known.get("Remote") != "yes":
            return None
        from wizard.fact import is_address

        client = known.get("RemoteHost", "").split("%")[0]
        return SshSession(client if is_address(client) else "", 0, "", 0, known.get("Name", ""))

    def is_root(self) -> bool:
        return os.geteuid() == 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def learn(self, secret: Secret) -> Secret:
        return self.redactor.learn(secret)

    def own_use(self) -> dict[str, float]:
        return {
            "own_seconds": time.process_time(),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def _session_above() -> SshSession | None:
    """The session whose SSH_CONNECTION a process above us has: sudo takes it away, but from its own children alone."""
    import psutil

    found = None
    for process in (psutil.Process(), *psutil.Process().parents()):
        with contextlib.suppress(psutil.Error, ValueError):
            client, port, server, server_port = process.environ().get("SSH_CONNECTION", "").split()
            found = SshSession(
                client.split("%")[0], int(port), server.split("%")[0], int(server_port), process.username()
            )
    return found


def _session_elsewhere() -> SshSession | None:
    """An unknown session, when the terminal is none of the machine's own and somebody is connected to sshd.

    Who that is cannot be told: it may as well be a robot that tries passwords.
    """
    import psutil

    if not (psutil.Process().terminal() or "").startswith("/dev/pts/"):
        return None
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_ESTABLISHED and connection.pid:
            with contextlib.suppress(psutil.Error):
                # From OpenSSH 9.8 on it is called sshd-session.
                if psutil.Process(connection.pid).name().startswith("sshd"):
                    return SshSession("", 0, "", 0, "")
    return None


class DryRunHost(LocalHost):
    """The local machine with every change refused: plans and checks are computed on it."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        raise DryRunError(f"refused to run {' '.join(argv)} while only looking")

    def write(self, path: str, data: bytes, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        raise DryRunError(f"refused to write {path} while only looking")

    def make_directory(
        self,
        path: str,
        *,
        mode: int = 0o755,
        owner: str = "root",
        group: str = "root",
    ) -> None:
        raise DryRunError(f"refused to make {path} while only looking")

    def symlink(self, path: str, target: str) -> None:
        raise DryRunError(f"refused to link {path} while only looking")

    def remove(self, path: str) -> None:
        raise DryRunError(f"refused to remove {path} while only looking")


def _copy(output: int, log: int, stream: Stream, ended: threading.Event) -> None:
    """Copy one file to the end of another while it grows, without secrets; a last time when `ended`."""
    at, last = 0, False
    # A disk that is full ends the log, never the command.
    with contextlib.suppress(OSError):
        while not last:
            last = ended.wait(COPY_PAUSE)
            while data := os.pread(output, COPY_PIECE, at):
                at += len(data)
                _write_all(log, stream.feed(data))
        _write_all(log, stream.end())


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _execute(
    argv: Sequence[str], stdin: bytes, timeout: float, environment: Mapping[str, str], out: int, err: int
) -> int:
    """Run to the end in a session of its own; TERM, then KILL, to the whole group when the time is over."""
    # In memory: a password on its way to a command touches no disk.
    with os.fdopen(os.memfd_create("stdin"), "w+b") as given:
        given.write(stdin)
        given.seek(0)
        try:
            # Our own mask keeps all that we create private; what a package installs has to be readable as ever.
            child = subprocess.Popen(
                list(argv), stdin=given, stdout=out, stderr=err, env=dict(environment), cwd="/",
                start_new_session=True, umask=0o022,
            )  # fmt: skip
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            os.write(err, f"{argv[0]}: {error.strerror}\n".encode())
            return NOT_FOUND
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
                break
        os.write(err, f"{argv[0]}: stopped after {timeout:.0f} seconds\n".encode())
        return TIMED_OUT


def _kind(mode: int) -> Literal["file", "directory", "symlink", "socket", "other"]:
    if stat_module.S_ISREG(mode):
        return "file"
    if stat_module.S_ISDIR(mode):
        return "directory"
    if stat_module.S_ISLNK(mode):
        return "symlink"
    return "socket" if stat_module.S_ISSOCK(mode) else "other"


def _holder(process: psutil.Process, address: tuple[str, int]) -> psutil.Process:
    """Who opened a listening socket, rather than one of the children that it was handed on to (master, not smtpd)."""
    while (parent := process.parent()) is not None and parent.pid > 1:
        if address not in [entry.laddr for entry in parent.net_connections("tcp") if entry.status == "LISTEN"]:
            break
        process = parent
    return process


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


@contextlib.contextmanager
def _folder_of(path: str, owner: int | None, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The open folder of `path` and the name in it; see `wizard/folders.py`."""
    try:
        with opened(path, owner=owner, make=make) as found:
            yield found
    except FolderError as error:
        raise HostError(str(error)) from error


def _refuse_link(folder: int, name: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat_module.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            target = os.readlink(name, dir_fd=folder)
            raise HostError(f"{path} is a symbolic link to {target}; it is left alone")


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _copy_label(folder: int, name: str, fd: int) -> None:
    """Give the open file the SELinux label of the file that it replaces; a no-op where there is none."""
    with contextlib.suppress(OSError):
        old = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.setxattr(fd, "security.selinux", os.getxattr(old, "security.selinux"))
        finally:
            os.close(old)
