"""The engine: answers and facts become a plan, and the checks say what is true; `applying` makes the plan true."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wizard.answers import Answers, AnswersError, parse
from wizard.applying import Applying, Outcome
from wizard.checking import run_checks
from wizard.checklist import StepState, require_answers, states
from wizard.fact import Context, Facts
from wizard.host import HostError
from wizard.operation import Operation, OperationFailed
from wizard.snapshot import note_what_stayed
from wizard.step import no_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from state.store import Store
    from wizard.check import CheckResult
    from wizard.drift import Drift
    from wizard.host import Host, SshSession
    from wizard.operation import Change
    from wizard.secret import Secret
    from wizard.step import Step


@dataclass(frozen=True)
class PlannedOperation:
    """An operation with what it would change now; `problem` says why that cannot be known yet.

    Attributes:
        drift: what has become of that which it had once made.
        kept: True when the operator keeps it as it is, so that it is left alone.
    """

    operation: Operation
    change: Change | None
    problem: str = ""
    drift: tuple[Drift, ...] = ()
    kept: bool = False

    @property
    def changes(self) -> bool:
        """True when applying would do something."""
        return not self.kept and (self.change is not None or bool(self.problem))

    @property
    def is_drifted(self) -> bool:
        """True when somebody else has changed what it had made."""
        return not self.kept and any(entry.is_foreign for entry in self.drift)

    def as_json(self) -> dict[str, Any]:
        """The form of the command-line contract."""
        change = self.change
        drift = [entry.as_json() for entry in self.drift]
        return {
            "id": self.operation.id,
            "summary": change.summary if change else self.operation.summary,
            "changes": self.changes,
            "diff": self.problem or (change.diff if change else None),
            "command": list(change.command) if change and change.command else None,
            "drift": {"said": "; ".join(entry.told for entry in self.drift), "paths": drift} if drift else None,
            "kept": self.kept,
        }


@dataclass(frozen=True)
class StepPlan:
    """A step with its operations as they stand now; `skip` is why it does not apply here."""

    step: Step
    operations: tuple[PlannedOperation, ...]
    skip: str = ""

    @property
    def changes(self) -> int:
        """How many operations would do something."""
        return sum(entry.changes for entry in self.operations)


@dataclass
class Engine:
    """The checklist on one machine.

    Attributes:
        steps: the whole checklist, in order.
        store: what is remembered.
        look: the machine, on which changes are refused; plans and checks use it.
        answers: the operator's answers.
        session: the operator's SSH session, None at the console.
        passwords: what the operator typed, by account.
    """

    steps: Sequence[Step]
    store: Store
    look: Host
    answers: Answers
    session: SshSession | None = None
    passwords: Mapping[str, Secret] = field(default_factory=dict)

    def context(self, host: Host | None = None) -> Context:
        """A context that observes the machine anew."""
        host = host or self.look
        return Context(host, self.answers, Facts(host, self.operator), self.passwords)

    @property
    def operator(self) -> str:
        """The address that the operator comes from, '' at the console."""
        return self.session.client if self.session else ""

    def step(self, step_id: str) -> Step:
        """The step of this id.

        Raises:
            KeyError: when there is none.
        """
        return next(step for step in self.steps if step.id == step_id)

    def choose(self, ids: Sequence[str]) -> list[Step]:
        """The named steps in checklist order; all of them when none is named."""
        return [step for step in self.steps if not ids or step.id in ids]

    def now(self) -> str:
        """The time in RFC 3339, whole seconds."""
        return stamp(self.look.now())

    # Looking

    def plan(self, chosen: Iterable[Step]) -> list[StepPlan]:
        """What apply would change now.

        Raises:
            AnswersError: when an answer that a step needs is missing or wrong.
        """
        chosen = self._answered(chosen)
        context = self.context()
        plans = []
        for step in chosen:
            made = self._plan_step(step, context)
            plans.append(made)
            self._note_drift(made)
        return plans

    def _answered(self, chosen: Iterable[Step]) -> list[Step]:
        """The steps, once it is sure that all can be computed: what is missing is told before anything is asked."""
        steps = list(chosen)
        for step in steps:
            require_answers(step, self.answers)
        return steps

    def _plan_step(self, step: Step, context: Context) -> StepPlan:
        if reason := step.skip(self.answers):
            return StepPlan(step, (), reason)
        ahead = (look_ahead(operation, context.host) for operation in step.plan(context))
        return StepPlan(step, tuple(self._explained(step, entry, context.host) for entry in ahead))

    def _explained(self, step: Step, entry: PlannedOperation, host: Host) -> PlannedOperation:
        """With what has become of it since it was made, and whether the operator keeps that."""
        if entry.change is None:
            return entry
        from wizard.drift import explain

        drift = explain(self.store, host, step.id, entry.operation.id, entry.change)
        return replace(entry, drift=drift, kept=self.keeps(step, entry.operation))

    def keeps(self, step: Step, operation: Operation) -> bool:
        """Whether the operator keeps this setting as it is."""
        return (step.id, operation.id) in self.store.kept()

    def _note_drift(self, made: StepPlan) -> None:
        seen = self.store.observations().get(made.step.id)
        if seen and seen.verified_at and seen.planned != made.changes:
            self.store.observe(made.step.id, seen.status, seen.at, made.changes)

    def verify(
        self, chosen: Iterable[Step], heard: Callable[[CheckResult], None] = lambda _: None
    ) -> list[CheckResult]:
        """Run the checks of steps now, all of them at once, and remember what was seen.

        Args:
            chosen: the steps.
            heard: called in this thread with each result as it comes.

        Raises:
            AnswersError: when an answer that a check needs is missing.
        """
        context = self.context()
        applying = [step for step in self._answered(chosen) if not step.skip(self.answers)]
        pairs = [(step, check) for step in applying for check in step.checks(context)]
        kept = {step for step, _ in self.store.kept()}
        results = []
        for answer in run_checks(self.look, pairs):
            result = _with_what_is_kept(answer) if answer.step in kept else answer
            results.append(result)
            heard(result)
        order = {check.id: number for number, (_, check) in enumerate(pairs)}
        results.sort(key=lambda result: order[result.check.id])
        for step in applying:
            self._remember(step, [result for result in results if result.step == step.id], context)
        return results

    def _remember(self, step: Step, results: Sequence[CheckResult], context: Context) -> None:
        seen = self.store.observations().get(step.id)
        wrong = [result for result in results if result.failed]
        unapplied = step.plan is not no_operations and (seen is None or seen.status == "skipped")
        if unapplied and (wrong or self._would_change(step, context)):
            return  # neither failed nor verified: it is still to be done
        status = "failed" if wrong else "verified"
        if wrong and all(result.check.outside for result in wrong) and (seen is None or seen.status == "applied"):
            status = "applied"  # what is here is as it should be; the world has still to follow
        self.store.observe(step.id, status, self.now(), seen.planned if seen else 0)

    def _would_change(self, step: Step, context: Context) -> bool:
        """Whether applying a step would change something; where that cannot be told, it is still to be found out."""
        try:
            return bool(self._plan_step(step, context).changes)
        except (AnswersError, HostError, OperationFailed):
            return True

    def states(self) -> list[StepState]:
        """The checklist as it was last seen, without asking the machine anything."""
        return states(self.steps, self.store, self.answers)

    # Changing

    def refuses_rollback(self, ids: Sequence[str]) -> str:
        """Why these steps cannot be taken back now, '' when they can; of the others among them nothing stands then."""
        context, made = self.context(), self.store.changes()
        for step in (step for step in self.steps if step.id in ids):
            standing = [change for change in made if change.step == step.id or change.step not in ids]
            if words := step.refuse_rollback(context, standing):
                return words
        return ""

    def may_lock_out(self, chosen: Iterable[Step]) -> list[StepPlan]:
        """Those of the steps that would change the operator's way in now."""
        context = self.context()
        guarded = [step for step in chosen if step.guarded(context)]
        return [made for made in self.plan(guarded) if made.changes]

    def touch_way_in(self, ids: Iterable[str]) -> bool:
        """Whether these steps, applied or taken back, could change how the operator gets in."""
        context = self.context()
        return any(step.guarded(context) for step in self.steps if step.id in {*ids})

    def apply(
        self,
        run: int,
        host: Host,
        chosen: Sequence[Step],
        emit: Callable[[dict[str, Any]], None],
        wait: float,
        *,
        confirm: bool = False,
        rest: Callable[[float], None] | None = None,
    ) -> Outcome:
        """Apply steps in order, each verified before those that need it.

        Args:
            run: the run's number in the store.
            host: the machine, to be changed.
            chosen: the steps.
            emit: gets every event.
            wait: seconds to go on watching for what the operator must publish.
            confirm: whether changes that could cut the operator off are taken back unless a new login is seen.
            rest: lets seconds pass between two looks; may return sooner, and raise to end the run. Answers may be
                changed meanwhile: they are read again.
        """
        note_what_stayed(self.store, host)
        return Applying(self, run, host, tuple(chosen), emit, wait, rest or host.sleep, confirm).go()

    def read_answers(self) -> None:
        """Take the answers as they are saved now."""
        saved = self.store.answers()
        if saved is not None:
            self.answers = parse(saved)


def look_ahead(operation: Operation, host: Host) -> PlannedOperation:
    """What an operation would change, or why that cannot be told yet."""
    try:
        return PlannedOperation(operation, operation.diff(host))
    except OperationFailed as error:
        return PlannedOperation(operation, None, f"{error.asked}: {error.got}. {error.do}")
    except (HostError, OSError) as error:
        return PlannedOperation(operation, None, str(error))


def _with_what_is_kept(result: CheckResult) -> CheckResult:
    """Applying the step, which most checks advise, passes by what the operator keeps."""
    if not result.finding.do:
        return result
    do = f"{result.finding.do}\nYou keep settings of this step as you have them. No longer: relay-wizard keep --forget "
    return replace(result, finding=replace(result.finding, do=do + result.step))


def stamp(moment: datetime) -> str:
    """A time in RFC 3339, UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
