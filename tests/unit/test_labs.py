"""Labs of several test runs at once: what they share, and what none may take from another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab import lab, rootfs

# No process has a number as large.
DEAD = 2**30


def test_only_the_labs_of_dead_test_runs_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = os.getpid()
    for name in ("proof", "luck", "kills-01", "lock", "ssh"):
        (tmp_path / "labs" / f"{name}-{DEAD}").mkdir(parents=True)
        (tmp_path / "labs" / f"{name}-{alive}").mkdir()
    for by_hand in ("dev", "lock-me", f"mine-{DEAD}"):
        (tmp_path / "labs" / by_hand).mkdir()
    taken: list[str] = []
    monkeypatch.setattr(rootfs, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(lab, "LABS", tmp_path / "labs")
    monkeypatch.setattr(lab, "down", taken.append)
    lab.sweep()
    assert sorted(taken) == sorted(f"{name}-{DEAD}" for name in ("proof", "luck", "kills-01", "lock", "ssh"))


def test_the_tools_are_there_before_a_cache_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []
    monkeypatch.setattr(rootfs, "CACHE", tmp_path)
    monkeypatch.setattr(rootfs, "need_tools", lambda: did.append("tools"))

    def run(argv: list[str]) -> None:
        did.append(argv[0])
        Path(argv[-2]).mkdir()

    monkeypatch.setattr(rootfs, "run", run)
    assert rootfs.root("home", "trixie") == rootfs.root("home", "trixie")
    assert did == ["tools", "mmdebstrap"]
