"""The way into the screens: is there a terminal, is this a machine to work on; then Textual, which is loaded last."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from screens.desk import Desk

USAGE, UNSUPPORTED = 2, 5


def run_wizard(state: Path, answers: str | None) -> int:
    """Show the screens until the operator leaves; the exit status.

    Args:
        state: the folder of the store.
        answers: a TOML file whose answers are taken first, or None.

    Raises:
        AnswersError: when that file is wrong.
        StoreError: when the state cannot be used.
    """
    from screens import terminal

    gc.disable()
    # Textual draws on standard error.
    interactive = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if reason := terminal.refusal(os.environ, terminal.size_of(sys.stdout.fileno()), interactive=interactive):
        return _say(reason, USAGE)
    if reason := _unsupported():
        return _say(reason, UNSUPPORTED)
    from screens.desk import open_desk

    return show(open_desk(state, answers))


def show(desk: Desk) -> int:
    """Draw the screens of a desk on this terminal; the exit status."""
    from screens import terminal

    # Most of the start is making objects that stay: looking for garbage among them only takes time.
    gc.disable()
    here = terminal.prepare(os.environ)
    from screens.application import RelayWizard

    wizard = RelayWizard(desk, here.looks)
    wizard.run(mouse=here.mouse)
    status = wizard.return_code or 0
    if wizard.farewell:
        print(wizard.farewell, file=sys.stderr)
    if threading.active_count() > 1:
        # What still waits for the network in a thread only looks; it would hold the terminal for seconds.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _unsupported() -> str:
    from wizard.answers import Answers
    from wizard.fact import Context, Facts
    from wizard.host import DryRunHost
    from wizard.steps.preflight import unsupported

    host = DryRunHost()
    return unsupported(Context(host, Answers(), Facts(host)))


def _say(message: str, status: int) -> int:
    print(f"relay-wizard: {message}", file=sys.stderr)
    return status
