"""A Maildir in a machine of the lab, and the receiver's verdict in a message."""

from __future__ import annotations

import email
import email.policy
import re
import time
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING

from .shell import LabError

if TYPE_CHECKING:
    from .machine import Machine


@dataclass(frozen=True)
class Verdict:
    """What a receiver wrote into a message: method -> (result, its properties)."""

    results: dict[str, tuple[str, str]]
    headers: str

    def result(self, method: str) -> str:
        """The result of a method ("spf", "dkim", "dmarc"), or "absent"."""
        return self.results.get(method, ("absent", ""))[0]

    def properties(self, method: str) -> str:
        """What the result was about, like header.d=example.org."""
        return self.results.get(method, ("absent", ""))[1]


def wait_for(machine: Machine, user: str, message_id: str, seconds: float = 30) -> EmailMessage:
    """The message with this Message-ID in a user's Maildir, as soon as it is there."""
    folder = machine.root / "home" / user / "Maildir" / "new"
    deadline = time.monotonic() + seconds
    while True:
        for path in folder.glob("*") if folder.exists() else ():
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            if str(message["Message-ID"] or "").strip() == message_id.strip():
                return message
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    queue = machine.run("postqueue", "-p", check=False).out
    log = machine.run(
        "journalctl", "--no-pager", "-n", "40", "-t", "postfix/smtpd", "-t", "postfix/local", check=False
    ).out
    raise LabError(f"{message_id} did not come to {user} on {machine.name} in {seconds:.0f} s\n{queue}\n{log}")


def verdict(message: EmailMessage, server: str) -> Verdict:
    """The Authentication-Results that `server` added; what others wrote there is not believed."""
    results: dict[str, tuple[str, str]] = {}
    headers = [str(value) for value in message.get_all("Authentication-Results", [])]
    for header in headers:
        identifier, _, rest = header.partition(";")
        if identifier.split()[:1] != [server]:
            continue
        # A comment may hold semicolons of its own.
        for part in re.sub(r"\([^()]*\)", " ", rest).split(";"):
            found = re.match(r"\s*([a-z]+)\s*=\s*([a-z]+)(.*)", part, re.DOTALL | re.IGNORECASE)
            if found:
                results.setdefault(found[1].lower(), (found[2].lower(), " ".join(found[3].split())))
    return Verdict(results, "\n".join(headers))
