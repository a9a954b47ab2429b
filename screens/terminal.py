"""The operator's terminal: what it can do, found out before Textual is loaded, which reads its environment then."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import signal
import sys
import termios
import time
import tty
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path

# Seconds in which a terminal, also one behind a slow line, says where its cursor is.
PROBE_SECONDS = 0.5
# A lone Esc is told from an escape sequence by the silence after it; a bad line stretches sequences.
ESCAPE_MILLISECONDS = "250"
DEAF = frozenset({"", "dumb", "unknown", "network"})
SIXTEEN_COLOURS = ("linux", "vt", "ansi", "screen.linux", "cons", "xterm-16color")
# How much each way of drawing asks of a terminal.
ASKS = {"plain": 0, "sixteen": 1, "dark": 2, "light": 2}


@dataclass(frozen=True)
class Terminal:
    """What the screens have to know of it.

    Attributes:
        looks: the way of drawing to begin with: "dark", "sixteen" (the terminal's own colours) or "plain" (ASCII).
        mouse: whether the mouse is taken. Only when asked for (RELAY_WIZARD_MOUSE=1): without, the terminal itself can
            select text, such as a DNS record.
    """

    looks: str
    mouse: bool


def refusal(environment: Mapping[str, str], size: tuple[int, int] | None, *, interactive: bool) -> str:
    """Why no screens can be drawn here, '' when they can.

    Args:
        environment: for TERM.
        size: columns and rows, None when there are none to ask.
        interactive: whether standard input and output both are terminals.
    """
    if not interactive:
        reason = "this is not a terminal"
    elif environment.get("TERM", "") in DEAF:
        reason = f"this terminal cannot draw screens (TERM={environment.get('TERM', '')})"
    elif size is None or 0 in size:
        reason = "this terminal does not say how large it is"
    else:
        return ""
    return (
        f"{reason}. The same wizard without screens: write the answers into a file, then\n"
        "  relay-wizard plan --answers FILE     what would change\n"
        "  relay-wizard apply --answers FILE    change it\n"
        "  relay-wizard verify                  what is true now\n"
        "  relay-wizard --help                  everything else"
    )


def size_of(fd: int) -> tuple[int, int] | None:
    """Columns and rows of the terminal behind a file descriptor."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return None
    return found.columns, found.lines


def prepare(environment: MutableMapping[str, str]) -> Terminal:
    """Set what Textual reads when it is imported, and say how to draw."""
    environment.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    environment.setdefault("ESCDELAY", ESCAPE_MILLISECONDS)
    environment["TEXTUAL_ANIMATIONS"] = "none"
    # How soon what has changed is drawn; twice as often as usual, nothing being sent when nothing changes.
    environment["TEXTUAL_FPS"] = "120"
    # Only the user's own words may change these; a crash must not draw a picture, and no key may be pressed by itself.
    for name in ("TEXTUAL_SCREENSHOT", "TEXTUAL_PRESS", "TEXTUAL_LOG", "TEXTUAL"):
        environment.pop(name, None)
    environment["TEXTUAL_COLOR_SYSTEM"] = _colours(environment)
    return Terminal(_looks(environment), environment.get("RELAY_WIZARD_MOUSE") == "1")


def _colours(environment: Mapping[str, str]) -> str:
    term = environment.get("TERM", "")
    if environment.get("COLORTERM", "") in {"truecolor", "24bit"}:
        return "truecolor"
    return "standard" if _sixteen(term) else "256"


def _sixteen(term: str) -> bool:
    return term.startswith(SIXTEEN_COLOURS)


def looks_for(found: str, chosen: str) -> str:
    """How to draw: as the operator once chose with a key, where this terminal can; else as was found out of it."""
    return chosen if ASKS.get(chosen, ASKS["dark"] + 1) <= ASKS[found] else found


def _looks(environment: Mapping[str, str]) -> str:
    if not draws_unicode(environment):
        return "plain"
    return "sixteen" if environment.get("NO_COLOR") or _sixteen(environment.get("TERM", "")) else "dark"


def draws_unicode(environment: Mapping[str, str]) -> bool:
    """Whether a box drawing character takes one cell here.

    The locale that SSH brings says so or says nothing: a fresh server often has none. Then the terminal is asked.
    """
    # Python itself sets LC_CTYPE=C.UTF-8 where there is no locale (PEP 538): that says nothing of the terminal.
    told = [environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    locale = next((word for word in told if word not in {"", "C.UTF-8", "C", "POSIX"}), "")
    if environment.get("LANG") == "C.UTF-8" or environment.get("LC_ALL") == "C.UTF-8":
        return True
    if re.search(r"utf-?8", locale, re.IGNORECASE):
        return True
    if environment.get("TERM", "").startswith(("vt", "linux")):
        return False
    return _width_of("─") == 1


def _width_of(text: str) -> int | None:
    """How far the cursor moves for a text, asked by DSR (ECMA-48, 8.3.35); None when the terminal does not say."""
    try:
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
    except (OSError, ValueError, termios.error):
        return None
    try:
        tty.setcbreak(fd, termios.TCSANOW)
        os.write(sys.stdout.fileno(), f"\r{text}\x1b[6n\r\x1b[K".encode())
        answer = _read_until(fd, b"R", PROBE_SECONDS)
    except OSError:
        return None
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSANOW, before)
    match = re.search(rb"\x1b\[\d+;(\d+)R", answer)
    return int(match[1]) - 1 if match else None


def _read_until(fd: int, last: bytes, seconds: float) -> bytes:
    answer = b""
    end = time.monotonic() + seconds
    while not answer.endswith(last) and (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            data = os.read(fd, 64)
            if not data:
                break
            answer += data
    return answer


def page(path: Path, environment: Mapping[str, str]) -> str:
    """Show a file with the operator's pager, in the terminal that Textual has left; what went wrong, if anything."""
    try:
        argv = [*shlex.split(environment.get("PAGER") or "less"), str(path)]
    except ValueError as error:
        return f"PAGER cannot be understood: {error}"
    # No shell, no editor out of a pager that runs as root.
    settings = {**environment, "LESSSECURE": "1", "LESS": environment.get("LESS", "-R")}
    # As in a shell: what is pressed in the pager is meant for the pager alone, though the terminal tells us too.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        child = os.posix_spawnp(argv[0], argv, settings, setsigdef=list(before))
        _, status = os.waitpid(child, 0)
    except OSError as error:
        return f"{argv[0]}: {error.strerror}"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    return f"{argv[0]} ended with status {code}" if code == 127 else ""
