"""What the command line says to people: plain text from the engine's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wizard.check import Status
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wizard.check import CheckResult
    from wizard.checklist import StepState
    from wizard.engine import PlannedOperation, StepPlan
    from wizard.rollback import Conflict

GLYPHS = {
    "verified": "[ok]", "running": "[..]", "failed": "[!!]", "drifted": "[~~]", "applied": "[ >]", "ready": "[  ]",
    "pending": "[??]", "blocked": "[--]", "skipped": "[  ]",
    "pass": "[ok]", "warn": "[ !]", "fail": "[!!]", "skip": "[--]",
}  # fmt: skip

# What is waited for, by the step whose checks ask for it.
AWAITED = {
    "preflight": "port 25", "dns": "DNS", "ptr": "PTR", "home": "the server at home",
    "mail_test": "the server at home",
}  # fmt: skip


def checklist(states: Sequence[StepState]) -> Iterator[str]:
    """The checklist, a line each, under its headings."""
    group = ""
    for state in states:
        if state.step.group != group:
            group = state.step.group
            yield f"{group}"
        note = f"{'stale: ' * bool(state.stale)}{state.note}" or (
            f"waits for {', '.join(state.blocked_by)}" if state.blocked_by else ""
        )
        if state.status == "verified" and state.last_verified and not note:
            note = f"verified {state.last_verified}"
        yield f"  {GLYPHS[state.status]} {state.step.id:<14} {state.step.title:<28} {state.status:<9} {note}".rstrip()


def plan(plans: Sequence[StepPlan]) -> Iterator[str]:
    """What would change: steps, operations, diffs and commands."""
    for entry in plans:
        if entry.skip:
            yield f"{entry.step.id}: does not apply here ({entry.skip})"
            continue
        yield f"{entry.step.id}: {entry.step.title} - {_count(entry.changes)}"
        for planned in entry.operations:
            yield from _planned(entry.step.id, planned)
    total = sum(entry.changes for entry in plans)
    kept = sum(planned.kept for entry in plans for planned in entry.operations)
    rest = f" Everything {'else ' if kept else ''}is as planned." if not total else ""
    yield f"\n{_count(total)} in all.{f' {kept} kept as you have it.' if kept else ''}{rest}"


def _planned(step: str, planned: PlannedOperation) -> Iterator[str]:
    change, names = planned.change, f"{step} {planned.operation.id}"
    summary = change.summary if change else planned.operation.summary
    if planned.kept:
        yield f"  k {summary}: kept as you have it. No longer: relay-wizard keep --forget {names}"
        return
    yield f"  {'+' if planned.changes else '='} {summary}"
    for drift in planned.drift:
        yield f"    ~ {printable(drift.told)}"
        yield from (f"      {printable(line)}" for line in drift.diff.splitlines())
    if planned.is_drifted:
        yield f"    Put it back: relay-wizard apply {step}    Keep it: relay-wizard keep {names}"
        if change and any(_is_inverse(drift.diff, change.diff or "") for drift in planned.drift):
            return
        yield "    To put it back would change:"
    if planned.problem:
        yield f"      cannot be told yet: {printable(planned.problem)}"
    if change and change.command:
        yield f"      $ {printable(' '.join(change.command))}"
    if change and change.diff:
        yield from (f"      {printable(line)}" for line in change.diff.splitlines())


def _is_inverse(one: str, other: str) -> bool:
    """Whether one diff takes back just what the other one does."""

    def lines(diff: str, sign: str) -> list[str]:
        return [line[1:] for line in diff.splitlines()[2:] if line.startswith(sign)]

    return bool(one) and lines(one, "+") == lines(other, "-") and lines(one, "-") == lines(other, "+")


def _count(number: int) -> str:
    return "nothing to change" if number == 0 else "1 change" if number == 1 else f"{number} changes"


def conflict_lines(conflict: Conflict) -> Iterator[str]:
    """A file that somebody has changed since, with its versions."""
    yield f"\n{printable(conflict.path)} was changed since relay-wizard wrote it:"
    yield from (f"    {printable(line)}" for line in conflict.since.splitlines())
    yield "  To put the original back would make of what is there:"
    yield from (f"    {printable(line)}" for line in conflict.back.splitlines())


def check_lines(result: CheckResult) -> Iterator[str]:
    """A check in one line, or in the four that say what to do."""
    row = result.as_json()
    return check_row(row)


def check_row(row: dict[str, Any]) -> Iterator[str]:
    """A row of `verify --json` as text: asked, got, want, do, always in this order."""
    yield f"{GLYPHS[row['status']]} {row['title']}  ({row['id']}, {row['ms']} ms)"
    if row["status"] == Status.PASS:
        return
    for word in ("asked", "got", "want", "do"):
        for number, line in enumerate(str(row[word]).splitlines()):
            yield f"     {word if number == 0 else '':<6} {printable(line)}"


def verdict(results: Iterable[CheckResult]) -> Status:
    """The whole in one word: fail when a required check fails, warn when advice is left."""
    rows = list(results)
    if any(row.failed for row in rows):
        return Status.FAIL
    wanting = {Status.WARN, Status.FAIL}
    return Status.WARN if any(row.finding.status in wanting for row in rows) else Status.PASS


def awaited(checks: Iterable[str]) -> tuple[str, ...]:
    """What a run waits for, told by the ids of the checks that only the outside world can mend, or of their steps."""
    steps = {check.partition(".")[0] for check in checks}
    return tuple(dict.fromkeys(word for step, word in AWAITED.items() if step in steps)) or ("something outside",)


def event_lines(event: dict[str, Any]) -> Iterator[str]:  # noqa: C901, PLR0912 - one case a kind of event
    """An event of a run, as the one who follows it reads it."""
    match event["event"]:
        case "run.started":
            yield f"Run {event['run']}: {event['kind']}. It goes on by itself if this terminal closes; come back with:"
            yield "  relay-wizard attach"
        case "step.started":
            yield f"\n{event['title']} ({event['step']})"
        case "step.blocked":
            yield f"\n{event['step']}: waits for {', '.join(event['blocked_by'])}"
        case "operation.started":
            yield f"  … {printable(event['summary'])}"
        case "operation.finished" if event["status"] != "unchanged":
            yield f"  {event['status']:<8} {printable(event['summary'])}  {event['ms'] / 1000:.1f} s"
            if event.get("kept"):
                yield f"           {printable(event['kept'])}"
        case "step.failed":
            yield from (f"  [!!] {word:<6} {printable(event[word])}" for word in ("asked", "got", "do"))
        case "check.finished" if event["status"] in {"fail", "warn"}:
            yield from (f"  {line}" for line in check_row(event))
        case "step.finished":
            yield f"  {GLYPHS[event['status']]} {event['status']}"
        case "run.waiting":
            from wizard.lookup import duration

            what = " and ".join(awaited(event.get("checks", ())))
            yield f"  Waits for {what}: {event['missing']} to come."
            yield f"  It looks again by itself, for {duration(event['seconds_left'])} at most."
        case "guard.waiting":
            yield from guard_lines(event)
        case "guard.proved":
            yield f"  [ok] proved: {printable(event['how'])}. What was changed stays."
        case "guard.reverting":
            yield f"  [!!] no new login was seen in time: {', '.join(event['steps'])} taken back"
        case "guard.overruled":
            yield f"  [!!] {printable(event['path'])} had been edited meanwhile; what is put back undoes this:"
            yield from (f"      {printable(line)}" for line in event["diff"].splitlines())
        case "rollback.finished":
            yield from (f"  kept: {printable(line)}" for line in event["kept"])
            yield from (f"  [!!] {printable(line)}" for line in event["conflicts"])
        case "run.broken":
            yield f"[!!] the run broke off: {printable(event['error'])}. {event['do']}"
        case "run.finished":
            yield from _finished(event)
        case _:
            pass


def guard_lines(event: dict[str, Any]) -> Iterator[str]:
    """What the operator has to do so that a change of the way in stays."""
    yield "\nYour way in was changed. Keep this session; in a second terminal type:"
    yield f"  {printable(event['command'])}"
    yield "It goes on as soon as that login is seen. If none is seen within"
    yield f"{event['seconds_left']} seconds, everything is put back as it was."
    yield "More time: relay-wizard confirm --extend"


def _finished(event: dict[str, Any]) -> Iterator[str]:
    made = _count(event["changed"]) if event["changed"] else "no change"
    yield f"\n{event['status']}: {made} made."
    if event["status"] == "waiting":
        yield "Something outside has to be done first, see above. DNS records to publish: relay-wizard records"
        yield "Then run the same command again; it goes on where it was."
    elif event["status"] == "failed":
        yield "See [!!] above for what to do. Then run the same command again; what is done is not done twice."
