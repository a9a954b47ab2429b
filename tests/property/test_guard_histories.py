"""Whatever is killed and whenever: a change of the way in never stays unless it is proved or its timer is running."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from state.store import Store
from tests.fake_sshd import ANSWERS, SESSION, SSHD, Killed, Machine, later_step, ssh_step
from wizard import guard as guards
from wizard.engine import Engine

STEPS = (ssh_step(), later_step())
# Changes after which a process dies; most are enough for all that it does.
LIVES = st.one_of(st.integers(0, 30), st.just(10**6))


class Histories(RuleBasedStateMachine):
    """Applies, deaths, logins, reboots, the timer and the operator's word, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.host = Machine()
        self.host.put(SSHD, "before")

    def teardown(self) -> None:
        if not self.is_safe:
            self.a_process(10**6, guards.fall)
        assert self.is_safe
        self.folder.cleanup()

    def a_process(self, lives: int, work: object) -> None:
        """Something that a process of its own does: nothing but the store and the machine outlives it."""
        store = Store.open(Path(self.folder.name))
        self.host.lives = lives
        with contextlib.suppress(Killed):
            work(Engine(STEPS, store, self.host, ANSWERS, SESSION), self.host)  # type: ignore[operator]
        self.host.meanwhile.clear()
        store.close()

    @property
    def is_safe(self) -> bool:
        """Nothing was changed, or the last change was proved."""
        store = Store.open(Path(self.folder.name))
        guard = store.last_guard()
        store.close()
        return self.host.text(SSHD) == "before" or (guard is not None and guard.state == "proved")

    @invariant()
    def nothing_stays_without_proof_or_timer(self) -> None:
        assert self.is_safe or (self.host.falls is not None and self.host.enabled)

    @rule(lives=LIVES, login=st.booleans())
    def apply(self, lives: int, login: bool) -> None:  # noqa: FBT001 - as hypothesis calls it
        def work(engine: Engine, host: Machine) -> None:
            if login:
                host.meanwhile[host.ticks + 5] = lambda: host.login("boss", "203.0.113.70", 2222)
            run = engine.store.add_run({"kind": "apply", "steps": [], "session": None}, engine.now())
            engine.apply(run, host, STEPS, lambda _: None, 0, confirm=True)

        self.a_process(lives, work)

    @rule(lives=LIVES)
    def the_timer_falls(self, lives: int) -> None:
        if self.host.falls is not None:
            self.a_process(lives, guards.fall)

    @rule()
    def a_login(self) -> None:
        self.host.login("root", "203.0.113.70", 2222)

    @rule()
    def power_fails(self) -> None:
        self.host.reboot()

    @rule(lives=LIVES)
    def the_operators_word(self, lives: int) -> None:
        def work(engine: Engine, host: Machine) -> None:
            guard = engine.store.last_guard()
            if guard is not None and guard.is_open:
                guards.prove(engine.store, host, guard, "the operator's word")

        self.a_process(lives, work)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
