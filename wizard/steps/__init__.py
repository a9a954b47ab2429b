"""The checklist, in order. A new step is one file here, its line in this tuple, and its folder below templates/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.steps import clients, dovecot, home, postfix, preflight, submission, transport

if TYPE_CHECKING:
    from wizard.step import Step

STEPS: tuple[Step, ...] = (
    preflight.STEP,
    postfix.STEP,
    transport.STEP,
    dovecot.STEP,
    submission.STEP,
    home.STEP,
    clients.STEP,
)


def step(step_id: str) -> Step:
    """The step of this id.

    Raises:
        KeyError: when there is none.
    """
    return next(entry for entry in STEPS if entry.id == step_id)
