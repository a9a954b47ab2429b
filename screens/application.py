"""The application: owns what goes on in the background, so that no screen takes it along when it closes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
import threading
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.segment import Segment
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.filter import LineFilter, Monochrome, NoColor

from screens.base import WizardScreen
from screens.desk import Checklist, Desk, Place
from screens.dialogs import Confirm
from screens.main_screen import MainScreen
from screens.parts import Progress, RunPart
from screens.verbs import VERBS
from screens.words import ascii_of
from state.store import Locked
from wizard.answers import Answers, AnswersError
from wizard.check import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from textual.color import Color
    from textual.screen import Screen

    from state.store import Run
    from wizard.check import CheckResult
    from wizard.rollback import Decision

T = TypeVar("T")

INTERRUPTED, BROKEN = 130, 70
# Seconds between two looks at what a run has said: four a second is as much as a slow line should carry.
DRAIN = 0.25
# The ways of drawing, in the order of the key: Textual's theme, and the words for the message line.
LOOKS = {
    "dark": ("textual-dark", "dark"),
    "light": ("textual-light", "light"),
    "sixteen": ("ansi-dark", "the terminal's own colours"),
    "plain": ("ansi-dark", "plain ASCII"),
}


class PlainAscii(LineFilter):
    """Turns every line of the screen into ASCII of the same width, borders and scroll bars included."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        del background
        return [Segment(ascii_of(text), style, control) for text, style, control in segments]


class RelayWizard(App[int]):
    """The wizard."""

    TITLE = "relay-wizard"
    CSS_PATH = "wizard.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", show=False, priority=True),
        Binding("ctrl+c", "leave", show=False),
        Binding("ctrl+z", "pass", show=False, priority=True),
    ]

    def __init__(self, desk: Desk, looks: str = "dark") -> None:
        super().__init__()
        self.desk = desk
        self.place = desk.place()
        self.looks = self.place.looks if self.place.looks in LOOKS and looks != "plain" else looks
        self._ascii = PlainAscii(enabled=self.looks == "plain")
        self._filters.append(self._ascii)
        # Before anything is drawn: a change of theme afterwards costs a tenth of the start.
        self.theme = LOOKS[self.looks][0]
        self.answers = Answers()
        self.results: dict[str, dict[str, dict[str, Any]]] = {}
        self.asking: set[str] = set()
        self.farewell = ""
        self.main = MainScreen()
        self.progress = Progress()
        self._fresh: deque[dict[str, Any]] = deque()
        self._heard: deque[CheckResult] = deque()
        self._followed: Run | None = None
        self._ended: Run | None = None
        self._began = 0.0
        self._tell = False
        self._tailed = -1
        self.may_confirm = False

    # Coming and going

    def on_mount(self) -> None:
        self._without_grey()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Textual installs none: without them the terminal would keep the alternate screen, or the app spin.
            with contextlib.suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, self._hang_up)
        self.push_screen(self.main)
        self._timer = self.set_interval(DRAIN, self._drain, pause=True)
        # The first paint comes first; what is remembered is filled in right after it.
        self.call_after_refresh(self.background, self._first_look, self._begin, self.main_complains)

    def _hang_up(self) -> None:
        self.exit(return_code=INTERRUPTED)

    def _first_look(self) -> tuple[Answers, Checklist]:
        return self.desk.answers(), self.desk.checklist()

    async def _begin(self, found: tuple[Answers, Checklist]) -> None:
        """Open where the operator left."""
        gc.freeze()
        gc.enable()
        self.answers, checklist = found
        await self.main.furnish()
        if self.desk.notice:
            words = Confirm("The state was put right", [self.desk.notice], "Go on", "Leave")
            self.push_screen(words, lambda goes_on: None if goes_on else self.exit(0))
        newcomer = not self.place.begun and checklist.run is None
        self.main.show_checklist(checklist)
        if checklist.run is not None:
            self.follow(checklist.run)
        if checklist.waits:
            await self.main.open(following.step.id if (following := checklist.next) else self.desk.steps[0].id, "Run")
            self.main.say("Your run waits for DNS and goes on by itself. r shows the records to publish.")
            return
        if checklist.going_on:
            running = next((state for state in checklist.states if state.status == "running"), None)
            known = running or next((s for s in checklist.states if s.step.id in checklist.run.request["steps"]), None)  # type: ignore[union-attr]
            await self.main.open(known.step.id if known else self.desk.steps[0].id, "Run")
            self.main.say("A run is going on. You are watching it; leaving does not stop it.")
            return
        left = self.place.step if self.place.step in {step.id for step in self.desk.steps} else ""
        following = checklist.next
        wanted = left or (following.step.id if following else self.desk.steps[0].id)
        await self.main.open(wanted)
        if newcomer:
            self.show_welcome()
            return
        if checklist.run is not None:
            self._tell_of_last(checklist.run)
        self.background(self.desk.look_for_drift, lambda _: self.refresh_checklist(), lambda _: None)

    def _tell_of_last(self, run: Run) -> None:
        """Say how the last run ended, when that asks for something."""
        match run.status:
            case "waiting":
                self.main.say(
                    f"Run {run.id} has done what it could; DNS has to follow: r shows the records to publish."
                )
            case "failed" | "interrupted":
                self.main.say(f"The last run, number {run.id}, ended: {run.status}. 3 shows it.", "bad")
            case _:
                pass

    def leave(self) -> None:
        """Leave; while a run goes on, say first that it does."""
        if not self.run_goes_on:
            self.exit(return_code=0)
            return
        lines = [
            f"Run {self.progress.number} goes on without this window{', as soon as DNS is live' * self.waits}.",
            "Start relay-wizard again to come back to it.",
        ]
        self.push_screen(Confirm("Leave while the work goes on?", lines, "Leave", "Stay"), self._left)

    def _left(self, yes: bool | None) -> None:  # noqa: FBT001 - a dialog's result
        if yes:
            self.farewell = "The work goes on. Come back with: relay-wizard   or follow it with: relay-wizard attach"
            self.exit(return_code=0)

    def action_leave(self) -> None:
        """Ctrl+Q and Ctrl+C."""
        if self.screen is self.main:
            self.main.action_leave()
        else:
            self.leave()

    def action_pass(self) -> None:
        """Ctrl+Z does nothing: a stopped wizard would hold the terminal."""

    def keep_place(self) -> None:
        """Remember where the operator is."""
        self.place = Place(self.main.open_id, self.main.section, self.looks, begun=True)
        place = self.place
        self.background(lambda: self.desk.keep_place(place), lambda _: None, lambda _: None)

    # The background

    def background(
        self,
        work: Callable[[], T],
        then: Callable[[T], Any],
        failed: Callable[[Exception], Any] | None = None,
    ) -> None:
        """Do something that may block in a thread, and take its result here.

        A daemon thread, not a Textual worker: those are waited for when the wizard ends, and a check may take a minute.
        """
        loop = asyncio.get_running_loop()
        failed = failed or self.main_complains

        def land(call: Callable[[Any], Any], value: object) -> None:
            # The wizard may have ended meanwhile; then nobody is there to be told.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._land, call, value)

        def run() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - whatever it was, the screen says it
                land(failed, error)
            else:
                land(then, value)

        threading.Thread(target=run, daemon=True).start()

    def _land(self, call: Callable[[Any], Any], value: object) -> None:
        if self.is_running and not self._exit:
            self.call_later(call, value)

    def main_complains(self, error: Exception) -> None:
        """Say on the main screen what went wrong."""
        if isinstance(error, Locked):
            self.main.say("Another run is going on; you are watching it now.", "bad")
            self.refresh_checklist()
        else:
            self.main.complain(error)

    def refresh_checklist(self) -> None:
        """Read again where each step stands."""
        self.background(self.desk.checklist, self._show_checklist)

    def _show_checklist(self, checklist: Checklist) -> None:
        if self.main.is_mounted:
            self.main.show_checklist(checklist)
        if checklist.going_on and checklist.run and not self.run_goes_on:
            self.follow(checklist.run)

    # Runs

    @property
    def run_goes_on(self) -> bool:
        """Whether a run is being followed that has not ended."""
        return self._followed is not None and self._followed.status == "running"

    @property
    def waits(self) -> bool:
        """Whether the run only waits for DNS: then others may begin, which ends it."""
        return self.run_goes_on and self.progress.waiting

    @property
    def asks_for_login(self) -> bool:
        """Whether the run waits for a new login of the operator."""
        return self.run_goes_on and self.progress.asks_for_login

    def begin(
        self, kind: str, ids: Sequence[str], wait: int = 0, decided: Mapping[str, Decision] | None = None
    ) -> None:
        """Start a run and watch it."""
        self.main.show_section("Run")
        self.main.focus_part()
        self.main.say("starting …")

        def land(number: int) -> None:
            self.main.say("")
            self.background(lambda: self._run(number), lambda run: self.follow(run, tell=True))

        self.background(lambda: self.desk.start(kind, ids, wait, decided), land)

    def _run(self, number: int) -> Run:
        with self.desk.engine() as engine:
            return engine.store.run(number)

    def follow(self, run: Run, *, tell: bool = False) -> None:
        """Watch a run from its beginning; one that has ended is read once. `tell` says how it ended all the same."""
        self._followed, self._ended, self._fresh = run, None, deque()
        self._tell = tell or run.status == "running"
        self.progress = Progress(run.id)
        self._began = self._started(run)
        self.main.query_one(RunPart).begin()
        fresh = self._fresh

        def ended(last: Run) -> None:
            if self._fresh is fresh:
                self._ended = last

        self.background(lambda: self.desk.follow(run.id, fresh.append), ended)
        self._wake()

    def _started(self, run: Run) -> float:
        """When the run began, on the clock that never jumps."""
        from datetime import datetime

        look = self.desk.look
        end = datetime.fromisoformat(run.finished) if run.finished else look.now()
        return look.monotonic() - max(0.0, (end - datetime.fromisoformat(run.started)).total_seconds())

    def _wake(self) -> None:
        self._timer.resume()

    def _drain(self) -> None:
        """Take in what runs and checks have said since the last time."""
        self._drain_checks()
        self._drain_run()
        if not self.asking and not self.run_goes_on and not self._tell and not self._fresh:
            # Nothing is sent to the terminal while nothing happens.
            self._timer.pause()

    def _drain_run(self) -> None:
        run = self._followed
        if run is None:
            return
        ended = self._ended
        events = [self._fresh.popleft() for _ in range(len(self._fresh))]
        for event in events:
            self._take(event)
            if event["event"] == "check.finished":
                self.results.setdefault(event["step"], {})[event["id"]] = event
        part = self.main.query_one(RunPart)
        part.add(events)
        if run.status == "running" or events or ended:
            self._show_progress(run, part)
        if any(event["event"] in {"step.started", "step.finished", "step.blocked"} for event in events):
            self.refresh_checklist()
        if ended is None or self._fresh:
            return
        self._ended = None
        self._followed = ended
        if self._tell:
            self._tell = False
            self._run_ended(ended)

    def _take(self, event: dict[str, Any]) -> None:
        look, age = self.desk.look, 0.0
        if event["event"] == "guard.waiting":
            from datetime import datetime

            age = max(0.0, (look.now() - datetime.fromisoformat(event["at"])).total_seconds())
            self.background(self.desk.may_confirm, self._note_confirm)
            elsewhere = self.screen is not self.main or self.main.section != "Run"
            if elsewhere and isinstance(self.screen, WizardScreen) and not self._ended:
                self.screen.say("Your way in was changed: log in once more. 3 on the checklist shows how.", "bad")
        self.progress.take(event, age, look.monotonic())

    def _note_confirm(self, may: bool) -> None:  # noqa: FBT001 - a result
        self.may_confirm = may
        self.main.show_keys()

    def more_time(self) -> None:
        """Begin the countdown of the guard anew."""
        if self.asks_for_login:
            self.background(self.desk.more_time, lambda seconds: self.main.say(f"{seconds} seconds from now.", "good"))
        else:
            self.main.say("Nothing is counted down.")

    def confirm_way_in(self) -> None:
        """Give the operator's word that the way in works."""
        if self.asks_for_login:
            self.background(self.desk.confirm, lambda why: self.main.say(why, "bad") if why else None)
        else:
            self.main.say("There is nothing to confirm.")

    def _show_progress(self, run: Run, part: RunPart) -> None:
        seconds = self.desk.look.monotonic() - self._began
        login = self.progress.login
        now = self.desk.look.monotonic()
        part.guard(
            *(
                (login.state, login.text(now, may_confirm=self.may_confirm, short=self.main.has_class("-short")))
                if login
                else ("", "")
            )
        )
        part.head(f"run {run.id}  {self.progress.line(seconds)}\n{self.progress.doing}")
        if int(seconds) != self._tailed or run.status != "running":
            # Once a second: output that flies by cannot be read anyway, and costs the line.
            self._tailed = int(seconds)
            part.tail(self.desk.output(run.id), self.desk.redactor.clean)
        self.show_top()

    def _run_ended(self, last: Run) -> None:
        part = self.main.query_one(RunPart)
        self._show_progress(last, part)
        self.show_top()
        if self.main.section == "Plan":
            self.main.refresh_plan()

        def then(checklist: Checklist) -> None:
            # Said when the checklist shows it, so that the key it names does what it says.
            self._show_checklist(checklist)
            self.main.say(*said_of(last))

        self.background(self.desk.checklist, then)

    def stop_waiting(self) -> None:
        """End the run when it only waits."""
        if self.waits:
            self.background(self.desk.stop_waiting, lambda _: None)
        elif self.run_goes_on:
            self.main.say("The run is changing something: that is never stopped. 3 shows it.", "bad")
        else:
            self.main.say("No run waits.")

    def show_top(self) -> None:
        """Bring the first line up to date."""
        if not self.main.is_mounted:
            return
        doing = ""
        if self.run_goes_on and self._followed:
            doing = self.progress.short(self.desk.look.monotonic())
        self.main.top(doing)
        self.main.show_keys()

    # Checks

    def verify(self, ids: Sequence[str]) -> None:
        """Run the checks of steps; each result is shown as it comes."""
        fresh = [step_id for step_id in ids if step_id not in self.asking]
        if not fresh:
            return
        self.asking |= set(fresh)
        for step_id in fresh:
            self.results.pop(step_id, None)

        def done(results: list[CheckResult]) -> None:
            self._drain_checks()
            self.asking -= set(fresh)
            self.main.show_checks()
            self.main.say(*verdict(results))
            self.refresh_checklist()

        def failed(error: Exception) -> None:
            self.asking -= set(fresh)
            self.main.show_checks()
            self.main_complains(error)

        self.background(lambda: self.desk.verify(fresh, self._heard.append), done, failed)
        self._wake()

    def _drain_checks(self) -> None:
        heard = [self._heard.popleft() for _ in range(len(self._heard))]
        for result in heard:
            self.results.setdefault(result.step, {})[result.check.id] = result.as_json()
        if any(result.step == self.main.open_id for result in heard) and self.main.section == "Checks":
            self.main.show_checks()

    # Other screens

    def show_text(self, title: str, text: str, name: str) -> None:
        """Show a text that can be copied, paged and saved."""
        from screens.texts import TextScreen

        self.push_screen(TextScreen(title, text, name))

    def show_log(self) -> None:
        """Show all that the commands of the last run said."""
        from screens.texts import LogScreen

        if self._followed is None:
            self.main.say("There was no run yet.")
        else:
            self.push_screen(LogScreen(self._followed.id))

    def show_records(self) -> None:
        """Show the record sheet."""
        from screens.records import RecordsScreen

        if not self.answers.relay.domain or not self.answers.relay.hostname:
            self.main.complain(_needs_answer("dns", "relay.domain: the records need the domain first"))
        else:
            self.push_screen(RecordsScreen())

    def show_home(self) -> None:
        """Show the files for home."""
        from screens.sheets import HomeScreen

        if self.answers.home is None:
            self.main.complain(
                _needs_answer("transport", "There is no home server in the answers; here is where to add it.")
            )
        else:
            self.push_screen(HomeScreen())

    def show_clients(self) -> None:
        """Show what is typed into mail programs."""
        from wizard.steps.clients import settings

        def read() -> str:
            with self.desk.context() as context:
                return settings(context)

        self.background(read, lambda text: self.show_text("Settings for mail programs", text, "mail-programs.txt"))

    def show_mail_test(self) -> None:
        """Show the mail test."""
        from screens.sheets import MailTestScreen

        self.push_screen(MailTestScreen())

    def show_welcome(self) -> None:
        """Show the first screen."""
        from screens.welcome import WelcomeScreen

        self.push_screen(WelcomeScreen())

    def action_help(self) -> None:
        """Show the help."""
        from screens.help import help_text

        step = self.desk.step(self.main.open_id) if self.main.open_id else None
        self.show_text("Help", help_text(self.screen, step), "")

    # How it is drawn

    def action_looks(self) -> None:
        """Go to the next way of drawing."""
        names = list(LOOKS)
        self.looks = names[(names.index(self.looks) + 1) % len(names)]
        self.draw(self.looks)
        if isinstance(self.screen, MainScreen):
            self.screen.say(f"Drawn: {LOOKS[self.looks][1]}.")
        self.keep_place()

    def draw(self, looks: str) -> None:
        """Draw in one of the ways."""
        self._ascii.enabled = looks == "plain"
        self.theme = LOOKS[looks][0]
        self._without_grey()
        self._invalidate_css()
        self.refresh_css(animate=False)
        for screen in self.screen_stack:
            for widget in screen.walk_children(with_self=True):
                # Lines that are kept drawn know nothing of another alphabet.
                widget.notify_style_update()
                widget.refresh(layout=False)

    def _without_grey(self) -> None:
        """Grey levels are colours too: under NO_COLOR there is only what the terminal has by itself."""
        if self.no_color and self.native_ansi_color:
            self._filters[:] = [NoColor() if isinstance(entry, Monochrome) else entry for entry in self._filters]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette has the verbs of the keys, and nothing else: a screenshot could hold a secret."""
        for verb in VERBS:
            if hasattr(self, f"action_{verb.action}") and verb.action != "leave":
                yield SystemCommand(f"{verb.word} ({verb.label})", verb.text, getattr(self, f"action_{verb.action}"))
            elif screen is self.main:
                act = getattr(self.main, f"action_{verb.action}")
                yield SystemCommand(f"{verb.word} ({verb.label})", verb.text, act)

    # When it breaks

    def _handle_exception(self, error: Exception) -> None:
        if self._exit and isinstance(error, NoMatches):
            # Leaving takes the widgets away from under whatever was about to be drawn.
            return
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Tell where it broke, without the values of variables: they may be passwords."""
        error = sys.exc_info()[1] or self._exception
        lines = traceback.format_exception(error) if error else ["something went wrong"]
        self.farewell = self.desk.redactor.clean("".join(lines)) + (
            "\nThis is a mistake of relay-wizard. Runs are not touched by it: relay-wizard attach"
        )
        self._return_code = BROKEN
        self._close_messages_no_wait()


def said_of(run: Run) -> tuple[str, str]:
    """How a run ended, and what to do next; with its tone."""
    match run.status:
        case "ok" if run.request["kind"] == "rollback":
            return "Taken back.", "good"
        case "ok":
            return "Done and verified. n goes to the next step.", "good"
        case "waiting" if run.request["wait"]:
            return "The run waits no more. r shows the records to publish; A goes on.", "good"
        case "waiting":
            return "Done here; now DNS has to follow: r shows the records to publish.", "good"
        case "interrupted":
            return "The run was killed. Apply again; it finishes what was begun.", "bad"
        case _:
            return "Something failed: [!!] above says what to do. 4 shows the checks.", "bad"


def verdict(results: Sequence[CheckResult]) -> tuple[str, str]:
    """How checks came out, in a sentence; with its tone."""
    wrong = sum(result.failed for result in results)
    advice = sum(result.finding.status is Status.WARN for result in results)
    if wrong:
        return f"{wrong} of {len(results)} checks failed: “do” says what to do, v asks again.", "bad"
    return f"{len(results)} checks: all well{f', and {advice} could be better' if advice else ''}.", "good"


def _needs_answer(step: str, message: str) -> AnswersError:
    from screens.desk import MissingAnswer

    return MissingAnswer(step, message)
