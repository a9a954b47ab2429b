"""Set-ups that are killed: a chain of engines of which each dies a step further, and moments inside a command."""

from __future__ import annotations

import json
import random
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from . import footprint, mortal
from .footprint import Footprint
from .lab import PROGRAM, Lab
from .product import ANSWERS, OK, OPERATION_FAILED, UNPROVED, Product, publish, set_up_home
from .shell import LabError, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = [f"/etc/dkimkeys/{domain}/default.private" for domain in ("brightmail.example", "hearth.example")]
WAIT = ("--wait", "5m")
PYTHON = f"{PROGRAM}/.venv/bin/python"
# Where a chain dies at every operation that an undisturbed set-up makes. (Not "made": the last command of an operation
# may leave nothing to do, and then the life that follows the death before it has nothing to make.)
SURE = {"before": ("nothing intended", "intended"), "after": ("recorded",)}


@dataclass(frozen=True)
class Moment:
    """Where one set-up is killed: so many seconds into a command, by its number and its words."""

    command: int
    argv: tuple[str, ...]
    seconds: float
    manner: str

    def __str__(self) -> str:
        words = " ".join(self.argv)
        return f"{self.manner} off {self.seconds:.2f} s into command {self.command}: {words[:100]}"


@dataclass(frozen=True)
class Reference:
    """A set-up that nobody disturbed: what all others are held against.

    Attributes:
        commands: what it ran, in order: number, argv and seconds.
        operations: step and id of every operation that it made.
        wanted: what it leaves.
        bare: what is left of that when it is taken back.
    """

    commands: tuple[dict[str, Any], ...]
    operations: tuple[tuple[str, str], ...]
    wanted: Footprint
    bare: Footprint

    def moment(self, seed: str, number: int) -> Moment:
        """One of the moments of a seed: a program is drawn, then one of its commands, then a time inside it.

        The first three are inside the installation of the packages, which is half of all time: one in each third of it,
        and one in each manner.
        """
        chance = random.Random(f"{seed} {number}")
        programs: dict[str, list[dict[str, Any]]] = {}
        for command in self.commands:
            programs.setdefault(_program(command["argv"]), []).append(command)
        thirds = len(mortal.MANNERS)
        manner, into = mortal.MANNERS[number % thirds], chance.random()
        if number <= thirds:
            command, into = programs["apt-get install"][0], (number - 1 + into) / thirds
        else:
            command = chance.choice(programs[chance.choice(sorted(programs))])
        return Moment(command["command"], tuple(command["argv"]), into * command["seconds"], manner)


@dataclass
class Ground:
    """One lab, in which VPS after VPS is set up and killed."""

    lab: Lab
    steps: list[str] = field(default_factory=list)
    home_is_set_up: bool = False

    @property
    def product(self) -> Product:
        """The program in the VPS that is there now."""
        return Product(self.lab)

    def prepare(self) -> None:
        """Every VPS from now on has the program's environment, and an engine that can be told to die."""
        self.lab.up()
        vps = self.lab.vps
        self.steps = [step["id"] for step in self.product.steps()]
        (libraries,) = vps.root.glob(f"{PROGRAM.lstrip('/')}/.venv/lib/python3.*/site-packages")
        # After the product's own, so that it finds the checkout.
        (libraries / "zz-mortal.pth").write_text("import tests.lab.mortal\n")
        vps.run("apt-get", "-q", "update")
        vps.run("mkdir", str(mortal.FOLDER))
        vps.freeze()

    def undisturbed(self) -> Reference:
        """Set up, and take back."""
        self.lab.reset("vps")
        with self.publishing():
            asked = self.product.apply(*WAIT)
        assert asked.status == OK, f"the undisturbed set-up: wanted exit status 0\n{asked.told()}"
        commands = tuple(json.loads(line) for line in self.lab.vps.read(str(mortal.COMMANDS)).splitlines())
        changed = [e for e in asked.events if e["event"] == "operation.finished" and e["status"] == "changed"]
        operations = tuple((event["step"], event["operation"]) for event in changed)
        return Reference(commands, operations, self.settled(), self._roll_back())

    def chain(self, kind: str, reference: Reference) -> int:
        """One set-up in lives, and all of it taken back again; how many engines died."""
        self.lab.reset("vps")
        middle = self.steps.index("dns") + 1
        self._lives(kind, self.steps[:middle])
        self._operate()
        self._lives(kind, self.steps[middle:])
        self._ends_as(reference.wanted)
        if kind == "after":
            self._lives("back", self.steps[::-1])
        # Whatever died on the way, the first original of everything was kept.
        left = self._roll_back().differs_from(reference.bare)
        assert not left, "taken back, not as an undisturbed set-up taken back:\n" + "\n".join(left)
        died = [json.loads(line) for line in self.lab.vps.read(str(mortal.DIED)).splitlines()]
        states: dict[tuple[str, str], set[str]] = {}
        for step, operation, state, _ in died:
            states.setdefault((step, operation), set()).add(state)
        for operation in reference.operations:
            missed = {state for state in SURE[kind] if state not in states.get(operation, set())}
            assert not missed, f"nobody died at {operation}: {missed}"
        return len(died)

    def _lives(self, kind: str, steps: list[str]) -> None:
        argv = [PYTHON, "-P", "-c", "from tests.lab import mortal; mortal.main()", kind, *steps]
        done = self.lab.vps.run(*argv, check=False, timeout=1500)
        assert done.status == OK, done.told()

    def _roll_back(self) -> Footprint:
        asked = self.product.ask("rollback", "--all", "--yes")
        assert asked.status == OK, f"rollback: wanted exit status 0\n{asked.told()}"
        return footprint.take(self.lab.vps)

    def struck(self, moment: Moment, reference: Reference) -> bool:
        """One set-up, killed once at this moment; whether it was inside the command, not just after it."""
        self.lab.reset("vps")
        vps = self.lab.vps
        vps.write(str(mortal.PLAN), json.dumps({**vars(moment)}))
        with self.publishing():
            said = self._apply_and_die(moment)
            if moment.manner != mortal.MANNERS[2]:
                assert said.status == OPERATION_FAILED, said.told()
                assert "the run was killed" in said.err, said.told()
            self._ends_as(reference.wanted)
        inside: bool = json.loads(vps.read(str(mortal.STRUCK)))["inside"]
        return inside

    def _apply_and_die(self, moment: Moment) -> Result:
        vps = self.lab.vps
        argv = [f"{PROGRAM}/relay-wizard", "apply", "--answers", ANSWERS, *UNPROVED, "--json", *WAIT]
        follower = subprocess.Popen(
            vps.argv(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        sign = vps.root / str(mortal.STRUCK).lstrip("/")
        heard: list[str] = []
        reader = Thread(target=lambda: heard.extend(follower.communicate()))
        reader.start()
        while reader.is_alive() and not sign.exists():
            time.sleep(0.01)
        if moment.manner == mortal.MANNERS[2] and sign.exists():
            vps.stop(kill=True)
            vps.start(sound=False)
        reader.join(60)
        result = Result(tuple(argv), follower.returncode, *heard)
        assert sign.exists(), f"the moment never came: {moment}\n{result.told()}"
        return result

    def _ends_as(self, wanted: Footprint) -> None:
        """One more `apply`, and everything is as nobody had disturbed it."""
        asked = self.product.apply(*WAIT)
        assert asked.status == OK, f"one more apply: wanted exit status 0\n{asked.told()}"
        differences = self.settled().differs_from(wanted)
        assert not differences, "not as an undisturbed set-up:\n" + "\n".join(differences)

    def settled(self) -> Footprint:
        """The footprint, once it is sure that nothing is left to do or lies half-done."""
        plan = self.product.ask("plan")
        left = [entry["id"] for step in plan.data["steps"] for entry in step["operations"] if entry["changes"]]
        assert not left, f"wanted nothing left to do, got {left}"
        judged = self.lab.vps.run("python3", "-c", JUDGE)
        assert judged.out == "", judged.out
        unfinished = {s["id"]: s["status"] for s in self.product.steps() if s["status"] not in {"verified", "skipped"}}
        assert not unfinished, f"wanted every step verified, got {unfinished}"
        return footprint.take(self.lab.vps)

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """The operator does his part as soon as the keys are there."""
        stop = Event()
        trouble: list[BaseException] = []

        def wait_and_operate() -> None:
            while not all((self.lab.vps.root / key.lstrip("/")).exists() for key in KEYS):
                if stop.wait(0.2):
                    return
            try:
                self._operate()
            except (AssertionError, LabError, OSError) as error:
                trouble.append(error)

        operator = Thread(target=wait_and_operate)
        operator.start()
        try:
            yield
        finally:
            stop.set()
            operator.join()
        if trouble:
            raise trouble[0]

    def _operate(self) -> None:
        """Publish the records, and set up home the first time."""
        publish(self.lab)
        if not self.home_is_set_up:
            set_up_home(self.lab)
            self.home_is_set_up = True


def _program(argv: list[str]) -> str:
    """What tells commands apart by what they do: "apt-get install", "systemctl enable"."""
    words = [word for word in argv if "=" not in word and word != "env"]
    verbs = [word for word in words[1:] if word[:1] not in {"-", "/"}]
    return f"{words[0]} {verbs[0]}" if words[0] in {"apt-get", "systemctl", "ufw"} and verbs else words[0]


# Runs inside: what is wrong with the store, and which service has not read a file since it was written last.
JUDGE = """
import datetime, json, os, sqlite3, subprocess
store = sqlite3.connect("/var/lib/relay-wizard/state.sqlite3")
if (judged := store.execute("PRAGMA integrity_check").fetchone()) != ("ok",):
    print("the store is damaged:", judged)
for row in store.execute("SELECT id, step, operation, state FROM changes WHERE state NOT IN ('done', 'undone')"):
    print("a change was not closed:", row)
for row in store.execute("SELECT id, status FROM runs WHERE status = 'running'"):
    print("a run has no end:", row)
written = {}
for path, record in store.execute("SELECT path, record FROM snapshots JOIN changes ON changes.id = change"):
    for service in {*json.loads(record)["notify"], *json.loads(record)["restart"]} if os.path.exists(path) else ():
        written.setdefault(service, {})[path] = os.stat(path).st_mtime
for service, files in written.items():
    argv = ["systemctl", "show", "-P", "StateChangeTimestamp", "--timestamp=us+utc", service]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    read = datetime.datetime.strptime(said.split(" ", 1)[1], "%Y-%m-%d %H:%M:%S.%f UTC")
    read = read.replace(tzinfo=datetime.timezone.utc).timestamp()
    for path, time in files.items():
        if time > read:
            print(f"{service} has not read {path}, written {time - read:.3f} s after it was told last")
"""
