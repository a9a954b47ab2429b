"""Text from outside made safe to show: no control, escape, invisible or bidirectional characters."""

from __future__ import annotations

import unicodedata

# Letters and marks by their category, yet nothing is seen of them: fillers, joiners, variation selectors, blanks.
UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)


def printable(text: str, limit: int = 2000) -> str:
    """One line of outside text with everything that could move a cursor or reorder letters made visible.

    Args:
        text: DNS answers, banners, log lines, command output.
        limit: characters after which the rest is counted instead of shown.
    """
    shown = "".join(_visible(character) for character in text[:limit])
    return shown if len(text) <= limit else f"{shown}… ({len(text) - limit} more characters)"


def invisible(character: str) -> bool:
    """True for what is not seen as itself: controls, escapes, format and bidirectional marks, fillers."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or character in UNSEEN


def _visible(character: str) -> str:
    if character == "\t":
        return "    "
    if invisible(character):
        return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
    return character
