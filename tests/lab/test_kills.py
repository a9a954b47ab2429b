"""Killed at any point, a set-up ends as one that nobody disturbed, after one more `apply`.

A chain for each release: one engine dies at the first point, the next at the next, before, inside and after every
operation. Then set-ups that are killed once, at a random moment inside a command: the engine alone, the engine with its
command, or the power of the whole VPS. The releases are worked on at the same time, each in a lab of its own.
"""

from __future__ import annotations

import os
import random
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from . import lab as labs
from .kills import Ground
from .lab import Lab
from .places import RELEASES
from .shell import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .reliability import Count

# The same seed kills at the same moments again, as far as two runs are alike.
SEED = os.environ.get("RELAY_WIZARD_LAB_SEED") or str(random.randrange(10_000))
MOMENTS = range(1, 11)
CHAINS = ("before", "after")


@dataclass
class Worker:
    """All work on one release, in a thread: what comes out of each case is waited for by its test."""

    release: str
    number: int
    cases: list[str]
    outcomes: dict[str, Future[Any]] = field(default_factory=dict)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.outcomes = {case: Future() for case in ["prepared", *self.cases]}

    def work(self) -> None:
        """The cases that are wanted, in the order of the file."""
        name = f"kills-{self.number}-{os.getpid()}"
        ground = Ground(Lab(name, self.release))
        try:
            self._do("prepared", ground.begin)
            for case in self.cases:
                if self.stopped or self.outcomes["prepared"].exception():
                    break
                self._do(case, lambda case=case: _kill(ground, case))  # type: ignore[misc]
        finally:
            if not os.environ.get("RELAY_WIZARD_LAB_KEEP"):
                labs.down(name)

    def _do(self, case: str, work: Callable[[], Any]) -> None:
        try:
            self.outcomes[case].set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to the test, whatever it is
            self.outcomes[case].set_exception(error)
            # At once, since its test may be a long way off.
            print(f"\n{self.release}, {case}: {error}", file=sys.__stderr__)

    def outcome(self, case: str) -> Any:
        """What a case came to."""
        try:
            self.outcomes["prepared"].result()
            return self.outcomes[case].result()
        except LabError as error:
            pytest.fail(f"THE LAB DID NOT RUN: {error}", pytrace=False)


def _kill(ground: Ground, case: str) -> Any:
    if case in CHAINS:
        return ground.chain(case)
    moment = ground.moment(SEED, int(case))
    try:
        return moment, ground.struck(moment)
    except AssertionError as error:
        raise AssertionError(f"{moment} (seed {SEED})\n{error}") from error


@pytest.fixture(scope="module")
def workers(request: pytest.FixtureRequest) -> Iterator[dict[str, Worker]]:
    """One for each release whose tests are to run, all at work from now on."""
    cases: dict[str, list[str]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.module is request.module:
            asked = item.callspec.params
            cases.setdefault(str(asked["release"]), []).append(str(asked["case"]))
    found = {release: Worker(release, RELEASES.index(release), wanted) for release, wanted in cases.items()}
    with ThreadPoolExecutor() as pool:
        for worker in found.values():
            pool.submit(worker.work)
        try:
            yield found
        finally:
            for worker in found.values():
                worker.stopped = True


@pytest.mark.parametrize("case", CHAINS)
def test_engines_that_die_one_after_the_other(
    workers: dict[str, Worker], release: str, case: str, count: Count
) -> None:
    count(workers[release].outcome(case))


@pytest.mark.parametrize("case", MOMENTS)
def test_a_set_up_that_is_killed_inside_a_command(
    workers: dict[str, Worker], release: str, case: int, capsys: pytest.CaptureFixture[str]
) -> None:
    moment, inside = workers[release].outcome(str(case))
    with capsys.disabled():
        print(f"\n  seed {SEED}, {release}, {moment}{'' if inside else ', which had just ended'}")
