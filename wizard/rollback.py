"""The way back: what a step changed, newest first, taken back without touching what others did since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wizard.host import HostError
from wizard.lines import take_back
from wizard.operation import OperationFailed
from wizard.operations.services import reload_services
from wizard.snapshot import fingerprint, put_back, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from state.store import Done, Snapshot, Store
    from wizard.host import Host
    from wizard.operation import Operation


@dataclass
class Taken:
    """What a rollback did: changes undone, what was kept on purpose, and what could not be taken back."""

    undone: int = 0
    kept: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def roll_back(
    store: Store,
    host: Host,
    step: str,
    emit: Callable[[dict[str, Any]], None],
    afterwards: Callable[[], Sequence[Operation]] = tuple,
    *,
    since: int = 0,
) -> Taken:
    """Take back all that `step` ever changed and that is not taken back yet.

    A file that nobody else has written since gets its old bytes, mode and owner. One that was changed since is edited
    by the change's own inverse; without one it stays as it is, and is reported. `afterwards` is the step's own word on
    what has to be done once the files are back (`Step.after_rollback`). Only changes with a number above `since` are
    taken back.
    """
    changes = [change for change in store.changes(step) if change.id > since]
    exact = _restorable(host, changes)
    taken = Taken()
    notify: dict[str, None] = {}
    restart: dict[str, None] = {}
    for change in changes:
        conflicts = _undo(host, change, exact)
        taken.conflicts += conflicts
        if kept := change.record.get("kept"):
            taken.kept.append(str(kept))
        notify |= dict.fromkeys(change.record["notify"])
        restart |= dict.fromkeys(change.record["restart"])
        if not conflicts:
            store.settle(change.id, "undone")
            taken.undone += 1
        status = "kept" if conflicts else "undone"
        emit(
            {
                "event": "operation.finished", "step": step, "operation": change.operation,
                "summary": change.record["summary"], "status": status, "ms": 0,
            }
        )  # fmt: skip
    try:
        for operation in afterwards():
            if operation.diff(host) is not None:
                operation.apply(host)
        reload_services(host, tuple(notify), tuple(restart))
    except OperationFailed as error:
        taken.conflicts.append(f"{error.asked}: {error.got}. {error.do}")
    store.forget(step)
    return taken


def _restorable(host: Host, changes: list[Done]) -> set[str]:
    """Paths whose old bytes can simply be put back, change by change: the step's writes follow on each other."""
    now: dict[str, str | None] = {}
    broken: set[str] = set()
    for change in changes:
        for snapshot in change.snapshots:
            path = snapshot.before.path
            expected = now[path] if path in now else fingerprint(take(host, path))
            # A change that never ended left something between before and after: its image is the only truth.
            if snapshot.after_print not in {None, expected}:
                broken.add(path)
            now[path] = snapshot.before_print
    return set(now) - _with_companions(changes, broken)


def _with_companions(changes: list[Done], broken: set[str]) -> set[str]:
    """`broken`, and the files that an inverse command edits together with one of them.

    userdel needs the account in all of its files: it could not take it out of /etc/shadow any more when /etc/passwd
    were put back alone.
    """
    together = [{entry.before.path for entry in change.snapshots} for change in changes if change.record["undo_edit"]]
    grown = set(broken)
    while more := [paths for paths in together if paths & grown and not paths <= grown]:
        grown |= set().union(*more)
    return grown


def _undo(host: Host, change: Done, exact: set[str]) -> list[str]:
    """Take one change back; what could not be, in words."""
    conflicts: list[str] = []
    edited = [snapshot for snapshot in change.snapshots if snapshot.before.path not in exact]
    for snapshot in change.snapshots:
        if snapshot not in edited:
            conflicts += _put_back(host, snapshot)
        elif change.record["by_line"]:
            _edit_lines(host, snapshot)
        elif not change.record["undo_edit"]:
            conflicts.append(f"{snapshot.before.path} was changed by somebody else since; it is left as it is")
    if edited and change.record["undo_edit"]:
        conflicts += _run(host, change.record["undo_edit"])
    return conflicts + _run(host, change.record["undo"])


def _put_back(host: Host, snapshot: Snapshot) -> list[str]:
    try:
        put_back(host, snapshot.before)
    except (HostError, OSError, KeyError) as error:
        return [f"{snapshot.before.path}: {error}"]
    return []


def _edit_lines(host: Host, snapshot: Snapshot) -> None:
    before = snapshot.before
    found = host.stat(before.path)
    if found is None:
        return
    old = None if before.kind == "absent" else before.content
    wanted = take_back(old, snapshot.after_content, host.read(before.path))
    if wanted is None:
        host.remove(before.path)
    else:
        host.write(before.path, wanted, mode=found.mode, owner=found.owner, group=found.group)


def _run(host: Host, commands: list[list[str]]) -> list[str]:
    complaints = []
    for argv in commands:
        done = host.run(argv)
        if not done.ok:
            complaints.append(f"{' '.join(argv)}: {done.complaint}")
    return complaints
