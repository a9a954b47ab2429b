"""The first screen: what is true when mail cannot leave, and what to send to the provider."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.screens.demo import ANSWERS, Demo
from tests.screens.operator import at_the_desk
from tests.screens.pretend import fake_desk

TICKET = (
    "Please open outbound TCP port 25 for 192.0.2.10 (mail.brightmail.example). It is the mail server of "
    "brightmail.example: it sends person-to-person mail only, with SPF, DKIM, DMARC and reverse DNS in place, and it "
    "relays for nobody without a login."
)


async def test_a_closed_port_25_is_told_with_the_ticket_in_sight(tmp_path: Path) -> None:
    desk, host = fake_desk(tmp_path, None, ANSWERS)
    host.put("/world/port_25_closed", "yes")
    async with at_the_desk(tmp_path, desk=(desk, host), begun=False) as operator:
        await operator.until("Mail cannot leave yet. Write to your provider now")
        assert TICKET in " ".join(operator.seen.split())
        assert "Every step waits for that; until then nothing is changed" in operator.seen
        await operator.press("c")
        await operator.hears("allows it: the ticket")
        assert operator.wizard.clipboard == TICKET
        await operator.press("s")
        await operator.until("Saved as")
        assert operator.host.text("/root/relay-wizard-ticket.txt") == TICKET
        # What the first screen says of a run is what a run does.
        await operator.press("enter", "escape", "A", "y")
        await operator.until("waits for port 25, 1 to come: w tells")
        seen = operator.seen
        assert "waiting for port 25" in seen
        assert "DNS" not in seen.replace("DNS records", "")
        assert operator.status("updates") == "blocked"
        await operator.press("q")
        await operator.until("Run 1 waits for port 25,")
        await operator.press("n", "x")
        await operator.until("The run waits no more. w tells what helps; A goes on.")
        await operator.press("w")
        # No ticket helps a server without a network.
        host.remove("/world/port_25_closed")
        host.put("/world/no_route", "yes")
        await operator.press("v")
        await operator.until("do    Bring the network up")
        assert "ticket" not in operator.seen
        await operator.press("c")
        assert operator.wizard.clipboard == TICKET
        host.remove("/world/no_route")
        await operator.press("v")
        await operator.until("Mail can leave this server. Enter begins")
        assert "Every step waits" not in operator.seen


async def test_who_goes_on_before_the_answer_is_told_it_on_the_checklist(tmp_path: Path) -> None:
    port_25 = threading.Event()
    desk, host = fake_desk(tmp_path, Demo(port_25=port_25), ANSWERS)
    host.put("/world/port_25_closed", "yes")
    async with at_the_desk(tmp_path, desk=(desk, host), begun=False) as operator:
        await operator.until("Can mail leave this server? Trying")
        await operator.press("v")
        await operator.until("Still asking")
        await operator.press("enter")
        await operator.until("a Apply")
        port_25.set()
        await operator.until("Mail cannot leave this server yet")
        await operator.press("w")
        await operator.until("q Leave")
        await operator.press("q")
        await operator.until(lambda: operator.wizard.return_code == 0)
