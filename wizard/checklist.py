"""The checklist: where each step stands, as it was last seen. Loads nothing that is not needed to say so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wizard.answers import Answers, AnswersError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from state.store import Guard, Observation, Store
    from wizard.step import Step


@dataclass(frozen=True)
class StepState:
    """A line of the checklist.

    Attributes:
        status: one of the words of the command-line contract.
        blocked_by: ids of the steps that have to be verified first.
        last_verified: when its checks last passed.
        note: why it stands so, where the status alone does not say it.
        stale: ids of steps that it builds on and that have changed since it was verified.
        looked_at: when it was last applied or its checks were asked, '' for never.
    """

    step: Step
    status: str
    blocked_by: tuple[str, ...]
    last_verified: str | None
    note: str = ""
    stale: tuple[str, ...] = ()
    looked_at: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing is to be done: what was seen of it still holds, or it is not needed."""
        return self.status == "skipped" or (self.status == "verified" and not self.stale)


def states(steps: Sequence[Step], store: Store, answers: Answers) -> list[StepState]:
    """Every step, in order, from what the store has seen; the machine is not asked."""
    seen, run = store.observations(), store.last_run()
    # They tell of a run that goes on, and of a failure; without either they need not be read.
    told = run is not None and (run.status == "running" or any(one.status == "failed" for one in seen.values()))
    events = [event for _, event in store.events(run.id)] if run and told else []
    running = _running_step(events) if run and run.status == "running" and store.lives(run.id) else ""
    found = [
        _state(step, seen, running, answers, step.skip(answers) if _answered(step, answers) else "") for step in steps
    ]
    found = [replace(state, looked_at=one.at) if (one := seen.get(state.step.id)) else state for state in found]
    changed, titles = store.changed_at(), {step.id: step.title for step in steps}
    found = [_not_made(_stale(state, seen, changed, titles), events) for state in found]
    begun = {} if running else store.unfinished()
    guard = store.last_guard()
    return [_interrupted(_taken_back(state, guard), begun) for state in found]


def _not_made(state: StepState, events: Sequence[Mapping[str, Any]]) -> StepState:
    """A step that the last run could not change, and whose checks nobody has asked since, says so."""
    if state.status != "failed":
        return state
    failures = (event for event in events if event["event"] == "step.failed")
    # Of a damaged record a word may be missing.
    told = [event.get("at", "") for event in failures if event.get("step") == state.step.id]
    if not told or state.looked_at > told[-1]:
        return state
    return replace(state, note="a change was not made; Run says why, and what to do")


def _interrupted(state: StepState, begun: Mapping[str, str]) -> StepState:
    """A step in whose midst a run was killed says so, and what leads on."""
    if state.step.id not in begun or state.status == "failed":
        return state
    note = f"interrupted: {begun[state.step.id]}. Apply finishes it, rollback takes it back"
    return replace(state, status="failed", blocked_by=(), note=note)


def _taken_back(state: StepState, guard: Guard | None) -> StepState:
    """A step that the timer took back, and that nobody has touched since, says so."""
    if guard is None or guard.state != "reverted" or state.step.id not in guard.record["steps"]:
        return state
    if state.status == "running" or (guard.ended and state.looked_at > guard.ended):
        return state
    note = "taken back: no new login was seen in time. Apply begins again"
    return replace(state, status="failed", blocked_by=(), note=note)


def _running_step(events: Sequence[Mapping[str, Any]]) -> str:
    started = [event["step"] for event in events if event["event"] == "step.started"]
    return started[-1] if started and not is_waiting(events) else ""


def is_waiting(events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a run, as these events of it tell, only waits: for DNS, nothing being changed."""
    return bool(events) and events[-1]["event"] == "run.waiting"


def require_answers(step: Step, answers: Answers) -> None:
    """Refuse to compute a step without the answers that it needs.

    Raises:
        AnswersError: naming the key.
    """
    for key in step.needs:
        if not _answer(answers, key):
            raise AnswersError(
                f"{key}: it is missing; the step “{step.title}” needs it. Write it into an answers file "
                "and name that with --answers, or start relay-wizard and type it there."
            )


def _answered(step: Step, answers: Answers) -> bool:
    return all(_answer(answers, key) for key in step.needs)


def _answer(answers: Answers, key: str) -> Any:
    found: Any = answers
    for name in key.split("."):
        found = getattr(found, name, None)
    return found


def _state(step: Step, seen: Mapping[str, Observation], running: str, answers: Answers, skip: str) -> StepState:
    mine = seen.get(step.id)
    verified = mine.verified_at if mine else None
    if step.id == running:
        return StepState(step, "running", (), verified)
    if skip:
        return StepState(step, "skipped", (), verified, skip)
    blockers = tuple(needed for needed in step.requires if not _stood(seen.get(needed)))
    if mine is None or mine.status == "skipped":
        if blockers:
            return StepState(step, "blocked", blockers, verified)
        return StepState(step, "ready" if _answered(step, answers) else "pending", (), verified)
    if mine.planned and mine.status in {"verified", "applied"}:
        changes = "1 change" if mine.planned == 1 else f"{mine.planned} changes"
        return StepState(step, "drifted", (), verified, f"{changes} planned")
    return StepState(step, mine.status, (), verified)


def _stale(
    state: StepState, seen: Mapping[str, Observation], changed: Mapping[str, str], titles: Mapping[str, str]
) -> StepState:
    """A verified step whose ground has moved since says so."""
    since = state.last_verified
    if state.status != "verified" or since is None:
        return state
    moved = tuple(needed for needed in state.step.requires if _moved(needed, seen.get(needed), changed, since))
    if not moved:
        return state
    missing = tuple(needed for needed in moved if not _stood(seen.get(needed)))
    named = ", ".join(titles.get(needed, needed) for needed in missing or moved)
    note = f"what it builds on has changed since ({named}); verify asks again"
    if missing:
        note = f"what it builds on does not stand any more; do that first: {named}"
    return replace(state, note=note, stale=moved)


def _moved(needed: str, under: Observation | None, changed: Mapping[str, str], since: str) -> bool:
    """Whether a step was changed, taken back or found wanting since; what was never looked at has not changed."""
    if under is None:
        return needed in changed
    return changed.get(needed, "") > since or (not _stood(under) and under.at > since)


def _stood(seen: Observation | None) -> bool:
    return seen is not None and seen.status in {"verified", "skipped"}
