"""The operator at the keyboard: presses keys, types, and waits for what has to appear; never sleeps for luck."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from screens.application import RelayWizard
from screens.desk import Desk
from screens.widgets import Rows
from tests.fake_host import FakeHost
from tests.screens.demo import Demo
from tests.screens.pretend import fake_desk

PATIENCE = 10.0
KEYS = {" ": "space", ".": "full_stop", "@": "at", "-": "minus", ":": "colon", "/": "slash", "_": "underscore"}


@dataclass
class Operator:
    """A keyboard and eyes."""

    wizard: RelayWizard
    pilot: Pilot[Any]
    host: FakeHost
    desk: Desk

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.pilot.press(*(KEYS.get(letter, letter) for letter in text))

    @property
    def seen(self) -> str:
        """The screen as text, as it stands."""
        screen = self.wizard.screen
        lines = screen._compositor.render_strips()
        return "\n".join(strip.text for strip in lines)

    @property
    def said(self) -> str:
        """The message line, however many lines it takes."""
        return str(self.wizard.screen.query_one("#message", Static).render())

    @property
    def stands(self) -> str:
        """How the open step stands, however many lines that takes; what is cut off on the screen is not in it."""
        line = self.wizard.main.query_one("#status", Static)
        return " ".join(" ".join(line.render_line(y).text for y in range(line.size.height)).split())

    async def hears(self, text: str) -> None:
        """Wait until the message line says something."""
        await self.until(lambda: text in self.said)

    async def until(self, what: str | Callable[[], object]) -> str:
        """Wait until a text is seen, or something is true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            await self.pilot.pause(0.02)
            if what in self.seen if isinstance(what, str) else what():
                return self.seen
        raise AssertionError(f"waited {PATIENCE:.0f} s for {what!r}; the screen shows:\n{self.seen}")

    async def open(self, title: str, *, by_arrows: bool = False) -> None:
        """Go to a step and open it; by arrows alone where a test is about the keyboard, else by a shorter way."""
        step_id = next(step.id for step in self.desk.steps if step.title == title)
        rows = self.wizard.main.query_one("#checklist", Rows)
        await self.press("escape")
        if by_arrows:
            await self.press("home")
            places = [row.id for row in rows.rows if row.id]
            await self.press(*["down"] * places.index(step_id))
            assert rows.current_id == step_id
        else:
            rows.point_at(step_id)
        await self.press("enter")
        await self.until(lambda: self.wizard.main.open_id == step_id and not rows.has_focus)

    def status(self, step_id: str) -> str:
        """How a step stands, as the store has it."""
        return self.desk.checklist().state(step_id).status

    async def leave(self) -> None:
        """Close the application, whatever it is doing: nobody waits for that."""
        self.wizard.exit(return_code=0)


@asynccontextmanager
async def at_the_desk(
    folder: Path,
    answers: dict[str, Any] | None = None,
    demo: Demo | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    looks: str = "dark",
    begun: bool = True,
    desk: tuple[Desk, FakeHost] | None = None,
) -> AsyncIterator[Operator]:
    """The wizard on a machine in memory, at 80x24, past its first screen unless `begun` is False."""
    made, host = desk or fake_desk(folder, demo, answers)
    if begun:
        place = made.place()
        place.begun = True
        made.keep_place(place)
    wizard = RelayWizard(made, looks)
    async with wizard.run_test(size=size) as pilot:
        operator = Operator(wizard, pilot, host, made)
        await operator.until(lambda: wizard.main.checklist is not None and wizard.main.open_id)
        yield operator
        await operator.leave()
