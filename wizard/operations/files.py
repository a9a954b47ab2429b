"""Files and folders: written whole, checked by the daemon's own checker, replaced atomically."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from state.image import Image
from wizard.host import Host, HostError
from wizard.operation import Change, Command, Operation, OperationFailed
from wizard.printable import printable
from wizard.render import render

CANDIDATE = "{candidate}"
# Where a candidate stands while the daemon's checker reads it: root's alone, gone at the next boot.
CANDIDATES = "/run/relay-wizard"


def unified(before: bytes | None, after: bytes | None, path: str) -> str:
    """A unified diff of two states of a file; None is "not there". Bytes that are no text are counted, not shown."""
    old, new = (None if data is None else _lines(data) for data in (before, after))
    if old == ["(binary)\n"] or new == ["(binary)\n"]:
        return f"{path}: {len(before or b'')} → {len(after or b'')} bytes"
    names = ("/dev/null" if old is None else path, "/dev/null" if new is None else path)
    return "".join(difflib.unified_diff(old or [], new or [], *names))


def _lines(data: bytes) -> list[str]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ["(binary)\n"]
    return [f"{printable(line)}\n" for line in text.splitlines()]


@dataclass(frozen=True)
class WriteFile(Operation):
    """Put a whole file in place.

    Attributes:
        path: where; a symlink there is left alone and reported.
        content: the whole file.
        mode, owner, group: as the file shall have them.
        check_candidate: a command that judges the new file before it is put in place; "{candidate}" in it is replaced
            by the path of a private copy: ("visudo", "-c", "-f", "{candidate}").
        check_installed: a command that judges the whole configuration with the new file in place; when it fails, the
            old file is put back: ("doveconf", "-n").
        notify, restart: services that read the file; see Change.
        secret: True keeps the content out of the diff.
        by_line: the file's lines stand on their own; see Change.
    """

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    check_candidate: Command = ()
    check_installed: Command = ()
    notify: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    secret: bool = False
    by_line: bool = False

    @property
    def id(self) -> str:
        return f"file:{self.path}"

    @property
    def summary(self) -> str:
        return f"write {self.path}"

    def diff(self, host: Host) -> Change | None:
        found = host.stat(self.path)
        if found is not None and found.kind != "file":
            raise OperationFailed(
                f"write {self.path}",
                f"a {found.kind} is there",
                "Move it away, then apply again; it is left alone.",
            )
        before, after = host.read(self.path), self.content.encode()
        ownership = "" if found is None else f"{found.mode:04o} {found.owner}:{found.group}"
        wanted = f"{self.mode:04o} {self.owner}:{self.group}"
        if before == after and ownership == wanted:
            return None
        text = "(secret content)\n" if self.secret else unified(before, after, self.path)
        if ownership not in {"", wanted}:
            text += f"mode and owner: {ownership} → {wanted}\n"
        return Change(
            summary=f"{'create' if found is None else 'change'} {self.path}",
            diff=text, paths=(self.path,), by_line=self.by_line, notify=self.notify, restart=self.restart,
        )  # fmt: skip

    def leaves(self) -> tuple[Image, ...]:
        return (Image(self.path, "file", self.content.encode(), self.mode, self.owner, self.group),)

    def apply(self, host: Host) -> None:
        if self.check_candidate:
            self._judge_candidate(host)
        before, found = host.read(self.path), host.stat(self.path)
        try:
            host.write(self.path, self.content.encode(), mode=self.mode, owner=self.owner, group=self.group)
        except (HostError, OSError, KeyError) as error:
            raise OperationFailed(f"write {self.path}", str(error), "Mend that, then apply again.") from error
        if not self.check_installed:
            return
        done = host.run(self.check_installed)
        if done.ok:
            return
        if found is None or before is None:
            host.remove(self.path)
        else:
            host.write(self.path, before, mode=found.mode, owner=found.owner, group=found.group)
        raise OperationFailed(
            f"check {self.path} with {' '.join(self.check_installed)}", done.complaint,
            "The old file is back in place. Look for a contradicting setting in the files beside it.",
        )  # fmt: skip

    def _judge_candidate(self, host: Host) -> None:
        host.make_directory(CANDIDATES, mode=0o700)
        candidate = f"{CANDIDATES}/{self.path.strip('/').replace('/', '_')}"
        host.write(candidate, self.content.encode(), mode=0o600)
        try:
            argv = tuple(word.replace(CANDIDATE, candidate) for word in self.check_candidate)
            done = host.run(argv)
        finally:
            host.remove(candidate)
        if not done.ok:
            raise OperationFailed(
                f"check the new {self.path} with {self.check_candidate[0]}", done.complaint,
                "Nothing was changed. Look at the answer that this file is made from.",
            )  # fmt: skip


def write_template(
    step: str,
    path: str,
    *,
    mode: int = 0o644,
    owner: str = "root",
    group: str = "root",
    check_candidate: Command = (),
    check_installed: Command = (),
    notify: tuple[str, ...] = (),
    restart: tuple[str, ...] = (),
    **variables: object,
) -> WriteFile:
    """Write `templates/STEP/PATH.j2`, rendered with `variables`, to PATH."""
    return WriteFile(
        path=path, content=render(f"{step}{path}.j2", **variables), mode=mode, owner=owner, group=group,
        check_candidate=check_candidate, check_installed=check_installed, notify=notify, restart=restart,
    )  # fmt: skip


@dataclass(frozen=True)
class RemoveFile(Operation):
    """Take a file away, keeping its bytes for rollback."""

    path: str
    notify: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"remove:{self.path}"

    @property
    def summary(self) -> str:
        return f"remove {self.path}"

    def diff(self, host: Host) -> Change | None:
        if host.stat(self.path) is None:
            return None
        return Change(
            summary=self.summary, diff=unified(host.read(self.path), None, self.path), paths=(self.path,),
            notify=self.notify, restart=self.restart,
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        host.remove(self.path)


@dataclass(frozen=True)
class MakeDirectory(Operation):
    """Have a folder with this mode and owner."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"

    @property
    def id(self) -> str:
        return f"directory:{self.path}"

    @property
    def summary(self) -> str:
        return f"folder {self.path}"

    def diff(self, host: Host) -> Change | None:
        found = host.stat(self.path)
        wanted = f"{self.mode:04o} {self.owner}:{self.group}"
        if found is None:
            return Change(summary=f"make {self.path}", diff=f"{self.path}: {wanted}\n", paths=(self.path,))
        if found.kind != "directory":
            raise OperationFailed(f"make {self.path}", f"a {found.kind} is there", "Move it away, then apply again.")
        now = f"{found.mode:04o} {found.owner}:{found.group}"
        if now == wanted:
            return None
        return Change(summary=self.summary, diff=f"{self.path}: {now} → {wanted}\n", paths=(self.path,))

    def apply(self, host: Host) -> None:
        try:
            host.make_directory(self.path, mode=self.mode, owner=self.owner, group=self.group)
        except (HostError, OSError, KeyError) as error:
            raise OperationFailed(f"make {self.path}", str(error), "Mend that, then apply again.") from error
