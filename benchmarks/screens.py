"""What the screens cost: start, memory, bytes on the line. Run: .venv/bin/python -m benchmarks.screens [--json]."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.terminal.pseudo import Terminal, demo

BARE = """
from textual.app import App
from textual.widgets import Label
class Bare(App):
    def compose(self):
        yield Label("bare and ready")
Bare().run(mouse=False)
"""
POINTER = "\u203a".encode()
LIMITS = {
    "first_paint_ratio": 1.5, "peak_mib": 90.0, "idle_bytes_per_second": 0.0,
    "idle_in_a_field_bytes_per_second": 0.0, "key_bytes": 2500.0,
    "installing_bytes_per_second": 8192.0, "key_while_streaming_ms": 100.0,
}  # fmt: skip


def until_painted(terminal: Terminal, text: str) -> float:
    """Seconds from the start of the process to the moment a text is on the screen, less the pause before exec."""
    start = time.monotonic()
    with terminal:
        terminal.writes(text)
        return time.monotonic() - start - 0.1


def bare_program() -> Terminal:
    """An application of one label."""
    return Terminal([sys.executable, "-c", BARE])


def folder() -> Path:
    """A fresh place, past the first screen."""
    made = Path(tempfile.mkdtemp(prefix="relay-wizard-bench-"))
    (made / "state").mkdir()
    (made / "state" / "screens.json").write_text('{"begun": true}')
    return made


def peak_mib(pid: int) -> float:
    """The most memory a process has had."""
    words = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in words if line.startswith("VmHWM"))


def answered(terminal: Terminal, key: str) -> tuple[float, int]:
    """Milliseconds to the first byte after a key, and all bytes of the answer."""
    terminal.read(0)
    before, start = len(terminal.raw), time.monotonic()
    terminal.send(key)
    terminal.read(2.0)
    took = (time.monotonic() - start) * 1000
    terminal.quiet(0.3)
    return took, len(terminal.raw) - before


def measure() -> dict[str, float]:
    """All numbers."""
    found: dict[str, float] = {}
    # In turns, so that what else goes on here meets both.
    pairs = [
        (until_painted(bare_program(), "bare and ready"), until_painted(demo(folder()), "q Leave")) for _ in range(8)
    ]
    bare, full = (min(times) for times in zip(*pairs, strict=True))
    found |= {"bare_seconds": bare, "first_paint_seconds": full, "first_paint_ratio": full / bare}
    with demo(folder()) as terminal:
        terminal.until("q Leave")
        terminal.quiet(1.0)
        found["first_paint_bytes"] = len(terminal.raw)
        before = len(terminal.raw)
        terminal.read(5.0)
        found["idle_bytes_per_second"] = (len(terminal.raw) - before) / 5
        terminal.press("\r")
        before = len(terminal.raw)
        terminal.read(5.0)
        found["idle_in_a_field_bytes_per_second"] = (len(terminal.raw) - before) / 5
        terminal.press("\x1b")
        presses = [answered(terminal, "\x1b[B") for _ in range(5)]
        found["key_bytes"] = max(size for _, size in presses)
        found["key_ms"] = max(took for took, _ in presses)
        terminal.press("r")
        terminal.press("\x1b")
        found["peak_mib"] = peak_mib(terminal.pid)
    found |= streaming(2000, 0.005, "installing_bytes_per_second")
    found |= streaming(20000, 0.0, "flood_bytes_per_second")
    return found


def streaming(lines: int, pause: float, name: str) -> dict[str, float]:
    """Bytes a second while a run says so many lines, and how long a key takes meanwhile, with the whole log open."""
    with demo(folder(), lines, pause) as terminal:
        terminal.until("a Apply")
        terminal.quiet()
        terminal.press("\x1b", "v")
        terminal.until("all well")
        terminal.press("\x1b", "n", "\x1b", "a")
        terminal.until("Apply (y)")
        terminal.send("y")
        terminal.until("Unpacking")
        before, start = len(terminal.raw), time.monotonic()
        end = start + (5.0 if pause else 1.0)
        while time.monotonic() < end:
            terminal.read(0.05)
        rate = (len(terminal.raw) - before) / (time.monotonic() - start)
        if pause:
            return {name: rate}
        terminal.press("\x1b")
        took = [pointer_moves(terminal, key) for key in ["\x1b[B", "\x1b[A"] * 5]
        terminal.press("l")
        # Opening the help is more than answering a key; it shows that the flood of the whole log starves nobody.
        helped = [help_opens(terminal) for _ in range(5)]
        return {
            name: rate, "key_while_streaming_ms": max(took), "help_while_streaming_ms": max(helped),
            "peak_streaming_mib": peak_mib(terminal.pid),
        }  # fmt: skip


def pointer_moves(terminal: Terminal, key: str) -> float:
    """Milliseconds until the pointer of the checklist has moved, while output streams by."""
    terminal.read(0)
    before, start = len(terminal.raw), time.monotonic()
    terminal.send(key)
    while POINTER not in terminal.raw[before:] and time.monotonic() - start < 2:
        terminal.read(0.005)
    took = (time.monotonic() - start) * 1000
    terminal.read(0.05)
    return took


def help_opens(terminal: Terminal) -> float:
    """Milliseconds until F1's help is drawn while output streams by."""
    before, start = len(terminal.raw), time.monotonic()
    terminal.send("\x1bOP")
    while b"Scroll" not in terminal.raw[before:] and time.monotonic() - start < 2:
        terminal.read(0.005)
    took = (time.monotonic() - start) * 1000
    terminal.send("q")
    terminal.quiet(0.15)
    return took


def main() -> int:
    """Print the numbers; status 1 when one is above its limit."""
    found = measure()
    over = {name: limit for name, limit in LIMITS.items() if found[name] > limit}
    if "--json" in sys.argv:
        data: dict[str, Any] = {**found, "over": sorted(over)}
        print(json.dumps(data))
    else:
        for name, value in found.items():
            limit = f"  (at most {LIMITS[name]:g})" if name in LIMITS else ""
            print(f"{name:<28} {value:10.2f}{limit}{'  OVER' if name in over else ''}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
