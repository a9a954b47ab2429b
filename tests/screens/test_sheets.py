"""The sheets: DNS records, home's folder, mail programs, pasted headers, help; read at 80x24."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from textual.widgets import Static, TextArea

from screens import records as screen
from screens import texts
from screens.application import RelayWizard
from screens.desk import Desk
from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import at_the_desk
from tests.screens.pretend import fake_desk, held
from tests.screens.test_pictures import PUBLISHED
from tests.unit.test_pasted_headers import GMAIL
from wizard import records
from wizard.answers import AnswersError
from wizard.fact import Context
from wizard.host import SshSession
from wizard.records import Live, PublishedRecord

KEY = f"v=DKIM1; h=sha256; k=rsa; p={'MIIBIjANBgkqh' * 30}"


async def test_a_failed_look_is_said_and_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    down, real = [True], records.live

    def live(context: Context, sheet: tuple[PublishedRecord, ...]) -> dict[PublishedRecord, Live]:
        if down:
            raise OSError("the network is unreachable")
        return real(context, sheet)

    monkeypatch.setattr(records, "live", live)
    monkeypatch.setattr(screen, "POLL_FIRST", 0.05)
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    host.records |= PUBLISHED
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "r")
        seen = await operator.until("Could not look, tries again by itself: the network is unreachable")
        assert "nobody could be asked yet" in seen
        down.clear()
        # By itself, without a key.
        await operator.until("Looked: 3 of 13 live.")
        monkeypatch.setattr(screen, "POLL_FIRST", 20.0)
        for _ in range(3):
            operator.wizard.screen.query_one("#message", Static).update("")
            await operator.press("v")
            await operator.until("Looked: 3 of 13 live.")
        # A look by key takes the place of the next one by the clock.
        waiting = [timer.name for timer in operator.wizard.screen._timers if timer.name.startswith("set_timer")]
        assert len(waiting) == 1


async def test_a_wrong_record_says_why_and_a_long_value_can_be_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_public_record", lambda *_: KEY)
    paged: list[str] = []
    monkeypatch.setattr(texts, "page", lambda _, text: paged.append(text))
    monkeypatch.setattr(screen, "page", lambda _, text: paged.append(text))
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    host.records |= PUBLISHED
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "r")
        seen = await operator.until("✗ wrong")
        # In the list itself, not only below it.
        assert "\n     2 SPF records, which counts as an error" in seen
        await operator.press("down", "down", "down", "down", "down")
        seen = await operator.until("Enter shows all of it")
        assert "The public key with which receivers verify" in seen
        await operator.press("enter")
        seen = await operator.until("p shows it in one piece")
        # From edge to edge: nothing of the screen's own comes along with a selection.
        assert KEY in seen.replace("\n", "")
        await operator.press("p")
        assert KEY in paged[-1].split("\n")
        await operator.press("escape", "p")
        assert "At the registrar of" in paged[-1]


async def test_home_is_saved_fetched_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    host.put("/etc/passwd", "root:x:0:0::/root:/bin/bash\nboss:x:1000:1000::/home/boss:/bin/bash\n")
    host.put("/etc/group", "boss:x:1000:\n")
    desk.session = SshSession("203.0.113.70", 50000, "192.0.2.10", 22, "boss")
    copied: list[str] = []
    monkeypatch.setattr(RelayWizard, "copy_to_clipboard", lambda _, text: copied.append(text))
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "h")
        await operator.until("v asks them now")
        await operator.press("c")
        await operator.until("s saves the folder first")
        await operator.press("s")
        seen = await operator.until("Saved. c copies the line")
        assert "\nscp -P 22 -r boss@192.0.2.10:relay-wizard-home ." in seen
        assert host.files["/home/boss/relay-wizard-home/setup.sh"].owner == "boss"
        assert desk.export("relay-wizard-x.txt", "x") == "/home/boss/relay-wizard-x.txt"
        assert host.files["/home/boss/relay-wizard-x.txt"].owner == "boss"
        await operator.press("c")
        assert copied == ["scp -P 22 -r boss@192.0.2.10:relay-wizard-home ."]
        await operator.press("v")
        seen = await operator.until("✗ fail  Home server is as planned")
        assert "2 of 2 checks failed" in seen
        for words in ("asked /etc/demo/home.conf", "got   it is not there", "want  as planned", "do    Run: relay"):
            assert words in seen
        # What went wrong is said here, not behind this screen.
        monkeypatch.setattr(Desk, "verify", refuse)
        await operator.press("v")
        await operator.until("home.login_password_file: it is missing")


def refuse(*_: object) -> None:
    raise AnswersError("home.login_password_file: it is missing")


async def test_the_mail_test_says_that_it_runs_and_what_is_missing(tmp_path: Path) -> None:
    demo = Demo(broken={"mail_test"})
    desk, host = fake_desk(tmp_path, demo, ANSWERS)
    needed = ("submission", "spf", "dkim", "dmarc", "ptr")
    demo.settle(desk, host, dict.fromkeys(needed[1:], "verified"))
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "m")
        await operator.until("Ctrl+R runs it")
        await operator.press("ctrl+r")
        await operator.until("First: Port 465. Esc, then n: the next step to do.")
        demo.settle(desk, host, {"submission": "verified"})
        operator.wizard.refresh_checklist()
        await operator.until(lambda: operator.wizard.main.checklist.state("mail_test").status == "ready")  # type: ignore[union-attr]
        go_on = threading.Event()
        desk.verify = held(desk.verify, go_on)  # type: ignore[method-assign]
        await operator.press("ctrl+r")
        seen = await operator.until("asking … 0 answered")
        assert "each is waited for, 20 seconds at most" in seen
        await operator.press("ctrl+r")
        await operator.until("It runs; its results come in one by one.")
        go_on.set()
        seen = await operator.until("got   [red]broken[/red]")
        assert "1 of 1 check failed" in seen


async def test_pasted_headers_are_explained_line_by_line(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.press("escape", "m")
        await operator.until("Paste the headers")
        box = operator.wizard.screen.query_one(TextArea)
        box.text = "Subject: hello"
        await operator.until("There is nothing in that to explain")
        box.text = GMAIL
        seen = await operator.until("Line by line, from the top")
        assert "What mx.google.com says:\n dkim=pass for hearth.example: the signature is valid" in re.sub(
            " *\n", "\n", seen
        )
        await operator.press("end")
        await operator.until("From: the sender that the reader sees, of hearth.example: one of your")
        # Checks that come in do not take its place.
        operator.wizard.results["mail_test"] = {"a": {"status": "pass", "title": "a check", "step": "mail_test"}}
        await operator.pilot.pause(0.7)
        assert "reader sees, of hearth.example" in operator.seen
        await operator.press("ctrl+l")
        await operator.until("✓ pass  a check")


async def test_help_says_what_a_screen_is_for_and_its_keys(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        for key, words in (
            ("r", "Type these records in at your registrar"),
            ("h", "All that the server in your house needs"),
            ("m", "Ctrl+R sends real messages through the relay"),
            ("c", "A text to be read."),
        ):
            await operator.press("escape", key, "f1")
            seen = await operator.until(words)
            # As text, not as it is indented in the program; and nothing is offered that does nothing.
            assert f"\n {words}" in seen
            assert "s Save" not in seen.splitlines()[-1]
            # What opens the help closes it; there is no help on the help.
            await operator.press("question_mark", "escape")
            await operator.until(lambda: operator.wizard.screen is operator.wizard.main)
        await operator.press("escape", "r", "f1", "end")
        seen = await operator.until("relay-wizard --help")
        for line in ("  f           Form", "  Enter       Open", "  t           Other colours, or plain ASCII"):
            assert line in seen
