"""The whole way by keyboard at 80x24: first screen, questions, plan, apply, records, mail test, undo."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import Operator, at_the_desk
from tests.screens.pretend import fake_desk
from wizard.check import warned
from wizard.engine import Engine

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0kqCyYyUJx0m9yLq5bOV8mQe4w3gNw9k7h8m1n2o3p you@laptop"

ADVICE = warned("the clock", "slow", "fast", "Wind it up.")


async def make_the_clock(operator: Operator) -> None:
    """The step Clock, applied and verified, with the one that it needs."""
    await operator.press("escape", "v")
    await operator.until(lambda: operator.status("preflight") == "verified")
    await operator.open("Clock")
    await operator.press("escape")
    await apply_open_step(operator)
    await operator.until("Done and verified")


async def apply_open_step(operator: Operator) -> None:
    await operator.press("a")
    await operator.until("Apply (y)")
    await operator.press("y")


async def test_from_the_first_screen_to_a_verified_relay(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, begun=False) as operator:
        operator.host.put("/root/.ssh/authorized_keys", f"{KEY}\n")
        await operator.until("Mail can leave this server")
        assert "Nothing is changed before you have seen it" in operator.seen
        await operator.press("enter")

        await operator.until("Before you begin")
        await operator.press("v")
        await operator.until(lambda: operator.status("preflight") == "verified")

        await operator.open("Host name", by_arrows=True)
        await operator.type("brightmail.example")
        await operator.until("mail.brightmail.example")
        await operator.press("enter", "enter", "enter")
        await operator.until("[2 Plan]")
        await operator.until("create /etc/demo/hostname.conf")
        assert operator.desk.answers().relay.hostname == "mail.brightmail.example"

        await operator.open("Users", by_arrows=True)
        await operator.until(lambda: operator.wizard.main.form and operator.wizard.main.form.boxes[0].keys)  # type: ignore[attr-defined]
        await operator.press("enter")
        await operator.until("Login name")
        await operator.type("you")
        assert "ssh-ed25519" in operator.seen
        await operator.press("ctrl+s")
        await operator.until("admin, 1 SSH key")
        await operator.press("end", "enter")
        await operator.until("Login name")
        await operator.type("anna")
        await operator.press("tab", "tab", "tab")
        await operator.type("correct horse")
        await operator.press("tab")
        await operator.type("correct horse")
        await operator.press("ctrl+s")
        await operator.until("mail, password typed")

        await operator.open("The way home", by_arrows=True)
        await operator.type("hearth.example")
        await operator.press("tab")
        await operator.type("198.51.100.80")
        await operator.open("Home server", by_arrows=True)
        await operator.press("tab")
        await operator.type("battery staple")
        await operator.press("tab")
        await operator.type("battery staple")
        await operator.press("escape", "A")
        await operator.until("Apply all that is left?")
        await operator.press("y")
        await operator.until("waiting for DNS")
        await operator.until("waits for DNS and PTR, 2 to")
        assert operator.status("dns") == "applied"
        assert operator.status("postfix") == "blocked"

        await operator.press("r")
        await operator.until("missing")
        for step in ("dns", "ptr"):
            operator.host.put(f"/world/{step}", "yes")
        await operator.press("escape")
        # It goes on by itself: no key is pressed for it.
        await operator.until(lambda: operator.status("mail_test") == "verified")
        await operator.until("Done and verified. Everything is done: h home's files")

        await operator.press("n")
        await operator.until("Everything is done")
        assert operator.wizard.desk.passwords["anna"].reveal() == "correct horse"
        assert operator.wizard.desk.passwords["home"].reveal() == "battery staple"


async def test_a_step_is_seen_confirmed_made_verified_and_taken_back(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.press("escape", "v")
        await operator.until(lambda: operator.status("preflight") == "verified")
        await operator.open("Clock")
        await operator.press("escape", "2")
        await operator.until("+ create /etc/demo/clock.conf")
        await operator.press("d")
        await operator.until("+relay.timezone = Etc/UTC")
        await operator.press("escape", "a")
        await operator.until("make 1 change?")
        await operator.press("n")
        assert "/etc/demo/clock.conf" not in operator.host.files
        await apply_open_step(operator)
        await operator.until("Done and verified")
        assert "Etc/UTC" in operator.host.text("/etc/demo/clock.conf")
        await operator.press("u")
        await operator.until("Take back what")
        await operator.press("y")
        await operator.until("Taken back.")
        assert "/etc/demo/clock.conf" not in operator.host.files
        assert operator.status("clock") == "ready"


async def test_an_undo_that_would_lock_out_says_what_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "refuses_rollback", lambda _, ids: f"First take back what needs {ids[0]}")
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await make_the_clock(operator)
        await operator.press("u")
        await operator.until("First take back what needs clock")


async def test_the_whole_is_taken_back_and_each_changed_file_is_asked_about(tmp_path: Path) -> None:
    demo = Demo()
    desk, host = fake_desk(tmp_path, demo, ANSWERS)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("U")
        await operator.until("Nothing was changed that could be taken back")
        await operator.press("escape", "v")
        await operator.until(lambda: operator.status("preflight") == "verified")
        for title in ("Clock", "Firewall"):
            await operator.open(title)
            await operator.press("escape")
            await apply_open_step(operator)
            await operator.until("Done and verified")
        host.put("/etc/demo/clock.conf", "# mine\nrelay.timezone = Etc/UTC\n")
        await operator.press("U")
        await operator.until("File 1 of 1: /etc/demo/clock.conf")
        seen = await operator.until("+# mine")
        assert "-# Clock" in seen
        await operator.press("escape")
        await operator.until("Nothing was taken back")
        await operator.press("U")
        await operator.until("File 1 of 1")
        await operator.press("k")
        await operator.until("Kept as it is: /etc/demo/clock.conf")
        assert "all 2 changes of 2 steps" in operator.seen
        await operator.press("n", "U")
        await operator.until("File 1 of 1")
        await operator.press("o")
        await operator.until("- Clock: 1")
        await operator.press("y")
        await operator.until("Taken back.")
        assert not [path for path in host.files if path.startswith("/etc/demo/")]


async def test_drift_is_explained_kept_and_let_go(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await make_the_clock(operator)
        host.put("/etc/demo/clock.conf", "# mine\n")
        await operator.press("2")
        await operator.until("it back, k: keep as you")
        await operator.until("by hand or")
        await operator.press("d")
        await operator.until("+# mine")
        await operator.press("escape", "k")
        await operator.until("kept as you have it")
        await operator.until("Nothing else to change. k lets go")
        await operator.until(lambda: operator.status("clock") == "verified")
        await operator.press("k")
        await operator.until("it back, k: keep as you")
        await operator.press("a")
        await operator.until("Apply (y)")
        await operator.press("y")
        await operator.until("Done and verified")
        assert "# mine" not in host.text("/etc/demo/clock.conf")


async def test_a_failed_check_reads_as_asked_got_want_do(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS, Demo(broken={"preflight"})) as operator:
        await operator.press("v")
        await operator.until("✗ fail")
        seen = await operator.until("Mend it, then press v.")
        # Outside text is neither markup nor escape sequences.
        assert "[red]broken[/red]" in seen
        assert "\\x1b[31m" in seen
        words = [line for line in seen.splitlines() if any(f" {w} " in line for w in ("asked", "got", "want", "do"))]
        assert len(words) >= 4


async def test_asking_all_steps_is_said_at_once_and_ends_in_a_verdict(tmp_path: Path) -> None:
    port_25 = threading.Event()
    desk, host = fake_desk(tmp_path, Demo(port_25=port_25), ANSWERS)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "V")
        await operator.until("asking 24 steps …")
        await operator.press("V")
        await operator.until("That is being asked already")
        port_25.set()
        await operator.until("24 of 28 checks failed. See 4 of Updates, Root's password and 20 more.")
        await operator.open("Clock")
        await operator.press("escape", "v")
        await operator.until("1 of 1 check failed: “do” says")
    async with at_the_desk(tmp_path / "other", ANSWERS, Demo(found={"preflight": ADVICE})) as operator:
        await operator.press("escape", "v")
        await operator.until("3 checks: all well, and 2 could be better")


async def test_what_waits_for_others_says_for_which(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.open("Postfix")
        await operator.until("blocked: needs first: Certificate, Host")
        await operator.press("escape", "a")
        await operator.until("Postfix needs first")


async def test_a_missing_answer_opens_its_question(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path) as operator:
        await operator.press("v")
        await operator.until(lambda: operator.status("preflight") == "verified")
        await operator.press("escape", "A", "y")
        await operator.hears("Which domain does this relay send for? Needed first.")
        assert operator.wizard.main.section == "Questions"
        await operator.press("escape", "2")
        await operator.until(lambda: not operator.said)
        await operator.press("r")
        await operator.hears("Which domain does this relay send for? Needed first.")


async def test_the_sheets_can_be_read_and_saved(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.press("escape", "r")
        await operator.until("At the registrar of brightmail.example")
        await operator.until("missing")
        await operator.press("down", "f")
        await operator.until("in quoted pieces")
        await operator.press("s")
        await operator.until("Saved as")
        assert "v=spf1 a -all" in operator.host.text("/root/relay-wizard-dns-records.txt")
        await operator.press("escape", "h")
        await operator.until("setup.sh")
        await operator.press("enter")
        await operator.until("README.md")
        await operator.press("escape", "s")
        await operator.until("scp -P 22 -r root@192.0.2.10:relay-wizard-home .")
        assert "/root/relay-wizard-home/setup.sh" in operator.host.files
        await operator.press("escape", "c")
        await operator.until("There are no mail users")
        await operator.press("escape", "question_mark")
        await operator.until("marks the one to do next")
        await operator.press("end")
        await operator.until("relay-wizard --help")


async def test_pasted_headers_are_explained(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.press("escape", "m")
        await operator.until("Paste the headers")
        await operator.press("tab")
        await operator.type("Authentication-Results: mx.bigmail.example;")
        await operator.press("enter", "space")
        await operator.type("spf=fail smtp.mailfrom=brightmail.example")
        await operator.until("spf=fail for brightmail.example: the sending address is not in the SPF")


async def test_the_palette_has_the_verbs_and_no_screenshot(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        names = {command.title for command in operator.wizard.get_system_commands(operator.wizard.screen)}
        assert {"Apply (a)", "Verify (v)", "Records (r)", "Look (t)", "Help (?)"} <= names
        assert not any("screenshot" in name.lower() for name in names)
        await operator.press("escape", "ctrl+p")
        await operator.type("records")
        await operator.press("enter")
        await operator.until("DNS records to publish")
        # On each screen it has that screen's keys.
        names = {command.title for command in operator.wizard.get_system_commands(operator.wizard.screen)}
        assert {"Back (Esc)", "Copy all (C)", "Save (s)", "Help (F1)", "Look", "Leave (Ctrl+Q)"} <= names
        await operator.press("ctrl+p")
        await operator.type("save")
        await operator.press("enter")
        await operator.until("Saved as")


async def test_the_run_of_somebody_else_is_not_disturbed(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.press("v")
        await operator.until(lambda: operator.status("preflight") == "verified")
        with operator.desk.engine() as engine, engine.store.lock():
            await operator.open("Clock")
            await operator.press("escape", "a")
            await operator.until("Apply (y)")
            await operator.press("y")
            await operator.until("Another run is going on")


async def test_a_run_that_waits_is_left_found_again_and_stopped(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.press("escape", "A", "y")
        await operator.until("x stops the")
        await operator.press("q")
        await operator.until("waits for DNS and PTR,")
        await operator.press("y")
    async with at_the_desk(tmp_path, desk=(desk, host)) as operator:
        await operator.until("Your run waits, and goes on by itself")
        await operator.until("for DNS and PTR: 2 to come")
        # Other work is possible meanwhile; that it takes the place of the waiting run is said before.
        await operator.open("Clock")
        host.put("/etc/demo/clock.conf", "# changed by hand")
        await operator.press("escape", "a")
        await operator.until("Run 1, which waits for DNS and PTR, ends by this")
        await operator.press("n")
        # As it is while the run looks again.
        with operator.desk.engine() as engine, engine.store.lock():
            await operator.press("x")
            await operator.hears("It waits no more when its last look has ended")
            await operator.pilot.pause(0.5)
            assert operator.wizard.waits
        await operator.until("The run waits no more")
        assert operator.desk.checklist().run.status == "waiting"  # type: ignore[union-attr]
        await operator.press("x")
        await operator.until("No run waits")


async def test_the_end_of_a_long_run_stays_in_sight_until_one_scrolls_up(tmp_path: Path) -> None:
    async with at_the_desk(tmp_path, ANSWERS) as operator:
        await operator.press("escape", "A", "y")
        await operator.until("x stops the")
        await operator.press("tab", "3", "home")
        await operator.until("Run 1: apply.")
        assert "x stops the" not in operator.seen
        await operator.press("end")
        await operator.until("x stops the")
