"""Taking our lines back out of a file that somebody else has changed since."""

from __future__ import annotations

import difflib


def take_back(before: bytes | None, after: bytes | None, current: bytes | None) -> bytes | None:
    """`current` without our change from `before` to `after`; None when that leaves no file.

    For files whose lines stand on their own and are all different, such as shadow(5) or authorized_keys: a line that
    we added goes, a line that we replaced or removed comes back in its place, a line of ours that was changed since
    stays as it is.
    """
    if current is None or current == after:
        return before
    old, new, now = ((data or b"").splitlines(keepends=True) for data in (before, after, current))
    for tag, old_start, old_end, new_start, new_end in _changes(old, new):
        removed, added = old[old_start:old_end], new[new_start:new_end]
        if tag == "replace" and len(removed) == len(added):
            swap = dict(zip(added, removed, strict=True))
            now = [swap.get(line, line) for line in now]
            continue
        position = _position(now, new, added, new_start)
        now = [line for line in now if line not in added]
        missing = [line for line in removed if line not in now]
        now[position:position] = missing
    return b"".join(now) or (None if before is None else b"")


def _changes(old: list[bytes], new: list[bytes]) -> list[tuple[str, int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    # From the end, so that the positions of what is still to be done stay right.
    return [change for change in reversed(matcher.get_opcodes()) if change[0] != "equal"]


def _position(now: list[bytes], new: list[bytes], added: list[bytes], start: int) -> int:
    """Where removed lines come back: at the first of ours, else behind the line that stood before them."""
    for line in added:
        if line in now:
            return now.index(line)
    for line in reversed(new[:start]):
        if line in now:
            return now.index(line) + 1
    return 0
