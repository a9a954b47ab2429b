"""The guard where more goes wrong than the login: nothing can be written, packages take longer than the countdown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fake_host import with_apt
from tests.fake_sshd import SSHD, ssh_step
from tests.unit.test_guard import World
from wizard import guard as guards
from wizard.operations.files import WriteFile
from wizard.operations.packages import InstallPackages
from wizard.platforms.debian import PLATFORM


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def fills_up(world: World, *, until: float) -> None:
    """From second 5 on the old settings cannot be put back, until somebody makes room."""
    whole = world.host.write

    def write(path: str, data: bytes, **how: Any) -> None:
        if path == SSHD and data == b"before" and world.host.ticks < until:
            raise OSError(28, "No space left on device")
        whole(path, data, **how)

    world.host.put(SSHD, "before")
    world.host.meanwhile[5.0] = lambda: setattr(world.host, "write", write)


def test_a_revert_that_fails_is_tried_again(world: World) -> None:
    fills_up(world, until=140.0)
    assert world.apply().steps["ssh"] == "failed"
    assert world.host.text(SSHD) == "before"
    assert (world.guard.state, world.guard.record["left"]) == ("reverted", [])
    assert "is back as it was" in world.heard("step.failed")[0]["got"]


def test_what_could_not_be_put_back_is_not_called_back(world: World) -> None:
    fills_up(world, until=10_000.0)
    assert world.apply().steps["ssh"] == "failed"
    (told,) = world.heard("step.failed")
    assert "No space left on device" in told["got"]
    assert "Keep this session open" in told["do"]
    assert world.guard.state == "reverted"


def test_packages_are_there_before_the_countdown_begins(world: World) -> None:
    began: list[bool] = []
    with_apt(world.host, lambda: began.append(f"{guards.UNITS}/{guards.TIMER}" in world.host.files))
    firewall = replace(
        ssh_step(), id="firewall", checks=lambda _: [],
        plan=lambda _: [InstallPackages(PLATFORM, ("ufw",)), WriteFile("/etc/rules", "closed")],
    )  # fmt: skip
    world.engine.steps = (ssh_step(), firewall)
    world.host.meanwhile[5.0] = lambda: world.host.login("boss", "203.0.113.70", 2222)
    assert world.apply().steps == {"ssh": "verified", "firewall": "verified"}
    assert began, "nothing was installed"
    assert not any(began), "apt was at work while the countdown ran"
