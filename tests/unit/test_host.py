"""Files of the local machine, in a temporary folder: atomic, private from the start, never through a symlink."""

from __future__ import annotations

import grp
import os
import pwd
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from wizard.host import DryRunError, DryRunHost, HostError, LocalHost
from wizard.secret import Secret

OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    host, path = LocalHost(), str(tmp_path / "deep" / "file")
    host.write(path, b"one", mode=0o600, owner=OWNER, group=GROUP)
    host.write(path, b"two", mode=0o640, owner=OWNER, group=GROUP)
    found = host.stat(path)
    assert found is not None
    assert (host.read(path), found.mode, found.kind) == (b"two", 0o640, "file")
    assert host.list(str(tmp_path / "deep")) == ("file",)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, path = LocalHost(), tmp_path / "file"
    host.write(str(path), b"old", owner=OWNER, group=GROUP)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        host.write(str(path), b"new", owner=OWNER, group=GROUP)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_write_left_is_cleared_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, path = LocalHost(), tmp_path / "file"
    with monkeypatch.context() as killed:
        # A process that is killed removes nothing.
        killed.setattr(os, "replace", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        killed.setattr(os, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            host.write(str(path), b"one", owner=OWNER, group=GROUP)
    assert len(list(tmp_path.iterdir())) == 1
    host.write(str(path), b"two", owner=OWNER, group=GROUP)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_symlink_is_never_written_through(tmp_path: Path) -> None:
    host, target, link = LocalHost(), tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    with pytest.raises(HostError, match="symbolic link"):
        host.write(str(link), b"evil", owner=OWNER, group=GROUP)
    with pytest.raises(HostError, match="in the way"):
        host.make_directory(str(link), owner=OWNER, group=GROUP)
    assert target.read_bytes() == b"precious"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    host = LocalHost()
    assert host.read(str(tmp_path / "x" / "y")) is None
    assert host.stat(str(tmp_path / "x" / "y")) is None
    assert host.list(str(tmp_path / "x")) == ()
    host.remove(str(tmp_path / "x"))


def test_links_and_folders(tmp_path: Path) -> None:
    host, folder, link = LocalHost(), str(tmp_path / "folder"), str(tmp_path / "link")
    host.make_directory(folder, mode=0o700, owner=OWNER, group=GROUP)
    host.symlink(link, folder)
    host.symlink(link, "/elsewhere")
    found = host.stat(link)
    assert found is not None
    assert (found.kind, found.target) == ("symlink", "/elsewhere")
    host.remove(link)
    host.remove(folder)
    assert list(tmp_path.iterdir()) == []


def test_while_only_looking_every_change_is_refused(tmp_path: Path) -> None:
    host, path = DryRunHost(), str(tmp_path / "x")
    for change in (
        lambda: host.write(path, b""),
        lambda: host.make_directory(path),
        lambda: host.symlink(path, "/"),
        lambda: host.remove(path),
        lambda: host.run(["true"]),
    ):
        with pytest.raises(DryRunError, match="while only looking"):
            change()
    assert list(tmp_path.iterdir()) == []


def test_hashes_are_made_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[str] = []

    class Crypt:
        """One buffer for all, as libcrypt has."""

        restype: object = None

        def __call__(self, secret: bytes, _setting: bytes) -> bytes:
            inside.append(secret.decode())
            time.sleep(0.002)  # noqa: TID251 - so that another thread has every chance to come in
            return inside[-1].encode()

    monkeypatch.setattr("ctypes.CDLL", lambda _name: SimpleNamespace(crypt=Crypt()))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda word: LocalHost().crypt(Secret(word), "$6$"), map(str, range(40))))
    assert made == [str(number) for number in range(40)]
