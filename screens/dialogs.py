"""A small window with a question that matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from screens.base import ClosedOnce
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from screens.base import Keys
    from wizard.rollback import Conflict


T = TypeVar("T")


class Dialog(ClosedOnce[T], ModalScreen[T]):
    """A small window, with its keys on its lower edge."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]  # noqa: RUF012 - as Textual declares it
    KEYS: Keys = ()
    HELP: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "app.help", show=False),
        Binding("escape", "give_up", show=False),
        # Also where a field would take it for copying.
        Binding("ctrl+c", "give_up", show=False, priority=True),
    ]

    @property
    def unsaved(self) -> bool:
        """Whether something was typed that would be lost."""
        return False

    def action_give_up(self) -> None:
        """Close without an answer."""
        self.dismiss(None)

    def box(self, title: str) -> VerticalScroll:
        """The window, which scrolls where the terminal is small."""
        box = VerticalScroll(id="dialog", can_focus=False)
        box.border_title = Content(title).plain
        box.border_subtitle = Content("  ".join(f"{key} {word}" for key, word in self.KEYS)).plain
        return box

    def action_scroll(self, by: int) -> None:
        """Read what does not fit."""
        self.query_one("#dialog").scroll_relative(y=by, animate=False)


class Question(Dialog[T]):
    """A window with a text and buttons."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
    ]


class Confirm(Question[bool]):
    """A question whose answer matters."""

    HELP = "A question whose answer matters. y and n answer it, as do Enter on a button and Esc."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n", "answer(False)", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], yes: str, no: str = "No", *, careful: bool = False) -> None:
        super().__init__()
        self._title, self._lines, self._yes, self._no, self._careful = title, tuple(lines), yes, no, careful
        self.KEYS = (("y/n", "Answer"), ("Esc", no), ("Left/Right", "Button"), ("Up/Down", "Scroll"), ("?", "Help"))

    def compose(self) -> ComposeResult:
        with self.box(self._title):
            yield Static(Content("\n".join(printable(line) for line in self._lines)), markup=False)
            with Horizontal(id="buttons"):
                yield Button(f"{self._yes} (y)", id="yes", compact=True)
                yield Button(f"{self._no} (n)", id="no", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no" if self._careful else "#yes").focus(scroll_visible=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - an action's argument
        """Answer by key."""
        self.dismiss(answer)


class Conflicting(Question[str | None]):
    """A file that somebody has changed since, and what shall become of it. None gives up."""

    HELP = (
        "Somebody has changed this file since it was written here. Above: what was changed in it. Below: what putting "
        "the original back would do. Keep it, or put the original back; Esc takes nothing back at all."
    )
    KEYS = (("k/o", "Answer"), ("Esc", "Cancel"), ("Left/Right", "Button"), ("Up/Down", "Scroll"), ("?", "Help"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "answer('original')", show=False),
        Binding("k", "answer('keep')", show=False),
        Binding("n", "give_up", show=False),
    ]

    def __init__(self, conflict: Conflict, place: str) -> None:
        super().__init__()
        self._conflict, self._place = conflict, place

    def compose(self) -> ComposeResult:
        with self.box(f"{self._place}{printable(self._conflict.path)}"):
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
                    "Somebody has changed this file since it was written:", *self._conflict.since.splitlines(), "",
                    "What putting the original back would do:", *self._conflict.back.splitlines(),
                ]
            )
        )  # fmt: skip

    def on_mount(self) -> None:
        self.query_one("#keep").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id if event.button.id != "cancel" else None)

    def action_answer(self, answer: str) -> None:
        """Answer by key."""
        self.dismiss(answer)
