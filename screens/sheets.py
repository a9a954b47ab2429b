"""The home server's folder, and the mail test with pasted headers explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static, TextArea

from screens.base import SubScreen
from screens.texts import TextScreen
from screens.widgets import Row, Rows
from screens.words import check_lines, wrapped
from wizard.checks.authentication_results import explain

if TYPE_CHECKING:
    from textual.app import ComposeResult

WHAT = {
    "README.md": "what it is, to be read first",
    "setup.sh": "the script, to be run at home as root",
    "dns-records.txt": "the DNS records of home's domains",
    "ca.pem": "the authority that the relay's certificate is of",
}


class HomeScreen(SubScreen):
    """The folder for the server in your house. Read it, save it, carry it there, run setup.sh as root."""

    KEYS = (("Esc", "Back"), ("Enter", "Read"), ("s", "Save the folder"))
    TITLE_TEXT = "The home server's folder"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("s", "save", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, bytes] = {}

    def body(self) -> ComposeResult:
        yield Static(
            " Save the folder with s, copy it to the server at home, and run setup.sh there as root.", markup=False
        )
        yield Static("")
        yield Rows(id="files")

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

        def read() -> dict[str, bytes]:
            from wizard import home_folder

            with self.desk.context() as context:
                return home_folder.files(context)

        self.background(read, self._show)

    def _show(self, files: dict[str, bytes]) -> None:
        self._files = files
        self.query_one(Rows).show(tuple(Row(f"{name:<20} {WHAT.get(name, '')}", name) for name in files))

    @on(Rows.Chosen)
    def read(self, event: Rows.Chosen) -> None:
        """Enter reads a file."""
        event.stop()
        name = event.row.id
        self.app.push_screen(TextScreen(name, self._files[name].decode(errors="replace"), name))

    def action_save(self) -> None:
        """Write the folder."""

        def write() -> str:
            from wizard import home_folder

            folder = self.desk.exports / "relay-wizard-home"
            with self.desk.context() as context:
                home_folder.write(context, folder)
            return str(folder)

        def said(folder: str) -> None:
            self.say(f"Saved. At home: scp -r root@{self.wizard.answers.relay.hostname}:{folder} .", "good")

        self.background(write, said)


class MailTestScreen(SubScreen):
    """Send a message to a big provider, open its source there, and paste the headers here: they are explained."""

    KEYS = (("Esc", "Back"), ("Tab", "Box / results"), ("Ctrl+R", "Run the test"), ("Ctrl+L", "Empty the box"))
    TITLE_TEXT = "Mail test"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run_test", show=False),
        Binding("ctrl+l", "clear", show=False),
    ]

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="text", can_focus=True, id="results"):
            yield Static("", id="test-results", markup=False)
        yield Static(" Paste the headers of a message that a big provider has received:", classes="question")
        yield TextArea("", id="paste", soft_wrap=False)

    def on_mount(self) -> None:
        self.query_one("#results").focus()
        self._show()
        self.set_interval(0.5, self._refresh)

    def _refresh(self) -> None:
        if "mail_test" in self.wizard.asking:
            self._asked = True
            self._show()
        elif getattr(self, "_asked", False):
            self._asked = False
            self._show()

    def _show(self) -> None:
        rows: list[dict[str, Any]] = list(self.wizard.results.get("mail_test", {}).values())
        width = max(40, self.size.width - 4)
        lines = [line for row in rows for line in check_lines(row, width)]
        if "mail_test" in self.wizard.asking:
            lines.insert(0, "asking …")
        elif not lines:
            lines = ["The built-in test sends messages through the relay and judges them as a strict receiver does.",
                     "Ctrl+R runs it, once the checklist is done down to “Proof by mail”."]  # fmt: skip
        self.query_one("#test-results", Static).update(Content("\n".join(lines)))

    def action_run_test(self) -> None:
        """Run the checks of the step."""
        if any(step.id == "mail_test" for step in self.desk.steps):
            self.wizard.verify(("mail_test",))
            self._asked = True
            self._show()

    def action_clear(self) -> None:
        """Empty the box."""
        self.query_one(TextArea).clear()

    @on(TextArea.Changed)
    def explain(self) -> None:
        """Explain what was pasted, line by line."""
        text = self.query_one(TextArea).text
        if not text.strip():
            self._show()
            return
        width = max(40, self.size.width - 4)
        found = explain(text)
        lines: list[str] = []
        doubted: list[str] = []
        for result in found:
            domain = f" for {result.domain}" if result.domain else ""
            said = f"{result.method}={result.result}{domain}: {result.doubt or result.meaning or 'no explanation'}"
            (doubted if result.doubt else lines).extend(wrapped(said, width, "", "  "))
        if not found:
            lines = ["There is no Authentication-Results header in that. Show the message's source (Gmail: “Show",
                     "original”; Outlook: “View message source”) and paste it from the top."]  # fmt: skip
        else:
            judge = next((result.judge for result in found if not result.doubt), "")
            lines.insert(0, f"What {judge or 'the receiver'} says:")
            lines += ["", "Not to be believed:", *doubted] if doubted else []
        self.query_one("#test-results", Static).update(Content("\n".join(lines)))
