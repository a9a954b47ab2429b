"""All proofs on several releases beside each other, each in a pytest of its own: a lab mostly waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from . import lab as labs
from .places import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    Running = dict[str, subprocess.Popen[bytes]]

# About twice what it takes on two slow cores. What takes longer hangs.
PATIENCE = 70 * 60
# How a run is ended: it takes its labs away; it says where each of its threads is (pytest's fault handler); it is gone.
ENDS = (signal.SIGINT, signal.SIGABRT, signal.SIGKILL)
GRACE = 60
INTERRUPTED = 130
# A line for each proof, so that one that hangs has a name.
PROOFS = ("-m", "pytest", "-vv", "tests/lab")


def prove(releases: Sequence[str], proofs: Sequence[str] = PROOFS, patience: float = PATIENCE) -> int:
    """Run the proofs; the exit status is 0 when all releases pass.

    The first release writes here as it goes. What the others wrote follows, one after the other.
    """
    # SIGINT as well: a shell starts what it puts into the background with that one ignored.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    labs.sweep()
    with ExitStack() as stack:
        logs: dict[str, IO[bytes]] = {name: stack.enter_context(tempfile.TemporaryFile()) for name in releases[1:]}
        print(f"{releases[0]} as it goes, then {', '.join(logs)}, which runs beside it", flush=True)
        running: Running = {}
        try:
            for release in releases:
                # A session of its own: whoever interrupts us is told once, and passes it on once.
                running[release] = subprocess.Popen(
                    [sys.executable, *proofs, "--release", release],
                    cwd=CHECKOUT,
                    stdin=subprocess.DEVNULL,
                    stdout=logs.get(release),
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            verdicts = _wait(running, patience)
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            _end(running)
            if not os.environ.get("RELAY_WIZARD_LAB_KEEP"):
                labs.sweep()
            for release, log in logs.items():
                print(f"\n{release}:", flush=True)
                log.seek(0)
                sys.stdout.buffer.write(log.read())
                sys.stdout.flush()
    for release, verdict in verdicts.items():
        print(f"{release}: {verdict}")
    return 0 if all(process.returncode == 0 for process in running.values()) else 1


def _wait(running: Running, patience: float) -> dict[str, str]:
    """Until all have come to an end, or patience has: what became of each."""
    began = time.monotonic()
    verdicts: dict[str, str] = {}
    while len(verdicts) < len(running) and (spent := time.monotonic() - began) < patience:
        for release, process in running.items():
            if release not in verdicts and process.poll() is not None:
                passed = "passed" if process.returncode == 0 else f"FAILED (exit status {process.returncode})"
                verdicts[release] = f"{passed} after {spent:.0f} s"
        time.sleep(0.2)
    late = f"DID NOT END in {patience:.0f} s and was stopped: where it hung is told above"
    return {release: verdicts.get(release, late) for release in running}


def _end(running: Running) -> None:
    """Nobody is left behind."""
    for ending in ENDS:
        alive = [process for process in running.values() if process.poll() is None]
        until = time.monotonic() + GRACE
        for process in alive:
            process.send_signal(ending)
        for process in alive:
            try:
                process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                continue
