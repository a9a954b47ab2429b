"""What has become of a file since relay-wizard wrote it: changed by hand, by a package, or as it was left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wizard.host import HostError
from wizard.snapshot import difference, fingerprint, take

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from state.store import Store, Written
    from wizard.host import Host
    from wizard.operation import Change

# The first is rotated to the second once a month, on Debian.
DPKG_LOGS = ("/var/log/dpkg.log", "/var/log/dpkg.log.1")
# What dpkg does with a package, as its log says it, and in words.
DEEDS = {
    "install": "installation", "upgrade": "upgrade", "configure": "configuration", "trigproc": "configuration",
    "remove": "removal", "purge": "removal",
}  # fmt: skip
# Seconds without a line of a package after which its next one belongs to another occasion.
PAUSE = 600.0
# Nothing that dpkg does takes longer than this.
NEAR = 7200.0
# dpkg logs whole seconds.
SECOND = 1.0


@dataclass(frozen=True)
class Drift:
    """What has become of a path.

    Attributes:
        path: '' for what is no file: a service that runs, say.
        by: "hand", "package", "plan" (it is as it was left, and something else is wanted now), "gone" or "unknown".
        said: the sentence for the operator.
        changed: when, RFC 3339, as far as that is known.
        package: whose installation or upgrade it was, ''.
        diff: from what was written to what is there.
    """

    path: str
    by: str
    said: str
    changed: str | None = None
    package: str = ""
    diff: str = ""

    @property
    def is_foreign(self) -> bool:
        """True when somebody else than relay-wizard has made the difference."""
        return self.by != "plan"

    @property
    def told(self) -> str:
        """The sentence, with the path that it is about."""
        return f"{self.path}: {self.said}" if self.path else self.said

    def as_json(self) -> dict[str, Any]:
        """The form of `plan --json`."""
        return {
            "path": self.path, "by": self.by, "said": self.said, "changed": self.changed,
            "package": self.package or None, "diff": self.diff or None,
        }  # fmt: skip


def explain(store: Store, host: Host, step: str, operation: str, change: Change) -> tuple[Drift, ...]:
    """What has become of that which an operation would change now; nothing for what was never ours.

    Args:
        store: what was written, and when.
        host: the machine, to be looked at.
        step: the step's id.
        operation: the operation's id.
        change: what it would change.
    """
    written = [(path, found) for path in change.paths if (found := store.last_written(path)) is not None]
    if written:
        return tuple(_of_file(host, path, found) for path, found in written)
    at = store.last_done(step, operation)
    if change.paths or at is None:
        return ()
    return (Drift("", "unknown", f"done on {_when(host, at)}, and no longer so; by whom cannot be told"),)


def _of_file(host: Host, path: str, written: Written) -> Drift:
    ours = _when(host, written.at)
    try:
        now = take(host, path)
    except (HostError, OSError) as error:
        return Drift(path, "unknown", f"it cannot be read any more: {error}")
    if fingerprint(now) == written.fingerprint:
        return Drift(path, "plan", f"as relay-wizard left it on {ours}; something else is wanted since")
    if now.kind == "absent":
        return Drift(path, "gone", f"removed since {ours}, when relay-wizard wrote it; by whom cannot be told")
    diff = difference(path, written.content, now)
    moment = _changed(host, path)
    return _by_whom(host, path, moment, diff)


def _by_whom(host: Host, path: str, moment: float, diff: str) -> Drift:
    at = datetime.fromtimestamp(moment, UTC)
    when, stamp = _told(host, at), at.strftime("%Y-%m-%dT%H:%M:%SZ")
    log = list(_dpkg_log(host))
    deed = _deed([line for line in log if abs(line.at - moment) < NEAR], moment, _owner(host, path))
    if deed is not None:
        return Drift(
            path, "package", f"probably by the {deed.word} of {deed.package} on {when}", stamp, deed.package, diff
        )
    if log and log[0].at <= moment:
        return Drift(path, "hand", f"changed by hand on {when} (no package was upgraded then)", stamp, diff=diff)
    return Drift(path, "unknown", f"changed on {when}, by hand or by a program", stamp, diff=diff)


def _changed(host: Host, path: str) -> float:
    """When the file was last changed, by the inode: dpkg gives what it unpacks the time of its archive."""
    asked = host.ask(["stat", "--format=%Z", path])
    found = host.stat(path)
    return float(asked.text) if asked.ok and asked.text.isdigit() else found.mtime if found else 0.0


def _owner(host: Host, path: str) -> str:
    """The package that the file belongs to, '' when it belongs to none."""
    asked = host.ask(["dpkg-query", "-S", path])
    return asked.text.splitlines()[0].split(":")[0] if asked.ok and asked.text else ""


# dpkg's log


@dataclass(frozen=True)
class _Line:
    """A line of dpkg's log; `word` is the deed, or "status"."""

    at: float
    word: str
    package: str
    again: bool


@dataclass(frozen=True)
class _Deed:
    word: str
    package: str


def _dpkg_log(host: Host) -> Iterator[_Line]:
    """The log of dpkg, the oldest first: "2026-11-21 12:04:33 upgrade postfix:amd64 3.7.10 3.7.11"."""
    for path in reversed(DPKG_LOGS):
        for line in (host.read(path) or b"").decode(errors="replace").splitlines():
            date, clock, word, *words = [*line.split(), "", "", ""]
            if word not in {*DEEDS, "status"}:
                continue
            try:
                # Its times are the machine's own.
                at = datetime.fromisoformat(f"{date} {clock}").astimezone().timestamp()
            except ValueError:
                continue
            name = words[1] if word == "status" else words[0]
            yield _Line(at, word, name.split(":")[0], again=word == "upgrade" and words[1] == words[2])


def _deed(log: Sequence[_Line], moment: float, owner: str) -> _Deed | None:
    """What dpkg was doing at a moment: with the file's own package, else with the one that it had come to."""
    under_way = {package for package in {line.package for line in log} if _occasion(log, package, moment)}
    begun = [line for line in log if line.word in DEEDS and line.at <= moment + SECOND and line.package in under_way]
    package = owner if owner in under_way else begun[-1].package if begun else ""
    if not package:
        return None
    occasion = _occasion(log, package, moment)
    deeds = [line for line in occasion if line.word in DEEDS]
    if not deeds:
        return None
    first = deeds[0]
    return _Deed("reinstallation" if first.again else DEEDS[first.word], package)


def _occasion(log: Sequence[_Line], package: str, moment: float) -> list[_Line]:
    """The lines of a package from one deed to its end, when `moment` lies within."""
    occasions: list[list[_Line]] = []
    for line in log:
        if line.package != package:
            continue
        if not occasions or line.at - occasions[-1][-1].at > PAUSE:
            occasions.append([])
        occasions[-1].append(line)
    return next((o for o in occasions if o[0].at - SECOND <= moment <= o[-1].at + SECOND), [])


# Times


def _when(host: Host, stamp: str) -> str:
    """A time of the store, in words."""
    try:
        return _told(host, datetime.fromisoformat(stamp))
    except ValueError:
        return "a day that is lost"


def _told(host: Host, moment: datetime) -> str:
    """A time as the operator's clock shows it: "21 Nov 12:04", with the year when it is another."""
    local = moment.astimezone()
    year = "" if local.year == host.now().astimezone().year else f" {local.year}"
    return f"{local.day} {local:%b}{year} {local:%H:%M}"
