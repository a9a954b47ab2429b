"""Pictures of the main screens, looked at by eye before they were accepted. Renewed by pytest --snapshot-update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens.application import RelayWizard
from screens.desk import Place
from tests.screens.demo import ANSWERS, Demo, fake_desk

Compare = Callable[..., bool]


def wizard(folder: Path, looks: str = "dark", *, begun: bool = True) -> RelayWizard:
    desk, host = fake_desk(folder, Demo(broken={"fail2ban"}), ANSWERS)
    host.put("/etc/demo/ssh.conf", "# changed by hand\n")
    for step, status, planned in (
        ("preflight", "verified", 0), ("updates", "verified", 0), ("users", "verified", 0), ("hostname", "verified", 0),
        ("clock", "verified", 0), ("ssh", "verified", 1), ("firewall", "verified", 0), ("fail2ban", "failed", 0),
        ("dns", "applied", 0),
    ):  # fmt: skip
        with desk.engine() as engine:
            engine.store.observe(step, status, engine.now(), planned)
    desk.keep_place(Place("fail2ban", begun=begun))
    return RelayWizard(desk, looks)


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


@pytest.mark.parametrize(
    ("size", "looks"), [((80, 24), "dark"), ((120, 40), "light"), ((80, 24), "plain")], ids=["80", "120-light", "plain"]
)
def test_a_failed_step(size: tuple[int, int], looks: str, tmp_path: Path, snap_compare: Compare) -> None:
    assert snap_compare(wizard(tmp_path, looks), terminal_size=size, run_before=until("Mend it", "v"))


def test_the_plan(tmp_path: Path, snap_compare: Compare) -> None:
    keys = ("escape", "up", "up", "enter")
    assert snap_compare(wizard(tmp_path), terminal_size=(80, 24), run_before=until("1 change", *keys))


def test_the_records(tmp_path: Path, snap_compare: Compare) -> None:
    assert snap_compare(wizard(tmp_path), terminal_size=(80, 24), run_before=until("missing", "escape", "r"))


def test_the_first_screen(tmp_path: Path, snap_compare: Compare) -> None:
    assert snap_compare(
        wizard(tmp_path, begun=False), terminal_size=(80, 24), run_before=until("Mail can leave", "escape", "w")
    )
