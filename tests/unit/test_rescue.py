"""A store that is damaged, newer or gone: kept aside, said so, and everything that can be had of it taken over."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from state.image import Image, fingerprint
from state.migrations import MIGRATIONS
from state.rescue import COPY, DATABASE, MIRROR
from state.store import Store, StoreError, _sound

ANSWERS = {"schema": 1, "relay": {"domain": "brightmail.example"}}
PAGE = 4096


def image(number: int, content: bytes = b"") -> Image:
    return Image(f"/etc/{number}", "file", content or f"as it was, {number}\n".encode() * 300, 0o640, "root", "adm")


def fill(folder: Path, changes: int = 10, *, copy: bool = True) -> None:
    """A store after a run; with `copy` the run has ended well."""
    store = Store.open(folder)
    store.save_answers(ANSWERS)
    run = store.add_run({"kind": "apply", "steps": [], "wait": 0}, "t0")
    for number in range(changes):
        store.add_event(run, {"event": "x", "words": "y" * 900})
        before, after = image(number), image(number, b"ours")
        record = {"summary": f"change {number}", "undo": []}
        change = store.intend(run, "ssh", f"file:{before.path}", record, [(before, fingerprint(before))], "t1")
        store.settle(change, "done", [(after, fingerprint(after))])
    store.observe("ssh", "verified", "t2", 0)
    if copy:
        store.keep_copy()
    store.close()
    # Whoever opens it next is another process.
    _sound.clear()


def damage(folder: Path, at: int, data: bytes) -> bytes:
    path = folder / DATABASE
    whole = bytearray(path.read_bytes())
    whole[at : at + len(data)] = data
    path.write_bytes(whole)
    return bytes(whole)


def images(store: Store) -> dict[str, bytes]:
    return {entry.before.path: entry.before.content for done in store.changes() for entry in done.snapshots}


WHOLE = {image(number).path: image(number).content for number in range(10)}


def test_a_broken_first_page_loses_nothing_and_the_broken_file_is_kept(tmp_path: Path) -> None:
    fill(tmp_path)
    broken = damage(tmp_path, 0, b"\xa5" * PAGE)
    store = Store.open(tmp_path)
    [aside] = tmp_path.glob(f"{DATABASE}.damaged-*")
    assert aside.read_bytes() == broken
    assert aside.name in store.notice
    assert "the answers, 10 changes and 10 images" in store.notice
    assert (store.answers(), images(store)) == (ANSWERS, WHOLE)
    assert store.observations()["ssh"].status == "verified"
    store.close()
    again = Store.open(tmp_path)
    assert (again.notice, images(again)) == ("", WHOLE), "it is said once"
    assert stat.S_IMODE((tmp_path / DATABASE).stat().st_mode) == 0o600


def test_behind_a_broken_first_page_everything_is_found_without_any_copy(tmp_path: Path) -> None:
    fill(tmp_path, copy=False)
    damage(tmp_path, 0, bytes(PAGE))
    assert images(Store.open(tmp_path)) == WHOLE


@pytest.mark.parametrize("page", range(1, 30))
def test_one_broken_page_costs_no_more_than_what_was_on_it(page: int, tmp_path: Path) -> None:
    fill(tmp_path, copy=False)
    # What the page broke, as SQLite itself sees it: images whose row can be asked for alone.
    damage(tmp_path, page * PAGE, b"\x55" * PAGE)
    connection = sqlite3.connect(tmp_path / DATABASE)
    readable = {}
    for number in range(1, 11):
        try:
            row = connection.execute(
                "SELECT path, content, before_print FROM snapshots WHERE rowid = ?", (number,)
            ).fetchone()
        except sqlite3.Error:
            continue
        if row and row[2] == fingerprint(image(number - 1)) and WHOLE.get(row[0]) == row[1]:
            readable[row[0]] = row[1]
    connection.close()
    store = Store.open(tmp_path)
    assert readable.items() <= images(store).items()
    assert store.answers() == ANSWERS


def test_an_image_whose_bytes_have_changed_comes_back_from_the_copy(tmp_path: Path) -> None:
    fill(tmp_path)
    at = (tmp_path / DATABASE).read_bytes().index(b"as it was, 7\n")
    damage(tmp_path, at, b"AS")
    store = Store.open(tmp_path)
    assert "content in a row of snapshots" in store.notice
    assert images(store) == WHOLE


def test_a_change_that_lost_its_words_keeps_its_images(tmp_path: Path) -> None:
    fill(tmp_path, copy=False)
    at = (tmp_path / DATABASE).read_bytes().index(b'{"summary": "change 3"')
    damage(tmp_path, at, b"\xff")
    store = Store.open(tmp_path)
    assert "record in a row of changes" in store.notice
    assert images(store) == WHOLE
    assert [done.record for done in store.changes()].count({}) == 1


@pytest.mark.parametrize("left", [b"", None])
def test_a_store_that_is_gone_is_made_again_from_its_copy(left: bytes | None, tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / DATABASE).unlink()
    if left is not None:
        (tmp_path / DATABASE).write_bytes(left)
    store = Store.open(tmp_path)
    assert "is gone" in store.notice
    assert (store.answers(), images(store)) == (ANSWERS, WHOLE)


def test_the_answers_outlive_the_whole_database(tmp_path: Path) -> None:
    fill(tmp_path, copy=False)
    assert stat.S_IMODE((tmp_path / MIRROR).stat().st_mode) == 0o600
    (tmp_path / DATABASE).write_bytes(b"no database at all " * 500)
    store = Store.open(tmp_path)
    assert "the answers, but no image" in store.notice
    assert (store.answers(), store.changes()) == (ANSWERS, [])


def test_looking_leaves_a_damaged_store_as_it_is(tmp_path: Path) -> None:
    fill(tmp_path)
    broken = damage(tmp_path, 0, bytes(PAGE))
    there = sorted(tmp_path.iterdir())
    store = Store.open(tmp_path, create=False)
    assert "leaves it as it is" in store.notice
    assert (store.answers(), images(store), store.folder) == (ANSWERS, WHOLE, None)
    assert sorted(tmp_path.iterdir()) == there
    assert (tmp_path / DATABASE).read_bytes() == broken


def newer(folder: Path) -> None:
    """What a later relay-wizard may have made of it."""
    connection = sqlite3.connect(folder / DATABASE)
    connection.executescript(
        "ALTER TABLE changes ADD COLUMN why TEXT; CREATE TABLE moons (name TEXT); INSERT INTO moons VALUES ('Io');"
        f"PRAGMA user_version = {len(MIGRATIONS) + 5}"
    )
    connection.close()


def test_a_newer_store_is_kept_aside_whole_and_what_we_know_of_it_goes_on(tmp_path: Path) -> None:
    fill(tmp_path)
    newer(tmp_path)
    whole = (tmp_path / DATABASE).read_bytes()
    store = Store.open(tmp_path)
    [aside] = tmp_path.glob(f"{DATABASE}.newer-*")
    assert aside.read_bytes() == whole
    assert "newer relay-wizard" in store.notice
    assert (store.answers(), images(store)) == (ANSWERS, WHOLE)


def test_a_damaged_store_is_not_put_right_below_a_run(tmp_path: Path) -> None:
    fill(tmp_path)
    running = Store.open(tmp_path)
    with running.lock():
        broken = damage(tmp_path, 0, bytes(PAGE))
        with pytest.raises(StoreError, match="when it has ended"):
            Store.open(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == broken


def test_a_damaged_store_is_not_put_right_below_a_run_that_waits(tmp_path: Path) -> None:
    fill(tmp_path)
    with Store.open(tmp_path).alive(1):
        damage(tmp_path, 0, bytes(PAGE))
        with pytest.raises(StoreError, match="when it has ended"):
            Store.open(tmp_path)
    assert images(Store.open(tmp_path)) == WHOLE


def test_a_journal_that_was_left_is_not_played_into_the_new_database(tmp_path: Path) -> None:
    fill(tmp_path)
    damage(tmp_path, 0, b"\xa5" * PAGE)
    (tmp_path / f"{DATABASE}-journal").write_bytes(b"\x00" * 512)
    Store.open(tmp_path).close()
    assert not (tmp_path / f"{DATABASE}-journal").exists()


def test_a_broken_store_does_not_replace_a_sound_copy(tmp_path: Path) -> None:
    fill(tmp_path)
    sound = (tmp_path / COPY).read_bytes()
    store = Store.open(tmp_path)
    damage(tmp_path, 5 * PAGE, b"\x55" * PAGE)
    store.keep_copy()
    assert (tmp_path / COPY).read_bytes() == sound


def test_an_event_that_cannot_be_read_is_missed_and_the_others_are_not(tmp_path: Path) -> None:
    fill(tmp_path)
    at = (tmp_path / DATABASE).read_bytes().index(b'{"event": "x"')
    damage(tmp_path, at, b"\xff\xff")
    store = Store.open(tmp_path)
    assert len(store.events(1)) == 9


def test_a_mirror_that_is_no_mirror_is_no_answers(tmp_path: Path) -> None:
    (tmp_path / MIRROR).write_text(json.dumps(["what?"]))
    assert Store.open(tmp_path).answers() is None
