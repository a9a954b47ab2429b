"""One `apply`: every step planned anew, changed with a way back, proved where it could lock out, and judged."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wizard import guard as guards
from wizard.answers import AnswersError
from wizard.fact import Context, WayIn
from wizard.host import HostError
from wizard.operation import Operation, OperationFailed
from wizard.operations.packages import InstallPackages
from wizard.operations.services import RunService, reload_services
from wizard.snapshot import fingerprint, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from state.store import Guard
    from wizard.check import CheckResult
    from wizard.engine import Engine
    from wizard.host import Host
    from wizard.operation import Change
    from wizard.step import Step

# A daemon that was just started may need a moment before it answers.
SETTLING = (1.0, 2.0, 4.0)
# Seconds between two looks at DNS while a run waits: a tenth of the time it has waited, within these bounds. A day of
# it is some hundred rounds of questions to other people's servers.
POLL_FIRST, POLL_MOST = 2.0, 300.0
# How often a new login is looked for, and how long after its time a timer that did not fall is waited for.
LOGIN_POLL, OVERDUE = 1.0, 60.0


@dataclass
class Outcome:
    """How a run ended: the words of `run.finished`, and the exit status of the command line."""

    steps: dict[str, str] = field(default_factory=dict)
    changed: int = 0
    operation_failed: bool = False
    waiting: bool = False

    @property
    def failed(self) -> bool:
        """True when a step is not what it should be, and nothing outside will mend it."""
        return "failed" in self.steps.values()

    @property
    def status(self) -> str:
        """The run's status, the worst of its steps."""
        if self.failed or self.operation_failed:
            return "failed"
        return "waiting" if self.waiting else "ok"

    @property
    def exit(self) -> int:
        """0 all well, 1 a check fails, 3 an operation failed, 6 waiting for something outside."""
        if self.operation_failed:
            return 3
        return 1 if self.failed else 6 if self.waiting else 0


@dataclass
class Applying:
    """One `apply`: the pieces that its small functions share. See `Engine.apply` for the arguments."""

    engine: Engine
    run: int
    host: Host
    chosen: tuple[Step, ...]
    emit: Callable[[dict[str, Any]], None]
    wait: float
    rest: Callable[[float], None]
    confirm: bool = False
    guard: Guard | None = None
    unproved: list[Step] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)
    packages_failed: OperationFailed | None = None
    packages_done: bool = False
    hopeless: set[str] = field(default_factory=set)
    failed_at: dict[str, int] = field(default_factory=dict)
    asked_at: dict[str, int] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    told: dict[str, CheckResult] = field(default_factory=dict)

    def go(self) -> Outcome:
        self._take_over_guard()
        self._pass()
        began = now = self.host.monotonic()
        until = began + self.wait
        while self.outcome.waiting and now < until:
            missing = sorted(self.missing)
            left = round(until - now)
            self.emit({"event": "run.waiting", "seconds_left": left, "missing": len(missing), "checks": missing})
            self.rest(min(max(POLL_FIRST, (now - began) / 10), POLL_MOST, until - now))
            self.engine.read_answers()
            self._pass()
            now = self.host.monotonic()
        return self.outcome

    def _pass(self) -> None:
        """Go through the steps that are not settled yet."""
        self.outcome.waiting = False
        self.missing.clear()
        for step in self.chosen:
            if not self._is_guarded(step):
                self._prove()
            if self.outcome.steps.get(step.id) in {None, "applied", "blocked"}:
                self.outcome.steps[step.id] = self._step(step)
        self._prove()
        if self._mended():
            self.hopeless.clear()
            self._pass()

    def _mended(self) -> bool:
        """Ask once more about steps that failed before a later step mended what they stand on.

        Postfix answers 451 while a milter is down, say, and the milter belongs to a later step.
        """
        mended = False
        for step in self.chosen:
            if step.id in self.failed_at and self.failed_at[step.id] < self.outcome.changed:
                del self.failed_at[step.id]
                status = self._judge(step)
                self.outcome.steps[step.id] = status
                self.emit({"event": "step.finished", "step": step.id, "status": status})
                mended |= status != "failed"
        return mended

    def _step(self, step: Step) -> str:
        blockers = tuple(needed for needed in step.requires if not self._stands(needed))
        # What was verified once is put right again whatever is broken before it: that may be the very mend.
        if blockers and not self._stood_once(step):
            return self._blocked(step, blockers)
        first = step.id not in self.outcome.steps or self.outcome.steps[step.id] == "blocked"
        if first:
            self.emit({"event": "step.started", "step": step.id, "title": step.title})
        status = self._attempt(step, lambda: self._apply_step(step, first=first))
        if first or status != "applied":
            self.emit({"event": "step.finished", "step": step.id, "status": status})
        return status

    def _attempt(self, step: Step, work: Callable[[], str]) -> str:
        """Do some of a step's work; what goes wrong is told and remembered."""
        try:
            status = work()
        except OperationFailed as error:
            self.outcome.operation_failed = True
            self._remember_failure(step)
            self.emit({"event": "step.failed", "step": step.id, "asked": error.asked, "got": error.got, "do": error.do})
            status = "failed"
        except AnswersError as error:
            self.outcome.operation_failed = True
            do = "Mend the answer, then apply again."
            self.emit({"event": "step.failed", "step": step.id, "asked": "the answers", "got": str(error), "do": do})
            status = "failed"
        if status == "failed":
            self.hopeless.add(step.id)
        return status

    def _stood_once(self, step: Step) -> bool:
        seen = self.engine.store.observations().get(step.id)
        return seen is not None and seen.verified_at is not None

    def _remember_failure(self, step: Step) -> None:
        self.engine.store.observe(step.id, "failed", self.engine.now(), 1)

    def _blocked(self, step: Step, blockers: tuple[str, ...]) -> str:
        if step.id not in self.outcome.steps:
            self.emit({"event": "step.blocked", "step": step.id, "blocked_by": list(blockers)})
        # What stands behind a failed step, however far, is not waiting for the world.
        if self.hopeless & {*blockers}:
            self.hopeless.add(step.id)
        else:
            self.outcome.waiting = True
        return "blocked"

    def _stands(self, step_id: str) -> bool:
        """Whether a step that others need is verified: in this run, or asked now when it is not part of it."""
        asked_before_a_change = self.asked_at.get(step_id, self.outcome.changed) != self.outcome.changed
        if step_id in self.outcome.steps and not asked_before_a_change:
            return self.outcome.steps[step_id] in {"verified", "skipped"}
        step = self.engine.step(step_id)
        if step.skip(self.engine.answers):
            self.outcome.steps[step_id] = "skipped"
            return True
        wrong = [result for result in self.engine.verify([step]) if result.failed]
        if not wrong:
            self.outcome.steps[step_id] = "verified"
            self.hopeless.discard(step_id)
        elif not all(result.check.outside for result in wrong):
            self._will_not_come(step_id, wrong)
        self.missing |= {result.check.id for result in wrong if result.check.outside}
        # What only the world can mend is not remembered: a later pass asks again.
        return not wrong

    def _will_not_come(self, step_id: str, wrong: Sequence[CheckResult]) -> None:
        """A step that others need does not stand, is no part of this run, and will not come by waiting."""
        self.asked_at[step_id] = self.outcome.changed
        self.outcome.steps[step_id] = "failed"
        self.hopeless.add(step_id)
        self._tell(wrong)

    def _tell(self, results: Sequence[CheckResult]) -> None:
        """Record results; while a run waits, those alone that are news."""
        for result in results:
            known = self.told.get(result.check.id)
            if known is None or known.finding != result.finding:
                self.told[result.check.id] = result
                self.emit({"event": "check.finished", **result.as_json()})

    def _apply_step(self, step: Step, *, first: bool) -> str:
        context = self.engine.context(self.host)
        if step.skip(self.engine.answers):
            self.engine.store.observe(step.id, "skipped", self.engine.now(), 0)
            return "skipped"
        if first and self._is_guarded(step):
            self._install_before_the_countdown()
            self._operate(step, replace(context, way_in=WayIn.UNPROVED))
            if self._wants_proof(step):
                self.unproved.append(step)
                return "applied"
            self._operate(step, replace(context, way_in=WayIn.PROVED))
        elif first:
            self._operate(step, context)
        return self._judge(step)

    # The operator's way in

    def _is_guarded(self, step: Step) -> bool:
        return self.confirm and step.guarded(self.engine.context(self.host))

    def _install_before_the_countdown(self) -> None:
        """Have the packages of all guarded steps there: to wait for apt and dpkg may take longer than a countdown."""
        context = self.engine.context(self.host)
        for step in self.chosen:
            for operation in self._foreseen(step, context) if self._is_guarded(step) else ():
                if isinstance(operation, InstallPackages) and operation.diff(self.host) is not None:
                    # What goes wrong is told when the step's own turn comes.
                    with contextlib.suppress(OperationFailed):
                        self._operation(step, operation, context)

    def _take_over_guard(self) -> None:
        """See to a guard that a killed run has left behind."""
        guard = self.engine.store.last_guard()
        if guard is None or not guard.is_open:
            return
        if guard.state == "reverting":
            guards.revert(self.engine, self.host, guard)
        elif self.confirm:
            self._arm()
        else:
            guards.prove(self.engine.store, self.host, guard, "no proof was asked for")

    def _arm(self) -> Guard:
        engine = self.engine
        self.guard = guards.arm(engine.store, self.host, self.run, engine.context(self.host), engine.session)
        return self.guard

    def _arm_for(self, step: Step) -> None:
        """Before the first change of a step that could cut the operator off."""
        if self.guard is None or step.id not in self.guard.record["steps"]:
            self.guard = guards.cover(self.engine.store, self._arm(), step.id)

    def _wants_proof(self, step: Step) -> bool:
        """Whether the step's new way in is still to be proved: something was changed, or the old one is to go."""
        if self.guard is None:
            context = replace(self.engine.context(self.host), way_in=WayIn.PROVED)
            wanted = [operation for operation in step.plan(context) if not self.engine.keeps(step, operation)]
            closing = any(operation.diff(self.host) is not None for operation in wanted)
            if closing and not guards.proved(self.engine.store, context.answers.ssh.port):
                self._arm()
        if self.guard is not None:
            self.guard = guards.cover(self.engine.store, self.guard, step.id)
        return self.guard is not None

    def _prove(self) -> None:
        """Wait until the operator has shown that the new way in works, or the timer has brought the old one back."""
        if self.guard is None:
            return
        context = self.engine.context(self.host)
        guard = self._await_proof(guards.await_proof(self.engine.store, self.host, self.guard, context))
        self.guard = None
        steps, self.unproved = self.unproved, []
        for step in steps:
            if guard.state == "proved":
                status = self._attempt(step, lambda step=step: self._close(step))  # type: ignore[misc]
            else:
                status = self._taken_back(step, guard)
            self.outcome.steps[step.id] = status
            self.emit({"event": "step.finished", "step": step.id, "status": status})

    def _await_proof(self, guard: Guard) -> Guard:
        engine, told, overdue = self.engine, 0.0, 0.0
        while guard.is_open:
            left = guards.seconds_left(self.host)
            overdue = overdue + LOGIN_POLL if left is None else 0.0
            # Told once, and again when the operator has asked for more time.
            if left is not None and (falls := self.host.monotonic() + left) > told + 0.5:
                told = falls
                self._tell_to_log_in(guard, left)
            login = guards.seen_login(self.host, guard, engine.context(self.host))
            if login is not None:
                guards.prove(engine.store, self.host, guard, str(login))
            elif overdue > OVERDUE:
                guards.revert(engine, self.host, guard)
            else:
                self.host.sleep(LOGIN_POLL)
            guard = engine.store.last_guard() or guard
        if guard.state == "proved":
            self.emit({"event": "guard.proved", "how": guard.record["how"]})
        return guard

    def _tell_to_log_in(self, guard: Guard, left: float) -> None:
        words = {key: guard.record[key] for key in ("steps", "port", "command")}
        self.emit({"event": "guard.waiting", **words, "seconds_left": round(left)})

    def _close(self, step: Step) -> str:
        self._operate(step, replace(self.engine.context(self.host), way_in=WayIn.PROVED))
        return self._judge(step)

    def _taken_back(self, step: Step, guard: Guard) -> str:
        self.outcome.operation_failed = True
        self.hopeless.add(step.id)
        got = "none was seen, so everything that this step had changed is back as it was"
        do = (
            f"See that port {guard.record['port']} is open in your provider's firewall and that your key is on this "
            "server, then apply again."
        )
        if left := guard.record.get("left"):
            got = f"none was seen, and not everything could be put back: {'; '.join(left)}"
            do = f"Keep this session open. Mend that, then: relay-wizard rollback {step.id}"
        asked = f"a new login in time: {guard.record['command']}"
        self.emit({"event": "step.failed", "step": step.id, "asked": asked, "got": got, "do": do})
        return "failed"

    # The operations of a step

    def _operate(self, step: Step, context: Context) -> None:
        """Apply what differs, then let the services that read it know, once."""
        # What a killed run wrote and nobody has read yet counts as changed by this one.
        states = {"intended", "made", "failed"}
        unread = [change.record for change in self.engine.store.changes(step.id) if change.state in states]
        notify = dict.fromkeys(name for record in unread for name in record["notify"])
        restart = dict.fromkeys(name for record in unread for name in record["restart"])
        changed = False
        try:
            for operation in step.plan(context):
                change = self._operation(step, operation, context)
                if change is None:
                    continue
                changed = True
                notify |= dict.fromkeys(change.notify)
                restart |= dict.fromkeys(change.restart)
                if isinstance(operation, RunService):
                    # It was started just now, with everything before it already in place.
                    notify.pop(operation.name, None)
                    restart.pop(operation.name, None)
        except OperationFailed:
            # What was done stays done, so those who read it shall know; what they say must not hide the first failure.
            with contextlib.suppress(OperationFailed):
                reload_services(self.host, tuple(notify), tuple(restart))
            raise
        reload_services(self.host, tuple(notify), tuple(restart))
        if unread or changed:
            self.engine.store.close_changes(step.id)
        if changed:
            self.engine.store.observe(step.id, "applied", self.engine.now(), 0)

    def _operation(self, step: Step, operation: Operation, context: Context) -> Change | None:
        if isinstance(operation, InstallPackages):
            operation = self._with_all_packages(operation)
        change = operation.diff(self.host)
        names = {"step": step.id, "operation": operation.id}
        if change is None:
            self.emit(
                {"event": "operation.finished", **names, "summary": operation.summary, "status": "unchanged", "ms": 0}
            )
            return None
        if self.engine.keeps(step, operation):
            summary = f"{change.summary}: kept as you have it"
            self.emit({"event": "operation.finished", **names, "summary": summary, "status": "kept", "ms": 0})
            return None
        # Packages may take their time, and cut nobody off.
        if context.way_in is WayIn.UNPROVED and not isinstance(operation, InstallPackages):
            self._arm_for(step)
        self.emit({"event": "operation.started", **names, "summary": change.summary})
        start = self.host.monotonic()
        try:
            self._make(step, operation, change)
        except OperationFailed as error:
            if isinstance(operation, InstallPackages):
                self.packages_failed = error
            self._finished(names, change, "failed", start)
            raise
        self._finished(names, change, "changed", start)
        self.outcome.changed += 1
        return change

    def _finished(self, names: dict[str, str], change: Change, status: str, start: float) -> None:
        ms = round((self.host.monotonic() - start) * 1000)
        event = {"event": "operation.finished", **names, "summary": change.summary, "status": status, "ms": ms}
        if change.kept and status == "changed":
            event["kept"] = change.kept
        self.emit(event)

    def _make(self, step: Step, operation: Operation, change: Change) -> None:
        """Apply one change, its images and its way back recorded before anything is touched."""
        store = self.engine.store
        images = [(image, fingerprint(image)) for image in (take(self.host, path) for path in change.paths)]
        record = {
            "summary": change.summary, "undo_edit": change.undo_edit, "undo": change.undo, "by_line": change.by_line,
            "notify": change.notify, "restart": change.restart, "kept": change.kept,
            "leaves": {image.path: fingerprint(image) for image in operation.leaves()},
        }  # fmt: skip
        number = store.intend(self.run, step.id, operation.id, record, images, self.engine.now())
        try:
            operation.apply(self.host)
        except (HostError, OSError, KeyError) as error:
            self._settle(number, "failed", change)
            raise OperationFailed(
                change.summary,
                f"{type(error).__name__}: {error}",
                "Mend that, then apply again; what is done stays done.",
            ) from error
        except OperationFailed:
            self._settle(number, "failed", change)
            raise
        self._settle(number, "made", change)

    def _settle(self, number: int, state: str, change: Change) -> None:
        left = [take(self.host, path) for path in change.paths]
        self.engine.store.settle(number, state, [(image, fingerprint(image)) for image in left])

    def _with_all_packages(self, operation: InstallPackages) -> InstallPackages:
        """The first packages that are wanted bring those of all chosen steps: one transaction for all."""
        if self.packages_failed is not None:
            raise self.packages_failed
        if self.packages_done:
            return operation
        self.packages_done = True
        context = self.engine.context(self.host)
        wanted = dict.fromkeys(operation.packages)
        for step in self.chosen:
            for other in self._foreseen(step, context):
                if isinstance(other, InstallPackages):
                    wanted |= dict.fromkeys(other.packages)
        return InstallPackages(operation.platform, tuple(wanted))

    def _foreseen(self, step: Step, context: Context) -> Sequence[Operation]:
        """A later step's operations as far as they can be told now; it is asked again when its turn comes."""
        if self.outcome.steps.get(step.id) in {"failed", "skipped"}:
            return ()
        try:
            return () if step.skip(self.engine.answers) else step.plan(context)
        except (OperationFailed, HostError, AnswersError):
            return ()

    def _judge(self, step: Step) -> str:
        """Run the step's checks; those of daemons that were just started get a few moments to come true."""
        results = self.engine.verify([step])
        for pause in SETTLING:
            wrong = [result for result in results if result.failed]
            if not wrong or any(result.check.outside for result in wrong):
                break
            self.host.sleep(pause)
            results = self.engine.verify([step])
        wrong = [result for result in results if result.failed]
        inside = [result for result in wrong if not result.check.outside]
        self._tell(results)
        if not wrong:
            self.engine.store.observe(step.id, "verified", self.engine.now(), 0)
            return "verified"
        if inside:
            self.failed_at[step.id] = self.outcome.changed
            self.engine.store.observe(step.id, "failed", self.engine.now(), 0)
            return "failed"
        self.outcome.waiting = True
        self.missing |= {result.check.id for result in wrong}
        self.engine.store.observe(step.id, "applied", self.engine.now(), 0)
        return "applied"
