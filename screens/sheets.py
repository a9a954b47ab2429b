"""The home server's folder, and the mail test with pasted headers explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static, TextArea

from screens.base import SubScreen, open_above
from screens.parts import ChecksPart
from screens.texts import TextScreen, copy
from screens.widgets import Row, Rows
from screens.words import listed, wrapped
from wizard.checks import pasted_headers
from wizard.checks.authentication_results import explain
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from wizard.home_folder import Fetch

NOTHING_PASTED = (
    "There is nothing in that to explain. Show the message's source (Gmail: “Show original”; Outlook: “View message "
    "source”) and paste it from the top."
)
# Seconds between two looks at what checks have said.
LOOK = 0.5
WHAT = {
    "README.md": "what it is, to be read first",
    "setup.sh": "the script, to be run at home as root",
    "dns-records.txt": "the DNS records of home's domains",
    "ca.pem": "the authority that the relay's certificate is of",
}


class CheckedScreen(SubScreen):
    """A screen with the checks of some steps: what they have said, and what they say as they are asked."""

    STEPS: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._drawn: object = None

    def on_mount(self) -> None:
        self.set_interval(LOOK, self._follow)

    @property
    def asking(self) -> bool:
        """Whether the checks are being asked."""
        return not self.wizard.asking.isdisjoint(self.STEPS)

    def results(self) -> list[dict[str, Any]]:
        """What the checks have said."""
        return [row for step in self.STEPS for row in self.wizard.results.get(step, {}).values()]

    def _follow(self) -> None:
        seen = (self.asking, self.results())
        if seen != self._drawn:
            self._drawn = seen
            self.show_checks()

    def show_checks(self) -> None:
        """Show them as on the checklist's own part, those that want something first."""
        rows = self.results()
        note = f"asking … {len(rows)} answered" if self.asking else "" if rows else self.unasked()
        self.query_one(ChecksPart).show(rows, note, max(30, self.size.width - 4))

    def unasked(self) -> str:
        """What stands there before the checks were asked."""
        return ""

    def ask(self, said: str) -> None:
        """Ask the checks, and say what that means."""
        self.say(said)
        self.wizard.verify([step.id for step in self.desk.steps if step.id in self.STEPS], self)
        self._follow()


class HomeScreen(CheckedScreen):
    """The folder for the server in your house."""

    HELP = (
        "All that the server in your house needs to send and receive through this relay: a few files, to be read "
        "here, saved with s, fetched with the line that is shown then, and carried to that server. Run setup.sh "
        "there as root. It asks for the password of home's login; none is in the folder.\n\n"
        "Below the files are home's checks. When setup.sh has run, press v: the relay then asks whether home answers "
        "and takes its mail."
    )
    KEYS = (
        ("Esc", "Back"), ("Enter", "Read"), ("s", "Save"), ("c", "Copy the line"), ("v", "Check home"),
        ("Tab", "Files / checks"),
    )  # fmt: skip
    TITLE_TEXT = "The home server's folder, and home's checks"
    STEPS = ("transport", "home")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", show=False),
        Binding("c", "copy", show=False),
        Binding("v", "verify", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, bytes] = {}
        self._command = ""

    def body(self) -> ComposeResult:
        yield Rows(id="files")
        yield Static("s saves these files and shows the line that fetches them.", id="fetch", markup=False)
        yield ChecksPart()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Rows).focus()

        def read() -> dict[str, bytes]:
            from wizard import home_folder

            with self.desk.context() as context:
                return home_folder.files(context)

        self.background(read, self._show)

    def _show(self, files: dict[str, bytes]) -> None:
        self._files = files
        self.query_one(Rows).show(tuple(Row(f"{name:<16} {WHAT.get(name, '')}", name) for name in files))

    def unasked(self) -> str:
        return "Home's checks: v asks them now."

    @on(Rows.Chosen)
    def read(self, event: Rows.Chosen) -> None:
        """Enter reads a file."""
        event.stop()
        name = event.row.id
        open_above(self, TextScreen(name, self._files[name].decode(errors="replace"), name))

    def action_save(self) -> None:
        """Write the folder where it can be fetched."""
        self.say("saving …")
        self.background(self._write, self._saved)

    def _write(self) -> Fetch:
        from wizard import home_folder

        with self.desk.context() as context:
            return home_folder.hand_out(context, self.desk.hand, self.desk.session)

    def _saved(self, fetch: Fetch) -> None:
        self._command = fetch.command
        lines = (
            f"Saved in {fetch.folder}. On the computer that you log in from, type:",
            # From the edge on, so that a selection has nothing else.
            fetch.command,
            "Carry it to the server at home, and run there as root: sh setup.sh",
        )
        self.add_class("saved")
        self.query_one("#fetch", Static).update(Content("\n".join(printable(line) for line in lines)))
        self.say("Saved. c copies the line that fetches it.", "good")

    def action_copy(self) -> None:
        """Copy the line that fetches the folder."""
        if self._command:
            copy(self, self._command, "the line", "")
        else:
            self.say("s saves the folder first.")

    def action_verify(self) -> None:
        """Ask home's checks."""
        if self.asking:
            self.say("They are being asked.")
            return
        self.ask("asking; a home that is off takes a minute …")


class MailTestScreen(CheckedScreen):
    """The built-in mail test, and pasted headers explained."""

    HELP = (
        "Ctrl+R sends real messages through the relay, catches them before they leave, and judges them as a strict "
        "receiver does; then it tries what a spammer would.\n\n"
        "To see what a big provider thinks: send a message there with your mail program, show its source (Gmail: "
        "“Show original”; Outlook: “View message source”; Apple: View, Message, All Headers), and paste it from the "
        "top into the box below. Tab goes there. Each line that says something about trust is explained; nothing of "
        "it is kept or sent anywhere."
    )
    KEYS = (("Esc", "Back"), ("Tab", "Box / results"), ("Ctrl+R", "Run the test"), ("Ctrl+L", "Empty the box"))
    TITLE_TEXT = "Mail test"
    STEPS = ("mail_test",)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run_test", show=False),
        Binding("ctrl+l", "clear", show=False),
    ]

    def body(self) -> ComposeResult:
        yield ChecksPart()
        yield Static(" Paste the headers of a message that a big provider has received:", classes="question")
        yield TextArea("", id="paste", soft_wrap=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(ChecksPart).focus()

    def unasked(self) -> str:
        return (
            "The built-in test sends messages through the relay and judges them as a strict receiver does.\n"
            "Ctrl+R runs it, once the checklist is done down to “Proof by mail”."
        )

    def show_checks(self) -> None:
        """Show them, unless something is pasted, which is explained in their place."""
        if not self.query_one(TextArea).text.strip():
            super().show_checks()

    def action_run_test(self) -> None:
        """Run the checks of the step, or say what is missing for it."""
        checklist = self.wizard.main.checklist
        missing = checklist.state("mail_test").blocked_by if checklist else ()
        if self.asking:
            self.say("It runs; its results come in one by one.")
        elif missing:
            titles = listed(self.desk.step(step_id).title for step_id in missing)
            self.say(f"First: {titles}. Esc, then n: the next step to do.", "bad")
        else:
            self.ask("Sending test messages; each is waited for, 20 seconds at most …")

    def action_clear(self) -> None:
        """Empty the box."""
        self.query_one(TextArea).clear()

    @on(TextArea.Changed)
    def explain(self) -> None:
        """Explain what was pasted, line by line."""
        text = self.query_one(TextArea).text
        if not text.strip():
            self.show_checks()
            return
        self.say("")
        width = max(30, self.size.width - 4)
        lines = [*self._verdict(text, width), *self._line_by_line(text, width)]
        self.query_one("#check-lines", Static).update(Content("\n".join(lines or wrapped(NOTHING_PASTED, width))))

    @staticmethod
    def _verdict(text: str, width: int) -> Iterator[str]:
        """What the receiver says, and what is said in its name."""
        found = explain(text)
        if not found:
            return
        judge = next((result.judge for result in found if not result.doubt), "")
        yield f"What {judge or 'the receiver'} says:"
        # What can be believed stands above what cannot.
        for doubted in (False, True):
            results = [result for result in found if bool(result.doubt) is doubted]
            if doubted and results:
                yield from ("", "Not to be believed:")
            for result in results:
                domain = f" for {result.domain}" if result.domain else ""
                meaning = result.doubt or result.meaning or "no explanation"
                yield from wrapped(f"{result.method}={result.result}{domain}: {meaning}", width, "", "  ")

    def _line_by_line(self, text: str, width: int) -> Iterator[str]:
        relay = self.wizard.answers.relay
        remarks = pasted_headers.explain(
            text, self.wizard.answers.mail_domains, (relay.hostname, relay.ipv4, relay.ipv6)
        )
        if remarks:
            yield from ("", *wrapped("Line by line, from the top; only the receiver's own lines are sure:", width))
        for remark in remarks:
            yield from wrapped(f"{remark.name}: {remark.said}.", width, "", "  ")
