"""Text from outside made safe to show: no control, escape, invisible or bidirectional characters."""

from __future__ import annotations

import unicodedata


def printable(text: str, limit: int = 2000) -> str:
    """One line of outside text with everything that could move a cursor or reorder letters made visible.

    Args:
        text: DNS answers, banners, log lines, command output.
        limit: characters after which the rest is counted instead of shown.
    """
    shown = "".join(_visible(character) for character in text[:limit])
    return shown if len(text) <= limit else f"{shown}… ({len(text) - limit} more characters)"


def _visible(character: str) -> str:
    if character == "\t":
        return "    "
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
    return character
