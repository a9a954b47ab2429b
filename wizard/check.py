"""A check: one question to the world or to the machine, and the answer that was wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from wizard.host import Host


# More is for the log, not for somebody who wants to know what is wrong.
MOST_LINES = 100


class Status(StrEnum):
    """How a check came out. What could not be asked is SKIP with a reason, or FAIL; never PASS."""

    PASS = "pass"  # noqa: S105 - a status, not a password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Severity(StrEnum):
    """REQUIRED checks decide whether a step is verified; RECOMMENDED ones only advise (their FAIL counts as warn)."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"


@dataclass(frozen=True)
class Finding:
    """The outcome of asking once, in the four sentences that every failed check is read as.

    Attributes:
        status: how it came out.
        asked: who was asked what: "ns1.provider.example, PTR of 192.0.2.10".
        got: what came back.
        want: what would have been right.
        do: the next thing for the operator to do; empty when all is well.
    """

    status: Status
    asked: str
    got: str
    want: str
    do: str = ""

    def __post_init__(self) -> None:
        # Outside text comes in by many ways; here all of them meet, before any screen, file or terminal.
        for name in ("asked", "got", "want", "do"):
            lines = getattr(self, name).split("\n")
            object.__setattr__(self, name, "\n".join(printable(line) for line in lines[:MOST_LINES]))

    @property
    def ok(self) -> bool:
        """True when nothing has to be done."""
        return self.status is Status.PASS


def passed(asked: str, got: str, want: str) -> Finding:
    """The answer was the one wanted."""
    return Finding(Status.PASS, asked, got, want)


def warned(asked: str, got: str, want: str, do: str) -> Finding:
    """Mail will flow, yet something should be better."""
    return Finding(Status.WARN, asked, got, want, do)


def failed(asked: str, got: str, want: str, do: str) -> Finding:
    """The answer was wrong, or none came."""
    return Finding(Status.FAIL, asked, got, want, do)


def skipped(asked: str, reason: str, want: str, do: str = "") -> Finding:
    """It could not be asked, and `reason` says why."""
    return Finding(Status.SKIP, asked, reason, want, do)


@dataclass(frozen=True)
class Check:
    """A question with its title; `ask` does the asking and may take seconds, beside other checks in threads.

    Attributes:
        id: "STEP.name", unique: "ptr.names_host".
        title: the sentence that is true when it passes: "Reverse DNS of 192.0.2.10 names this host".
        ask: asks once. It must bound its own time and must not change the machine.
        severity: whether it decides the step's status.
        outside: True when only the operator, at a registrar or provider, can mend it: `apply` then waits (exit
            status 6) instead of failing.
        timeout: seconds after which the engine gives up waiting and reports a failure.
    """

    id: str
    title: str
    ask: Callable[[Host], Finding]
    severity: Severity = Severity.REQUIRED
    outside: bool = False
    timeout: float = 60.0


@dataclass(frozen=True)
class CheckResult:
    """A finding with the check it belongs to and the milliseconds it took: one row of `verify --json`."""

    check: Check
    step: str
    finding: Finding
    ms: int

    @property
    def failed(self) -> bool:
        """True when a required check did not come out well: a fail, or a skip that hides a needed answer."""
        return self.check.severity is Severity.REQUIRED and self.finding.status is Status.FAIL

    def as_json(self) -> dict[str, Any]:
        """The row in the form of the command-line contract."""
        return {
            "id": self.check.id,
            "step": self.step,
            "title": self.check.title,
            "status": self.finding.status.value,
            "severity": self.check.severity.value,
            "asked": self.finding.asked,
            "got": self.finding.got,
            "want": self.finding.want,
            "do": self.finding.do,
            "ms": self.ms,
        }


def recommended(check: Check) -> Check:
    """The same check, as advice."""
    return replace(check, severity=Severity.RECOMMENDED)
