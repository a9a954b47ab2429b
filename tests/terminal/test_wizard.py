"""The wizard in a real pseudo-terminal: bad lines, signals and poor terminals do nothing to it, nor to its runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from screens.terminal import page
from state.store import Run, Store
from tests.terminal.pseudo import CHECKOUT, Terminal, demo, wizard

SENTINEL = "xyzzy-plugh-7319"
# Waits to be interrupted, as a pager lets a search be; then for Enter.
PAGER = """
import time
print("paging", flush=True)
try:
    time.sleep(30)
except KeyboardInterrupt:
    input("interrupted")
"""
UP, DOWN = "\x1b[A", "\x1b[B"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the wizard wants root, and files that belong to root")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "screens.json").write_text('{"begun": true}')
    yield tmp_path
    wait_for_run(tmp_path)


def last_run(folder: Path) -> Run | None:
    store = Store.open(folder / "state")
    try:
        return store.last_run()
    finally:
        store.close()


def wait_for_run(folder: Path, seconds: float = 30) -> Run | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = last_run(folder)
        if run is None or run.status != "running":
            return run
        time.sleep(0.05)
    raise AssertionError("the run does not end")


def begin_updates(terminal: Terminal) -> None:
    """Verify the first step, then apply the second."""
    terminal.until("a Apply")
    terminal.until("Before you begin")
    terminal.quiet()
    terminal.press("\x1b", "v")
    terminal.until("all well")
    terminal.press("\x1b", "n", "\x1b", "a")
    terminal.until("Apply (y)")
    terminal.press("y")


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_draw_is_told_the_other_way(term: str, tmp_path: Path) -> None:
    with wizard("--state", str(tmp_path / "s"), TERM=term) as terminal:
        assert terminal.wait() == 2
    assert "relay-wizard apply --answers FILE" in terminal.text
    assert b"\x1b" not in terminal.raw
    assert not (tmp_path / "s").exists()


def test_a_terminal_without_size_is_told_the_other_way(tmp_path: Path) -> None:
    with Terminal([sys.executable, "-m", "wizard", "--state", str(tmp_path / "s")], size=(0, 0)) as terminal:
        assert terminal.wait() == 2
    assert "does not say how large it is" in terminal.text


def test_no_terminal_at_all(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wizard", "--state", str(tmp_path / "s")],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert "this is not a terminal" in done.stderr


def test_not_root_is_5(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Terminal([sys.executable, "-m", "wizard", "--state", str(tmp_path / "s")], uid=65534) as terminal:
        assert terminal.wait() == 5
    assert "sudo" in terminal.text
    assert b"\x1b[?1049h" not in terminal.raw


def test_leaving_is_0_and_restores_the_terminal(folder: Path) -> None:
    with demo(folder) as terminal:
        terminal.until("q Leave")
        terminal.quiet()
        terminal.press("\x1b", "q")
        assert terminal.wait() == 0
        assert terminal.restored


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_within_a_second_and_restore_the_terminal(number: signal.Signals, folder: Path) -> None:
    with demo(folder) as terminal:
        terminal.until("q Leave")
        terminal.quiet()
        start = time.monotonic()
        os.kill(terminal.pid, number)
        assert terminal.wait(2) == 130
        assert time.monotonic() - start < 1
        assert terminal.restored


def test_ctrl_c_in_the_pager_is_the_pagers_own(folder: Path) -> None:
    (folder / "pager.py").write_text(PAGER)
    with demo(folder, PAGER=f"{sys.executable} {folder / 'pager.py'}") as terminal:
        terminal.until("q Leave")
        terminal.quiet()
        terminal.press("\x1b", "?", "p")
        terminal.until("paging")
        terminal.send("\x03")
        terminal.until("interrupted")
        since = len(terminal.raw)
        terminal.send("\r")
        terminal.until("Pager", since)
        terminal.press("\x1b", "q")
        assert terminal.wait() == 0


def test_a_pager_that_nobody_can_understand_is_told(tmp_path: Path) -> None:
    assert "cannot be understood" in page(tmp_path, {"PAGER": "less -P 'x"})


def test_a_run_outlives_its_terminal_and_is_found_again(folder: Path) -> None:
    with demo(folder, 160, 0.05) as terminal:
        begin_updates(terminal)
        terminal.until("Unpacking package")
        terminal.hang_up()
        start = time.monotonic()
        while os.waitpid(terminal.pid, os.WNOHANG) == (0, 0):
            assert time.monotonic() - start < 1, "the wizard does not notice that its terminal has gone"
            time.sleep(0.02)
        terminal.status = 0
    found = last_run(folder)
    assert found is not None
    assert found.status == "running"
    with demo(folder, 160, 0.05) as again:
        again.until("You are watching it")
        again.until("Done and verified")
        again.press("\x1b", "q")
        assert again.wait() == 0
    run = wait_for_run(folder)
    assert run is not None
    assert run.status == "ok"


def test_a_stalled_reader_does_not_slow_the_run(folder: Path) -> None:
    with demo(folder, 200, 0.02) as terminal:
        begin_updates(terminal)
        start = time.monotonic()
        # Nothing is read for ten seconds; the run takes about four.
        run = wait_for_run(folder)
        took = time.monotonic() - start
        time.sleep(max(0.0, 10 - took))
        assert run is not None
        assert run.status == "ok"
        assert took < 8
        terminal.quiet()
        terminal.press("\x1b", "?")
        terminal.until("marks the one to do next")
        terminal.press("\x1b", "q")
        assert terminal.wait() == 0


def test_a_very_small_window_and_back(folder: Path) -> None:
    with demo(folder) as terminal:
        terminal.shows("ready: to be done")
        terminal.shows("A server whose provider")
        terminal.quiet()
        before = terminal.picture.text
        terminal.resize(40, 10)
        terminal.quiet()
        small = terminal.shows("Before you begin")
        assert "Checklist" in small
        assert small.splitlines()[-1].startswith(" a Apply  A Apply all")
        terminal.press("\r")
        opened = terminal.shows("[1 Questions]")
        assert "A server whose provider" in opened
        assert "Checklist" not in opened
        terminal.press("\x1b")
        terminal.shows("a Apply  A Apply all")
        assert terminal.picture.text == small
        terminal.resize(80, 24)
        terminal.quiet()
        assert terminal.picture.text == before
        terminal.press("q")
        assert terminal.wait() == 0


def remember(folder: Path, looks: str) -> None:
    (folder / "state" / "screens.json").write_text(json.dumps({"begun": True, "looks": looks}))


def remembered(folder: Path) -> str:
    return str(json.loads((folder / "state" / "screens.json").read_text())["looks"])


def test_nothing_is_sent_while_nothing_happens_wherever_the_cursor_is(folder: Path) -> None:
    with demo(folder) as terminal:
        terminal.until("q Leave")
        # A question; a user's entry and in it the keys; the box for pasted headers; the palette.
        for keys, words in (
            (["\x1b", "n"], "Enter Next field"),
            (["\x1b", *["\x1b[B"] * 3, "\r", "\r"], "Login name"),
            (["\t", "\t"], "Public SSH keys"),
            (["\x1b", "\x1b", "m", "\t"], "Paste the headers"),
            (["\x1b", "\x10"], "Search for commands"),
        ):
            terminal.press(*keys)
            terminal.shows(words)
            # What is still looked up in the background may come once.
            assert any(not terminal.read(2.0) for _ in range(3)), words


def test_without_utf_8_everything_is_ascii(folder: Path) -> None:
    remember(folder, "light")
    with demo(folder, LANG="C") as terminal:
        terminal.until("q Leave")
        terminal.until("ready")
        terminal.quiet()
        terminal.press("\x1b", "r", "\x1b", "?")
        # The first bytes ask the terminal how wide a line character is; nobody answered.
        drawn = terminal.raw.split(b"\x1b[?1049h", 1)[1]
        assert drawn.isascii()
        assert b"+- Checklist" in drawn.replace(b"\x1b[1m", b"") or b"Checklist" in drawn


def test_no_color_draws_without_colours(folder: Path) -> None:
    remember(folder, "light")
    with demo(folder, NO_COLOR="1") as terminal:
        terminal.until("q Leave")
        terminal.quiet()
        colours = [word for word in (b"\x1b[31m", b"38;2;", b"48;2;", b"38;5;", b";32m") if word in terminal.raw]
        assert not colours


SHADES = re.compile(rb"[34]8;[25];")


def test_only_the_look_that_was_chosen_by_key_is_remembered(folder: Path) -> None:
    """What a poor terminal needs neither sticks on a good one, nor gives way to what was chosen there."""
    with demo(folder, TERM="linux") as console:
        console.until("q Leave")
        console.quiet()
        console.press("\x1b", "q")
        assert console.wait() == 0
    assert not SHADES.search(console.raw)
    assert remembered(folder) == ""
    with demo(folder) as terminal:
        terminal.until("q Leave")
        terminal.quiet()
        assert SHADES.search(terminal.raw)
        terminal.press("\x1b", "t")
        terminal.shows("Drawn: light")
        terminal.press("q")
        assert terminal.wait() == 0
    assert remembered(folder) == "light"
    with demo(folder, TERM="linux") as console:
        console.until("q Leave")
        console.quiet()
        assert not SHADES.search(console.raw)
        console.press("\x1b", "q")
        assert console.wait() == 0
    assert remembered(folder) == "light"


def test_the_mouse_and_odd_protocols_are_left_alone(folder: Path) -> None:
    with demo(folder) as terminal:
        terminal.until("q Leave")
        terminal.quiet()
        assert b"\x1b[?1000h" not in terminal.raw
        assert b"\x1b[?1003h" not in terminal.raw
        assert b"\x1b[>1u" not in terminal.raw


def test_typed_passwords_are_found_nowhere(folder: Path) -> None:
    """Root's, a mail user's and that of the server at home: typed, handed to a run, printed by a careless tool."""
    with demo(folder) as terminal:
        terminal.until("q Leave")
        terminal.until("Before you begin")
        terminal.quiet()
        terminal.press("\x1b", "v")
        terminal.until("all well")
        # To “Root's password”: two below.
        terminal.press("\x1b", f"{DOWN * 2}\r")
        fill(terminal, SENTINEL, "\r", SENTINEL, "\r", "\r")
        terminal.shows("set the password of root")
        apply_and_watch(folder, terminal)
        # To “Home server”, and back up to “Users”, which saves what was typed.
        terminal.press("\x1b", f"{DOWN * 15}\r")
        fill(terminal, "\t", f"home-{SENTINEL}", "\t", f"home-{SENTINEL}")
        terminal.press("\x1b", f"{UP * 14}\r")
        terminal.shows("add a user (Enter)")
        terminal.press("\r")
        fill(terminal, "anna", "\t", " ", "\t", "\t", f"anna-{SENTINEL}", "\t", f"anna-{SENTINEL}", "\x13")
        terminal.shows("mail, password typed")
        terminal.press("\x1b", "2")
        terminal.shows("set the password of home")
        apply_and_watch(folder, terminal)
        terminal.press("l")
        terminal.shows("[hidden]")
        terminal.press("\x1b")
        os.kill(terminal.pid, signal.SIGTERM)
        terminal.wait()
    assert SENTINEL.encode() not in terminal.raw
    for path in folder.rglob("*"):
        if path.is_file():
            assert SENTINEL.encode() not in path.read_bytes(), path
    said = [path.read_text().count("[hidden]") for path in sorted(folder.glob("state/runs/*/output.log"))]
    assert said == [1, 2]


def fill(terminal: Terminal, *words: str) -> None:
    """Type into one field after the other, no faster than the focus moves."""
    for word in words:
        terminal.send(word)
        terminal.quiet(0.1)


def apply_and_watch(folder: Path, terminal: Terminal) -> None:
    """Apply the open step; meanwhile no process may have the password among its arguments or settings."""
    before = last_run(folder)
    terminal.press("a")
    terminal.shows("Apply (y)")
    terminal.press("y")
    while (run := last_run(folder)) is None or run == before or run.status == "running":
        assert not in_processes(SENTINEL)
        terminal.read(0.05)
    assert run.status == "ok"
    terminal.shows("Done and verified")


def test_a_crash_tells_where_and_no_values(folder: Path) -> None:
    program = (
        "import sys; from tests.screens.demo import Show; from pathlib import Path\n"
        "from screens import app\n"
        f"desk = Show(Path({str(folder)!r})).desk()\n"
        f"for who in ('root', 'home', 'anna'): desk.keep_password(who, who + {SENTINEL!r})\n"
        "def breaks():\n"
        f"    secret = {SENTINEL!r}\n"
        "    raise ZeroDivisionError(' '.join(who + secret for who in ('root', 'home', 'anna')))\n"
        "import screens.main_screen as m\n"
        "m.MainScreen.action_log = lambda self: breaks()\n"
        "sys.exit(app.show(desk))\n"
    )
    with Terminal([sys.executable, "-c", program]) as terminal:
        terminal.until("q Leave")
        terminal.quiet()
        terminal.press("\x1b", "l")
        assert terminal.wait() == 70
        assert terminal.restored
    assert "ZeroDivisionError: [hidden] [hidden] [hidden]" in terminal.text
    assert "This is a mistake of relay-wizard" in terminal.text
    assert SENTINEL not in terminal.text


def in_processes(text: str) -> bool:
    """Whether a text stands in any command line or environment but those of this test itself."""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                if text.encode() in (process / name).read_bytes():
                    return True
            except OSError:
                continue
    return False
