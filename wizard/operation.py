"""An operation: one idempotent change that knows its own difference to the machine as it is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.printable import printable

if TYPE_CHECKING:
    from state.image import Image
    from wizard.host import Host

Command = tuple[str, ...]

# How the kernel, apt, dpkg and SQLite each say that there is no room.
DISK_FULL = re.compile(r"no space left|enough free space|disk is full|quota exceeded", re.IGNORECASE)
MAKE_ROOM = "The disk is full. Look with: df -h   and make room, then start it again; what is done stays done."
READ_ONLY = re.compile(r"read-only file ?system|readonly database", re.IGNORECASE)
MAKE_WRITABLE = (
    "Nothing can be written there: a disk that fails is made read-only by the kernel. Look with: findmnt -O ro   and "
    "dmesg   and mend that, then start it again; what is done stays done."
)


def advice(got: object, otherwise: str) -> str:
    """What to do about the failure `got`: the disk's own troubles first, else what its reporter says."""
    if DISK_FULL.search(str(got)):
        return MAKE_ROOM
    return MAKE_WRITABLE if READ_ONLY.search(str(got)) else otherwise


class OperationFailed(Exception):  # noqa: N818 - it says what happened
    """An operation could not do its work.

    Carries what was asked, what came back and what to do, in the words that the operator reads.
    """

    def __init__(self, asked: str, got: str, do: str) -> None:
        self.asked, self.got, self.do = printable(asked), printable(got), advice(got, do)
        super().__init__(f"{self.asked}: {self.got}")


@dataclass(frozen=True)
class Change:
    """What an operation would do now, and how it is taken back.

    Attributes:
        summary: one line, what changes: "install postfix, dovecot-core".
        diff: a unified diff or a short before/after, when there is one to show.
        command: the exact argv that will be run, when it is one command.
        paths: files that this change may write. The engine keeps their bytes, mode and owner before it applies, and
            puts them back on rollback when nobody else has changed them since.
        undo_edit: commands that take the change out of `paths` when the bytes cannot simply be put back, because a
            later step or the operator has changed the same file since.
        undo: commands that rollback always runs, after the files are back.
        by_line: the lines of `paths` stand on their own (shadow(5), authorized_keys): when a file has changed since,
            rollback takes our lines alone out of it again (`wizard.lines.take_back`); everybody else's stay.
        notify: services (names as the platform has them) that read what changed: reloaded or restarted once, at the
            end of the step.
        restart: those of `notify` for which a reload is not enough.
        kept: what rollback deliberately leaves behind ("packages stay installed"), said to the operator.
    """

    summary: str
    diff: str | None = None
    command: Command | None = None
    paths: tuple[str, ...] = ()
    undo_edit: tuple[Command, ...] = ()
    undo: tuple[Command, ...] = ()
    by_line: bool = False
    notify: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    kept: str | None = None


class Operation(ABC):
    """One idempotent change. Subclasses are frozen dataclasses named in the imperative: `WriteFile`."""

    @property
    @abstractmethod
    def id(self) -> str:
        """What tells this operation from every other of the step: "file:/etc/mailname"."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line for the plan, also when nothing changes: "packages postfix, dovecot-core"."""

    @abstractmethod
    def diff(self, host: Host) -> Change | None:
        """Say what would change, by looking only (`host.ask`, `host.read`); None when the machine is as wanted."""

    def leaves(self) -> tuple[Image, ...]:
        """The files that it will leave, as far as they are known to the last byte beforehand.

        By them, what a killed run has written is told from what somebody wrote after it.
        """
        return ()

    @abstractmethod
    def apply(self, host: Host) -> None:
        """Make the change.

        Raises:
            OperationFailed: with what was asked, what came back and what to do.
        """
