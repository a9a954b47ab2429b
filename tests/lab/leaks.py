"""Secrets where they must not be: in processes while something runs, and in what is left on the machine afterwards."""

from __future__ import annotations

import base64
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .lab import PROGRAM, SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from .machine import Machine

# Often enough for a command that lives for a twentieth of a second; the shorter ones stand in the log of the run.
PAUSE = 0.03
# Folders of the machine that live in memory, beside its layer on the disk.
IN_MEMORY = ("run", "tmp", "dev/shm")
LARGEST = 64 << 20


def forms(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """How a secret may look: as it is, and in base64, as AUTH sends it, wherever it begins."""
    found = []
    for secret in secrets:
        found.append(secret.encode())
        for before in range(3):
            # The first and last characters depend on what stands beside it.
            encoded = base64.b64encode(b"\0" * before + secret.encode()).rstrip(b"=")
            found.append(encoded[2 * (before > 0) + (before > 1) : -1])
    return tuple(found)


@dataclass
class Watch:
    """Looks at the words and the environment of every process of a machine, as long as it stands in a `with`."""

    machine: Machine
    secrets: tuple[str, ...] = tuple(secret.strip() for secret in SECRETS.values())
    seen: set[str] = field(default_factory=set)
    looks: int = 0

    def __enter__(self) -> Self:
        leader = self.machine.leader()
        assert leader is not None, f"{self.machine.name} is not running"
        self._space = Path(f"/proc/{leader}/ns/pid").readlink()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        wanted = forms(self.secrets)
        while not self._over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                # A process may be gone before it is read.
                with suppress(OSError):
                    if (process / "ns/pid").readlink() != self._space:
                        continue
                    words = (process / "cmdline").read_bytes()
                    if any(form in words or form in (process / "environ").read_bytes() for form in wanted):
                        self.seen.add(words.replace(b"\0", b" ").decode(errors="replace"))
            self.looks += 1
            time.sleep(PAUSE)

    def left(self) -> list[str]:
        """Where a secret stands on the machine now, besides the files that the operator wrote it into."""
        wanted = forms(self.secrets)
        found = [
            f"/{path.relative_to(base)}"
            for base in self._bases()
            for path in _files(base)
            if not _may(f"/{path.relative_to(base)}") and _holds(path, wanted)
        ]
        # Journals keep long fields compressed, so they are read by their own reader.
        journal = self.machine.run("journalctl", "--no-pager", "-o", "export").out.encode()
        return [*found, *(["the journal"] if any(form in journal for form in wanted) else [])]

    def _bases(self) -> Iterator[Path]:
        yield self.machine.folder / "upper"
        # Not a path of this machine: what is mounted there is seen through the process that sees it.
        yield Path(f"/proc/{self.machine.leader()}/root")


def _may(path: str) -> bool:
    """True for the files that the operator wrote it into, and for these tests, which know it."""
    return path in SECRETS or path.startswith(f"{PROGRAM}/tests/")


def _files(base: Path) -> Iterator[Path]:
    parts = IN_MEMORY if base.name == "root" else ("",)
    for part in parts:
        for folder, _, names in os.walk(base / part):
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
                    yield path


def _holds(path: Path, wanted: tuple[bytes, ...]) -> bool:
    with suppress(OSError):
        data = path.read_bytes()
        return any(form in data for form in wanted)
    return False
