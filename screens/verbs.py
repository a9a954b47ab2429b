"""The verbs: what can be done, each with its key; the key line, the help and the palette all read this table."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Verb:
    """One thing to do from the checklist.

    Attributes:
        key: as Textual names it.
        action: of the main screen.
        word: on the key line.
        text: in help and palette.
        shown: whether it stands on the key line.
    """

    key: str
    action: str
    word: str
    text: str
    shown: bool = False

    @property
    def label(self) -> str:
        """The key as it is printed on a keyboard."""
        return {"question_mark": "?", "f1": "F1"}.get(self.key, self.key)


VERBS = (
    Verb("a", "apply", "Apply", "Make this step's changes; they are shown first", shown=True),
    Verb("A", "apply_all", "Apply all", "Make the changes of all steps that are not done yet", shown=True),
    Verb("v", "verify", "Verify", "Run the checks of this step now; nothing is changed", shown=True),
    Verb("d", "diff", "Diff", "What exactly would change: difference or command", shown=True),
    Verb("l", "log", "Log", "Show the whole output of the last run"),
    Verb("r", "records", "Records", "DNS records to publish, and what the world sees", shown=True),
    Verb("u", "roll_back", "Undo", "Take back what this step changed", shown=True),
    Verb("n", "next", "Next", "Go to the step to do next", shown=True),
    Verb("q", "leave", "Leave", "Leave; a run that is going on goes on", shown=True),
    Verb("U", "roll_back_all", "Undo all", "Take back the whole set-up, the last step first"),
    Verb("k", "keep", "Keep mine", "In Plan: leave it as you have it, or let go of it again"),
    Verb("e", "more_time", "More time", "For the new login that proves your way in"),
    Verb("o", "confirm_way_in", "I am in", "Your word that you came in by the new way"),
    Verb("x", "stop_waiting", "Stop waiting", "End the run that waits for something outside; what it did stays"),
    Verb("V", "verify_all", "Verify all", "Run the checks of all steps now"),
    Verb("h", "home_folder", "Home folder", "The files for the server in your house"),
    Verb("c", "clients", "Mail programs", "Settings to type into Thunderbird, phones, Outlook"),
    Verb("m", "mail_test", "Mail test", "Test messages, and pasted headers explained"),
    Verb("w", "welcome", "First screen", "What this will do, and whether mail can leave"),
    Verb("t", "looks", "Look", "Dark, light, the terminal's own colours, plain ASCII"),
    Verb("question_mark", "help", "Help", "This help"),
)


def key_of(label: str) -> str:
    """A key, from what is printed on it, as Textual names it; '' when it is more than one: "Up/Down"."""
    if len(label) > 1 and "/" in label:
        return ""
    return {"?": "question_mark", "Esc": "escape"}.get(label, label if len(label) == 1 else label.lower())


# The sheet that belongs to a step: it is named there, where otherwise “Apply all” is.
SHEETS = {"home": "home_folder", "clients": "clients", "mail_test": "mail_test"}


def key_line(
    step: str = "",
    *,
    section: str,
    waits: bool = False,
    login: bool = False,
    word: bool = False,
    drifted: bool = False,
    kept: bool = False,
) -> tuple[tuple[str, str], ...]:
    """The keys that serve now.

    Args:
        step: the id of the step that is open.
        section: the part of the step that is open.
        waits: whether the run only waits, which can be ended.
        login: whether it waits for the operator's new login.
        word: whether the operator's word from here would do as well.
        drifted: whether somebody has changed something of the step since.
        kept: whether the operator keeps something of it so.
    """
    instead = {"diff": "log"} if section == "Run" else {}
    if step in SHEETS:
        instead["apply_all"] = SHEETS[step]
    if login:
        instead = {"apply": "more_time", "apply_all": "confirm_way_in" if word else "", "diff": "log", "roll_back": ""}
    elif waits:
        instead |= {"apply": "stop_waiting", "roll_back": ""}
    elif (drifted or kept) and section == "Plan":
        instead = {"apply_all": "keep"}
    named = {verb.action: verb for verb in VERBS}
    if not drifted:
        named["keep"] = replace(named["keep"], word="Let go")
    chosen = [instead.get(verb.action, verb.action) for verb in VERBS if verb.shown]
    return tuple((named[action].label, named[action].word) for action in chosen if action)
