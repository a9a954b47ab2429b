"""A pretend machine behind the real checklist: real titles, questions and order; harmless plans and checks.

Each step writes one file below a folder; the DNS steps wait for a file that only the test writes. On a FakeHost all of
it is in memory; the terminal suite uses real files in a temporary folder, so that a run outlives its terminal.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from screens.desk import Desk
from state.store import Store
from wizard.answers import as_tables, parse
from wizard.check import Check, Finding, Severity, failed, passed, warned
from wizard.fact import Context
from wizard.host import DryRunHost, Host, LocalHost
from wizard.operation import Change, Operation, OperationFailed
from wizard.operations.files import WriteFile
from wizard.secret import Redactor, Secret
from wizard.step import Step
from wizard.steps import STEPS

ANSWERS = {
    "relay": {"domain": "brightmail.example", "hostname": "mail.brightmail.example", "ipv4": "192.0.2.10"},
    "home": {"domains": ["hearth.example"], "address": "198.51.100.80"},
}
WAIT_FOR_WORLD = ("dns", "ptr")
ONLY_ASK = ("preflight", "clients")


@dataclass(frozen=True)
class Say(Operation):
    """Runs a command that writes lines; `pause` seconds between them."""

    step: str
    lines: int
    pause: float
    marker: str

    @property
    def id(self) -> str:
        return "say"

    @property
    def summary(self) -> str:
        return f"install packages for {self.step}"

    def diff(self, host: Host) -> Change | None:
        command = ("apt-get", "install", "-y", self.step)
        return None if host.stat(self.marker) else Change(self.summary, command=command, paths=(self.marker,))

    def apply(self, host: Host) -> None:
        script = (
            "import sys, time\n"
            f"for n in range({self.lines}): print(f'Unpacking package {{n}} [bold]not markup[/bold] (1.2-3) ...'); "
            f"sys.stdout.flush(); time.sleep({self.pause})"
        )
        done = host.run([sys.executable, "-c", script])
        if not done.ok:
            raise OperationFailed("install", done.complaint, "look at the log")
        host.write(self.marker, b"done\n")


@dataclass(frozen=True)
class Whisper(Operation):
    """Hands a password to a command on standard input, which prints it as a careless one would."""

    account: str
    secret: Secret
    marker: str

    @property
    def id(self) -> str:
        return f"whisper.{self.account}"

    @property
    def summary(self) -> str:
        return f"set the password of {self.account}"

    def diff(self, host: Host) -> Change | None:
        return None if host.stat(self.marker) else Change(self.summary)

    def apply(self, host: Host) -> None:
        host.run(["sh", "-c", "cat; sleep 1"], stdin=self.secret.reveal().encode())
        host.write(self.marker, b"done\n")


@dataclass(frozen=True)
class Hold(Operation):
    """Takes until the test lets go."""

    until: threading.Event

    @property
    def id(self) -> str:
        return "hold"

    @property
    def summary(self) -> str:
        return "take a while"

    def diff(self, host: Host) -> Change | None:
        return None if self.until.is_set() else Change(self.summary)

    def apply(self, host: Host) -> None:
        self.until.wait(30)


@dataclass
class Demo:
    """What the pretend machine is made of.

    Attributes:
        root: prefix of the files that steps write; "" for a FakeHost.
        chatter: lines of output of each step's command (0: no command), with `pause` seconds between them.
        broken: ids of steps whose check fails.
        found: what the check of a step finds, where it is not what one expects.
        hold: applying waits for it, when there is one.
        port_25: the probe of port 25 waits for it, when there is one.
    """

    root: str = ""
    chatter: int = 0
    pause: float = 0.0
    broken: set[str] = field(default_factory=set)
    found: dict[str, Finding] = field(default_factory=dict)
    hold: threading.Event | None = None
    port_25: threading.Event | None = None

    def steps(self) -> tuple[Step, ...]:
        return tuple(self._step(step) for step in STEPS)

    def _step(self, step: Step) -> Step:
        made = replace(step, checks=lambda context: self._checks(step, context))
        return made if step.id in ONLY_ASK else replace(made, plan=lambda context: self._plan(step, context))

    def settle(self, desk: Desk, host: Host, status: Mapping[str, str]) -> None:
        """Have steps stand so, as if a run had made them: their files as planned, and so observed."""
        with desk.engine() as engine:
            for step in (step for step in STEPS if step.id in status):
                host.write(self._path(step), self._content(step, engine.context()).encode())
                engine.store.observe(step.id, status[step.id], engine.now(), 0)

    def _path(self, step: Step) -> str:
        return f"{self.root}/etc/demo/{step.id}.conf"

    def _content(self, step: Step, context: Context) -> str:
        keys = [entry.key for entry in step.fields if "." in entry.key]
        tables = as_tables(context.answers)
        lines = [f"{key} = {tables.get(key.split('.')[0], {}).get(key.split('.')[1])}" for key in keys]
        users = [f"user {user.name} {user.role}" for user in context.answers.users] if step.id == "users" else []
        return "\n".join([f"# {step.title}", *lines, *users, ""])

    def _plan(self, step: Step, context: Context) -> list[Operation]:
        found: list[Operation] = [Hold(self.hold)] if self.hold else []
        if self.chatter:
            found.append(Say(step.id, self.chatter, self.pause, f"{self.root}/var/demo/{step.id}"))
        found += [
            Whisper(account, secret, f"{self.root}/var/demo/whispered-{account}")
            for account in self._accounts(step, context)
            if (secret := context.password(account, "")) is not None
        ]
        return [*found, WriteFile(self._path(step), self._content(step, context), check_candidate=())]

    def _accounts(self, step: Step, context: Context) -> list[str]:
        """Whose passwords a step sets; home's too, with the users: its own step comes after DNS."""
        if step.id == "root_password":
            return ["root"]
        mail = [user.name for user in context.answers.users]
        return [*mail, "home"] if step.id == "users" and mail else []

    def _checks(self, step: Step, context: Context) -> list[Check]:
        path, world = self._path(step), f"{self.root}/world/{step.id}"

        def there(host: Host) -> Finding:
            if step.id in self.found:
                return self.found[step.id]
            if step.id in self.broken:
                return failed(
                    f"the daemon of {step.title}", "[red]broken[/red] \x1b[31m", "an answer", "Mend it, then press v."
                )
            if step.id in ONLY_ASK or host.read(path):
                return passed(path, "as planned", "as planned")
            return failed(path, "it is not there", "as planned", f"Run: relay-wizard apply {step.id}")

        def published(host: Host) -> Finding:
            if host.read(world):
                return passed("ns1.registrar.example", "published", "published")
            return failed("ns1.registrar.example", "NXDOMAIN", "published", "Publish what relay-wizard records shows.")

        def memory(host: Host) -> Finding:
            return warned("free memory", "430 MB", "512 MB or more", "Add swap.")

        checks = [Check(f"{step.id}.there", f"{step.title} is as planned", there)]
        if step.id == "preflight":
            port_25 = partial(self._port_25, context)
            checks.append(Check("preflight.port_25_out", "The provider lets mail out (port 25)", port_25, outside=True))
            checks.append(Check("preflight.memory", "There is memory enough", memory, Severity.RECOMMENDED))
        if step.id in WAIT_FOR_WORLD:
            checks.append(Check(f"{step.id}.live", f"{step.title}: the world sees it", published, outside=True))
        return checks

    def _port_25(self, context: Context, host: Host) -> Finding:
        # As in the program itself: what checks need is loaded when they are asked, not before the first paint.
        from wizard.checks.network import ticket

        asked, want = "port 25 of mx.bigmail.example", "a banner that begins with 220"
        if self.port_25 is not None:
            self.port_25.wait(30)
        if host.read(f"{self.root}/world/port_25_closed"):
            do = f'Open a ticket with this text: "{ticket(context)}" Then: relay-wizard verify preflight'
            return failed(asked, "mx.bigmail.example: no answer within 10 seconds", want, do)
        if host.read(f"{self.root}/world/no_route"):
            return failed(asked, "no IPv4 route to the Internet", want, "Bring the network up: ip -4 route")
        return passed(asked, "220 mx.bigmail.example ESMTP", want)


# The same on real files below a folder, with runs in processes of their own: for the terminal suite and to look at.


@dataclass(frozen=True)
class Show:
    """A demonstration in a folder: `python -m tests.screens.demo wizard FOLDER [LINES [PAUSE]]`."""

    folder: Path
    lines: int = 0
    pause: float = 0.0

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def steps(self) -> tuple[Step, ...]:
        return Demo(f"{self.folder}/root", self.lines, self.pause).steps()

    def desk(self) -> Desk:
        (self.folder / "root/etc/demo").mkdir(parents=True, exist_ok=True)
        (self.folder / "root/var/demo").mkdir(parents=True, exist_ok=True)
        redactor = Redactor()
        look = DryRunHost(redactor=redactor)
        desk = Desk(self.state, self.steps(), look, self.launch, look)
        desk.redactor = redactor
        with desk.engine() as engine:
            if engine.store.answers() is None:
                engine.store.save_answers(as_tables(parse(ANSWERS)))
        return desk

    def launch(self, store: Store, request: dict[str, Any], passwords: Mapping[str, Secret], at: str) -> int:
        """As `detached.start` does where there is no systemd."""
        from wizard import detached

        run = detached.begin(store, request, at)
        if passwords:
            detached.hand_over(LocalHost(), str(store.run_folder(run) / "passwords"), passwords)
        argv = [sys.executable, "-m", "tests.screens.demo", "run", str(self.folder), str(self.lines), str(self.pause)]
        os.posix_spawn(sys.executable, [*argv, str(run)], os.environ, setsid=True, file_actions=QUIET)
        return run

    def work(self, run: int) -> None:
        # As in the program itself, the process of the screens draws before it loads these.
        from wizard import detached
        from wizard.engine import Engine

        redactor = Redactor()
        store = Store.open(self.state)
        host = LocalHost(store.run_folder(run) / "output.log", redactor)
        look = DryRunHost(redactor=redactor)
        passwords = detached.take_passwords(host, str(store.run_folder(run) / "passwords"))
        engine = Engine(self.steps(), store, look, parse(store.answers() or {}), None, passwords)
        detached.work(engine, host, run, redactor.clean)


QUIET = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]


def main(words: list[str]) -> int:
    kind, folder, *rest = words
    show = Show(Path(folder), *([int(rest[0])] if rest else []), *([float(rest[1])] if len(rest) > 1 else []))
    if kind == "run":
        show.work(int(rest[2]))
        return 0
    from screens import app

    return app.show(show.desk())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
