"""Runs that do not live in the terminal: started in a unit of their own, followed through the store.

The command that started a run only follows it, as does any later `attach` or the wizard: closing the laptop stops
the following, never the work.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.store import Locked
from wizard.checklist import is_waiting
from wizard.host import SshSession
from wizard.operation import advice
from wizard.secret import Secret, cleaned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from state.store import Store
    from wizard.applying import Outcome
    from wizard.engine import Engine
    from wizard.host import Host
    from wizard.rollback import Decision

CHECKOUT = Path(__file__).resolve().parent.parent
POLL = 0.1
# How long the new process may take until it has noted that it is there.
STARTING = 30.0
INTERRUPTED_EXIT, WAITING_EXIT = 3, 6
# While a run waits it looks this often whether it was ended, or something was verified meanwhile.
GLANCE = 5.0


class Ended(Exception):  # noqa: N818 - it says what is, and no error happened
    """The run, which only waited, was ended by somebody else, who has written its last word."""


# The run installs packages, writes below /etc and starts services: a sandbox around it would be in the way of nearly
# all that it is for. These are what no package needs.
HARDENED = ("--property=LockPersonality=yes", "--property=RestrictRealtime=yes", "--property=KeyringMode=private")


def request(
    kind: str,
    steps: Sequence[str],
    session: SshSession | None,
    *,
    wait: float = 0,
    confirm: bool = False,
    decided: Mapping[str, Decision] | None = None,
) -> dict[str, Any]:
    """What is asked of a run, as the store keeps it.

    Args:
        kind: "apply" or "rollback".
        steps: ids.
        session: the operator's SSH session.
        wait: seconds to go on watching for what the operator must publish.
        confirm: whether a change that could cut the operator off is taken back unless a new login is seen.
        decided: for a rollback, what shall become of files that somebody has changed since, by path.
    """
    known = asdict(session) if session else None
    words = {path: word.as_json() for path, word in (decided or {}).items()}
    return {
        "kind": kind, "steps": list(steps), "session": known, "wait": wait, "confirm": confirm, "conflicts": words,
    }  # fmt: skip


def session_of(asked: dict[str, Any]) -> SshSession | None:
    """The SSH session that a run was started from."""
    return SshSession(**asked["session"]) if asked["session"] else None


def unit_of(run: int) -> str:
    """The transient unit that a run lives in."""
    return f"relay-wizard-run-{run}.service"


def start(store: Store, host: Host, asked: dict[str, Any], passwords: Mapping[str, Secret], at: str) -> int:
    """Begin a run in the background; its number. A run that only waits is ended by that.

    Args:
        store: the state.
        host: the machine.
        asked: what `request` made.
        passwords: what the operator typed, handed over in a 0600 file that the run removes as it reads it.
        at: the time.

    Raises:
        Locked: when another run is changing something.
    """
    run = begin(store, asked, at)
    if passwords:
        hand_over(host, handed(run), passwords)
    argv = [sys.executable, "-m", "wizard", "run-in-background", str(run), "--state", str(store.folder)]
    # A transient unit belongs to systemd, not to the SSH session, whatever the session manager does at logout.
    begun = host.run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={unit_of(run)}",
            f"--working-directory={CHECKOUT}",
            *HARDENED,
            "--",
            *argv,
        ]
    )
    if not begun.ok:
        host.run(["setsid", "--fork", "env", f"--chdir={CHECKOUT}", *argv])
    return run


def begin(store: Store, request: dict[str, Any], at: str) -> int:
    """Note that a run was asked for, in place of one that only waits; its number.

    Raises:
        Locked: when another run is changing something.
    """
    with store.lock():
        _end_waiting(store, at)
        return store.add_run(request, at)


def stop_waiting(store: Store, at: str) -> int | None:
    """End the run that only waits; its number, None when none does.

    Raises:
        Locked: when a run is changing something: that is never stopped.
    """
    with store.lock():
        return _end_waiting(store, at)


def _end_waiting(store: Store, at: str) -> int | None:
    """With the run lock held: who lives without it waits, who does not live was killed."""
    last = store.last_run()
    if last is None or last.status != "running" or last.pid is None:
        return None
    waits = store.lives(last.id)
    _finish(store, last.id, at)
    return last.id if waits else None


def work(engine: Engine, host: Host, run: int, clean: Callable[[str], str]) -> int:
    """Do a run, in the background process; its exit status.

    Args:
        engine: the engine.
        host: the machine, to be changed.
        run: the run's number.
        clean: hides the secrets in what is recorded.
    """
    store = engine.store
    try:
        with contextlib.ExitStack() as lock:
            lock.enter_context(store.lock())
            with store.alive(run):
                store.begin_run(run, os.getpid())
                store.keep_copy()
                return _work_locked(engine, host, run, lock, clean)
    except Locked:
        store.finish_run(run, "failed", 4, engine.now())
        return 4
    except Ended:
        return WAITING_EXIT


def _work_locked(engine: Engine, host: Host, run: int, lock: contextlib.ExitStack, clean: Callable[[str], str]) -> int:
    store = engine.store
    asked = store.run(run).request
    ids: list[str] = asked["steps"]

    def emit(event: dict[str, Any]) -> None:
        # Its kind is ours and no outside word: a password that reads like one of them must not change it.
        store.add_event(run, {**cleaned(event, clean), "event": event["event"], "at": engine.now()})

    emit({"event": "run.started", "run": run, "kind": asked["kind"], "steps": ids})
    began = host.monotonic()
    outcome = _outcome(engine, run, host, asked, emit, lambda seconds: _rest(store, host, run, lock, seconds))
    emit({"event": "run.measured", "wall_seconds": host.monotonic() - began, **host.own_use()})
    finished = {"event": "run.finished", "status": outcome.status, "changed": outcome.changed, "steps": outcome.steps}
    # The last word first: who follows leaves as soon as the run is over, and must have heard it by then.
    store.add_event(run, finished)
    store.finish_run(run, outcome.status, outcome.exit, engine.now())
    store.keep_copy()
    return outcome.exit


def _rest(store: Store, host: Host, run: int, lock: contextlib.ExitStack, seconds: float) -> None:
    """Let time pass without the run lock, so that others may work; sooner when a step was verified meanwhile.

    Raises:
        Ended: when somebody has ended the run.
    """
    lock.close()
    seen, until = store.observations(), host.monotonic() + seconds
    while (left := until - host.monotonic()) > 0 and store.observations() == seen:
        host.sleep(min(GLANCE, left))
        if store.run(run).status != "running":
            raise Ended
    while store.run(run).status == "running":
        with contextlib.suppress(Locked):
            lock.enter_context(store.lock())
            if store.run(run).status == "running":
                return
            lock.close()
        host.sleep(1.0)
    raise Ended


def _outcome(  # noqa: PLR0917 - one run's own words
    engine: Engine,
    run: int,
    host: Host,
    asked: dict[str, Any],
    emit: Callable[[dict[str, Any]], None],
    rest: Callable[[float], None],
) -> Outcome:
    from wizard.applying import Outcome

    try:
        if asked["kind"] == "rollback":
            return _roll_back(engine, host, asked, emit)
        chosen = engine.choose(asked["steps"])
        return engine.apply(run, host, chosen, emit, float(asked["wait"]), confirm=asked["confirm"], rest=rest)
    except Ended:
        raise
    except Exception as error:  # noqa: BLE001 - a run always ends with a word in the record
        got = f"{type(error).__name__}: {error}"
        do = advice(got, "Start it again; report this if it stays.")
        emit({"event": "run.broken", "error": got, "do": do})
        return Outcome(operation_failed=True)


def _roll_back(engine: Engine, host: Host, asked: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> Outcome:
    from wizard.applying import Outcome
    from wizard.rollback import Decision, roll_back, steps_back

    decided = {path: Decision(**word) for path, word in asked.get("conflicts", {}).items()}
    known = {step.id: step for step in engine.steps}
    outcome = Outcome()
    for step_id in steps_back(list(known), asked["steps"]):
        step = known.get(step_id)
        emit({"event": "step.started", "step": step_id, "title": step.title if step else "changes of no step"})
        afterwards = partial(step.after_rollback, engine.context(host)) if step else tuple
        taken = roll_back(engine.store, host, step_id, emit, afterwards, decided=decided)
        outcome.changed += taken.undone
        outcome.operation_failed |= bool(taken.conflicts)
        outcome.steps[step_id] = "failed" if taken.conflicts else "ready"
        emit({"event": "rollback.finished", "step": step_id, "kept": taken.kept, "conflicts": taken.conflicts})
    return outcome


def handed(run: int) -> str:
    """Where passwords are handed over to a run: in memory, so that none outlives a crash of the machine on its disk."""
    return f"/run/relay-wizard/passwords-{run}"


def hand_over(host: Host, path: str, passwords: Mapping[str, Secret]) -> None:
    """Lay passwords down for a run, for root alone."""
    words = json.dumps({account: secret.reveal() for account, secret in passwords.items()})
    host.write(path, words.encode(), mode=0o600)


def take_passwords(host: Host, path: str) -> dict[str, Secret]:
    """The passwords that were handed over to a run; their file is gone afterwards."""
    words = host.read(path)
    if words is None:
        return {}
    host.remove(path)
    return {account: host.learn(Secret(text)) for account, text in json.loads(words).items()}


def follow(store: Store, host: Host, run: int) -> Iterator[dict[str, Any]]:
    """Every event of a run from its beginning, until it has ended.

    When the process of the run died without a word, its last word is written here.
    """
    last = 0
    begun = host.monotonic()
    while True:
        if _died(store, host, run, begun):
            # Two may follow it; a run that changes something has seen to it already.
            with contextlib.suppress(Locked), store.lock():
                if store.run(run).status == "running":
                    _finish(store, run, host.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        ended = store.run(run).status != "running"
        for number, event in store.events(run, last):
            last = number
            yield event
        if ended:
            return
        host.sleep(POLL)


def _died(store: Store, host: Host, run: int, begun: float) -> bool:
    if store.lives(run):
        return False
    # Asked after that: a run that has ended well has said so before its process went.
    found = store.run(run)
    starting = found.pid is None and host.monotonic() - begun < STARTING
    return found.status == "running" and not starting


def _finish(store: Store, run: int, at: str) -> None:
    """Write the last word of a run that cannot do so itself: it only waited, or it was killed."""
    # It may have died before it took them.
    Path(handed(run)).unlink(missing_ok=True)
    events = [event for _, event in store.events(run)]
    waited = is_waiting(events)
    settled = [event for event in events if event["event"] in {"step.finished", "step.blocked"}]
    made = [event for event in events if event["event"] == "operation.finished" and event["status"] == "changed"]
    word = {
        "event": "run.finished", "status": "waiting" if waited else "failed", "changed": len(made),
        "steps": {event["step"]: event.get("status", "blocked") for event in settled},
    }  # fmt: skip
    store.add_event(run, word)
    store.finish_run(run, *(("waiting", WAITING_EXIT) if waited else ("interrupted", INTERRUPTED_EXIT)), at)
