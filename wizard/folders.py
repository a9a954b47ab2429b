"""Folders opened step by step from the root, so that nobody can lead a write astray.

A path is only a promise: whoever may write in a folder on the way can put a symbolic link in its place between the
look and the write. So each folder is opened in the one before it, judged by what was opened, and the work is done in
the open folder (openat(2)), wherever its path leads by then.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# As many as the kernel follows, see path_resolution(7).
MOST_LINKS = 40
PARENT_MODE = 0o755


class FolderError(Exception):
    """A folder on the way to a file is not root's alone; the text says which, and what to do."""


@contextmanager
def opened(path: str, *, owner: int | None = None, make: bool = False) -> Iterator[tuple[int, str]]:
    """The open folder that `path` stands in, and the name of `path` in there.

    Args:
        path: absolute.
        owner: the user to whom the folders may belong besides root and ourselves; None allows any one user, for a
            removal: in a folder of their own they could do it themselves.
        make: make the folders that are not there, root's and 0755 whatever the umask.

    Raises:
        FolderError: when somebody else could change what is done in one of the folders: it belongs to them, or its
            mode lets them write (a folder *on the way* may be sticky, as /tmp is).
        FileNotFoundError: when a folder is not there and is not to be made.
        OSError: when one cannot be opened.
    """
    folder, _, name = path.rpartition("/")
    if not path.startswith("/") or name in {"", ".", ".."}:
        raise FolderError(f"{path} is not the full path of a file")
    fd = _walk(folder, {0, os.geteuid()}, owner, make=make)
    try:
        yield fd, name
    finally:
        os.close(fd)


def _walk(folder: str, trusted: set[int], owner: int | None, *, make: bool) -> int:
    fd, shown, links = os.open("/", OPEN), "/", 0
    names = deque(folder.split("/"))
    try:
        while names:
            name = names.popleft()
            if name in {"", "."}:
                continue
            _judge(fd, shown, trusted, owner, last=False)
            found = _found(fd, name, make=make)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                shown, target = _target(fd, shown, name, trusted=found.st_uid in trusted and links <= MOST_LINKS)
                names.extendleft(reversed(target.split("/")))
                inner = os.open("/" if target.startswith("/") else ".", OPEN, dir_fd=fd)
            else:
                inner = os.open(name, OPEN, dir_fd=fd)
                shown = os.path.normpath(f"{shown}/{name}").replace("//", "/")
            fd, outer = inner, fd
            os.close(outer)
        _judge(fd, shown, trusted, owner, last=True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _found(fd: int, name: str, *, make: bool) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        if not make:
            raise
    os.mkdir(name, 0o700, dir_fd=fd)
    made = os.open(name, OPEN, dir_fd=fd)
    try:
        os.fchmod(made, PARENT_MODE)
        return os.fstat(made)
    finally:
        os.close(made)


def _target(fd: int, shown: str, name: str, *, trusted: bool) -> tuple[str, str]:
    """Where a symbolic link among the folders leads: the folder that its target is counted from, and the target."""
    target = os.readlink(name, dir_fd=fd)
    if not trusted:
        raise FolderError(
            f"{shown.rstrip('/')}/{name} is a symbolic link to {target} that root did not make; nothing is written "
            "through it. Put a real folder there."
        )
    return ("/" if target.startswith("/") else shown), target


def _judge(fd: int, shown: str, trusted: set[int], owner: int | None, *, last: bool) -> None:
    found = os.fstat(fd)
    mode = stat.S_IMODE(found.st_mode)
    if owner is not None and found.st_uid not in trusted | {owner}:
        raise FolderError(
            f"the folder {shown} belongs to {_user(found.st_uid)}, who could change what is written below it. "
            f"Give it to {_user(owner)}, or to root: chown root {shown}"
        )
    # In a sticky folder nobody can take away or rename what belongs to somebody else; each has just been judged.
    if mode & 0o022 and (last or not mode & stat.S_ISVTX):
        raise FolderError(
            f"others may write in the folder {shown} (mode {mode:04o}), and could change what is written below it. "
            f"Run: chmod go-w {shown}"
        )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"
