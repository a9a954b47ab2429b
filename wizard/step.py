"""A step of the checklist: what it asks, what it would change, and what must be true afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from state.store import Done
    from wizard.answers import Answers
    from wizard.check import Check
    from wizard.fact import Context
    from wizard.operation import Operation


@dataclass(frozen=True)
class Field:
    """A question of a step. The answer's kind, validator and default are those of its key in `answers`.

    Attributes:
        key: "ssh.port"; for users "users".
        question: "Which port shall SSH listen on?"
        help: one or two sentences: why it matters, what is usual.
        detect: finds a better default than the static one on this machine, when there is one.
        unfit: says why the answer, right in itself, does not do on this machine, or nothing.
    """

    key: str
    question: str
    help: str = ""
    detect: Callable[[Context], str] | None = None
    unfit: Callable[[Context], str] = lambda _context: ""


def no_operations(_context: Context) -> Sequence[Operation]:
    """The plan of a step that only asks."""
    return ()


@dataclass(frozen=True)
class Step:
    """One entry of the checklist; screens, command line, reports and tests are derived from it.

    Attributes:
        id: its folder below templates/, its key in the state, its argument on the command line.
        title: a few words.
        group: the heading of the checklist that it stands under.
        why: two lines that say why this step is there.
        better: what is done differently from the usual guide, and why; shown as the step's help.
        plan: the operations, computed from answers and facts. Called again right before they are applied.
        checks: what must be true, computed from answers and facts.
        fields: what it asks.
        requires: ids of steps that have to be verified first.
        needs: answers without which the step cannot be planned ("relay.domain").
        after_rollback: operations that rollback applies once the step's files are back, before services read them:
            what keeps the operator connected.
        refuse_rollback: says why the step cannot be taken back while these changes stand, or nothing.
        guarded: whether its changes could cut the operator off, so that a proof of the way in is asked for.
        skip: says from the answers why the step does not apply here (no home server, say), or nothing.
    """

    id: str
    title: str
    group: str
    why: str
    checks: Callable[[Context], Sequence[Check]]
    plan: Callable[[Context], Sequence[Operation]] = no_operations
    better: str = ""
    fields: tuple[Field, ...] = ()
    requires: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("relay.domain", "relay.hostname")
    after_rollback: Callable[[Context], Sequence[Operation]] = lambda _context: ()
    refuse_rollback: Callable[[Context, Sequence[Done]], str] = lambda _context, _standing: ""
    guarded: Callable[[Context], bool] = lambda _context: False
    skip: Callable[[Answers], str] = field(default=lambda _answers: "")


HARDEN = "Harden"
NAME = "Name"
CERTIFY = "Certify"
CARRY = "Carry mail"
TRUST = "Earn trust"
LOOK_AFTER = "Look after it"
