"""What the proofs share: the relay, the world's expectations of it, and the questions put to both."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from . import home, receiver
from .client import Client, Dialogue, letter
from .lab import SECRETS
from .mailbox import Verdict, verdict, wait_for
from .places import BLOCKED, CROWD, MX
from .product import OK, Asked, Product

if TYPE_CHECKING:
    from email.message import EmailMessage

    from .lab import Lab
    from .leaks import Watch
    from .machine import Machine
    from .operator import Operator

DOMAIN = "brightmail.example"
MAIL_HOST = f"mail.{DOMAIN}"
YOU = f"you@{DOMAIN}"
LOGIN = ("you", SECRETS["/root/you.password"].strip())

# Required checks that cannot be made in a container, and why. Everything else that is required has to pass.
MAY_SKIP = {r"clock": "a container has no clock of its own to synchronise"}

# Services that come and go by themselves, or belong to the machine and not to the relay.
COME_AND_GO = r"^(user@|user-runtime-dir@|session-|systemd-(hostnamed|timedated|localed|tmpfiles)|apt-|relay-wizard)"


@dataclass
class Relay:
    """The relay in the making, with the people who talk to it."""

    lab: Lab
    product: Product
    operator: Operator
    client: Client
    # True once the operator's walk ended well: every proof builds on it.
    made: bool = False
    # What was seen of secrets while the relay was made.
    watch: Watch | None = None
    sources: list[str] = field(default_factory=lambda: list(CROWD))

    def stranger(self) -> Client:
        """A client with an address that nobody has seen yet, so that no ban for an earlier attempt answers for us."""
        source = self.sources.pop(0)
        self.sources.append(source)
        return replace(self.client, source=source, helo=f"crowd-{source.rpartition('.')[2]}.stranger.example")

    def blocked(self) -> Client:
        """A client at an address that the answers file blocks."""
        return replace(self.client, source=BLOCKED)

    def provider(self) -> Client:
        """The big provider's outbound server."""
        return replace(self.client, source=MX, place="world", helo=receiver.HOST)

    # What holds for a finished relay, each asked anew whenever it is asked.

    def verifies(self, patience: float = 0) -> None:
        """`verify` passes with exit status 0, and no required check is left out; asked again for `patience` seconds."""
        until = time.monotonic() + patience
        while True:
            asked = self.product.verify()
            bad = [check for check in _checks(asked) if check["severity"] == "required" and not _fine(check)]
            if not bad or time.monotonic() > until:
                break
        assert not bad, f"verify: these required checks do not pass\n{tell(bad)}"
        assert asked.status == OK, f"verify: wanted exit status 0\n{asked.told()}"
        assert asked.data["status"] in {"pass", "warn"}, asked.told()

    def changes_nothing(self) -> None:
        """Another `apply` has nothing to do, and restarts nothing."""
        before = running_services(self.lab.vps)
        asked = self.product.apply()
        after = running_services(self.lab.vps)
        assert asked.status == OK, f"apply again: wanted exit status 0\n{asked.told()}"
        assert asked.finished["changed"] == 0, f"apply again: wanted changed 0\n{asked.told()}"
        restarted = [unit for unit in before if after.get(unit) != before[unit]]
        assert not restarted, f"apply again restarted {', '.join(restarted)}\n{asked.told()}"

    def carries_mail_out(self) -> None:
        """What a login submits on 465, the provider judges spf, dkim and dmarc pass."""
        message = letter(YOU, receiver.READER, "by submission")
        said = self.client.submit(LOGIN, YOU, receiver.READER, message)
        assert said.code == 250, f"submission as {YOU}: wanted 250\n{said.told()}"
        self.judged_well(message, DOMAIN)

    def carries_mail_in(self) -> None:
        """What the provider sends to home's domain lies in home's mailbox; to nobody there, it is refused."""
        sender = f"writer@{receiver.DOMAIN}"
        message = letter(sender, home.ADDRESS, "to home")
        self.lab.world.run("sendmail", "-i", "-f", sender, home.ADDRESS, stdin=message.as_bytes())
        wait_for(self.lab.home, home.USER, str(message["Message-ID"]))
        said = self.provider_rcpt(f"no.such.person.{time.monotonic_ns()}@{home.DOMAIN}")
        assert 500 <= said.code < 600, f"an unknown address at home: wanted a refusal at RCPT\n{said.told()}"

    def provider_rcpt(self, recipient: str, seconds: float = 40) -> Dialogue:
        """The last word on a recipient; "try again later" is allowed while the relay asks home."""
        deadline = time.monotonic() + seconds
        while True:
            said = self.provider().say(f"MAIL FROM:<writer@{receiver.DOMAIN}>", f"RCPT TO:<{recipient}>")
            if not 400 <= said.code < 500 or time.monotonic() > deadline:
                return said
            time.sleep(1)

    def carries_homes_mail(self) -> None:
        """What home sends, the provider judges spf, dkim and dmarc pass, signed by home's own domain."""
        message = letter(home.ADDRESS, receiver.READER, "from home")
        self.lab.home.run("sendmail", "-i", "-f", home.ADDRESS, receiver.READER, stdin=message.as_bytes())
        self.judged_well(message, home.DOMAIN)

    def judged_well(self, message: EmailMessage, domain: str) -> Verdict:
        """The provider delivered a message, and its own headers say pass, three times, for `domain`."""
        arrived = wait_for(self.lab.world, "reader", str(message["Message-ID"]))
        judged = verdict(arrived, receiver.HOST)
        got = {method: judged.result(method) for method in ("spf", "dkim", "dmarc")}
        wanted = dict.fromkeys(got, "pass")
        assert got == wanted, f"the receiver's verdict: wanted {wanted}, got {got}\n{judged.headers}"
        for method, about in (("spf", "smtp.mailfrom"), ("dkim", "header.d"), ("dmarc", "header.from")):
            pattern = rf"{about}=(\S*@)?{re.escape(domain)}\b"
            assert re.search(pattern, judged.properties(method)), f"wanted {about}={domain}\n{judged.headers}"
        return judged


def _checks(asked: Asked) -> list[dict[str, Any]]:
    checks: list[dict[str, Any]] = asked.data["checks"]
    assert checks, f"verify made no checks at all\n{asked.told()}"
    return checks


def _fine(check: dict[str, Any]) -> bool:
    may_skip = any(re.search(pattern, f"{check['step']} {check['id']}") for pattern in MAY_SKIP)
    return check["status"] in {"pass", "warn"} or (check["status"] == "skip" and may_skip)


def failing(asked: Asked) -> list[dict[str, Any]]:
    """The checks that failed."""
    return [check for check in _checks(asked) if check["status"] == "fail"]


def tell(checks: list[dict[str, Any]]) -> str:
    """Checks as a person reads them."""
    return "\n".join(
        f"{check['status']} {check['step']} · {check['id']} · {check['title']}\n"
        f"    asked {check['asked']}\n    got   {check['got']}\n    want  {check['want']}\n    do    {check['do']}"
        for check in checks
    )


def running_services(machine: Machine) -> dict[str, str]:
    """Each running service and what tells one start of it from the next."""
    listed = machine.run("systemctl", "list-units", "--type=service", "--state=running", "--output=json").out
    units = [unit["unit"] for unit in json.loads(listed) if not re.match(COME_AND_GO, unit["unit"])]
    shown = machine.run("systemctl", "show", "--property=Id,InvocationID,MainPID", *units).out
    return {
        block.partition("Id=")[2].partition("\n")[0]: "\n".join(sorted(block.splitlines()))
        for block in shown.strip().split("\n\n")
    }
