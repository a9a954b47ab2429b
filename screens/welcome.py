"""The first screen: what this will do to the machine, and whether mail can leave it at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base import Keys, SubScreen
from screens.words import check_lines, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from wizard.check import CheckResult

# Each line is a paragraph, broken where the screen ends.
STORY = (
    "This server becomes a mail relay that other mail servers trust: it sends the mail of your domains, and passes "
    "mail for them on to the server in your house.\n"
    "\n"
    "What will be done to it, step by step\n"
    "- Debian's own packages are installed: Postfix, Dovecot, certbot, ufw …\n"
    "- files below /etc are written; a firewall lets in SSH and the mail ports 25 and 465 alone, and port 80 only "
    "while the certificate is renewed\n"
    "- SSH moves to a port of your choice, and is put back by itself unless you log in there once more\n"
    "Nothing is changed before you have seen it and said yes. Each step keeps what was there before and can be "
    "taken back. Passwords are never saved.\n"
    "\n"
    "You need a domain, and the way into its DNS settings at your registrar. It takes half an hour. Close this "
    "window when you like; come back the same way.\n"
    "\n"
)
ASKING = "Can mail leave this server? Trying port 25 of large mail servers …"
# What is true while mail cannot leave: every step stands on that check.
CLOSED = (
    "Every step waits for that; until then nothing is changed. You can answer the questions meanwhile. Apply all (A on "
    "the checklist) waits for a day at most, and goes on by itself as soon as mail can leave."
)
TICKET_FILE = "ticket.txt"
BEGIN: Keys = (("Enter", "Begin"), ("v", "Try port 25 again"), ("?", "Help"), ("q", "Leave"))
WITH_TICKET: Keys = (
    ("Enter", "Begin"), ("v", "Try again"), ("c", "Copy the ticket"), ("p", "Pager"), ("s", "Save"), ("?", "Help"),
    ("q", "Leave"),
)  # fmt: skip


class WelcomeScreen(SubScreen):
    """What this will do, and whether the provider lets mail out."""

    HELP = (
        "What relay-wizard will do to this server, and whether its provider lets mail out on port 25. Many close it "
        "for new customers: then there is a ticket here to send to them. Enter goes on to the checklist."
    )
    KEYS = BEGIN
    TITLE_TEXT = "relay-wizard"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "back", show=False),
        Binding("q", "app.leave", show=False),
        Binding("v", "probe", show=False),
        Binding("c", "copy", show=False),
        Binding("p", "pager", show=False),
        Binding("s", "save", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._ticket, self._asking = "", False
        self._result: CheckResult | None = None

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="text", can_focus=True):
            # What is wrong stands before what can be read later.
            yield Static("", id="probe", markup=False)
            yield Static("", id="story", markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.action_probe()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width = max(30, self.size.width - 3)
        self.query_one("#probe").display = self._result is not None and not self._result.finding.ok
        self.query_one("#probe", Static).update(Content("\n".join(self._problem(width))))
        lines: list[str] = []
        for part in STORY.splitlines():
            lines += wrapped(part, width, "  ", "    ") if part.startswith("-") else wrapped(part, width)
        self.query_one("#story", Static).update(Content("\n".join(lines)))

    def _problem(self, width: int) -> Iterator[str]:
        """What is wrong; with the text for the provider alone, so that it can be selected as well."""
        if self._result is None:
            return
        row = self._result.as_json()
        if not self._ticket:
            yield from check_lines(row, width)
            yield ""
        else:
            yield from check_lines({**row, "want": "", "do": ""}, width)
            yield ""
            yield from wrapped(
                "Your provider blocks outgoing mail. Look for a switch in its panel, else open a ticket with this:",
                width,
            )
            yield ""
            yield from wrapped(self._ticket, width, "  ")
            yield ""
        if self._result.failed:
            yield from wrapped(CLOSED, width)
            yield ""

    def action_probe(self) -> None:
        """Ask whether mail can leave."""
        if self._asking:
            self.say(f"Still asking. {ASKING}")
            return
        self._asking = True
        self.say(ASKING)
        # Not the screen's own `background`: who has gone on meanwhile is told on the checklist.
        self.wizard.background(self._ask, self._take, self._broke)

    def _ask(self) -> tuple[CheckResult | None, str]:
        """The check, and the text for the provider when that is what helps."""
        from wizard.checking import run_checks
        from wizard.checks.network import ticket

        with self.desk.engine() as engine:
            step = next((step for step in engine.steps if step.id == "preflight"), None)
            if step is None:
                return None, ""
            context = engine.context()
            checks = [check for check in step.checks(context) if check.id == "preflight.port_25_out"]
            result = next(run_checks(engine.look, [(step, check) for check in checks]), None)
            text = ticket(context)
            return result, text if result and text in result.finding.do else ""

    def _take(self, found: tuple[CheckResult | None, str]) -> None:
        self._asking = False
        self._result, self._ticket = found
        result = self._result
        closed = result is not None and result.failed
        if self not in self.app.screen_stack:
            if closed:
                self.wizard.main.say(
                    "Mail cannot leave this server yet, and every step waits for that. w tells more.", "bad"
                )
            return
        self.serve(WITH_TICKET if self._ticket else BEGIN)
        self._draw()
        self.query_one(VerticalScroll).scroll_home(animate=False)
        if result is None:
            self.say("Enter begins.")
        elif result.finding.ok:
            self.say("Mail can leave this server. Enter begins.", "good")
        elif not closed:
            self.say("Mail can leave this server, but see above. Enter begins.")
        elif self._ticket:
            self.say("Mail cannot leave yet. Write to your provider now; v tries again.", "bad")
        else:
            self.say("Mail cannot leave yet. “do” above says what helps; v tries again.", "bad")

    def _broke(self, error: Exception) -> None:
        self._asking = False
        if self in self.app.screen_stack:
            self.complain(error)
        else:
            self.wizard.main_complains(error)

    def action_copy(self) -> None:
        """Copy what to write to the provider."""
        from screens.texts import copy

        if self._ticket:
            copy(self, self._ticket, "the ticket")

    def action_pager(self) -> None:
        """Read what to write to the provider with the pager."""
        from screens.texts import page

        if self._ticket:
            page(self, self._ticket)

    def action_save(self) -> None:
        """Save what to write to the provider."""
        from screens.texts import save

        if self._ticket:
            save(self, TICKET_FILE, self._ticket)
