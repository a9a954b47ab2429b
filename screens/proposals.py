"""What is asked before something is changed or taken back: what will happen, and how the operator stays in."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from screens.dialogs import Confirm
from screens.words import NOBODY, counted, duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from screens.desk import Back
    from wizard.answers import Answers
    from wizard.engine import StepPlan
    from wizard.fact import WayIn
    from wizard.rollback import Decision

# Said before a change that could cut the operator off.
LOGIN_FIRST = (
    "Your way in by SSH changes. From a second terminal, log in once more",
    "within {time}, or all of it is put back by itself.",
    "",
)
NO_LOGIN = (
    "Your way in by SSH changes. You are at the console, so no new login",
    "is asked for, and nothing is put back by itself if SSH shuts you out.",
    "",
)
KEEP = "keep"
# How many changes a question names, before it counts the rest.
NAMED = 9


def before_apply(plan: StepPlan, answers: Answers, way_in: WayIn | None, ends: Sequence[str]) -> Confirm:
    """Whether to make the changes of a step.

    Args:
        plan: what would change.
        answers: the saved answers.
        way_in: how far the operator's way in is trusted meanwhile; None when it stays as it is.
        ends: what is said of a run that ends by this.
    """
    changing = [entry for entry in plan.operations if entry.changes]
    summaries = [entry.change.summary if entry.change else entry.operation.summary for entry in changing]
    lines = [
        *_some([f"+ {summary}" for summary in summaries]),
        "",
        *_way_in(way_in, answers),
        "It goes on by itself if this terminal closes. u takes it back.",
        *ends,
    ]
    return Confirm(f"{plan.step.title}: make {counted(len(summaries), 'change')}?", lines, "Apply")


def before_apply_all(titles: Sequence[str], answers: Answers, way_in: WayIn | None, ends: Sequence[str]) -> Confirm:
    """Whether to do all steps of these titles; the rest as `before_apply` has it."""
    lines = [
        f"Left to do: {counted(len(titles), 'step')}, from “{titles[0]}” on.",
        "Each is applied, then verified before those that need it.",
        "Where something outside is needed (your DNS records: r shows them)",
        "it waits, for a day at most, and goes on by itself.",
        *[f"But {NOBODY}"] * (not answers.senders),
        "",
        *_way_in(way_in, answers),
        "Close this terminal when you like: the work goes on.",
        *ends,
    ]
    return Confirm("Apply all that is left?", lines, "Apply all", careful=True)


def before_taking_back(
    back: Back, decided: Mapping[str, Decision], titles: Mapping[str, str], ends: Sequence[str]
) -> Confirm:
    """Whether to take back what one step changed, or several.

    Args:
        back: what a rollback would do.
        decided: what shall become of files that somebody has changed since, by path.
        titles: of all steps, by id.
        ends: what is said of a run that ends by this.
    """
    if len(back.ids) > 1:
        counts = Counter(step for step, _ in back.changes)
        title = f"Take back all {len(back.changes)} changes of {len(back.ids)} steps?"
        what = [f"- {titles.get(step, step)}: {counts[step]}" for step in back.ids]
    else:
        title = f"Take back what “{titles.get(back.ids[0], back.ids[0])}” changed?"
        what = [f"- {summary}" for _, summary in back.changes]
    kept = [f"Kept as it is: {path}" for path, word in decided.items() if word.choice == KEEP]
    lines = [*_some(what), "", *kept, "Files get back their old content; installed packages stay.", *ends]
    if back.way_in:
        from wizard.rollback import WAY_IN

        lines += ["", WAY_IN]
    return Confirm(title, lines, "Take back", careful=True)


def _some(lines: Sequence[str]) -> list[str]:
    """The first of them, and how many more there are."""
    rest = len(lines) - NAMED
    return [*lines[:NAMED], *[f"and {rest} more"] * (rest > 0)]


def _way_in(way_in: WayIn | None, answers: Answers) -> list[str]:
    """What is asked of the operator where the way in changes, with the time that there is for it."""
    from wizard.fact import WayIn

    if way_in is None:
        return []
    lines = LOGIN_FIRST if way_in is WayIn.UNPROVED else NO_LOGIN
    return [line.format(time=duration(answers.ssh.revert_after)) for line in lines]
