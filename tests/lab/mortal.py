"""An engine that dies where it is told to. Runs inside the VPS, around the product as it is, which knows nothing of it.

`main` does steps one after the other, each in lives: a life is the command line itself in a process of its own, and
kills that process with SIGKILL at the first point at which none has died yet; the next life finds what it left. A step
is through when a life comes to its end.

In an environment that imports this module at its start (`kills.prepare`), runs in the background keep a list of their
commands; with a PLAN, one dies inside a command.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ANSWERS = "/root/answers.toml"
FOLDER = Path("/var/tmp/mortal")
# Where lives have ended so far, a JSON list a line.
DIED = FOLDER / "died"
# The commands of the last run in the background, a JSON object a line.
COMMANDS = FOLDER / "commands"
# {"command": number, "seconds": into it, "manner": MANNERS}: where the next run in the background dies.
PLAN = FOLDER / "plan.json"
# What was done about it: the command that was under way, written a moment before the end.
STRUCK = FOLDER / "struck.json"
# A timer would come too late for a command that takes as little as this.
SOON = 0.01
MANNERS = ("the engine alone", "the engine and its command", "the power")

# What is true of an operation, or of the end of a step, when its engine dies. One chain cannot have them all: an
# operation that is made is not made again, so that nobody could die after its record.
APPLY = ("apply", "--answers", ANSWERS, "--yes", "--confirm-ssh", "none", "--json")
ROLL_BACK = ("rollback", "--yes", "--json")
CHAINS = {
    "before": (APPLY, ("nothing intended", "intended", "under way", "made")),
    "after": (APPLY, ("recorded", "told to the services", "closed", "judged")),
    "back": (ROLL_BACK, ("under way", "made", "recorded")),
}
MOST_LIVES = 1000
WAITING = 6
SLOW_IMPORTS = ("cryptography.x509", "dkim", "dns.resolver", "distro", "idna", "jinja2", "psutil", "spf", "sqlite3")


# Inside a command


def arm() -> None:
    """List the commands of this process, and die inside one of them if there is a plan."""
    plan: dict[str, Any] = json.loads(PLAN.read_text()) if PLAN.exists() else {}
    PLAN.unlink(missing_ok=True)
    COMMANDS.unlink(missing_ok=True)
    from wizard import host

    run, start = host.LocalHost.run, subprocess.Popen
    number, running = 0, False

    def counted(self: Any, argv: Sequence[str], **settings: Any) -> Any:
        nonlocal number, running
        number += 1
        began, running = time.monotonic(), True
        try:
            return run(self, argv, **settings)
        finally:
            running = False
            took = time.monotonic() - began
            with COMMANDS.open("a") as listed:
                listed.write(json.dumps({"command": number, "argv": list(argv), "seconds": took}) + "\n")
            if number == plan.get("command"):
                # It was quicker than foreseen.
                strike(plan, argv, took, None)

    def started(*arguments: Any, **settings: Any) -> Any:
        child = start(*arguments, **settings)
        if running and number == plan.get("command"):
            words = (plan, arguments[0], plan["seconds"], child.pid)
            if plan["seconds"] < SOON:
                strike(*words)
            late = threading.Timer(plan["seconds"], strike, words)
            late.daemon = True
            late.start()
        return child

    setattr(host.LocalHost, "run", counted)  # noqa: B010 - mypy forbids the assignment, rightly, elsewhere
    setattr(subprocess, "Popen", started)  # noqa: B010


def strike(plan: dict[str, Any], argv: Sequence[str], seconds: float, child: int | None) -> None:
    """The end, now."""
    power = plan["manner"] == MANNERS[2]
    if child:
        # As it stands at this moment: many a command takes less time than what follows here.
        _kill(child, signal.SIGSTOP)
    family = _family(child) if child else []
    for pid in family if power else ():
        _kill(pid, signal.SIGSTOP)
    STRUCK.with_suffix(".new").write_text(json.dumps({"argv": list(argv), "seconds": seconds, "inside": bool(child)}))
    STRUCK.with_suffix(".new").replace(STRUCK)
    if power:
        os.kill(os.getpid(), signal.SIGSTOP)
    for pid in family:
        # The engine alone dies: its command goes on.
        _kill(pid, signal.SIGKILL if plan["manner"] == MANNERS[1] else signal.SIGCONT)
    os.kill(os.getpid(), signal.SIGKILL)


def _family(child: int) -> list[int]:
    """A command, which leads a session of its own, and all processes of that session."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            words = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(words[3]) == child:
                found.append(int(folder.name))
    return found


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


# Between commands


def main() -> None:
    """The command line of a chain, one of CHAINS and the steps; tells of each step on a line of JSON."""
    kind, *steps = sys.argv[1:]
    command, states = CHAINS[kind]
    _import_all()
    for step in steps:
        began = time.monotonic()
        log = FOLDER / f"{step}.log"
        status, life = signal.SIGKILL.value, 0
        while os.WIFSIGNALED(status) and life < MOST_LIVES:
            status, life = _live(states, step, (command[0], step, *command[1:]), log), life + 1
        well = status in {0, WAITING << 8}
        told = "" if well else f"wait status {status}\n{log.read_text(errors='replace')[-4000:]}"
        print(json.dumps({"step": step, "lives": life, "told": told, "seconds": time.monotonic() - began}), flush=True)
        if not well:
            raise SystemExit(1)


def _import_all() -> None:
    """Load everything once; every life begins as a copy."""
    import wizard

    for module in pkgutil.walk_packages(wizard.__path__, "wizard."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in SLOW_IMPORTS:
        importlib.import_module(name)


def _live(states: Sequence[str], step: str, arguments: Sequence[str], log: Path) -> int:
    """One life; its wait status."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(fd, 1)
            os.dup2(fd, 2)
            Mortal(states, step, "taken back" if arguments[0] == "rollback" else "").live()
            _work_here()
            _as_in_one_run()
            from wizard import cli

            status = cli.main([*arguments])
        except BaseException:  # noqa: BLE001 - the parent's code must never run twice
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitpid(child, 0)[1]


@dataclass
class Mortal:
    """One life: where the engine is now, and where it ends."""

    states: Sequence[str]
    step: str
    # What it is at when it is at no operation; nothing counts there when it is "".
    between: str = ""
    died: set[tuple[str, ...]] = field(default_factory=set)
    operation: str = ""

    def __post_init__(self) -> None:
        self.operation = self.between
        if DIED.exists():
            self.died = {tuple(json.loads(line)) for line in DIED.read_text().splitlines()}

    def point(self, state: str, detail: str = "") -> None:
        """Die, unless this is no state to die in, or a life has ended just here."""
        where = (self.step, self.operation, state, detail)
        if state in self.states and where not in self.died:
            with DIED.open("a") as listed:
                listed.write(json.dumps(where) + "\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def live(self) -> None:
        """Stand around all by which the engine changes the world."""
        from state.store import Store
        from wizard.host import LocalHost

        _wrap(Store, "intend", self.intends, lambda *_: self.point("intended"))
        _wrap(Store, "settle", self.has_made, self.has_recorded)
        _wrap(Store, "close_changes", self.has_told, lambda *_: self.point("closed"))
        _wrap(Store, "observe", self.has_judged, lambda *_: None)
        for verb in ("run", "write", "make_directory", "symlink", "remove"):
            _wrap(LocalHost, verb, partial(self.does, verb), lambda *_: None)

    def intends(self, _: Any, run: int, step: str, operation: str, *__: Any) -> None:
        self.operation = operation
        self.point("nothing intended")

    def does(self, verb: str, _: Any, what: Any, *__: Any) -> None:
        if self.operation:
            self.point("under way", f"{verb} {what if isinstance(what, str) else ' '.join(what)}")

    def has_made(self, _: Any, change: int, *__: Any) -> None:
        self.point("made", str(change) if self.between else "")

    def has_recorded(self, _: Any, change: int, *__: Any) -> None:
        self.point("recorded", str(change) if self.between else "")
        self.operation = self.between

    def has_told(self, *_: Any) -> None:
        self.point("told to the services")

    def has_judged(self, _: Any, step: str, status: str, *__: Any) -> None:
        if not self.operation:
            self.point("judged", status)


def _wrap(owner: Any, name: str, before: Callable[..., None], after: Callable[..., None]) -> None:
    real = getattr(owner, name)

    def wrapped(*words: Any, **settings: Any) -> Any:
        before(*words)
        found = real(*words, **settings)
        after(*words)
        return found

    setattr(owner, name, wrapped)


def _as_in_one_run() -> None:
    """Each life does one step, as a part of a run over the whole checklist."""
    from wizard.applying import Applying

    applying: Any = Applying
    # What a step needs was verified by the life that finished it: not to be asked again by each of hundreds.
    applying._stands = lambda *_: True
    gather = applying._with_all_packages

    def gather_for_all(self: Any, operation: Any) -> Any:
        chosen, self.chosen = self.chosen, tuple(self.engine.steps)
        try:
            return gather(self, operation)
        finally:
            self.chosen = chosen

    applying._with_all_packages = gather_for_all


def _work_here() -> None:
    """The run that belongs into a unit of its own is done by this very process, so that it is this one that dies."""
    from wizard import cli, host

    real = host.LocalHost.run

    def run(self: Any, argv: Sequence[str], **settings: Any) -> Any:
        if "run-in-background" not in argv:
            return real(self, argv, **settings)
        cli.main([*argv][argv.index("run-in-background") :])
        return host.Completed(tuple(argv), 0)

    setattr(host.LocalHost, "run", run)  # noqa: B010 - mypy forbids the assignment, rightly, elsewhere


if "run-in-background" in sys.orig_argv and FOLDER.is_dir():
    arm()
