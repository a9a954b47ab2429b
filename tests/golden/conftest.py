"""Rendered configuration against stored files; GOLDEN_UPDATE=1 writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

EXPECTED = Path(__file__).parent / "expected"

Golden = Callable[[str, str], None]


@pytest.fixture
def golden() -> Golden:
    """`golden("ssh/keys-only.conf", text)` compares the text with tests/golden/expected/ssh/keys-only.conf."""

    def compare(name: str, text: str) -> None:
        path = EXPECTED / name
        if os.environ.get("GOLDEN_UPDATE"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is not there: run with GOLDEN_UPDATE=1, then read what it wrote"
        assert text == path.read_text()

    return compare
