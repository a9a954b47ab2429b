"""Writes that nobody can lead astray: links, foreign folders, masks and races, with real files."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wizard.host import HostError, LocalHost

OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name
# Somebody who is neither root nor the owner of what is written.
STRANGER = 65534
CHANGES: dict[str, Callable[[LocalHost, str], None]] = {
    "write": lambda host, path: host.write(path, b"x", owner=OWNER, group=GROUP),
    "folder": lambda host, path: host.make_directory(path, owner=OWNER, group=GROUP),
    "link": lambda host, path: host.symlink(path, "/etc/passwd"),
    "remove": lambda host, path: host.remove(path),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Callable[[LocalHost, str], None]:
    return CHANGES[request.param]


@pytest.fixture
def no_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, uid: int) -> None:
    """Let a folder belong to somebody else, also where the test cannot give it away."""
    real, inode = os.fstat, folder.stat().st_ino

    def fstat(fd: int) -> os.stat_result:
        found = real(fd)
        return os.stat_result((*found[:4], uid, *found[5:])) if found.st_ino == inode else found

    monkeypatch.setattr(os, "fstat", fstat)


@pytest.mark.parametrize("loose", [0o777, 0o775, 0o757, 0o1777])
def test_a_folder_in_which_others_may_write_is_refused(
    tmp_path: Path, loose: int, change: Callable[[LocalHost, str], None]
) -> None:
    folder = tmp_path / "loose"
    folder.mkdir()
    folder.chmod(loose)
    wanted = f"others may write in the folder {folder} (mode {loose:04o})"
    with pytest.raises(HostError, match=re.escape(wanted)) as refused:
        change(LocalHost(), str(folder / "file"))
    assert f"Run: chmod go-w {folder}" in str(refused.value)
    assert list(folder.iterdir()) == []


def test_a_loose_folder_further_up_is_refused_as_well(tmp_path: Path, change: Callable[[LocalHost, str], None]) -> None:
    inner = tmp_path / "loose" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o777)
    with pytest.raises(HostError, match="others may write"):
        change(LocalHost(), str(inner / "file"))
    # As below /tmp: nobody can rename what is ours there.
    inner.parent.chmod(0o1777)
    change(LocalHost(), str(inner / "file"))


@pytest.mark.parametrize("kind", ["write", "folder", "link"])
def test_somebody_elses_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    (tmp_path / "theirs").mkdir()
    pretend(monkeypatch, tmp_path / "theirs", STRANGER)
    with pytest.raises(HostError, match=f"the folder {tmp_path}/theirs belongs to .*, who could change"):
        CHANGES[kind](LocalHost(), str(tmp_path / "theirs" / "deep" / "file"))


def test_the_folder_of_the_files_own_user_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    pretend(monkeypatch, home, STRANGER)
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    user, group = pwd.getpwuid(STRANGER).pw_name, GROUP
    LocalHost().make_directory(str(home / ".ssh"), mode=0o700, owner=user, group=group)
    LocalHost().write(str(home / ".ssh" / "authorized_keys"), b"key", mode=0o600, owner=user, group=group)
    assert mode(home / ".ssh" / "authorized_keys") == 0o600


def test_a_link_among_the_folders_is_followed_only_when_root_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[LocalHost, str], None]
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    change(LocalHost(), str(tmp_path / "link" / "file"))
    real = os.stat

    def stat_(path: str, **how: Any) -> os.stat_result:
        found: os.stat_result = real(path, **how)
        theirs = stat.S_ISLNK(found.st_mode)
        return os.stat_result((*found[:4], STRANGER, *found[5:])) if theirs else found

    monkeypatch.setattr(os, "stat", stat_)
    with pytest.raises(HostError, match="is a symbolic link to real that root did not make"):
        change(LocalHost(), str(tmp_path / "link" / "other"))
    assert not (tmp_path / "real" / "other").exists()


def test_links_in_a_circle_end(tmp_path: Path, change: Callable[[LocalHost, str], None]) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(HostError, match="symbolic link"):
        change(LocalHost(), str(tmp_path / "one" / "file"))


def test_a_folder_swapped_in_the_middle_leads_nothing_astray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    real = os.replace

    def swapped(*arguments: Any, **how: Any) -> None:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(elsewhere)
        real(*arguments, **how)

    monkeypatch.setattr(os, "replace", swapped)
    LocalHost().write(str(folder / "file"), b"x", owner=OWNER, group=GROUP)
    assert (tmp_path / "moved" / "file").read_bytes() == b"x"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.usefixtures("no_mask")
def test_nothing_is_wider_than_wanted_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    real_open, real_mkdir = os.open, os.mkdir

    def opened(path: str, flags: int, how: int = 0o777, *, dir_fd: int | None = None) -> int:
        fd = real_open(path, flags, how, dir_fd=dir_fd)
        if flags & os.O_CREAT:
            seen.append((path, stat.S_IMODE(os.fstat(fd).st_mode)))
        return fd

    def made(path: str, how: int = 0o777, *, dir_fd: int | None = None) -> None:
        real_mkdir(path, how, dir_fd=dir_fd)
        seen.append((path, stat.S_IMODE(os.stat(path, dir_fd=dir_fd).st_mode)))

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "mkdir", made)
    LocalHost().write(str(tmp_path / "a" / "b" / "secret"), b"x", mode=0o600, owner=OWNER, group=GROUP)
    LocalHost().make_directory(str(tmp_path / "c"), mode=0o755, owner=OWNER, group=GROUP)
    assert seen == [("a", 0o700), ("b", 0o700), (".secret.relay-wizard", 0o600), ("c", 0o700)]
    # The folders that had to be made are as everywhere in /etc, whatever the mask.
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/secret", "c")] == [0o755, 0o755, 0o600, 0o755]


def test_a_narrow_mask_hides_no_folder_from_the_daemons(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        LocalHost().write(str(tmp_path / "new" / "file"), b"x", owner=OWNER, group=GROUP)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "new"), mode(tmp_path / "new" / "file")) == (0o755, 0o644)


def test_what_is_no_file_is_not_read_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    host = LocalHost()
    assert host.read(str(tmp_path / "pipe")) is None
    assert host.read(str(tmp_path)) is None
    assert host.read(str(tmp_path / "link"), follow=False) is None
    assert host.read(str(tmp_path / "link")) == Path("/etc/passwd").read_bytes()
    assert host.read("/proc/sys/kernel/hostname") == Path("/proc/sys/kernel/hostname").read_bytes()


def test_a_file_blown_up_costs_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(HostError, match="larger than 16 MiB"):
        LocalHost().read(str(tmp_path / "huge"))


@pytest.mark.parametrize("path", ["etc/passwd", "/", "/etc/..", "/etc/.", "/etc/"])
def test_what_is_no_path_of_a_file_is_refused(path: str, change: Callable[[LocalHost, str], None]) -> None:
    with pytest.raises(HostError, match="not the full path"):
        change(LocalHost(), path)
