"""Fuzzing led by coverage: bytes that reach new lines of a parser are kept and changed further.

    .venv/bin/python -m tests.fuzz [--seconds 60] [TARGET …]

Each target has a process of its own. What breaks one is left as crash-… in the current folder: make it a quick test.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import atheris

if TYPE_CHECKING:
    from .targets import Target

SEED = 12
LIMITS = (f"-seed={SEED}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=0", "-print_final_stats=1")


def main() -> int:
    """Fuzz the chosen targets one after the other; 1 when one of them broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="for each of them")
    asked = parser.parse_args()
    targets = watched()
    return max(fuzz(name, targets[name], asked.seconds) for name in asked.target or targets)


def watched() -> dict[str, Target]:
    """The targets, loaded so that libFuzzer hears which lines are reached."""
    with (
        contextlib.redirect_stderr(io.StringIO()),
        atheris.instrument_imports(include=["wizard", "dns", "dkim", "tomllib"]),
    ):
        # Loaded later by the one who needs it, it would not be watched.
        importlib.import_module("dkim")
        targets: dict[str, Target] = importlib.import_module("tests.fuzz.targets").TARGETS
        return targets


def fuzz(name: str, target: Target, seconds: int) -> int:
    """Fuzz one target in a child; 0 when nothing broke it, else 1 and what libFuzzer had to say."""
    # A file without a name: nothing that the child clears away when it ends.
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            _fuzz(target, seconds, said.fileno())
        broken = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        said.seek(0)
        text = said.read().decode(errors="replace")
    tried = re.search(r"number_of_executed_units: (\d+)", text)
    print(f"{name}: {tried[1] if tried else 'no'} inputs, {'the last one broke it' if broken else 'none broke it'}")
    if broken:
        print(text)
    return int(broken)


def _fuzz(target: Target, seconds: int, output: int) -> NoReturn:
    for stream in (1, 2):
        os.dup2(output, stream)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", *LIMITS, corpus], target.judge)
        atheris.Fuzz()
    sys.exit("libFuzzer has come back, which it never does")


sys.exit(main())
