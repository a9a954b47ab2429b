"""The way back: what a step changed, newest first, taken back without touching what others did since."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from wizard.host import HostError
from wizard.lines import take_back
from wizard.operation import OperationFailed
from wizard.operations.services import reload_services
from wizard.snapshot import difference, fingerprint, note_what_stayed, put_back, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from state.image import Image
    from state.store import Done, Snapshot, Store
    from wizard.host import Host
    from wizard.operation import Operation

ORIGINAL, KEEP = "original", "keep"
# What a killed rollback leaves: its commands may have run, and its files are back but no service knows it yet.
UNDOING, BACK = "undoing", "back"


@dataclass
class Taken:
    """What a rollback did: changes undone, what was kept on purpose, and what could not be taken back."""

    undone: int = 0
    kept: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Decision:
    """What the operator wants of a file that somebody has changed since.

    Attributes:
        choice: "original" or "keep".
        seen: the fingerprint of the file that was decided about; another file is another question.
    """

    choice: str
    seen: str

    def as_json(self) -> dict[str, str]:
        """For the request of a run; `Decision(**...)` reads it back."""
        return asdict(self)


@dataclass(frozen=True)
class Conflict:
    """A file that cannot be taken back without losing what somebody has changed in it since.

    Attributes:
        path: the file.
        ours: the bytes that the wizard left there, None for nothing.
        now: what is there.
        original: what was there before the wizard first wrote it.
    """

    path: str
    ours: bytes | None
    now: Image
    original: Image

    def decide(self, choice: str) -> Decision:
        """The operator's word on it: "original" or "keep"."""
        return Decision(choice, fingerprint(self.now))

    @property
    def since(self) -> str:
        """What was changed since: from what the wizard left to what is there."""
        return difference(self.path, self.ours, self.now, self.original)

    @property
    def back(self) -> str:
        """What putting the original back would do to what is there."""
        if self.original.kind == "absent":
            return f"{self.path}: removed, as it was not there before\n"
        now = None if self.now.kind == "absent" else self.now.content
        return difference(self.path, now, self.original, self.now)


def steps_back(known: Sequence[str], ids: Iterable[str]) -> list[str]:
    """Steps in the order in which they are taken back: the last first; those of an older checklist at the end."""
    named = set(ids)
    return [step for step in reversed(known) if step in named] + sorted(named - set(known))


def foresee(store: Store, host: Host, *steps: str) -> list[Conflict]:
    """The files that a rollback of `steps`, in this order, would leave as they are unless it is told what to do."""
    world = _World(host)
    return [conflict for step in steps for conflict in _foresee_step(store.changes(step), world)]


class _World:
    """The machine as a rollback would leave it step by step; None is a file that it would edit."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._images: dict[str, Image | None] = {}

    def image(self, path: str) -> Image | None:
        if path not in self._images:
            self._images[path] = take(self._host, path)
        return self._images[path]

    def leave(self, path: str, image: Image | None) -> None:
        self._images[path] = image


def _foresee_step(changes: list[Done], world: _World) -> list[Conflict]:
    exact = _restorable(changes, lambda path: _print(world.image(path)), set())
    conflicts: dict[str, Conflict] = {}
    left: dict[str, Image | None] = {}
    for change in changes:
        for snapshot in change.snapshots:
            path = snapshot.before.path
            if path in exact:
                left[path] = snapshot.before
            elif _can_be_edited(change):
                left[path] = None
            elif path not in conflicts and (now := world.image(path)) is not None:
                conflicts[path] = _conflict(changes, path, now)
    for path, image in left.items():
        world.leave(path, image)
    return list(conflicts.values())


def _conflict(changes: list[Done], path: str, now: Image) -> Conflict:
    """Between the original and what is there, what the wizard had left where the two part."""
    entries = [entry for change in changes for entry in change.snapshots if entry.before.path == path]
    found = now
    for entry in entries:
        if fingerprint(found) not in {entry.after_print, entry.before_print}:
            return Conflict(
                path, None if entry.after_print == "absent" else entry.after_content, now, entries[-1].before
            )
        found = entry.before
    return Conflict(path, entries[0].after_content, now, entries[-1].before)


def _can_be_edited(change: Done) -> bool:
    return bool(change.record.get("by_line") or change.record.get("undo_edit"))


def _print(image: Image | None) -> str | None:
    return None if image is None else fingerprint(image)


def roll_back(
    store: Store,
    host: Host,
    step: str,
    emit: Callable[[dict[str, Any]], None],
    afterwards: Callable[[], Sequence[Operation]] = tuple,
    *,
    since: int = 0,
    decided: Mapping[str, Decision] | None = None,
) -> Taken:
    """Take back all that `step` ever changed and that is not taken back yet.

    A file that nobody else has written since gets its old bytes, mode and owner. One that was changed since is edited
    by the change's own inverse; without one the operator's word on it counts (`decided`), and without that it stays as
    it is, and is reported. `afterwards` is the step's own word on what has to be done once the files are back
    (`Step.after_rollback`). Only changes with a number above `since` are taken back.

    It may be killed anywhere: the next rollback finishes it.
    """
    note_what_stayed(store, host)
    changes = [change for change in store.changes(step) if change.id > since]
    undo = _plan_undo(host, changes, decided or {})
    taken = Taken()
    for change in changes:
        if change.state != BACK:
            _take_back(store, undo, change, emit, taken)
    try:
        for operation in afterwards():
            if operation.diff(host) is not None:
                operation.apply(host)
        reload_services(host, _named(changes, "notify"), _named(changes, "restart"))
        for change in store.changes(step):
            if change.state == BACK:
                store.settle(change.id, "undone")
    except OperationFailed as error:
        taken.conflicts.append(f"{error.asked}: {error.got}. {error.do}")
    store.forget(step)
    return taken


def _named(changes: Sequence[Done], key: str) -> tuple[str, ...]:
    """The services that the changes name as readers of their files."""
    return tuple(dict.fromkeys(name for change in changes for name in change.record.get(key, ())))


def _restorable(changes: list[Done], found: Callable[[str], str | None], wanted: set[str]) -> set[str]:
    """Paths whose old bytes can simply be put back, change by change: the step's writes follow on each other.

    Args:
        changes: the newest first.
        found: the fingerprint of a path as it is before they are taken back; None for one that will be edited.
        wanted: paths whose original the operator wants, whatever is there now.
    """
    now: dict[str, str | None] = {}
    broken: set[str] = set()
    for change in changes:
        if change.state == BACK:
            continue
        for snapshot in change.snapshots:
            path = snapshot.before.path
            expected = now[path] if path in now else found(path)
            # A change that never ended left something between before and after: its image is the only truth. And what
            # is as before was put back by a rollback that was killed.
            if snapshot.after_print is not None and expected not in {snapshot.after_print, snapshot.before_print}:
                broken.add(path)
            now[path] = snapshot.before_print
    return set(now) - _with_companions(changes, broken - wanted)


def _with_companions(changes: list[Done], broken: set[str]) -> set[str]:
    """`broken`, and the files that an inverse command edits together with one of them.

    userdel needs the account in all of its files: it could not take it out of /etc/shadow any more when /etc/passwd
    were put back alone.
    """
    together = [
        {entry.before.path for entry in change.snapshots} for change in changes if change.record.get("undo_edit")
    ]
    grown = set(broken)
    while more := [paths for paths in together if paths & grown and not paths <= grown]:
        grown |= set().union(*more)
    return grown


# What the operator reads before the way in is taken back.
WAY_IN = (
    "SSH and firewall go back to what they were at once, without a countdown: keep this session open until you have "
    "logged in anew."
)


@dataclass(frozen=True)
class _Undo:
    """How the changes of one step are taken back.

    Attributes:
        exact: paths that get the bytes of their image.
        kept: paths that the operator wants to keep as they are.
    """

    host: Host
    exact: set[str]
    kept: set[str]


def _plan_undo(host: Host, changes: list[Done], decided: Mapping[str, Decision]) -> _Undo:
    found = {path: fingerprint(take(host, path)) for path in decided}
    chosen = {
        choice: {path for path, word in decided.items() if word.choice == choice and word.seen == found[path]}
        for choice in (ORIGINAL, KEEP)
    }
    exact = _restorable(changes, lambda path: fingerprint(take(host, path)), chosen[ORIGINAL])
    return _Undo(host, exact, chosen[KEEP] - exact)


def _take_back(store: Store, undo: _Undo, change: Done, emit: Callable[[dict[str, Any]], None], taken: Taken) -> None:
    """Take one change back, and note how far that came."""
    store.settle(change.id, UNDOING)
    conflicts, kept = _undo(undo, change)
    if conflicts:
        store.settle(change.id, "done" if change.state == UNDOING else change.state)
    elif not kept:
        store.settle(change.id, BACK)
        taken.undone += 1
    # Several changes of one file have one conflict.
    taken.conflicts += [word for word in conflicts if word not in taken.conflicts]
    taken.kept += [word for word in kept if word not in taken.kept]
    if word := change.record.get("kept"):
        taken.kept.append(str(word))
    emit(
        {
            "event": "operation.finished", "step": change.step, "operation": change.operation,
            "summary": change.record.get("summary", change.operation),
            "status": "kept" if conflicts or kept else "undone", "ms": 0,
        }
    )  # fmt: skip


def _undo(undo: _Undo, change: Done) -> tuple[list[str], list[str]]:
    """Take one change back; what could not be, and what the operator keeps, in words."""
    conflicts: list[str] = []
    kept: list[str] = []
    edited = [snapshot for snapshot in change.snapshots if snapshot.before.path not in undo.exact]
    for snapshot in change.snapshots:
        path = snapshot.before.path
        if snapshot not in edited:
            conflicts += _put_back(undo.host, snapshot)
        elif change.record.get("by_line"):
            _edit_lines(undo.host, snapshot)
        elif change.record.get("undo_edit"):
            continue
        elif path in undo.kept:
            kept.append(f"{path} stays as you have it")
        else:
            conflicts.append(
                f"{path} was changed by somebody else since; it is left as it is. "
                f"To be asked about it: relay-wizard rollback {change.step}   on a terminal, without --yes"
            )
    complaints = _run(undo.host, change.record.get("undo_edit", [])) if edited else []
    complaints += _run(undo.host, change.record.get("undo", []))
    # A rollback that was killed may have run them: what is gone cannot be removed again.
    return conflicts + (complaints if change.state != UNDOING else []), kept


def _put_back(host: Host, snapshot: Snapshot) -> list[str]:
    if fingerprint(snapshot.before) != snapshot.before_print:
        return [f"{snapshot.before.path}: its image in the state is damaged; it is left as it is"]
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
