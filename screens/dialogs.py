"""A small window with a question that matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class Confirm(ModalScreen[bool]):
    """A question whose answer matters. y and n answer it, as do Enter on a button and Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape", "answer(False)", show=False),
        Binding("left,right", "app.focus_next", show=False),
        # Where the terminal is small the question does not fit.
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], yes: str, no: str = "No", *, careful: bool = False) -> None:
        super().__init__()
        self._title, self._lines, self._yes, self._no, self._careful = title, tuple(lines), yes, no, careful

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", can_focus=False) as box:
            box.border_title = Content(self._title).plain
            yield Static(Content("\n".join(printable(line) for line in self._lines)), markup=False)
            with Horizontal(id="buttons"):
                yield Button(f"{self._yes} (y)", id="yes", compact=True)
                yield Button(f"{self._no} (n)", id="no", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no" if self._careful else "#yes").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_scroll(self, by: int) -> None:
        """Read what does not fit."""
        self.query_one("#dialog").scroll_relative(y=by, animate=False)

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - an action's argument
        """Answer by key."""
        self.dismiss(answer)
