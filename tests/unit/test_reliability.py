"""The README's table of faults: of the lab's numbers, and in its place."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest

from tests.lab import reliability, rootfs

CHAIN = "tests/lab/test_kills.py::test_engines_that_die_one_after_the_other"
NUMBERS = {f"{CHAIN}[trixie-before]": (300, 300), f"{CHAIN}[trixie-after]": (90, 0)}


def test_faults_are_added_up_by_kind_and_release() -> None:
    row = reliability.table(NUMBERS).splitlines()[2]
    assert row.endswith("| not run | 300 of 390 |")


def test_the_table_takes_its_place_in_the_readme() -> None:
    text = reliability.README.read_text()
    new = reliability.written(text, NUMBERS)
    assert "300 of 390" in new
    assert reliability.written(new, reliability.kept()) == reliability.written(text, reliability.kept())


def in_place_of_the_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reliability, "NUMBERS", folder / "reliability.json")
    monkeypatch.setattr(rootfs, "CACHE", folder)


def test_a_whole_run_takes_the_place_of_the_numbers_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place_of_the_cache(tmp_path, monkeypatch)
    reliability.keep(NUMBERS, whole=True)
    reliability.keep({f"{CHAIN}[bookworm-before]": (1, 1)}, whole=True)
    assert len(reliability.kept()) == 3
    reliability.keep({f"{CHAIN}[trixie-renamed]": (2, 2)}, whole=True)
    assert reliability.kept() == {f"{CHAIN}[bookworm-before]": (1, 1), f"{CHAIN}[trixie-renamed]": (2, 2)}
    reliability.keep({f"{CHAIN}[trixie-other]": (3, 3)}, whole=False)
    assert len(reliability.kept()) == 3


def test_what_was_cut_short_or_picked_is_not_a_whole_run() -> None:
    assert reliability.is_whole(0, "", ["tests/lab"])
    assert reliability.is_whole(1, "", ["tests/lab/test_kills.py"])
    assert not reliability.is_whole(2, "", ["tests/lab"])
    assert not reliability.is_whole(0, "mirror", ["tests/lab"])
    assert not reliability.is_whole(0, "", ["tests/lab/test_kills.py::test_engines_that_die_one_after_the_other"])


def test_runs_that_end_together_lose_none_of_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place_of_the_cache(tmp_path, monkeypatch)
    has_read, may_write, kept = Event(), Event(), reliability.kept

    def slowly_kept() -> reliability.Numbers:
        found = kept()
        if not has_read.is_set():
            has_read.set()
            may_write.wait(10)
        return found

    monkeypatch.setattr(reliability, "kept", slowly_kept)
    runs = [
        Thread(target=reliability.keep, args=({f"{CHAIN}[{name}-after]": (1, 1)},), kwargs={"whole": True})
        for name in ("bookworm", "trixie")
    ]
    runs[0].start()
    assert has_read.wait(10)
    runs[1].start()
    runs[1].join(0.2)
    may_write.set()
    for run in runs:
        run.join(10)
    assert {reliability.release_of(test) for test in kept()} == {"bookworm", "trixie"}
