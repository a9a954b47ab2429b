"""The lab by hand: `python3 -m tests.lab --help`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from . import beside, reliability
from . import lab as labs
from .lab import HOSTS, Lab
from .places import LABS, RELEASES
from .shell import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Do one command; a problem of the lab is told in a line, not in a traceback."""
    asked = _parser().parse_args(arguments)
    try:
        return _do(asked)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 70


def _do(asked: argparse.Namespace) -> int:
    began = time.monotonic()
    if asked.command == "list":
        for name in labs.listed():
            lab = labs.find(name)
            running = [host for host, machine in lab.machines.items() if machine.leader()]
            print(f"{name}\t{lab.release}\t{' '.join(running)}")
        return 0
    if asked.command == "prove":
        return beside.prove(RELEASES)
    if asked.command == "reliability":
        return reliability.rewrite(check=asked.check)
    if asked.command == "up":
        lab = Lab(asked.id, asked.release, tuple(asked.only) if asked.only else HOSTS)
        lab.up()
    elif asked.command == "down":
        labs.down(asked.id)
    else:
        return _in_lab(labs.find(asked.id), asked)
    print(f"lab {asked.id}: {asked.command} took {time.monotonic() - began:.1f} s", file=sys.stderr)
    return 0


def _in_lab(lab: Lab, asked: argparse.Namespace) -> int:
    if asked.command == "push":
        lab.push()
        return 0
    if asked.command == "publish":
        # The only command that needs dnspython, which a bare machine's Python does not have.
        from .product import publish

        for record in publish(lab):
            print(record["name"], record["type"], record["value"])
        return 0
    if asked.command == "walk":
        from .product import walk

        for what, answered in walk(lab):
            print(f"--- {what}: exit status {answered.status}\n{answered.told()}")
        return answered.status
    if asked.command == "reset":
        lab.reset(asked.host)
        return 0
    if asked.command == "reboot":
        lab.machines[asked.host].reboot()
        return 0
    words: list[str] = asked.words[1:] if asked.words[:1] == ["--"] else asked.words
    if asked.command == "exec":
        argv = lab.machines[asked.host].argv(words or ["bash", "-l"])
    else:
        argv = [*lab.ssh(asked.user, asked.port), *(words or ["-tt"])]
        if not words:
            argv = [*argv[:-2], "-tt", argv[-2]]
    # The command takes this process's place, so that terminal, pipes, signals and exit status are its own.
    return os.execvp(argv[0], argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab", description=f"A pretend Internet; its files: {LABS}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the labs that are up")
    commands.add_parser("prove", help="every proof on every release, the releases beside each other (.venv)")
    told = commands.add_parser("reliability", help="write the README's table of faults, by the last runs' numbers")
    told.add_argument("--check", action="store_true", help="only say whether it is out of date (exit status 1)")
    up = commands.add_parser("up", help="make and boot a lab, and leave it running")
    up.add_argument("--release", choices=RELEASES, default="trixie")
    up.add_argument("--only", choices=HOSTS, action="append", help="boot this host alone (repeat for more)")
    down = commands.add_parser("down", help="take a lab away")
    push = commands.add_parser("push", help="copy the checkout as it is now into the VPS")
    publish = commands.add_parser("publish", help="publish the VPS's record sheet (with the Python of .venv)")
    walk = commands.add_parser("walk", help="all that an operator does: apply, publish, home, apply --wait (.venv)")
    reset = commands.add_parser("reset", help="a fresh machine in place of the one that is there")
    reset.add_argument("host", choices=HOSTS)
    reboot = commands.add_parser("reboot", help="power off, and boot again on the same disk")
    reboot.add_argument("host", choices=HOSTS)
    inside = commands.add_parser("exec", help="run a command inside, as root, in /root")
    session = commands.add_parser("ssh", help="an SSH session with the VPS, from outside")
    session.add_argument("--user", default="root")
    session.add_argument("--port", type=int, default=22)
    for command in (up, down, push, publish, walk, reset, reboot, inside, session):
        command.add_argument("--id", default="dev", help="which lab (default: %(default)s)")
    inside.add_argument("host", choices=HOSTS)
    for command in (inside, session):
        command.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="default: a shell")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
