"""One lab a release for all proofs, and how long each took. A lab that cannot be is a failure, never a skip."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from . import lab as labs
from . import reliability
from .certifier import bundle
from .client import Client
from .lab import Lab
from .operator import Operator
from .places import RELEASES
from .product import Product
from .relay import MAIL_HOST, Relay
from .shell import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Set to anything, it leaves the lab up for a look inside (`python3 -m tests.lab list`).
KEEP = "RELAY_WIZARD_LAB_KEEP"
RELEASE = "RELAY_WIZARD_LAB_RELEASE"
SPENT: dict[str, float] = {}
FAULTS: reliability.Numbers = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--release", choices=RELEASES, action="append", help="the VPS's Debian (default: each)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "release" in metafunc.fixturenames:
        named = os.environ.get(RELEASE)
        chosen = metafunc.config.getoption("--release", default=None) or ([named] if named else list(RELEASES))
        metafunc.parametrize("release", chosen, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the proofs in the order of the file, release by release; pytest mixes them for its own economy."""
    places = [at for at, item in enumerate(items) if "tests/lab/" in item.nodeid]
    proofs = sorted((items[at] for at in places), key=_order)
    for at, item in zip(places, proofs, strict=True):
        items[at] = item


def _order(item: pytest.Item) -> tuple[int, str, int]:
    release = next((at for at, name in enumerate(RELEASES) if f"[{name}" in item.nodeid), 0)
    path, line, _ = item.location
    return release, path, line or 0


@pytest.fixture(scope="session")
def lab(release: str) -> Iterator[Lab]:
    """World, home and a fresh VPS, taken away at the end whatever happens."""
    name = f"proof-{os.getpid()}"
    try:
        labs.sweep()
        made = Lab(name, release)
        made.up()
        yield made
    except LabError as error:
        pytest.fail(f"THE LAB DID NOT RUN: {error}", pytrace=False)
    finally:
        if not os.environ.get(KEEP):
            labs.down(name)


@pytest.fixture(scope="session")
def relay(lab: Lab) -> Relay:
    """The relay in the making, and everybody who talks to it."""
    return Relay(lab, Product(lab), Operator(lab.id), Client(lab.id, MAIL_HOST, bundle(lab.world)))


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> reliability.Count:
    """Says how many faults a test has injected, when it is more than one."""
    return lambda faults: record_property(reliability.COUNTED, faults)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a proof took, preparation included."""
    if "tests/lab/" in report.nodeid:
        name = report.nodeid.rpartition("::")[2]
        SPENT[name] = SPENT.get(name, 0.0) + report.duration
        if report.when == "call" and reliability.is_fault(report.nodeid):
            told = [value for key, value in report.user_properties if key == reliability.COUNTED]
            tried = int(str(told[0])) if told else 1
            FAULTS[report.nodeid] = (tried, tried if report.passed else 0)
        elif report.failed and report.nodeid in FAULTS:
            # It seemed to be well, but something was left half-done.
            FAULTS[report.nodeid] = (FAULTS[report.nodeid][0], 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """The wall time of each proof."""
    if SPENT:
        terminalreporter.section("the lab's time")
        for name, seconds in SPENT.items():
            terminalreporter.write_line(f"{seconds:7.1f} s  {name}")
        terminalreporter.write_line(f"{sum(SPENT.values()):7.1f} s  together")
    if FAULTS:
        asked = terminalreporter.config
        reliability.keep(FAULTS, whole=reliability.is_whole(exitstatus, asked.option.keyword, asked.args))
        ran = [release for release in RELEASES if release in map(reliability.release_of, FAULTS)]
        terminalreporter.section("faults")
        for line in reliability.table(FAULTS, ran).splitlines():
            terminalreporter.write_line(line)
