"""The checklist: where each step stands, as it was last seen. Loads nothing that is not needed to say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wizard.answers import Answers, AnswersError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from state.store import Guard, Observation, Store
    from wizard.step import Step


@dataclass(frozen=True)
class StepState:
    """A line of the checklist. `status` is one of the words of the command-line contract."""

    step: Step
    status: str
    blocked_by: tuple[str, ...]
    last_verified: str | None
    note: str = ""


def states(steps: Sequence[Step], store: Store, answers: Answers) -> list[StepState]:
    """Every step, in order, from what the store has seen; the machine is not asked."""
    seen = store.observations()
    running = _running_step(store)
    found = [
        _state(step, seen, running, answers, step.skip(answers) if _answered(step, answers) else "") for step in steps
    ]
    begun = {} if running else store.unfinished()
    guard = store.last_guard()
    return [_interrupted(_taken_back(state, seen.get(state.step.id), guard), begun) for state in found]


def _interrupted(state: StepState, begun: Mapping[str, str]) -> StepState:
    """A step in whose midst a run was killed says so, and what leads on."""
    if state.step.id not in begun or state.status == "failed":
        return state
    note = f"interrupted: {begun[state.step.id]}. Apply finishes it, rollback takes it back"
    return StepState(state.step, "failed", (), state.last_verified, note)


def _taken_back(state: StepState, seen: Observation | None, guard: Guard | None) -> StepState:
    """A step that the timer took back, and that nobody has touched since, says so."""
    if guard is None or guard.state != "reverted" or state.step.id not in guard.record["steps"]:
        return state
    if state.status == "running" or (seen and guard.ended and seen.at > guard.ended):
        return state
    note = f"taken back at {guard.ended}: no new login was seen in time"
    return StepState(state.step, "failed", (), state.last_verified, note)


def _running_step(store: Store) -> str:
    run = store.last_run()
    if run is None or run.status != "running" or not store.lives(run.id):
        return ""
    events = [event for _, event in store.events(run.id)]
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
    note = ""
    changed = [needed for needed in step.requires if _later(seen.get(needed), verified)]
    if mine.status == "verified" and changed:
        note = f"stale: {', '.join(changed)} was verified again since"
    return StepState(step, mine.status, (), verified, note)


def _stood(seen: Observation | None) -> bool:
    return seen is not None and seen.status in {"verified", "skipped"}


def _later(seen: Observation | None, moment: str | None) -> bool:
    return bool(seen and moment and seen.status != "verified" and seen.at > moment)
