"""Runs that do not live in the terminal: started in a unit of their own, followed through the store.

The command that started a run only follows it, as does any later `attach` or the wizard: closing the laptop stops
the following, never the work.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.store import Locked
from wizard.host import LocalHost, SshSession
from wizard.operation import advice
from wizard.secret import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from state.store import Store
    from wizard.engine import Engine, Outcome
    from wizard.host import Host

CHECKOUT = Path(__file__).resolve().parent.parent
POLL = 0.1
# How long the new process may take until it has noted that it is there.
STARTING = 30.0
INTERRUPTED_EXIT = 3


def request(
    kind: str, steps: Sequence[str], session: SshSession | None, *, wait: float = 0, confirm: bool = False
) -> dict[str, Any]:
    """What is asked of a run, as the store keeps it.

    Args:
        kind: "apply" or "rollback".
        steps: ids.
        session: the operator's SSH session.
        wait: seconds to go on watching for what the operator must publish.
        confirm: whether a change that could cut the operator off is taken back unless a new login is seen.
    """
    known = asdict(session) if session else None
    return {"kind": kind, "steps": list(steps), "session": known, "wait": wait, "confirm": confirm}


def session_of(asked: dict[str, Any]) -> SshSession | None:
    """The SSH session that a run was started from."""
    return SshSession(**asked["session"]) if asked["session"] else None


def unit_of(run: int) -> str:
    """The transient unit that a run lives in."""
    return f"relay-wizard-run-{run}.service"


def start(store: Store, host: Host, asked: dict[str, Any], passwords: Mapping[str, Secret], at: str) -> int:
    """Begin a run in the background; its number.

    Args:
        store: the state.
        host: the machine.
        asked: what `request` made.
        passwords: what the operator typed, handed over in a 0600 file that the run removes as it reads it.
        at: the time.

    Raises:
        Locked: when another run is going on.
    """
    with store.lock():
        run = store.add_run(asked, at)
        folder = store.run_folder(run)
    if passwords:
        words = json.dumps({account: secret.reveal() for account, secret in passwords.items()})
        host.write(str(folder / "passwords"), words.encode(), mode=0o600)
    argv = [sys.executable, "-m", "wizard", "run-in-background", str(run), "--state", str(store.folder)]
    # A transient unit belongs to systemd, not to the SSH session, whatever the session manager does at logout.
    begun = host.run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={unit_of(run)}",
            f"--working-directory={CHECKOUT}",
            "--",
            *argv,
        ]
    )
    if not begun.ok:
        host.run(["setsid", "--fork", "env", f"--chdir={CHECKOUT}", *argv])
    return run


def work(engine: Engine, run: int, redactor: Redactor) -> int:
    """Do a run, in the background process; its exit status."""
    store = engine.store
    try:
        with store.lock():
            store.begin_run(run, os.getpid())
            return _work_locked(engine, run, redactor)
    except Locked:
        store.finish_run(run, "failed", 4, engine.now())
        return 4


def _work_locked(engine: Engine, run: int, redactor: Redactor) -> int:
    store = engine.store
    folder = store.run_folder(run)
    host = LocalHost(log=folder / "output.log", redactor=redactor)
    asked = store.run(run).request
    ids: list[str] = asked["steps"]

    def emit(event: dict[str, Any]) -> None:
        store.add_event(run, json.loads(redactor.clean(json.dumps({**event, "at": engine.now()}))))

    emit({"event": "run.started", "run": run, "kind": asked["kind"], "steps": ids})
    began = host.monotonic()
    outcome = _outcome(engine, run, host, asked, emit)
    emit({"event": "run.measured", "wall_seconds": host.monotonic() - began, **host.own_use()})
    finished = {"event": "run.finished", "status": outcome.status, "changed": outcome.changed, "steps": outcome.steps}
    # The last word first: who follows leaves as soon as the run is over, and must have heard it by then.
    store.add_event(run, finished)
    store.finish_run(run, outcome.status, outcome.exit, engine.now())
    return outcome.exit


def _outcome(
    engine: Engine, run: int, host: Host, asked: dict[str, Any], emit: Callable[[dict[str, Any]], None]
) -> Outcome:
    from wizard.engine import Outcome

    try:
        if asked["kind"] == "rollback":
            return _roll_back(engine, host, asked["steps"], emit)
        chosen = engine.choose(asked["steps"])
        return engine.apply(run, host, chosen, emit, float(asked["wait"]), confirm=asked["confirm"])
    except Exception as error:  # noqa: BLE001 - a run always ends with a word in the record
        got = f"{type(error).__name__}: {error}"
        do = advice(got, "Start it again; report this if it stays.")
        emit({"event": "run.broken", "error": got, "do": do})
        return Outcome(operation_failed=True)


def _roll_back(engine: Engine, host: Host, ids: list[str], emit: Callable[[dict[str, Any]], None]) -> Outcome:
    from wizard.engine import Outcome
    from wizard.rollback import roll_back

    outcome = Outcome()
    for step in reversed(engine.choose(ids)):
        emit({"event": "step.started", "step": step.id, "title": step.title})
        afterwards = partial(step.after_rollback, engine.context(host))
        taken = roll_back(engine.store, host, step.id, emit, afterwards)
        outcome.changed += taken.undone
        outcome.operation_failed |= bool(taken.conflicts)
        outcome.steps[step.id] = "failed" if taken.conflicts else "ready"
        emit({"event": "rollback.finished", "step": step.id, "kept": taken.kept, "conflicts": taken.conflicts})
    return outcome


def take_passwords(store: Store, host: Host, run: int) -> dict[str, Secret]:
    """The passwords that were handed over to a run; their file is gone afterwards."""
    path = str(store.run_folder(run) / "passwords")
    words = host.read(path)
    if words is None:
        return {}
    Path(path).unlink()
    return {account: host.learn(Secret(text)) for account, text in json.loads(words).items()}


def follow(store: Store, host: Host, run: int) -> Iterator[dict[str, Any]]:
    """Every event of a run from its beginning, until it has ended.

    When the process of the run died without a word, the run is marked interrupted and a last event says so.
    """
    last = 0
    begun = host.monotonic()
    while True:
        ended = store.run(run).status != "running" or _died(store, host, run, begun)
        events = store.events(run, last)
        for number, event in events:
            last = number
            yield event
        if ended and not (events and store.run(run).status == "running"):
            if store.run(run).status == "running":
                store.finish_run(run, "interrupted", INTERRUPTED_EXIT, host.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
                yield {"event": "run.finished", "status": "failed", "changed": 0, "steps": {}}
            return
        host.sleep(POLL)


def _died(store: Store, host: Host, run: int, begun: float) -> bool:
    found = store.run(run)
    if found.pid is None and host.monotonic() - begun < STARTING:
        return False
    return not store.is_locked()
