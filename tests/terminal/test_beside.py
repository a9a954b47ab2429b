"""The releases' proofs beside each other: who fails, hangs or is interrupted is told, and nobody is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
# Without the labs, and in the place of pytest a program that is told the release.
DRIVER = """
import sys
from tests.lab import beside
beside.labs.sweep = lambda: None
beside.GRACE = 1
sys.exit(beside.prove(("first", "second"), ("-u", "-c", sys.argv[1]), float(sys.argv[2])))
"""
RELEASE = "import os, signal, sys, time; release = sys.argv[-1]; "
HANGS = RELEASE + "print(release, os.getpid(), 'begins'); {}; time.sleep(60 if release == 'first' else 0)"
DEAF = "signal.signal(signal.SIGINT, signal.SIG_IGN)"


def proving(proofs: str, patience: float) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", DRIVER, proofs, str(patience)]
    return subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def is_gone(told: str) -> bool:
    """Whether the first release's process, whose number was told, has ended."""
    number = next(line.split()[1] for line in told.splitlines() if line.endswith("begins"))
    return not Path("/proc", number).exists()


@pytest.mark.parametrize("bad", ["nobody", "first", "second"])
def test_all_is_told_in_order_and_one_failure_is_enough(bad: str) -> None:
    made = proving(RELEASE + f"print(release, 'speaks'); sys.exit(3 if release == '{bad}' else 0)", 60)
    told, _ = made.communicate(timeout=30)
    assert made.returncode == (0 if bad == "nobody" else 1), told
    assert told.index("first speaks") < told.index("\nsecond:\nsecond speaks") < told.index("first: "), told
    for release in ("first", "second"):
        assert (f"{release}: FAILED (exit status 3)" if release == bad else f"{release}: passed") in told, told


@pytest.mark.parametrize("manners", ["pass", DEAF])
def test_what_hangs_is_ended_and_named(manners: str) -> None:
    made = proving(HANGS.format(manners), 1)
    told, _ = made.communicate(timeout=30)
    assert made.returncode == 1, told
    assert "first: DID NOT END in 1 s and was stopped" in told
    assert "second: passed" in told
    assert is_gone(told)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all(ending: signal.Signals) -> None:
    # As a shell starts what it puts into the background.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    made = proving(HANGS.format("pass"), 60)
    signal.signal(signal.SIGINT, before)
    assert made.stdout is not None
    told = made.stdout.readline() + made.stdout.readline()
    made.send_signal(ending)
    told += made.communicate(timeout=30)[0]
    assert made.returncode == 130, told
    assert is_gone(told)
