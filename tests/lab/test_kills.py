"""Killed at any point, a set-up ends as one that nobody disturbed, after one more `apply`.

A chain for each release: one engine dies at the first point, the next at the next, before, inside and after every
operation. Then set-ups that are killed once, at a random moment inside a command: the engine alone, the engine with its
command, or the power of the whole VPS. All of it is worked on in several labs at the same time.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from . import lab as labs
from .kills import Ground, Reference
from .lab import Lab
from .places import RELEASES
from .shell import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .reliability import Count

# A fixed one, so that a failure can be had again; another (any word) tries other moments.
SEED = os.environ.get("RELAY_WIZARD_LAB_SEED", "12")
MOMENTS = range(1, 11)
CHAINS = ("before", "after")
# Labs of one release at a time: a set-up mostly waits, for packages to unpack or for the world to answer.
LABS = 2


@dataclass
class Work:
    """All cases of one release, done in LABS labs at once: what comes out of each is waited for by its test."""

    release: str
    cases: deque[str]
    reference: Future[Reference] = field(default_factory=Future)
    outcomes: dict[str, Future[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outcomes = {case: Future() for case in self.cases}

    def do(self, number: int) -> None:
        """Cases in the order of the file, in the lab of this number."""
        name = f"kills-{RELEASES.index(self.release)}{number}-{os.getpid()}"
        try:
            ground = Ground(Lab(name, self.release))
            ground.prepare()
            if number == 0:
                self._keep(self.reference, "undisturbed", ground.undisturbed)
            while not self.reference.exception() and (case := self._next()):
                self._keep(self.outcomes[case], case, partial(self._kill, ground, case))
        except BaseException as error:  # noqa: BLE001 - handed to the tests, whatever it is
            print(f"\n{self.release}, lab {number}: {error}", file=sys.__stderr__)
            if not self.reference.done():
                self.reference.set_exception(error)
        finally:
            if not os.environ.get("RELAY_WIZARD_LAB_KEEP"):
                labs.down(name)

    def _next(self) -> str:
        try:
            return self.cases.popleft()
        except IndexError:
            return ""

    def _keep(self, outcome: Future[Any], case: str, work: Callable[[], Any]) -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to the test, whatever it is
            outcome.set_exception(error)
            # At once, since its test may be a long way off.
            print(f"\n{self.release}, {case}: {error}", file=sys.__stderr__)

    def _kill(self, ground: Ground, case: str) -> Any:
        reference = self.reference.result()
        if case in CHAINS:
            return ground.chain(case, reference)
        moment = reference.moment(f"{SEED} {self.release}", int(case))
        try:
            return moment, ground.struck(moment, reference)
        except AssertionError as error:
            raise AssertionError(f"{moment} (seed {SEED})\n{error}") from error

    def outcome(self, case: str) -> Any:
        """What a case came to."""
        try:
            self.reference.result()
            return self.outcomes[case].result()
        except LabError as error:
            pytest.fail(f"THE LAB DID NOT RUN: {error}", pytrace=False)


@pytest.fixture(scope="module")
def work(request: pytest.FixtureRequest, release: str) -> Iterator[Work]:
    """The work on a release, all of it begun."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = [test.callspec.params for test in tests if test.module is request.module]
    found = Work(release, deque(str(words["case"]) for words in asked if words["release"] == release))
    with ThreadPoolExecutor(LABS) as pool:
        for number in range(LABS):
            pool.submit(found.do, number)
        try:
            yield found
        finally:
            # Nobody waits for the rest any more.
            found.cases.clear()


@pytest.mark.parametrize("case", CHAINS)
def test_engines_that_die_one_after_the_other(work: Work, case: str, count: Count) -> None:
    count(work.outcome(case))


@pytest.mark.parametrize("case", MOMENTS)
def test_a_set_up_that_is_killed_inside_a_command(work: Work, case: int, capsys: pytest.CaptureFixture[str]) -> None:
    moment, inside = work.outcome(str(case))
    with capsys.disabled():
        print(f"\n  seed {SEED}, {work.release}, {moment}{'' if inside else ', which had just ended'}")
