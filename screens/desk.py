"""The desk: all that the screens ask of the engine, in calls that may block and so run in threads.

SQLite connections belong to one thread, so each call opens the store anew. Nothing here knows of Textual.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from screens.fields import is_about
from state.store import Locked, Store, StoreError
from wizard.answers import Answers, AnswersError, as_tables, parse
from wizard.checklist import is_waiting, require_answers, states
from wizard.secret import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from state.store import Run
    from wizard.check import CheckResult
    from wizard.checklist import StepState
    from wizard.engine import Engine, StepPlan
    from wizard.fact import Context, WayIn
    from wizard.host import Host, SshSession
    from wizard.rollback import Conflict, Decision
    from wizard.step import Field, Step

    # Starts a run in the background: store, request, passwords, the time; its number.
    Launch = Callable[[Store, dict[str, Any], Mapping[str, Secret], str], int]

T = TypeVar("T")
PLACE = "screens.json"
# Seconds between two tries to get in between two looks of a run that waits.
GLANCE = 0.2
WAITS_FOR_THE_WORLD = "applied"
# A run's output is shown from its end; more than this is for the pager.
OUTPUT_SHOWN = 1 << 20


@dataclass(frozen=True)
class Checklist:
    """The checklist as it stands, and the last run: whether it is going on, and whether it then only waits for DNS."""

    states: tuple[StepState, ...]
    hostname: str
    run: Run | None
    going_on: bool
    waits: bool

    def state(self, step_id: str) -> StepState:
        """The line of one step."""
        return next(state for state in self.states if state.step.id == step_id)

    @property
    def next(self) -> StepState | None:
        """The step to do next: the first that is neither done nor waiting for another."""
        return next(
            (state for state in self.states if not state.done and state.status not in {"blocked", "running"}), None
        )

    @property
    def done(self) -> int:
        """How many of them are done."""
        return sum(state.done and state.status != "skipped" for state in self.states)

    @property
    def needed(self) -> int:
        """How many steps there are to do on this machine."""
        return sum(state.status != "skipped" for state in self.states)

    @property
    def remaining(self) -> tuple[str, ...]:
        """The steps that are not done yet."""
        return tuple(state.step.id for state in self.states if not state.done)


@dataclass(frozen=True)
class Back:
    """What a rollback would do.

    Attributes:
        ids: the steps, in the order in which they are taken back.
        changes: each with its step, the newest first.
        conflicts: files that somebody has changed since: the operator decides.
        way_in: whether SSH or firewall are among them.
        refused: why it cannot be done now, '' when it can.
    """

    ids: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    conflicts: tuple[Conflict, ...]
    way_in: bool = False
    refused: str = ""


@dataclass
class Place:
    """Where the operator left: which step, which part of it, how the screen was drawn."""

    step: str = ""
    section: str = ""
    looks: str = ""
    begun: bool = False


@dataclass
class Desk:
    """The engine, as the screens reach it.

    Attributes:
        state: the folder of the store.
        steps: the checklist.
        look: the machine, on which changes are refused.
        launch: starts a run that does not live in this terminal.
        hand: the machine, to be changed: the guard's timer and what is saved to be fetched alone; all else by runs.
        session: the operator's SSH session.
        passwords: what the operator typed; in memory alone, handed to a run and gone with this process.
        notice: what had to be done to open the store, when it was damaged: the operator has to be told.
    """

    state: Path
    steps: Sequence[Step]
    look: Host
    launch: Launch
    hand: Host
    session: SshSession | None = None
    passwords: dict[str, Secret] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=Redactor)
    notice: str = ""

    @contextlib.contextmanager
    def engine(self) -> Iterator[Engine]:
        """An engine over a store of this thread."""
        from wizard.engine import Engine

        store = Store.open(self.state)
        self.notice = store.notice or self.notice
        try:
            answers = parse(store.answers() or {})
            yield Engine(self.steps, store, self.look, answers, self.session, dict(self.passwords))
        finally:
            store.close()

    def step(self, step_id: str) -> Step:
        """The step of this id."""
        return next(step for step in self.steps if step.id == step_id)

    @property
    def titles(self) -> dict[str, str]:
        """The titles of the steps, by id."""
        return {step.id: step.title for step in self.steps}

    def asking(self, key: str, near: str = "") -> Step | None:
        """The step that asks for an answer: the one named `near` when it does, else the first."""
        asked = [step for step in self.steps if any(is_about(key, field) for field in step.fields)]
        return next((step for step in asked if step.id == near), asked[0] if asked else None)

    # Where things stand

    def checklist(self) -> Checklist:
        """What is remembered of each step; asks the machine nothing."""
        with self.engine() as engine:
            run = engine.store.last_run()
            going_on = run is not None and run.status == "running" and engine.store.lives(run.id)
            waits = going_on and run is not None and _waits(engine.store, run)
            found = tuple(states(self.steps, engine.store, engine.answers))
            return Checklist(found, engine.answers.relay.hostname, run, going_on, waits)

    def look_for_drift(self) -> None:
        """Compute the plans of verified steps, so that a hand edit since then shows."""
        with self.engine() as engine:
            seen = engine.store.observations()
            for step in self.steps:
                if step.id in seen and seen[step.id].status == "verified":
                    with contextlib.suppress(AnswersError):
                        engine.plan([step])

    def plan(self, step_id: str) -> StepPlan:
        """What apply would change in a step now. Raises AnswersError."""
        with self.engine() as engine:
            return engine.plan([engine.step(step_id)])[0]

    def verify(self, ids: Sequence[str], heard: Callable[[CheckResult], None]) -> list[CheckResult]:
        """Ask the checks of steps now; `heard` gets each result as it comes, in this thread. Raises AnswersError."""
        with self.engine() as engine:
            return engine.verify(engine.choose(ids), heard)

    # Answers

    def answers(self) -> Answers:
        """The saved answers."""
        with self.engine() as engine:
            return engine.answers

    def save(self, changes: Mapping[str, Any], seen: Answers) -> Answers:
        """Take new answers into the saved ones, which another terminal may have changed since they were seen.

        Args:
            changes: new answers by dotted key ("ssh.port"; "users" is the whole list).
            seen: the answers that they were changes of.

        Raises:
            AnswersError: when they do not fit together, or not this machine; nothing is saved then.
        """
        with self.engine() as engine:
            saved = as_tables(engine.answers)
            if "users" in changes:
                users = users_merged(as_tables(seen)["users"], changes["users"], saved["users"])
                changes = {**changes, "users": users}
            changed = parse(merged(saved, changes))
            context = replace(engine.context(), answers=changed)
            for asked in (entry for step in self.steps for entry in step.fields if entry.key in changes):
                if why := asked.unfit(context):
                    raise AnswersError(f"{asked.key}: {why}")
            engine.store.save_answers(as_tables(changed))
            return changed

    def detected(self, fields: Sequence[Field]) -> dict[str, str]:
        """What the machine itself suggests, by key."""
        found = {}
        with self.engine() as engine:
            context = engine.context()
            for entry in fields:
                if entry.detect is not None:
                    found[entry.key] = entry.detect(context)
        return found

    def keep_password(self, account: str, text: str) -> None:
        """Remember a typed password for the runs of this session, and hide it wherever text is shown; '' forgets it."""
        if not text:
            self.passwords.pop(account, None)
            return
        secret = Secret(text)
        self.passwords[account] = self.redactor.learn(secret)
        self.look.learn(secret)

    # Runs

    def start(self, kind: str, ids: Sequence[str], wait: int = 0, decided: Mapping[str, Decision] | None = None) -> int:
        """Begin `apply` or `rollback` in the background; the run's number. A run that only waits is ended by that.

        Args:
            kind: "apply" or "rollback".
            ids: the steps.
            wait: seconds to go on watching for what the operator must publish.
            decided: for a rollback, what shall become of the files that `conflicts` names.

        Raises:
            AnswersError: when an answer is missing, before anything is begun.
            Locked: when another run is changing something.
        """
        from wizard import detached, guard

        with self.engine() as engine:
            if kind == "apply":
                self._answers_suffice(engine, ids)
            confirm = kind == "apply" and guard.is_wanted("auto", self.session)
            request = detached.request(kind, ids, self.session, wait=wait, confirm=confirm, decided=decided)
            return self._between_looks(
                engine.store, lambda: self.launch(engine.store, request, self.passwords, engine.now())
            )

    def _between_looks(self, store: Store, work: Callable[[], T]) -> T:
        """Do what ends a run that only waits; while that one looks again it holds the lock, a minute at most."""
        while True:
            try:
                return work()
            except Locked:
                run = store.last_run()
                if run is None or not _waits(store, run):
                    raise
                self.look.sleep(GLANCE)

    @staticmethod
    def _answers_suffice(engine: Engine, ids: Sequence[str]) -> None:

        context = engine.context()
        for step in engine.choose(ids):
            try:
                require_answers(step, engine.answers)
                if not step.skip(engine.answers):
                    step.plan(context)
            except AnswersError as error:
                raise MissingAnswer(step.id, str(error)) from error

    def follow(self, run: int, heard: Callable[[dict[str, Any]], None]) -> Run:
        """Hand every event of a run to `heard` until it has ended."""
        from wizard import detached

        with self.engine() as engine:
            for event in detached.follow(engine.store, engine.look, run):
                heard(event)
            return engine.store.run(run)

    def stop_waiting(self) -> None:
        """End the run that only waits. Raises Locked when it is changing something."""
        from wizard import detached

        with self.engine() as engine:
            self._between_looks(engine.store, lambda: detached.stop_waiting(engine.store, engine.now()))

    # The way back

    def back(self, step_id: str = "") -> Back:
        """What a rollback of a step, or of the whole set-up, would take back; the machine is looked at."""
        from wizard.rollback import foresee, steps_back

        with self.engine() as engine:
            changes = engine.store.changes(step_id or None)
            ids = steps_back([step.id for step in self.steps], [change.step for change in changes])
            summaries = [(change.step, str(change.record["summary"])) for change in changes]
            conflicts = tuple(foresee(engine.store, self.look, *ids))
            refused = engine.refuses_rollback(ids)
            return Back(tuple(ids), tuple(summaries), conflicts, engine.touch_way_in(ids), refused)

    def keep(self, step_id: str, operation: str, *, kept: bool) -> None:
        """Leave a setting as the operator has it from now on, or no longer."""
        with self.engine() as engine:
            if kept:
                engine.store.keep(step_id, operation, engine.now())
            else:
                engine.store.let_go(step_id, operation)
            engine.plan([engine.step(step_id)])

    # The guard over the operator's way in

    def way_in(self, ids: Sequence[str]) -> WayIn | None:
        """How far the way in is trusted while these steps are applied: UNPROVED asks for a login. None: it stays."""
        from wizard import guard
        from wizard.fact import WayIn

        with self.engine() as engine:
            if not engine.touch_way_in(ids):
                return None
            return WayIn.UNPROVED if guard.is_wanted("auto", self.session) else WayIn.TRUSTED

    def may_confirm(self) -> bool:
        """Whether the operator's word from this session shows that the way in works."""
        from wizard import guard

        with self.engine() as engine:
            return not guard.refusal(engine.store.last_guard(), self.session, engine.context())

    def more_time(self) -> int | None:
        """Begin the countdown anew; its seconds, None when there is none."""
        from wizard import guard

        with self.engine() as engine:
            found = engine.store.last_guard()
            if found is None or not found.is_open:
                return None
            guard.set_timer(engine.store, self.hand, found.record["seconds"])
            return int(found.record["seconds"])

    def confirm(self) -> str:
        """Give the operator's word that the way in works; why it does not count, '' when it does."""
        from wizard import guard

        with self.engine() as engine:
            found = engine.store.last_guard()
            if found is None or (refusal := guard.refusal(found, self.session, engine.context())):
                return refusal if found else "there is nothing to confirm"
            guard.prove(engine.store, self.hand, found, "the operator's word")
            return ""

    def output(self, run: int) -> Path:
        """The file with the output of a run's commands."""
        return self.state / "runs" / str(run) / "output.log"

    # Sheets

    @contextlib.contextmanager
    def context(self) -> Iterator[Context]:
        """What sheets are computed from."""
        with self.engine() as engine:
            yield engine.context()

    def export(self, name: str, text: str) -> str:
        """Write a sheet where the operator can fetch it; its path."""
        from wizard.home_folder import taker

        with self.context() as context:
            to = taker(context, self.hand, self.session)
        path = f"{to.home}/{name}"
        self.hand.write(path, text.encode(), mode=0o600, owner=to.user, group=to.group)
        return path

    # The operator's place

    def place(self) -> Place:
        """Where the operator left; the beginning when that is not known."""
        usual = Place()
        try:
            found = Place(**json.loads((self.state / PLACE).read_text()))
        except (OSError, ValueError, TypeError):
            return usual
        # The file may have been edited by hand.
        fits = all(type(value) is type(vars(usual)[name]) for name, value in vars(found).items())
        return found if fits else usual

    def keep_place(self, place: Place) -> None:
        """Remember where the operator is. It is a comfort: a full disk must not end the wizard."""
        with contextlib.suppress(OSError):
            (self.state / PLACE).write_text(json.dumps(place.__dict__))


def _waits(store: Store, run: Run) -> bool:
    return is_waiting([event for _, event in store.events(run.id)])


class MissingAnswer(AnswersError):  # noqa: N818 - it says what is missing
    """An answer of a step is missing; it says which step."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message)
        self.step = step


def merged(tables: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Answers as tables with changes by dotted key; a home server whose domains were taken away is no home server."""
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if name:
            tables.setdefault(section, {})[name] = value
        else:
            tables[section] = value
    if "home.domains" in changes and not changes["home.domains"]:
        del tables["home"]
    return tables


def users_merged(
    seen: Sequence[dict[str, Any]], changed: Sequence[dict[str, Any]], saved: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The saved users with what was changed in those that were seen; who was not changed here is as saved by now.

    Of a user who was changed on both sides, what is saved last wins.
    """
    before, here, there = ({user["name"]: user for user in users} for users in (seen, changed, saved))
    names = dict.fromkeys([*here, *there])
    found = [here.get(name) if here.get(name) != before.get(name) else there.get(name) for name in names]
    return [user for user in found if user]


def open_desk(state: Path, given: str | None) -> Desk:
    """The desk of this machine.

    Args:
        state: the folder of the store.
        given: a TOML file whose answers are taken, or None.

    Raises:
        AnswersError: when that file cannot be read or is wrong.
        StoreError: when the state cannot be used.
    """
    from wizard import detached
    from wizard.host import DryRunHost, LocalHost
    from wizard.steps import STEPS

    redactor = Redactor()
    look = DryRunHost(redactor=redactor)

    hand = LocalHost(redactor=redactor)

    def launch(store: Store, request: dict[str, Any], passwords: Mapping[str, Secret], at: str) -> int:
        return detached.start(store, hand, request, passwords, at)

    desk = Desk(state, STEPS, look, launch, hand, look.ssh_session(), redactor=redactor)
    if given is not None:
        from wizard.answers import load

        try:
            answers = load(Path(given).read_bytes(), given)
        except OSError as error:
            raise AnswersError(f"{given}: it cannot be read: {error.strerror}") from error
        with desk.engine() as engine:
            engine.store.save_answers(as_tables(answers))
    return desk


__all__ = ["Checklist", "Desk", "MissingAnswer", "Place", "StoreError", "open_desk"]
