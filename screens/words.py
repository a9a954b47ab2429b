"""Small words: glyphs for what is said in words as well, text fitted to a width, times for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wizard.answers import Answers

# One character for each status; the word always stands beside it. The plain look turns them into ASCII.
GLYPHS = {
    "verified": "✓", "stale": "!", "running": "▸", "failed": "✗", "drifted": "≠", "applied": "…", "ready": "○",
    "pending": "?", "blocked": "·", "skipped": "-",
    "pass": "✓", "warn": "!", "fail": "✗", "skip": "-",
    "published": "✓", "missing": "○", "wrong": "✗", "unknown": "?", "silent": "?",
}  # fmt: skip
# What is said while there is neither a user nor a server at home.
NOBODY = "nobody can send mail yet: add a mail user (Users), or answer The way home."
# How a row is coloured; never the only sign.
TONES = {
    "verified": "good", "stale": "warn", "running": "accent", "failed": "bad", "drifted": "warn", "applied": "warn",
    "ready": "", "pending": "", "blocked": "dim", "skipped": "dim",
    "pass": "good", "warn": "warn", "fail": "bad", "skip": "dim",
    "published": "good", "missing": "warn", "wrong": "bad", "unknown": "dim",
}  # fmt: skip
MEANINGS = {
    "verified": "done, and its checks passed",
    "stale": "verified, but what it builds on has changed since",
    "running": "being done now",
    "failed": "a check or a change failed: see Checks and Run",
    "drifted": "something was changed since: see Plan",
    "applied": "done here; something outside has still to happen",
    "ready": "to be done",
    "pending": "needs answers first",
    "blocked": "needs other steps first",
    "skipped": "not needed here",
}

# What the plain look shows instead; each is one cell wide, as its original.
ASCII = str.maketrans(
    {
        "✓": "+", "✗": "X", "▸": ">", "≠": "~", "…": "_", "○": "o", "·": ".", "→": ">", "←": "<", "“": '"', "”": '"',
        "’": "'", "–": "-", "—": "-", "›": ">", "•": "*",
    }
)  # fmt: skip
HORIZONTAL = "─━═╌┄┈▁▔▂▀▄🬂🬭"
VERTICAL = "│┃║▎▊▌▐▏▕▋▍╎┆"
CORNERS = "┌┐└┘╭╮╰╯├┤┬┴┼┏┓┗┛╔╗╚╝"


def ascii_of(text: str) -> str:
    """A text of the same width in ASCII alone."""
    if text.isascii():
        return text
    return "".join(_ascii(character) for character in text.translate(ASCII))


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    if character in HORIZONTAL:
        return "-"
    if character in VERTICAL:
        return "|"
    if character in CORNERS:
        return "+"
    return " " if character in "█▇▆▅▃ ░▒▓" else "?"


def wrapped(text: str, width: int, indent: str = "", hang: str = "") -> Iterator[str]:
    """Lines of outside text, made printable and broken at `width`; blank lines stay."""
    for line in text.splitlines() or [""]:
        shown = printable(line)
        yield from textwrap.wrap(
            shown, max(10, width), initial_indent=indent, subsequent_indent=hang or indent, break_on_hyphens=False,
        ) or [indent.rstrip()]  # fmt: skip


def fitted(text: str, width: int) -> str:
    """A text cut to a width."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def bar(done: int, total: int, width: int = 10) -> str:
    """A text bar: "[####......] 4/10"."""
    filled = width * done // total if total else 0
    return f"[{'#' * filled}{'.' * (width - filled)}] {done}/{total}"


def clock(seconds: float) -> str:
    """Minutes and seconds that have passed: "04:12"."""
    whole = int(seconds)
    return f"{whole // 60:02d}:{whole % 60:02d}"


def duration(seconds: int) -> str:
    """A time that there is for something: "5 minutes", "90 seconds"."""
    if seconds % 60:
        return f"{seconds} seconds"
    return "1 minute" if seconds == 60 else f"{seconds // 60} minutes"


def moment(stamp: str | None) -> str:
    """A time of the record as people read it: "23 Nov 12:04 UTC"; "never" without one."""
    if not stamp:
        return "never"
    from datetime import datetime

    return datetime.fromisoformat(stamp).strftime("%-d %b %H:%M UTC")


def counted(number: int, word: str) -> str:
    """So many of something: "1 check", "2 checks"."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def finished(answers: Answers) -> str:
    """What is said when nothing is left to do."""
    if not answers.senders:
        return f"Everything is done, but {NOBODY}"
    home = "h home's files, " * (answers.home is not None)
    return f"Everything is done: {home}c mail programs, m mail test, V checks all again."


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them: "a, b and c"."""
    *first, last = list(names) or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def check_lines(row: dict[str, object], width: int) -> Iterator[str]:
    """A check as the operator reads it: its title, and, when something is to do, asked, got, want, do."""
    status = str(row["status"])
    title = str(row["title"])
    yield from wrapped(title, width, f"{GLYPHS[status]} {status:<5} ", " " * 8)
    if status == "pass":
        return
    for word in ("asked", "got", "want", "do"):
        if row[word]:
            yield from wrapped(str(row[word]), width, f"    {word:<6}", " " * 10)
