"""The store: private, durable, one run at a time, and honest about what it cannot read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from state.image import Image, fingerprint
from state.rescue import DATABASE
from state.store import Locked, Store, StoreError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_is_roots_alone_from_the_start(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state")
    folder = store.run_folder(1)
    assert (mode(tmp_path / "state"), mode(tmp_path / "state" / DATABASE), mode(folder)) == (0o700, 0o600, 0o700)


def test_looking_leaves_no_trace(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state", create=False)
    assert store.answers() is None
    assert not (tmp_path / "state").exists()


def test_what_was_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    first.save_answers({"schema": 1})
    run = first.add_run({"kind": "apply", "steps": ["a"]}, "t0")
    first.add_event(run, {"event": "x"})
    image = Image("/etc/a", "file", b"\x00old", 0o640, "root", "adm", parents=("/etc/x",))
    change = first.intend(run, "a", "file:/etc/a", {"undo": []}, [(image, fingerprint(image))], "t1")
    first.close()
    second = Store.open(tmp_path)
    assert second.answers() == {"schema": 1}
    assert [event for _, event in second.events(run)] == [{"event": "x"}]
    [done] = second.changes("a")
    assert (done.state, done.snapshots[0].before, done.snapshots[0].after_print) == ("intended", image, None)
    second.settle(change, "done", [(Image("/etc/a", "file", b"new"), "p1")])
    [done] = second.changes()
    assert (done.snapshots[0].after_print, done.snapshots[0].after_content) == ("p1", b"new")
    second.settle(change, "undone")
    assert second.changes("a") == []


def test_the_time_of_verification_stays_when_a_later_look_fails(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.observe("a", "verified", "t1", 0)
    store.observe("a", "failed", "t2", 0)
    seen = store.observations()["a"]
    assert (seen.status, seen.at, seen.verified_at) == ("failed", "t2", "t1")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    one, two = Store.open(tmp_path), Store.open(tmp_path)
    with one.lock():
        assert two.is_locked()
        with pytest.raises(Locked), two.lock():
            pass
    assert not two.is_locked()


def test_all_of_it_is_private_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store.open(tmp_path / "new" / "state")
        store.save_answers({"schema": 1})
        with store.lock(), store.alive(store.add_run({}, "t")):
            store.keep_copy()
            modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "new").rglob("*")}
        store.close()
    finally:
        os.umask(before)
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if not path.is_dir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_in_which_others_may_write_holds_no_state(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(StoreError, match=f"not root's alone.*{mode:04o}.*chmod 0700"):
        Store.open(folder)
