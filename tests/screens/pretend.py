"""The pretend machine of `demo` in memory, in a world with names: for tests that see the screens from within."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from screens.desk import Desk
from state.store import Store
from tests.fake_dns import NS1, NS2, NamedHost, delegated
from tests.screens.demo import Demo
from wizard import detached
from wizard.answers import as_tables, parse
from wizard.engine import Engine
from wizard.host import Host
from wizard.secret import Secret
from wizard.step import Step

# The domains are delegated, and nothing is in them.
UNPUBLISHED = {
    **delegated("brightmail.example", "hearth.example", "example", "2.0.192.in-addr.arpa"),
    ("ns1.registrar.example", "A"): [NS1], ("ns2.registrar.example", "A"): [NS2],
}  # fmt: skip


class PatientHost(NamedHost):
    """A fake machine in a world with names, whose clock is the real one, so that following a run does not spin."""

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))  # noqa: TID251 - the one place that really waits

    def monotonic(self) -> float:
        return time.monotonic()


Runner = Callable[[Store, dict[str, Any], Mapping[str, Secret], str], int]


def in_a_thread(steps: Sequence[Step], state: Path, host: Host) -> Runner:
    """A launch that does the work in this process, on the fake machine."""

    def launch(store: Store, request: dict[str, Any], passwords: Mapping[str, Secret], at: str) -> int:
        run = detached.begin(store, request, at)
        threading.Thread(target=_work, args=(steps, state, host, run, dict(passwords)), daemon=True).start()
        return run

    return launch


def _work(steps: Sequence[Step], state: Path, host: Host, run: int, passwords: dict[str, Secret]) -> None:
    store = Store.open(state)
    session = detached.session_of(store.run(run).request)
    detached.work(Engine(steps, store, host, parse(store.answers() or {}), session, passwords), host, run, str)
    store.close()


def fake_desk(
    folder: Path, demo: Demo | None = None, answers: dict[str, Any] | None = None
) -> tuple[Desk, PatientHost]:
    """A desk on a machine in memory."""
    steps = (demo or Demo()).steps()
    host = PatientHost(records=dict(UNPUBLISHED))
    host.commands[("systemctl",)] = "active"
    host.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    state = folder / "state"
    desk = Desk(state, steps, host, in_a_thread(steps, state, host), host)
    with desk.engine() as engine:
        if answers is not None:
            engine.store.save_answers(as_tables(parse(answers)))
    return desk, host


def held(work: Callable[..., Any], until: threading.Event) -> Callable[..., Any]:
    """A call that comes back only when it may."""

    def waiting(*given: Any) -> Any:
        until.wait(10)
        return work(*given)

    return waiting
