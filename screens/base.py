"""What all screens share: a line for what there is to say, a line of keys, Esc to go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from screens.widgets import KeyBar
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from screens.application import RelayWizard
    from screens.desk import Desk


T = TypeVar("T")
# Keys that work on a screen, each as it is printed on a keyboard, with its word.
Keys = tuple[tuple[str, str], ...]


class ClosedOnce(Screen[T]):
    """A screen that is closed by one key, however many come at once: the next would close what is below it."""

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()


def open_above(below: Screen[Any], screen: Screen[T], answered: Callable[[T | None], Any] | None = None) -> None:
    """Open a screen above another one, if that is in front: a key that comes twice opens one."""
    if below.app.screen is below:
        below.app.push_screen(screen, answered)


class WizardScreen(ClosedOnce[None]):
    """A whole screen: title line, body, message line, key line."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high")]  # noqa: RUF012 - as Textual declares it
    KEYS: Keys = ()
    TITLE_TEXT: ClassVar[str] = ""
    HELP: ClassVar[str] = ""
    _said = ("", "")

    @property
    def wizard(self) -> RelayWizard:
        """The application."""
        return cast("RelayWizard", self.app)

    @property
    def desk(self) -> Desk:
        """The engine's side."""
        return self.wizard.desk

    def compose(self) -> ComposeResult:
        yield Static(Content(f" {self.TITLE_TEXT}"), id="title", markup=False)
        yield from self.body()
        yield Static("", id="message", markup=False)
        yield KeyBar(self.KEYS)

    def body(self) -> ComposeResult:
        """What stands between title and message."""
        yield from ()

    def serve(self, keys: Keys) -> None:
        """Show the keys that serve now."""
        self.KEYS = keys
        self.query_one(KeyBar).set_keys(keys)

    def background(
        self, work: Callable[[], T], then: Callable[[T], Any], failed: Callable[[Exception], Any] | None = None
    ) -> None:
        """Do something in a thread for this screen; what comes when it has been closed is dropped."""

        def here(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
            return lambda value: call(value) if self in self.app.screen_stack else None

        self.wizard.background(work, here(then), here(failed or self.complain))

    def complain(self, error: Exception) -> None:
        """Say what went wrong."""
        self.say(str(error), "bad")

    def entitle(self, text: str) -> None:
        """Put a text into the title line."""
        self.query_one("#title", Static).update(Content(f" {printable(text)}"))

    def say(self, text: str, tone: str = "") -> None:
        """Say something on the message line; `tone` is "good", "bad" or ""."""
        if (text, tone) == self._said:
            return
        self._said = (text, tone)
        line = self.query_one("#message", Static)
        line.set_classes(tone)
        line.update(Content(printable(text)))


class SubScreen(WizardScreen):
    """A screen above the checklist: Esc or q goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", show=False),
        Binding("question_mark,f1", "app.help", show=False),
        Binding("t", "app.looks", show=False),
    ]

    def action_back(self) -> None:
        """Go back to where one came from."""
        self.dismiss()
