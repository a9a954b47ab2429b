"""The first screen: what this will do to the machine, and whether mail can leave it at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base import SubScreen
from screens.words import check_lines, wrapped

if TYPE_CHECKING:
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
ASKING = "Can mail leave this server? Trying port 25 of three large mail servers …"


class WelcomeScreen(SubScreen):
    """What this will do, and whether the provider lets mail out."""

    KEYS = (("Enter", "Begin"), ("v", "Try port 25 again"), ("c", "Copy the ticket text"), ("?", "Help"))
    TITLE_TEXT = "relay-wizard"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "back", show=False),
        Binding("v", "probe", show=False),
        Binding("c", "copy", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._ticket = ""

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="text", can_focus=True):
            yield Static("", id="story", markup=False)
            yield Static(Content(ASKING), id="probe", markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.action_probe()

    def on_resize(self) -> None:
        width = max(30, self.size.width - 3)
        lines: list[str] = []
        for part in STORY.splitlines():
            lines += wrapped(part, width, "  ", "    ") if part.startswith("-") else wrapped(part, width)
        self.query_one("#story", Static).update(Content("\n".join(lines)))

    def action_probe(self) -> None:
        """Ask whether mail can leave."""
        self.query_one("#probe", Static).update(Content(ASKING))

        def ask() -> CheckResult | None:
            with self.desk.engine() as engine:
                step = next((step for step in engine.steps if step.id == "preflight"), None)
                if step is None:
                    return None
                checks = [check for check in step.checks(engine.context()) if check.id == "preflight.port_25_out"]
                from wizard.checking import run_checks

                return next(run_checks(engine.look, [(step, check) for check in checks]), None)

        self.background(ask, self._show)

    def _show(self, result: CheckResult | None) -> None:
        if result is None:
            return
        row = result.as_json()
        self._ticket = row["do"]
        width = max(40, self.size.width - 4)
        lines = list(check_lines(row, width))
        self.query_one("#probe", Static).update(Content("\n".join(lines)))
        if result.finding.ok:
            self.say("Mail can leave this server. Enter begins.", "good")
        else:
            self.say("Mail cannot leave yet. You can begin all the same; ask your provider meanwhile.", "bad")

    def action_copy(self) -> None:
        """Copy what to write to the provider."""
        if self._ticket:
            self.app.copy_to_clipboard(self._ticket)
            self.say("Copied, if your terminal allows it.")
