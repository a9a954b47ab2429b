"""Speed and memory of the command line on a finished relay: run it there, as root.

    .venv/bin/python -m benchmarks.engine [--state DIR]

Prints ratios to what cannot be avoided: the start of Python itself, and the slowest single check. The full `apply` is
read from the record of the runs: wall time, the share of it that the engine itself computed, and its peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from state.store import Store

CHECKOUT = Path(__file__).resolve().parent.parent
ROUNDS = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", default="/var/lib/relay-wizard")
    state = parser.parse_args().state
    _steps(state)
    _verify(state)
    _apply(state)


def _timed(argv: list[str]) -> tuple[float, int, str]:
    """Wall seconds, peak resident memory in KiB, and standard output of a command."""
    start = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=CHECKOUT, text=True) as child:
        output = child.stdout.read() if child.stdout else ""
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
    return time.perf_counter() - start, usage.ru_maxrss, output


def _steps(state: str) -> None:
    nothing = median(_timed([sys.executable, "-c", "pass"])[0] for _ in range(ROUNDS))
    steps = median(
        _timed([sys.executable, "-m", "wizard", "steps", "--json", "--state", state])[0] for _ in range(ROUNDS)
    )
    print(f"steps --json: {steps * 1000:.0f} ms = {steps / nothing:.1f} x python -c pass (want at most 8)")


def _verify(state: str) -> None:
    seconds, kib, output = _timed([sys.executable, "-m", "wizard", "verify", "--json", "--state", state])
    checks = json.loads(output)["checks"]
    slowest = max(checks, key=lambda row: int(row["ms"]))
    limit = 1.3 * slowest["ms"] / 1000 + 0.3
    print(
        f"verify: {seconds:.2f} s for {len(checks)} checks; slowest {slowest['id']} {slowest['ms'] / 1000:.2f} s;",
        end=" ",
    )
    print(f"{seconds / limit:.2f} of the limit (1.3 x slowest + 0.3 s)")
    print(f"verify: peak memory {kib / 1024:.0f} MiB (want under 80)")


def _apply(state: str) -> None:
    store = Store.open(Path(state), create=False)
    run = store.last_run()
    while run is not None:
        for _, event in store.events(run.id):
            if event["event"] == "run.measured":
                share = 100 * event["own_seconds"] / event["wall_seconds"]
                kind = f"run {run.id} ({run.request['kind']}, {run.status})"
                print(
                    f"{kind}: {event['wall_seconds']:.1f} s, {share:.1f} % of it the engine's own (want under 5);",
                    end=" ",
                )
                print(f"peak memory {event['peak_mib']:.0f} MiB (want under 80)")
        try:
            run = store.run(run.id - 1)
        except KeyError:
            run = None


if __name__ == "__main__":
    main()
