"""The parts of a step beside its questions: what would change, the run, the checks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.widgets import Follower, Row, Rows
from screens.words import TONES, bar, check_lines, clock, listed, wrapped
from wizard.printable import printable
from wizard.report import event_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from textual.app import ComposeResult

    from wizard.engine import PlannedOperation, StepPlan

TAIL_LINES = 3
TAIL_BYTES = 2048
STYLES = {"good": "$text-success", "bad": "$text-error bold", "warn": "$text-warning", "dim": "dim"}


@dataclass(frozen=True)
class LoginAsked:
    """A change of the operator's way in that stays only when a new login is seen.

    Attributes:
        command: what to type into a second terminal.
        falls: when all is taken back, in seconds of the clock that never jumps.
        state: "waiting", "proved" or "reverted".
        how: what has proved it.
    """

    command: str = ""
    falls: float = 0.0
    state: str = "waiting"
    how: str = ""

    def text(self, now: float, *, may_confirm: bool, short: bool = False) -> str:
        """What the operator is told; `short` where there is hardly a line for it."""
        match self.state:
            case "waiting" if short:
                return f"{self.command}\nin a second terminal, within {self.left(now)}, or all goes back. e: more time"
            case "proved":
                return f"Your new way in works: {self.how}. What was changed stays."
            case "reverted":
                return "No new login was seen in time. Everything that was changed for it is back as it was."
            case _:
                word = " Or o: you are in by the new way." if may_confirm else ""
                return (
                    "Your way in was changed. Keep this window. In a second terminal, type:\n"
                    f"\n  {self.command}\n\n"
                    f"If that login is not seen within {self.left(now)}, all is put back as it was. e: more time.{word}"
                )

    def left(self, now: float) -> str:
        """The countdown: "4:31"."""
        seconds = max(0, round(self.falls - now))
        return f"{seconds // 60}:{seconds % 60:02d}"


def login_after(event: dict[str, Any], at: float) -> LoginAsked | None:
    """What an event, `at` a time of the clock that never jumps, says of the operator's way in."""
    match event["event"]:
        case "guard.waiting":
            return LoginAsked(event["command"], at + event["seconds_left"])
        case "guard.proved":
            return LoginAsked(state="proved", how=event["how"])
        case "guard.reverting":
            return LoginAsked(state="reverted")
        case _:
            return None


class PlanPart(Vertical):
    """The operations of a step; those that would change something are marked +."""

    def __init__(self) -> None:
        super().__init__(id="plan")
        self.plan: StepPlan | None = None

    def compose(self) -> ComposeResult:
        yield Static("", id="plan-head", markup=False)
        yield Rows(id="operations")

    def wait(self) -> None:
        """Nothing is known yet."""
        self.plan = None
        self._head("looking at the machine …")
        self.query_one(Rows).show(())

    def show(self, plan: StepPlan) -> None:
        """Show a plan."""
        self.plan = plan
        if plan.skip:
            self._head(f"This step is not needed: {plan.skip}.")
        elif not plan.operations:
            self._head("Nothing is changed by this step. Press v to run its checks.")
        elif not plan.changes:
            self._head("Everything is as planned: nothing to change. v runs the checks.")
        else:
            number, them = ("1 change", "it") if plan.changes == 1 else (f"{plan.changes} changes", "them")
            self._head(f"{number}. Enter or d shows what exactly; a makes {them}.")
        if any(entry.is_drifted for entry in plan.operations):
            self._head(f"Changed since it was made. d: look, a: put {them} back, k: keep as you have it.")
        self.query_one(Rows).show(tuple(self._rows(plan, max(30, self.size.width - 3))))

    def complain(self, text: str) -> None:
        """Say why there is no plan."""
        self.plan = None
        self._head(text)
        self.query_one(Rows).show(())

    def _head(self, text: str) -> None:
        self.query_one("#plan-head", Static).update(Content(printable(text)))

    @staticmethod
    def _rows(plan: StepPlan, width: int) -> Iterator[Row]:
        for number, entry in enumerate(plan.operations):
            text = printable(entry.change.summary if entry.change else entry.operation.summary)
            yield Row(f"{'+' if entry.changes else '='} {text}", str(number), "" if entry.changes else "dim")
            if entry.kept:
                yield Row("    kept as you have it; k lets it go", tone="dim")
            elif entry.is_drifted:
                for drift in entry.drift:
                    yield from (Row(line, tone="warn") for line in wrapped(drift.said, width, "    "))

    @property
    def chosen(self) -> PlannedOperation | None:
        """The operation under the cursor."""
        at = self.query_one(Rows).current_id
        return self.plan.operations[int(at)] if self.plan and at else None


def operation_text(entry: PlannedOperation) -> str:
    """All that can be shown of an operation: command, difference, what is left behind."""
    change = entry.change
    lines = [change.summary if change else entry.operation.summary, ""]
    if entry.kept:
        lines += ["Kept as you have it: apply leaves it alone.", ""]
    for drift in entry.drift:
        lines += [drift.told, *(f"  {line}" for line in drift.diff.splitlines()), ""]
    if entry.problem:
        lines += ["What it would change cannot be told yet:", entry.problem]
    elif change is None:
        lines += ["Nothing to change: the machine is as planned."]
    else:
        if change.command:
            lines += ["The exact command:", "  $ " + " ".join(change.command), ""]
        if change.diff:
            lines += ["The difference:", *change.diff.splitlines(), ""]
        if change.paths:
            lines += ["Kept before, and put back by undo:", *(f"  {path}" for path in change.paths), ""]
        if change.kept:
            lines += [f"Undo leaves this: {change.kept}"]
    return "\n".join(printable(line) for line in lines)


@dataclass
class Progress:
    """How far a run is, told by its events."""

    number: int = 0
    kind: str = ""
    steps: tuple[str, ...] = ()
    settled: set[str] = field(default_factory=set)
    title: str = ""
    doing: str = ""
    waiting: bool = False
    missing: int = 0
    status: str = ""
    login: LoginAsked | None = None

    def take(self, event: dict[str, Any], age: float = 0.0, now: float = 0.0) -> None:
        """Follow one event.

        Args:
            event: as the run has recorded it.
            age: seconds since then.
            now: the clock that never jumps.
        """
        self.login = login_after(event, now - age) or self.login
        match event["event"]:
            case "run.started":
                self.number, self.kind, self.steps = event["run"], event["kind"], tuple(event["steps"])
            case "step.started":
                self.title, self.doing, self.waiting = event["title"], "", False
            case "operation.started":
                self.doing, self.waiting = event["summary"], False
            case "operation.finished":
                self.doing = "" if event["status"] != "unchanged" else self.doing
            case "step.finished" if event["status"] == "applied":
                pass
            case "step.finished" | "rollback.finished":
                self.settled.add(event["step"])
            case "run.waiting":
                self.waiting, self.missing = True, event["missing"]
                self.doing = f"{records_are(self.missing)} missing; it goes on by itself"
            case "run.finished":
                self.status, self.doing, self.waiting = event["status"], "", False
            case _:
                pass

    @property
    def asks_for_login(self) -> bool:
        """Whether a new login is waited for."""
        return self.login is not None and self.login.state == "waiting" and not self.status

    def short(self, now: float) -> str:
        """In a few words."""
        if self.login and self.asks_for_login:
            return f"log in again: {self.login.left(now)}"
        return f"{len(self.settled)}/{len(self.steps)}, {'waiting for DNS' if self.waiting else self.title}"

    def line(self, seconds: float) -> str:
        """In one line."""
        if self.waiting:
            # No clock: a day of seconds would cost the line more than all the rest.
            return f"{bar(len(self.settled), len(self.steps))}  waiting for DNS"
        if self.asks_for_login:
            return f"{bar(len(self.settled), len(self.steps))}  your new login"
        return f"{bar(len(self.settled), len(self.steps))}  {self.status or self.title}  {clock(seconds)}"


def records_are(number: int) -> str:
    """The beginning of a sentence on so many records."""
    return "1 record is" if number == 1 else f"{number} records are"


class RunPart(Vertical):
    """The run that goes on, or the last one: how far it is, what it did, the last words of its commands."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        super().__init__(id="run")
        self._titles, self._kind, self._said, self._missing = titles, "", "", 0
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._guarded = ("", "")

    def compose(self) -> ComposeResult:
        yield Static("There was no run yet. Press a to apply this step.", id="run-head", markup=False)
        yield Static("", id="guard", markup=False)
        yield Follower(id="run-log", max_lines=5000)
        yield Static("", id="run-tail", markup=False)

    def begin(self) -> None:
        """Another run: forget the last one."""
        self._missing = 0
        log = self.query_one(Follower)
        log.clear()
        log.following = True
        self.query_one("#run-tail", Static).update("", layout=False)

    def head(self, text: str) -> None:
        """Say how far it is."""
        if text != self._said:
            self._said = text
            self.query_one("#run-head", Static).update(Content(printable_lines(text)), layout=False)

    def guard(self, state: str, text: str) -> None:
        """Show, or take away, the box about the operator's way in."""
        if (state, text) != self._guarded:
            self._guarded = (state, text)
            box = self.query_one("#guard", Static)
            box.set_classes(state)
            box.update(Content(printable_lines(text)))

    def add(self, events: Sequence[dict[str, Any]]) -> None:
        """Add what happened."""
        log = self.query_one(Follower)
        width = max(30, log.size.width - 2) if log.size.width else 40
        lines: list[str] = []
        for event in events:
            for line in self._words(event):
                lines += _folded(line, width)
        if lines:
            log.add(lines)

    def _words(self, event: dict[str, Any]) -> Iterator[str]:
        """An event in words: those of the command line, but for what is done with other keys here."""
        match event["event"]:
            case "run.started":
                self._kind = event["kind"]
                yield f"Run {event['run']}: {event['kind']}. It goes on by itself if this terminal closes."
            case "step.blocked":
                names = listed(self._titles.get(needed, needed) for needed in event["blocked_by"])
                yield f"{self._titles.get(event['step'], event['step'])} waits for {names}"
            case "run.waiting":
                if event["missing"] != self._missing:
                    self._missing = event["missing"]
                    yield (
                        f"\n… {records_are(self._missing)} not live yet: r shows them. When they are, it goes on by "
                        "itself; you may leave. x stops the waiting."
                    )
            case "guard.waiting" | "guard.proved":
                pass
            case "run.finished":
                made = "1 change" if event["changed"] == 1 else f"{event['changed']} changes"
                yield f"\n{event['status']}: {made} {'taken back' if self._kind == 'rollback' else 'made'}."
            case _:
                yield from event_lines(event)

    def tail(self, path: Path, clean: Callable[[str], str]) -> None:
        """Show the end of what the commands say; `clean` hides what a careless one may have printed."""
        try:
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
                words = clean(file.read().decode(errors="replace"))
        except OSError:
            return
        lines = [printable(line.rpartition("\r")[2], 300) for line in words.splitlines() if line.strip()][-TAIL_LINES:]
        if lines != list(self._tail):
            self._tail = deque(lines, TAIL_LINES)
            self.query_one("#run-tail", Static).update(Content("\n".join(lines)), layout=False)


def printable_lines(text: str) -> str:
    """Outside text of several lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _folded(line: str, width: int) -> Iterator[str]:
    for part in line.split("\n"):
        indent = part[: len(part) - len(part.lstrip())]
        yield from wrapped(part.strip(), width, indent, f"{indent}  ") if part.strip() else [""]


class ChecksPart(VerticalScroll, can_focus=True):
    """The checks of a step, each as it comes in."""

    def __init__(self) -> None:
        super().__init__(Static("", id="check-lines", markup=False), id="checks")

    def show(self, rows: Sequence[dict[str, Any]], note: str, width: int) -> None:
        """Show results in lines of this width; those that want something come first."""
        order = {"fail": 0, "warn": 1, "skip": 2, "pass": 3}
        parts: list[Content] = [Content(f"{note}\n")] if note else []
        for row in sorted(rows, key=lambda row: order[row["status"]]):
            title, *rest = check_lines(row, width)
            parts.append(Content.styled(title, STYLES.get(TONES[row["status"]], "")))
            parts += [Content(line) for line in rest]
        self.query_one("#check-lines", Static).update(Content("\n").join(parts))
