"""The numbers behind "how far to trust it": faults injected and survived, kept beside the caches, shown in the README.

The lab's tests add to them (conftest.py); `python -m tests.lab reliability` writes the table into the README again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import rootfs
from .places import CACHE, CHECKOUT, RELEASES

NUMBERS = CACHE / "reliability.json"
README = CHECKOUT / "README.md"
BEGIN, END = "<!-- reliability -->", "<!-- end of reliability -->"
DEBIAN = {"bookworm": "Debian 12", "trixie": "Debian 13"}

# A test says how many faults it injected, where it is more than one.
Count = Callable[[int], None]
COUNTED = "faults"


@dataclass(frozen=True)
class Kind:
    """A row of the table: the tests whose faults it counts."""

    title: str
    tests: str


KINDS = (
    Kind("The engine dies before, in and after every operation, and taking back", "test_kills.py::test_engines_"),
    Kind("It dies once, in a command: alone, with the command, or the power fails", "test_kills.py::test_a_set_up_"),
    Kind("The operator is shut out: firewall, keys, no answer, reboot, killed engine", "test_lock_out.py::"),
    Kind("Bad input and bad luck: network, mirror, disk, locks, clock, files, state", "test_bad_luck.py::"),
    Kind("A finished relay breaks: a check has to name it", "test_relay.py::test_what_breaks_"),
)

# Node id of a test -> faults injected, faults survived.
Numbers = dict[str, tuple[int, int]]


def kept() -> Numbers:
    """What the last runs of the lab have counted."""
    if not NUMBERS.exists():
        return {}
    return {test: (tried, survived) for test, (tried, survived) in json.loads(NUMBERS.read_text()).items()}


def keep(found: Numbers, *, whole: bool) -> None:
    """Take over what a run has counted; a `whole` one takes the place of all numbers of its files and releases."""
    with rootfs.lock("reliability"):
        old = kept()
        if whole:
            files = {_of(test) for test in found}
            old = {test: numbers for test, numbers in old.items() if _of(test) not in files}
        NUMBERS.write_text(json.dumps({**old, **found}, indent=1, sort_keys=True) + "\n")


def is_whole(status: int, keyword: str, asked: Sequence[str]) -> bool:
    """Whether a run of pytest came to its end, and was asked for files, not for some of their tests (-k, ::)."""
    return status in {0, 1} and not keyword and not any("::" in word for word in asked)


def is_fault(test: str) -> bool:
    """Whether a test is one that injects faults."""
    return any(kind.tests in test for kind in KINDS)


def _of(test: str) -> tuple[str, str]:
    return test.partition("::")[0], release_of(test)


def release_of(test: str) -> str:
    """The release that a test ran on, by its node id: "…[trixie-3]"."""
    found = re.search(rf"\[({'|'.join(RELEASES)})\b", test)
    return found.group(1) if found else ""


def table(numbers: Numbers, releases: Sequence[str] = RELEASES) -> str:
    """The README's table."""
    columns = [DEBIAN[release] for release in releases]
    lines = [f"| survived, of the faults injected | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [
        f"| {kind.title} | {' | '.join(_cell(kind, release, numbers) for release in releases)} |" for kind in KINDS
    ]
    return "\n".join(lines)


def _cell(kind: Kind, release: str, numbers: Numbers) -> str:
    found = [count for test, count in numbers.items() if kind.tests in test and release_of(test) == release]
    if not found:
        return "not run"
    return f"{sum(survived for _, survived in found)} of {sum(tried for tried, _ in found)}"


def written(readme: str, numbers: Numbers) -> str:
    """The README with the table of these numbers."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(numbers)}\n{END}{after}"


def rewrite(*, check: bool) -> int:
    """Write the table into the README, or only `check` it; the exit status."""
    text = README.read_text()
    new = written(text, kept())
    if check and new != text:
        print(f"the README's table is not what {NUMBERS} says. Run: python -m tests.lab reliability")
        return 1
    Path(README).write_text(new)
    return 0
