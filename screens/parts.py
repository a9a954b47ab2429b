"""The parts of a step beside its questions: what would change, the run, the checks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.widgets import Follower, Row, Rows
from screens.words import TONES, bar, check_lines, clock, counted, listed, wrapped
from wizard.printable import printable
from wizard.report import awaited, event_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from textual.app import ComposeResult

    from wizard.engine import PlannedOperation, StepPlan

# Where the screens tell more of what is waited for.
WHERE = {
    "port 25": "w tells what helps", "DNS": "r shows the records", "PTR": "r shows the records",
    "the server at home": "h has its files",
}  # fmt: skip
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
        # Where the cursor was, while the same step is looked at again.
        self._pointed = ("", "")

    def compose(self) -> ComposeResult:
        yield Static("", id="plan-head", markup=False)
        yield Rows(id="operations")

    def wait(self) -> None:
        """Nothing is known yet."""
        if self.plan and self.chosen:
            self._pointed = (self.plan.step.id, self.chosen.operation.id)
        self.plan = None
        self._head("looking at the machine …")
        self.query_one(Rows).show(())

    def show(self, plan: StepPlan, first: str = "") -> None:
        """Show a plan; `first` is what has to be done before it."""
        self.plan = plan
        if plan.skip:
            self._head(f"This step is not needed: {plan.skip}.")
        elif not plan.operations:
            self._head("Nothing is changed by this step. Press v to run its checks.")
        elif not plan.changes and any(entry.kept for entry in plan.operations):
            self._head("Nothing else to change. k lets go what you keep as you have it; v runs the checks.")
        elif not plan.changes:
            self._head("Everything is as planned: nothing to change. v runs the checks.")
        else:
            number, them = counted(plan.changes, "change"), "it" if plan.changes == 1 else "them"
            make = f"needs first: {first}" if first else f"a makes {them}"
            self._head(f"{number}. Enter or d shows what exactly; {make}.")
        if any(entry.is_drifted for entry in plan.operations):
            self._head(f"Changed since it was made. d: look, a: put {them} back, k: keep as you have it.")
        rows = self.query_one(Rows)
        rows.show(tuple(self._rows(plan, max(30, self.size.width - 3))))
        rows.point_at(str(self._start(plan)))

    def _start(self, plan: StepPlan) -> int:
        """The operation that the cursor was on, else the first that changes something."""
        ids = [entry.operation.id for entry in plan.operations]
        if self._pointed[0] == plan.step.id and self._pointed[1] in ids:
            return ids.index(self._pointed[1])
        return next((at for at, entry in enumerate(plan.operations) if entry.changes), 0)

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
    awaited: tuple[str, ...] = ()
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def take(self, event: dict[str, Any], age: float = 0.0, now: float = 0.0) -> None:
        """Follow one event.

        Args:
            event: as the run has recorded it.
            age: seconds since then.
            now: the clock that never jumps.
        """
        self.login = login_after(event, now - age) or self.login
        self._note_failure(event)
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
                # It may have failed before: what a later step has mended waits for the world alone.
                self.settled.discard(event["step"])
            case "step.finished" | "rollback.finished":
                self.settled.add(event["step"])
            case "run.waiting":
                self.waiting, self.missing = True, event["missing"]
                self.awaited = awaited(event.get("checks", ()))
                self.doing = f"for {self.awaits}: {self.missing} to come"
            case "run.finished":
                self.status, self.doing, self.waiting = event["status"], "", False
                self.awaited = awaited(step for step, status in event.get("steps", {}).items() if status == "applied")
            case _:
                pass

    def _note_failure(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "step.failed":
                self.reasons[event["step"]] = list(event_lines(event))
            case "step.finished" if event["status"] == "failed":
                self.reasons.setdefault(event["step"], ["  [!!] its checks: 4 on that step says what to do"])
            case "step.finished":
                self.reasons.pop(event["step"], None)
            case _:
                pass

    @property
    def failed(self) -> set[str]:
        """The steps that failed, and did not go well after all."""
        return set(self.reasons)

    @property
    def asks_for_login(self) -> bool:
        """Whether a new login is waited for."""
        return self.login is not None and self.login.state == "waiting" and not self.status

    @property
    def awaits(self) -> str:
        """What it waits for: "DNS and PTR"."""
        return listed(self.awaited)

    @property
    def where(self) -> str:
        """Which keys tell more of that."""
        return "; ".join(dict.fromkeys(WHERE[word] for word in self.awaited if word in WHERE)) or "4 shows the checks"

    def short(self, now: float) -> str:
        """In a few words."""
        if self.login and self.asks_for_login:
            return f"log in again: {self.login.left(now)}"
        what = self.title
        if self.waiting:
            first, *rest = self.awaited
            what = f"waiting for {first}{' …' if rest else ''}"
        return f"{len(self.settled)}/{len(self.steps)}, {what}"

    def line(self, seconds: float) -> str:
        """In one line."""
        if self.waiting:
            # No clock: a day of seconds would cost the line more than all the rest.
            return f"{bar(len(self.settled), len(self.steps))}  waiting"
        if self.asks_for_login:
            return f"{bar(len(self.settled), len(self.steps))}  your new login"
        return f"{bar(len(self.settled), len(self.steps))}  {self.status or self.title}  {clock(seconds)}"


class RunPart(Vertical):
    """The run that goes on, or the last one: how far it is, what it did, the last words of its commands."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        super().__init__(id="run")
        self._titles, self._said, self._waits = titles, "", ""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._guarded = ("", "")

    def compose(self) -> ComposeResult:
        yield Static("There was no run yet. Press a to apply this step.", id="run-head", markup=False)
        yield Static("", id="guard", markup=False)
        yield Follower(id="run-log", max_lines=5000)
        yield Static("", id="run-tail", markup=False)

    def begin(self) -> None:
        """Another run: forget the last one."""
        self._waits = ""
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

    def add(self, told: Iterable[tuple[dict[str, Any], Progress]]) -> None:
        """Add what happened: each event, with how far the run was then."""
        log = self.query_one(Follower)
        width = max(30, log.size.width - 2) if log.size.width else 40
        lines: list[str] = []
        for event, progress in told:
            for line in self._words(event, progress):
                lines += _folded(line, width)
        if lines:
            log.add(lines)

    def _failures(self, progress: Progress) -> Iterator[str]:
        """What failed in a run that went on with other steps, said once more where one looks."""
        for step, lines in progress.reasons.items() if len(progress.steps) > 1 else ():
            yield f"\n{self._titles.get(step, step)} failed:"
            yield from lines

    def _words(self, event: dict[str, Any], progress: Progress) -> Iterator[str]:
        """An event in words: those of the command line, but for what is done with other keys here."""
        match event["event"]:
            case "run.started":
                yield f"Run {event['run']}: {event['kind']}. It goes on by itself if this terminal closes."
            case "step.blocked":
                names = listed(self._titles.get(needed, needed) for needed in event["blocked_by"])
                yield f"{self._titles.get(event['step'], event['step'])} waits for {names}"
            case "run.waiting":
                said = f"waits for {progress.awaits}, {progress.missing} to come: {progress.where}."
                if said != self._waits:
                    self._waits = said
                    yield from self._failures(progress)
                    yield f"\n… {said} Then it goes on by itself; you may leave. x stops the waiting."
            case "guard.waiting" | "guard.proved":
                pass
            case "run.finished":
                made = counted(event["changed"], "change")
                yield f"\n{event['status']}: {made} {'taken back' if progress.kind == 'rollback' else 'made'}."
                yield from self._failures(progress)
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
