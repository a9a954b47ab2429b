"""The help: what the screen one is on is for, its keys, and what the step does better than the usual guide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from screens.base import WizardScreen
from screens.dialogs import Dialog
from screens.main_screen import MainScreen
from screens.texts import TextScreen
from screens.verbs import VERBS
from screens.words import GLYPHS, MEANINGS

if TYPE_CHECKING:
    from textual.screen import Screen

    from wizard.step import Step


class HelpScreen(TextScreen):
    """The help of the screen below; the keys that open it close it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,f1", "back", show=False)]

    def __init__(self, screen: Screen[Any], step: Step | None) -> None:
        super().__init__("Help", help_text(screen, step), "")


def help_text(screen: Screen[Any], step: Step | None) -> str:
    """What helps on a screen."""
    lines: list[str] = []
    if isinstance(screen, MainScreen):
        lines += ["Go down the checklist from top to bottom; ← marks the one to do next, n opens it.", ""]
        lines += ["Enter opens a step. It has four parts: Questions, Plan (what would change),"]
        lines += ["Run (what is being done), Checks (what is true). The keys 1 to 4 go to them,"]
        lines += ["Tab goes on, Esc goes back to the checklist.", "", "Keys"]
        lines += [f"  {verb.label:<2} {verb.word:<13} {verb.text}" for verb in VERBS]
        lines += ["  Ctrl+P           all of these by name", "", "What the words in the checklist mean"]
        lines += [f"  {GLYPHS[word]} {word:<9} {text}" for word, text in MEANINGS.items()]
        if step is not None and step.better:
            lines += ["", f"{step.title}: what is done better than usual", f"  {' '.join(step.better.split())}"]
    elif isinstance(screen, (WizardScreen, Dialog)):
        lines += [screen.HELP, "", "Keys", *(f"  {key:<11} {word}" for key, word in screen.KEYS)]
        if isinstance(screen, WizardScreen):
            lines += [f"  {'t':<11} Other colours, or plain ASCII"]
    lines += ["", "Everything here can be done without screens too: relay-wizard --help"]
    return "\n".join(lines)
