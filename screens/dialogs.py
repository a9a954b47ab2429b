"""A small window with a question that matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from wizard.rollback import Conflict


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
        # The question is read from its beginning; its buttons may be further down on a small screen.
        self.query_one("#no" if self._careful else "#yes").focus(scroll_visible=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_scroll(self, by: int) -> None:
        """Read what does not fit."""
        self.query_one("#dialog").scroll_relative(y=by, animate=False)

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - an action's argument
        """Answer by key."""
        self.dismiss(answer)


class Conflicting(ModalScreen[str | None]):
    """A file that somebody has changed since: both versions, and what shall become of it. None gives up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "answer('original')", show=False),
        Binding("k", "answer('keep')", show=False),
        Binding("escape,n", "answer('')", show=False),
        Binding("left,right", "app.focus_next", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
    ]

    def __init__(self, conflict: Conflict, place: str) -> None:
        super().__init__()
        self._conflict, self._place = conflict, place

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog") as box:
            box.border_title = Content(f"{self._place}{printable(self._conflict.path)}").plain
            yield Static("Somebody has changed this file since. Up and Down scroll.", markup=False)
            with VerticalScroll(id="versions", can_focus=False):
                yield Static(self._text(), markup=False)
            with Horizontal(id="buttons"):
                yield Button("Keep it as it is (k)", id="keep", compact=True)
                yield Button("Put the original back (o)", id="original", compact=True)
                yield Button("Cancel (Esc)", id="cancel", compact=True)

    def _text(self) -> Content:
        from screens.texts import coloured

        return coloured(
            "\n".join(
                [
                    "What was changed in it since:", *self._conflict.since.splitlines(), "",
                    "What putting the original back would do:", *self._conflict.back.splitlines(),
                ]
            )
        )  # fmt: skip

    def on_mount(self) -> None:
        self.query_one("#keep").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id if event.button.id != "cancel" else None)

    def action_scroll(self, by: int) -> None:
        """Read what does not fit."""
        self.query_one("#versions").scroll_relative(y=by, animate=False)

    def action_answer(self, answer: str) -> None:
        """Answer by key."""
        self.dismiss(answer or None)
