"""A pseudo-terminal with the wizard in it: what an operator's terminal does, and what bad lines do to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.terminal.picture import Picture

CHECKOUT = Path(__file__).resolve().parents[2]
SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78])")
PATIENCE = 15.0
MODES = [termios.ICANON, termios.ECHO, termios.ISIG]


@dataclass
class Terminal:
    """A process in a pseudo-terminal."""

    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (80, 24)
    uid: int | None = None
    raw: bytes = b""
    status: int | None = None
    picture: Picture = field(default_factory=Picture)

    def __enter__(self) -> Terminal:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            self._become()
        self.resize(*self.size)
        self.modes = termios.tcgetattr(self.fd)[3]
        return self

    def _become(self) -> None:
        try:
            os.chdir(CHECKOUT)
            # The size has to be there before the program asks for it.
            time.sleep(0.1)
            if self.uid is not None:
                os.setgid(self.uid)
                os.setuid(self.uid)
            base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
            wanted = {**base, "TERM": "xterm-256color", "LANG": "C.UTF-8", **self.environment}
            os.execvpe(self.argv[0], self.argv, wanted)
        finally:
            os._exit(126)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            os.close(self.fd)

    def resize(self, columns: int, rows: int) -> None:
        self.picture.resize(columns, rows)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def read(self, seconds: float = 0.0) -> bytes:
        """Take in what has come, waiting at most so long for the first byte."""
        taken = self._take(seconds)
        while more := self._take(0.02 if taken else 0.0):
            taken += more
        self.picture.write(taken)
        return taken

    def _take(self, seconds: float) -> bytes:
        """The next piece that comes within so many seconds."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.raw += data
        return data

    def writes(self, text: str, patience: float = PATIENCE) -> None:
        """Wait for a text, not for the pause after it; what comes is not looked at any closer."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self._take(0.05)
            if text in self.text:
                return
        raise AssertionError(f"waited {patience:.0f} s for {text!r}; the terminal got:\n{self.text[-3000:]}")

    @property
    def text(self) -> str:
        """All that was written so far, without escape sequences."""
        return SEQUENCE.sub("", self.raw.decode(errors="replace"))

    def until(self, text: str, since: int = 0, patience: float = PATIENCE) -> int:
        """Wait until a text was written after the first `since` bytes; how many bytes there are then."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self.read(0.05)
            if text in SEQUENCE.sub("", self.raw[since:].decode(errors="replace")):
                return len(self.raw)
        raise AssertionError(f"waited {patience:.0f} s for {text!r}; the terminal got:\n{self.text[-3000:]}")

    def shows(self, text: str, patience: float = PATIENCE) -> str:
        """Wait until a text stands on the screen; the screen."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if text in self.picture.text:
                return self.picture.text
            self.read(0.1)
        raise AssertionError(f"waited {patience:.0f} s for {text!r}; the screen shows:\n{self.picture.text}")

    def quiet(self, seconds: float = 0.4) -> int:
        """Wait until nothing more comes; how many bytes there are then."""
        while self.read(seconds):
            pass
        return len(self.raw)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, each when the screen has come to rest."""
        for key in keys:
            self.send(key)
            # A lone Esc is known as such by the silence after it.
            self.quiet(0.5 if key == "\x1b" else 0.25)

    def wait(self, seconds: float = 5.0) -> int:
        """Wait for the end; the exit status."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
        raise AssertionError(f"still there after {seconds} s; the terminal got:\n{self.text[-2000:]}")

    def hang_up(self) -> None:
        """Close the terminal: what a lost connection does."""
        os.close(self.fd)

    @property
    def restored(self) -> bool:
        """Whether screen, cursor and line modes are as they were before."""
        modes = termios.tcgetattr(self.fd)[3]
        same = all(bool(modes & mode) == bool(self.modes & mode) for mode in MODES)
        screen = self.raw.rfind(b"\x1b[?1049l") > self.raw.rfind(b"\x1b[?1049h")
        cursor = self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l")
        return same and screen and cursor


def demo(folder: Path, lines: int = 0, pause: float = 0.0, **settings: str) -> Terminal:
    """The wizard with the demonstration's checklist."""
    argv = [sys.executable, "-m", "tests.screens.demo", "wizard", str(folder), str(lines), str(pause)]
    return Terminal(argv, settings)


def wizard(*arguments: str, **settings: str) -> Terminal:
    """The real program."""
    return Terminal([sys.executable, "-m", "wizard", *arguments], settings)
