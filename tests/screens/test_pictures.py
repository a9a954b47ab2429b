"""Pictures of the main screens, looked at by eye before they were accepted. Renewed by pytest --snapshot-update."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens import application
from screens.application import RelayWizard
from screens.desk import Desk, Place
from tests.fake_sshd import SESSION, Machine, ssh_step
from tests.screens.demo import ANSWERS, Demo
from tests.screens.pretend import fake_desk, in_a_thread
from wizard.answers import as_tables, parse
from wizard.check import failed

Compare = Callable[..., bool]


# The beginning of a trip to the registrar, with a mistake in it.
PUBLISHED = {
    ("mail.brightmail.example", "A"): ["192.0.2.10"],
    ("brightmail.example", "A"): ["192.0.2.10"],
    ("brightmail.example", "MX"): ["10 mail.brightmail.example."],
    ("brightmail.example", "TXT"): ["v=spf1 a:mail.brightmail.example -all", "v=spf1 include:web.example ~all"],
}


class Pictured(RelayWizard):
    """Its pictures need no font from elsewhere: the README shows them."""

    CSS_PATH = str(Path(application.__file__).with_name("wizard.tcss"))

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        return re.sub(r" *@font-face \{.*?\}\n", "", super().export_screenshot(simplify=simplify), flags=re.DOTALL)


NAMELESS = failed(
    "ns1.provider.example (203.0.113.53): PTR of 192.0.2.10",
    "static-7.provider.example, the provider's generic name",
    "mail.brightmail.example",
    "In the provider's panel, set the reverse name (rDNS, PTR) of 192.0.2.10 to mail.brightmail.example.",
)
DONE = ("preflight", "updates", "root_password", "users", "hostname", "clock", "ssh", "firewall", "fail2ban")


def wizard(folder: Path, looks: str = "dark", *, begun: bool = True) -> RelayWizard:
    demo = Demo(found={"ptr": NAMELESS})
    desk, host = fake_desk(folder, demo, ANSWERS)
    host.records |= PUBLISHED
    host.views["8.8.8.8"] = {("brightmail.example", "MX"): ["10 old.example."]}
    demo.settle(desk, host, dict.fromkeys(DONE, "verified") | {"dns": "applied", "ptr": "failed"})
    host.put("/world/ptr", "yes")
    host.put("/etc/demo/ssh.conf", "# changed by hand\n")
    desk.keep_place(Place("ptr", begun=begun))
    return Pictured(desk, looks)


def until(text: str, *keys: str) -> Callable[[Pilot[int]], Awaitable[None]]:
    async def run(pilot: Pilot[int]) -> None:
        seen = ""
        for _ in range(500):
            await pilot.pause(0.02)
            app = pilot.app
            assert isinstance(app, RelayWizard)
            seen = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
            if keys and app.main.open_id:
                await pilot.press(*keys)
                return await until(text)(pilot)
            if text in seen and "asking" not in seen and "looking" not in seen:
                return None
        raise AssertionError(seen)

    return run


def test_a_failed_check(tmp_path: Path, snap_compare: Compare) -> None:
    assert snap_compare(wizard(tmp_path), terminal_size=(80, 24), run_before=until("panel, set", "v"))


@pytest.mark.parametrize(("size", "looks"), [((120, 40), "light"), ((80, 24), "plain")], ids=["light", "plain"])
def test_a_failed_check_drawn_otherwise(
    size: tuple[int, int], looks: str, tmp_path: Path, snap_compare: Compare
) -> None:
    assert snap_compare(wizard(tmp_path, looks), terminal_size=size, run_before=until("panel, set", "v"))


def test_the_plan(tmp_path: Path, snap_compare: Compare) -> None:
    keys = ("escape", "up", "up", "up", "up", "enter")
    assert snap_compare(wizard(tmp_path), terminal_size=(80, 24), run_before=until("1 change. ", *keys))


def test_the_records(tmp_path: Path, snap_compare: Compare) -> None:
    assert snap_compare(wizard(tmp_path), terminal_size=(80, 24), run_before=until("missing", "escape", "r"))


def test_a_record(tmp_path: Path, snap_compare: Compare) -> None:
    keys = ("escape", "r", "down", "down", "down", "enter")
    assert snap_compare(wizard(tmp_path), terminal_size=(80, 24), run_before=until("still the old value", *keys))


def test_the_first_screen(tmp_path: Path, snap_compare: Compare) -> None:
    assert snap_compare(
        wizard(tmp_path, begun=False), terminal_size=(80, 24), run_before=until("Mail can leave", "escape", "w")
    )


class Frozen(Machine):
    """Its clock stands still."""

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))  # noqa: TID251 - following a run must not spin


def test_the_way_in(tmp_path: Path, snap_compare: Compare) -> None:
    demo, host, state = Demo(), Frozen(), tmp_path / "state"
    way_in = ssh_step()
    steps = tuple(
        replace(step, plan=way_in.plan, checks=way_in.checks, guarded=way_in.guarded) if step.id == "ssh" else step
        for step in demo.steps()
    )
    answers = {**ANSWERS, "ssh": {"revert_after": 300}}
    desk = Desk(state, steps, host, in_a_thread(steps, state, host), host, session=replace(SESSION, user="boss"))
    with desk.engine() as engine:
        engine.store.save_answers(as_tables(parse(answers)))
    demo.settle(desk, host, dict.fromkeys(DONE, "verified") | {"ssh": "pending"})
    host.remove("/etc/demo/ssh.conf")
    desk.keep_place(Place("ssh", begun=True))
    keys = ("escape", "a")

    async def run(pilot: Pilot[int]) -> None:
        await until("From a second terminal", *keys)(pilot)
        await pilot.press("y")
        await until("not seen within 5:00")(pilot)

    assert snap_compare(Pictured(desk), terminal_size=(80, 24), run_before=run)
