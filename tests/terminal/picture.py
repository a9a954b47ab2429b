"""What a terminal shows: just enough of ECMA-48 for what Textual writes, so that tests read screens, not bytes."""

from __future__ import annotations

import codecs
import re

SEQUENCE = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78cM]")


class Picture:
    """A screen of characters that bytes are written onto."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        """Another size; what was there is gone, as the program draws anew."""
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.x = self.y = 0

    @property
    def text(self) -> str:
        """The lines of the screen."""
        return "\n".join("".join(line).rstrip() for line in self.cells)

    def write(self, data: bytes) -> None:
        """Take in what a program wrote."""
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = SEQUENCE.match(text, at)
                if match is None:
                    # The rest of the sequence has not come yet; a stray escape is dropped.
                    if len(text) - at < 64:
                        self._rest = text[at:]
                        return
                    at += 1
                    continue
                if match[2]:
                    self._control(match[1], match[2])
                at = match.end()
                continue
            self._put(text[at])
            at += 1

    def _put(self, character: str) -> None:
        if character == "\r":
            self.x = 0
        elif character == "\n":
            if self.y == self.rows - 1:
                self.cells = [*self.cells[1:], [" "] * self.columns]
            else:
                self.y += 1
        elif character == "\b":
            self.x = max(0, self.x - 1)
        elif character.isprintable():
            if self.x < self.columns and self.y < self.rows:
                self.cells[self.y][self.x] = character
            self.x += 1

    def _control(self, parameters: str, final: str) -> None:
        numbers = [int(word) for word in parameters.split(";") if word.isdigit()]
        first = numbers[0] if numbers else 0
        if final == "H":
            self.y = min(self.rows, max(1, first)) - 1
            self.x = (numbers[1] if len(numbers) > 1 else 1) - 1
        elif final in "ABCD":
            step = max(1, first)
            self.y = max(0, min(self.rows - 1, self.y + {"A": -step, "B": step}.get(final, 0)))
            self.x = max(0, min(self.columns - 1, self.x + {"C": step, "D": -step}.get(final, 0)))
        elif final == "J" and first in {2, 3}:
            self.cells = [[" "] * self.columns for _ in range(self.rows)]
        elif final == "K":
            self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)
