"""Screens that show a text: a difference, a sheet, the help, the output of a run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens import terminal
from screens.base import SubScreen
from screens.widgets import Follower
from wizard.printable import printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from textual.app import ComposeResult

    from screens.base import Keys

# Bytes of output taken in at once: small enough that a key press between two of them is answered at once.
CHUNK = 1 << 14
CHUNK_PAUSE = 0.1
SHOWN = 1 << 20


class TextScreen(SubScreen):
    """A text; one with a name can be saved under it."""

    HELP = (
        "A text to be read. It can be scrolled, copied (where your terminal lets programs do that), and read with "
        "your pager, where long lines are whole and the mouse can select them. What is saved lies in the home folder "
        "of the user who can log in by SSH. Esc goes back to where you came from."
    )
    KEYS: Keys = (("Esc", "Back"), ("Up/Down", "Scroll"), ("c", "Copy"), ("p", "Pager"), ("s", "Save"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", show=False),
        Binding("p", "pager", show=False),
        Binding("s", "save", show=False),
    ]

    def __init__(self, title: str, text: str, name: str) -> None:
        super().__init__()
        self._title, self._text, self._name = title, text, name
        if not name:
            self.KEYS = self.KEYS[:-1]

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="text", can_focus=True):
            yield Static(coloured(self._text), markup=False)

    def on_mount(self) -> None:
        self.entitle(self._title)
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        """Copy the whole text by OSC 52."""
        copy(self, self._text, "the text", " Else: p or s." if self._name else " Else: p.")

    def action_pager(self) -> None:
        """Read it with the pager."""
        page(self, self._text)

    def action_save(self) -> None:
        """Save it where it can be fetched."""
        if self._name:
            save(self, self._name, self._text)


def coloured(text: str) -> Content:
    """A text with the lines of a difference told apart; nothing in it is read as markup."""
    styles = {"+": "$text-success", "-": "$text-error", "@": "$text-accent"}
    lines = [
        Content.styled(shown, styles.get(shown[:1], "")) for shown in (printable(line) for line in text.split("\n"))
    ]
    return Content("\n").join(lines)


def copy(screen: SubScreen, text: str, what: str, otherwise: str = " Else: p or s.") -> None:
    """Hand a text to the terminal's clipboard, and say how to get it otherwise."""
    screen.app.copy_to_clipboard(text)
    screen.say(f"Copied, if your terminal allows it: {what}.{otherwise}", "good")


def page(screen: SubScreen, text: str) -> None:
    """Leave the screens for the operator's pager, with the text as it is, long lines unbroken."""
    from textual.app import SuspendNotSupported

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        try:
            with screen.app.suspend():
                problem = terminal.page(Path(file.name), os.environ)
        except SuspendNotSupported:
            problem = "this terminal cannot be left"
    if problem:
        screen.say(f"The pager does not start: {problem}", "bad")


def save(screen: SubScreen, name: str, text: str) -> None:
    """Save a text beside the operator's own files."""
    screen.background(
        lambda: screen.desk.export(f"relay-wizard-{name}", text),
        lambda path: screen.say(f"Saved as {path}", "good"),
    )


class LogScreen(SubScreen):
    """All that the commands of a run said, as it comes."""

    HELP = (
        "All that the commands of the last run said, as it comes. Scroll up to read in peace, End follows the last "
        "lines again. Esc goes back; the run goes on whatever you do here."
    )
    KEYS = (("Esc", "Back"), ("Up/Down", "Scroll"), ("End", "Follow"), ("p", "Pager"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("p", "pager", show=False)]

    def __init__(self, run: int) -> None:
        super().__init__()
        self._run = run
        self._file: BinaryIO | None = None
        self._rest = b""

    def body(self) -> ComposeResult:
        yield Follower(id="log", max_lines=20000)

    def on_mount(self) -> None:
        self.entitle(f"Run {self._run}: what its commands said")
        self.query_one(Follower).focus()
        self.set_interval(CHUNK_PAUSE, self._read)

    def on_unmount(self) -> None:
        if self._file:
            self._file.close()

    def _read(self) -> None:
        """Take in the next piece of the file."""
        path = self.desk.output(self._run)
        if self._file is None:
            try:
                self._file = path.open("rb")
            except OSError:
                self.say("Nothing was said yet.")
                return
            self._file.seek(max(0, path.stat().st_size - SHOWN))
        data = self._rest + self._file.read(CHUNK)
        whole, newline, self._rest = data.rpartition(b"\n")
        if newline:
            text = self.desk.redactor.clean(whole.decode(errors="replace")).split("\n")
            self.query_one(Follower).add([printable(line.rpartition("\r")[2] or line) for line in text])

    def action_pager(self) -> None:
        """Read it with the pager."""
        path = self.desk.output(self._run)
        page(self, self.desk.redactor.clean(path.read_text(errors="replace")) if path.exists() else "")
