"""The README's table of faults: of the lab's numbers, and in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import reliability

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


def test_a_whole_run_takes_the_place_of_the_numbers_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reliability, "NUMBERS", tmp_path / "reliability.json")
    reliability.keep(NUMBERS, whole=True)
    reliability.keep({f"{CHAIN}[bookworm-before]": (1, 1)}, whole=True)
    assert len(reliability.kept()) == 3
    reliability.keep({f"{CHAIN}[trixie-renamed]": (2, 2)}, whole=True)
    assert reliability.kept() == {f"{CHAIN}[bookworm-before]": (1, 1), f"{CHAIN}[trixie-renamed]": (2, 2)}
    reliability.keep({f"{CHAIN}[trixie-other]": (3, 3)}, whole=False)
    assert len(reliability.kept()) == 3
