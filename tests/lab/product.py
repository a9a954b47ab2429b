"""The program under test, as the operator runs it in the VPS, and the walk that an operator takes with it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .lab import PROGRAM, SECRETS
from .operator import Operator
from .shell import LabError, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .lab import Lab

ANSWERS = "/root/answers.toml"
HOME_FOLDER = "/root/home-folder"
HOME_PASSWORD = "/root/home.password"

# Nobody is there who could log in once more; the lock-out proofs do.
UNPROVED = ("--yes", "--confirm-ssh", "none")
OK, CHECK_FAILS, USAGE, OPERATION_FAILED, LOCKED, UNSUPPORTED, WAITING = range(7)


@dataclass(frozen=True)
class Asked:
    """What the program answered with `--json`."""

    result: Result

    @property
    def status(self) -> int:
        """Its exit status."""
        return self.result.status

    @property
    def data(self) -> Any:
        """The one JSON document on standard output."""
        try:
            return json.loads(self.result.out)
        except ValueError as error:
            raise AssertionError(f"asked for JSON alone on standard output, got:\n{self.told()}") from error

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events on standard output, one a line."""
        try:
            return [json.loads(line) for line in self.result.out.splitlines()]
        except ValueError as error:
            raise AssertionError(f"asked for one JSON event a line on standard output, got:\n{self.told()}") from error

    @property
    def finished(self) -> dict[str, Any]:
        """The last event, which sums the run up."""
        events = self.events
        if not events or events[-1].get("event") != "run.finished":
            raise AssertionError(f"wanted run.finished as the last event, got:\n{self.told()}")
        return events[-1]

    def told(self, most: int = 8000) -> str:
        """The whole story, its beginning left out when it is very long."""
        text = self.result.told()
        return text if len(text) <= most else f"[…]{text[-most:]}"


@dataclass(frozen=True)
class Product:
    """The wizard in the VPS of one lab."""

    lab: Lab

    def ask(self, *arguments: str, timeout: float = 900) -> Asked:
        """Run a command of the program with `--json`."""
        return Asked(self.lab.vps.run(*_command(*arguments, "--json"), check=False, timeout=timeout))

    def apply(self, *arguments: str, timeout: float = 900) -> Asked:
        """Apply, with the lab's answers, asking nothing."""
        return self.ask("apply", *arguments, "--answers", ANSWERS, *UNPROVED, timeout=timeout)

    def verify(self, *steps: str) -> Asked:
        """Run the checks now."""
        return self.ask("verify", *steps, timeout=300)

    def records(self) -> list[dict[str, Any]]:
        """The sheet of DNS records."""
        asked = self.ask("records")
        if asked.status not in (OK, WAITING):
            raise AssertionError(f"wanted the record sheet, got:\n{asked.told()}")
        records: list[dict[str, Any]] = asked.data
        return records

    def steps(self) -> list[dict[str, Any]]:
        """The checklist."""
        steps: list[dict[str, Any]] = self.ask("steps").data
        return steps

    def packages(self) -> list[str]:
        """Every package that the plan installs, as its commands name them."""
        plan = self.ask("plan", "--answers", ANSWERS)
        if plan.status != OK:
            raise AssertionError(f"wanted a plan, got:\n{plan.told()}")
        commands = [operation.get("command") for step in plan.data["steps"] for operation in step["operations"]]
        return sorted({package for command in commands if command for package in _installed(command)})


def publish(lab: Lab) -> list[dict[str, Any]]:
    """Take the record sheet to the registrar and to the provider's panel."""
    records = Product(lab).records()
    Operator(lab.id).publish(records)
    return records


def set_up_home(lab: Lab) -> Result:
    """Carry the home folder from the VPS to home, read nothing, run its script."""
    written = lab.vps.run(*_command("home", HOME_FOLDER, "--answers", ANSWERS), check=False)
    if written.status != OK:
        raise AssertionError(f"wanted the home folder, got:\n{written.told()}")
    packed = subprocess.run(
        lab.vps.argv(["tar", "-C", HOME_FOLDER, "-cf", "-", "."]), capture_output=True, check=True
    ).stdout
    lab.home.run("mkdir", "-p", HOME_FOLDER)
    lab.home.run("tar", "-C", HOME_FOLDER, "-xf", "-", stdin=packed)
    lab.home.write(HOME_PASSWORD, SECRETS[HOME_PASSWORD], 0o600)
    return run_home_script(lab)


def run_home_script(lab: Lab) -> Result:
    """Run setup.sh at home, which may be done again at any time."""
    done = lab.home.run("sh", f"{HOME_FOLDER}/setup.sh", "--password-file", HOME_PASSWORD, check=False)
    if done.status != OK:
        raise AssertionError(f"wanted setup.sh to do its work at home, got:\n{done.told()}")
    return done


def walk(lab: Lab) -> Iterator[tuple[str, Asked]]:
    """From a fresh VPS to a finished relay, as an operator walks: yields what each `apply` answered.

    The first takes what is possible, and ends waiting; the second waits, while the operator publishes what the
    sheet says and sets up home, and goes on by itself.
    """
    product = Product(lab)
    yield "the first apply", product.apply()
    log = lab.folder / "apply-wait.json"
    command = _command("apply", "--wait", "5m", "--answers", ANSWERS, *UNPROVED, "--json")
    with log.open("wb") as out, log.with_suffix(".err").open("wb") as err:
        waiting = subprocess.Popen(lab.vps.argv(command), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            # Long enough that it really waits.
            time.sleep(2)
            publish(lab)
            set_up_home(lab)
            status = waiting.wait(timeout=600)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"apply --wait did not end:\n{_tail(log)}") from error
        finally:
            if waiting.poll() is None:
                waiting.kill()
                waiting.wait()
    result = Result(tuple(command), status, log.read_text(), log.with_suffix(".err").read_text())
    yield "apply --wait", Asked(result)


def _command(*arguments: str) -> list[str]:
    return [f"{PROGRAM}/relay-wizard", *arguments]


def _installed(command: list[str]) -> list[str]:
    """The packages that a command installs, none if it is not such a command."""
    words = [word for word in command if not word.startswith("-")]
    if not command or "install" not in words or not any(shlex.quote(word).endswith("apt-get") for word in words):
        return []
    return [word for word in words[words.index("install") + 1 :] if "=" not in word and "::" not in word]


def _tail(path: Path, most: int = 4000) -> str:
    return path.read_text(errors="replace")[-most:]
