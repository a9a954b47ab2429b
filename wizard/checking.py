"""Asking checks: all of a round at once, each within its own time, none of them lost."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from wizard.answers import AnswersError
from wizard.check import Check, CheckResult, Finding, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wizard.host import Host
    from wizard.step import Step

# Checks mostly wait for the network; more threads than this would only make two small cores busy.
WORKERS = 16


def run_checks(host: Host, pairs: Sequence[tuple[Step, Check]]) -> Iterator[CheckResult]:
    """Ask all checks at once; each result as it comes, each within its own time."""
    todo: queue.SimpleQueue[tuple[Step, Check]] = queue.SimpleQueue()
    done: queue.SimpleQueue[CheckResult] = queue.SimpleQueue()
    # The slow ones first: everything else fits beside them.
    for pair in sorted(pairs, key=lambda pair: -pair[1].timeout):
        todo.put(pair)
    waiting = {check.id: (step, check) for step, check in pairs}
    for _ in range(min(WORKERS, len(pairs))):
        threading.Thread(target=_work, args=(host, todo, done), daemon=True).start()
    end = host.monotonic() + sum(sorted((check.timeout for _, check in pairs), reverse=True)[:2])
    while waiting:
        try:
            result = done.get(timeout=max(0.1, end - host.monotonic()))
        except queue.Empty:
            for step, check in waiting.values():
                yield _overdue(step, check)
            return
        del waiting[result.check.id]
        yield result


def _work(host: Host, todo: queue.SimpleQueue[tuple[Step, Check]], done: queue.SimpleQueue[CheckResult]) -> None:
    while True:
        try:
            step, check = todo.get_nowait()
        except queue.Empty:
            return
        start = host.monotonic()
        finding = _ask(host, check)
        done.put(CheckResult(check, step.id, finding, round((host.monotonic() - start) * 1000)))


def _ask(host: Host, check: Check) -> Finding:
    """The finding, whatever happens: a check that breaks is a failed check, never a lost one."""
    try:
        return check.ask(host)
    except AnswersError as error:
        return Finding(
            Status.FAIL, check.title, str(error), "an answer that can be used", "Mend the answer, then verify."
        )
    except Exception as error:  # noqa: BLE001 - one broken check must not take the others with it
        return Finding(
            Status.FAIL, check.title, f"the check broke: {type(error).__name__}: {error}", "an answer",
            "Run: relay-wizard verify   again; if it stays, report it as a mistake of relay-wizard.",
        )  # fmt: skip


def _overdue(step: Step, check: Check) -> CheckResult:
    finding = Finding(
        Status.FAIL, check.title, f"no answer within {check.timeout:.0f} s", "an answer",
        "Look whether the network and the name servers answer, then verify again.",
    )  # fmt: skip
    return CheckResult(check, step.id, finding, round(check.timeout * 1000))
