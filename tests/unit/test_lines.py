from __future__ import annotations

import pytest

from wizard.lines import take_back


@pytest.mark.parametrize(
    ("before", "after", "current", "wanted"),
    [
        pytest.param(b"a\nb\n", b"a\nX\n", b"a\nX\n", b"a\nb\n", id="unchanged since"),
        pytest.param(b"a\nb\n", b"a\nX\n", b"a\nX\nc\n", b"a\nb\nc\n", id="a line came after ours"),
        pytest.param(b"a\nb\n", b"X\nb\n", b"0\nX\nb\n", b"0\na\nb\n", id="a line came before ours"),
        pytest.param(b"a\nb\n", b"a\nX\n", b"a\nY\n", b"a\nY\n", id="our line was changed since"),
        pytest.param(b"a\n", b"a\nX\n", b"a\nX\nc\n", b"a\nc\n", id="added"),
        pytest.param(None, b"X\n", b"X\nc\n", b"c\n", id="file made by us, used since"),
        pytest.param(None, b"X\n", b"X\n", None, id="file made by us"),
        pytest.param(b"", b"X\n", b"X\nc\n", b"c\n", id="file was empty"),
        pytest.param(b"a\nb\nc\n", b"a\nc\n", b"a\nc\nd\n", b"a\nb\nc\nd\n", id="removed"),
        pytest.param(b"a\nb\n", b"a\nX\nY\n", b"a\nX\nY\nc\n", b"a\nb\nc\n", id="one line became two"),
        pytest.param(b"a\n", b"X\n", None, b"a\n", id="gone since"),
    ],
)
def test_take_back(before: bytes | None, after: bytes, current: bytes | None, wanted: bytes | None) -> None:
    assert take_back(before, after, current) == wanted
