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
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.segment import Segment
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.filter import LineFilter, Monochrome, NoColor
from textual.widget import MountError

from screens.base import WizardScreen, open_above
from screens.desk import Checklist, Desk, Place
from screens.dialogs import Confirm, Dialog
from screens.main_screen import MainScreen
from screens.parts import Progress, RunPart
from screens.terminal import looks_for
from screens.verbs import VERBS, key_of
from screens.words import ascii_of, counted, duration, finished, listed
from state.store import Locked
from wizard.answers import Answers, AnswersError
from wizard.check import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from textual import events
    from textual.color import Color
    from textual.screen import Screen

    from screens.parts import LoginAsked
    from state.store import Run
    from wizard.check import CheckResult
    from wizard.rollback import Decision

T = TypeVar("T")

INTERRUPTED, BROKEN = 130, 70
# How many steps a verdict on all of them names: it is one line.
NAMED_STEPS = 2
FIRST_KEYS = "Enter opens a step and its questions; n goes on to the next one. A does all that is left."
NO_COUNTDOWN = "Nothing is counted down."
# Seconds between two looks at what a run has said: four a second is as much as a slow line should carry.
DRAIN = 0.25
# Seconds after which a run is read again, when that did not work.
READ_AGAIN = 2.0
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
        Binding("ctrl+z", "pass", show=False),
    ]

    def __init__(self, desk: Desk, looks: str = "dark") -> None:
        super().__init__()
        self.desk = desk
        self.place = desk.place()
        self.looks = looks_for(looks, self.place.looks)
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
        # Whether a run has been asked for that cannot be watched yet.
        self.starting = False
        # Readings of the checklist: the newest that was asked for, and the newest that was shown.
        self._asked = self._answered = 0

    # Coming and going

    def get_default_screen(self) -> Screen[Any]:
        """The checklist is the lowest screen: an empty one below it would be laid out, and drawn again, with it."""
        return self.main

    def on_mount(self) -> None:
        self._without_grey()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Textual installs none: without them the terminal would keep the alternate screen, or the app spin.
            with contextlib.suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, self._hang_up)
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
            self.main.say("Your run waits, and goes on by itself: above is for what.")
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
            self.main.say(FIRST_KEYS)
            return
        if checklist.run is not None:
            self._tell_of_last(checklist.run)
        self.look_for_drift()

    def look_for_drift(self) -> None:
        """See what would change now in what was verified: somebody may have edited it, or answered otherwise."""
        self.background(self.desk.look_for_drift, lambda _: self.refresh_checklist(), lambda _: None)

    def _tell_of_last(self, run: Run) -> None:
        """Say how the last run ended, when that asks for something."""
        match run.status:
            case "waiting":
                self.main.say(f"Run {run.id} has done what it could; something outside has to follow: 3 shows what.")
            case "failed" | "interrupted":
                self.main.say(f"The last run, number {run.id}, ended: {run.status}. 3 shows it.", "bad")
            case _:
                pass

    def leave(self) -> None:
        """Leave; while a run goes on, say first that it does."""
        if self.starting:
            # It lives in this process until it has begun.
            self.main.say("The run is just being started. A moment, then once more.", "bad")
            return
        if not self.run_goes_on:
            self.exit(return_code=0)
            return
        if self.asks_for_login and self.progress.login:
            self._leave_the_countdown(self.progress.login)
            return
        lines = [
            f"Run {self.progress.number} goes on without this window.",
            "Start relay-wizard again to come back to it.",
        ]
        if self.waits:
            lines[:1] = [
                f"Run {self.progress.number} waits for {self.progress.awaits},",
                "and then goes on without this window.",
            ]
        self._ask_to_leave("Leave while the work goes on?", lines)

    def _leave_the_countdown(self, login: LoginAsked) -> None:
        """Leaving is the way into a lost change here, for who takes it for the end: it has to be said."""
        lines = [
            f"Leaving does not stop the countdown: {login.left(self.desk.look.monotonic())} is left.",
            "Without a new login by then, all is put back as it was.",
            "In another terminal, type:",
            "",
            f"  {login.command}",
            "",
            "The run goes on without this window. Start relay-wizard again to",
            "come back to it.",
        ]
        word = f"Log in before the countdown ends, or all is put back: {login.command}\n"
        self._ask_to_leave("Leave before your new login?", lines, word)

    def _ask_to_leave(self, title: str, lines: Sequence[str], word: str = "") -> None:
        if isinstance(self.screen, Confirm):
            # One question at a time.
            return

        def left(yes: bool | None) -> None:  # noqa: FBT001 - a dialog's result
            if yes and self.asks_for_login and not word:
                # The countdown has begun under the question.
                self.leave()
            elif yes:
                self.farewell = (
                    f"{word}The work goes on. Come back with: relay-wizard   or follow it with: relay-wizard attach"
                )
                self.exit(return_code=0)

        self.push_screen(Confirm(title, lines, "Leave", "Stay", careful=bool(word)), left)

    def action_leave(self) -> None:
        """Ctrl+Q and Ctrl+C. What was typed below another screen is saved, or refused where it can be seen."""
        open_forms = (screen for screen in reversed(self.screen_stack) if isinstance(screen, Dialog) and screen.unsaved)
        if form := next(open_forms, None):
            form.pop_until_active()
            self.call_later(form.action_give_up)
        elif self.main.form and self.main.form.changed:
            self.main.pop_until_active()
            self.call_later(self.main.action_leave)
        else:
            self.leave()

    def action_pass(self) -> None:
        """Ctrl+Z does nothing: a stopped wizard would hold the terminal."""

    def keep_place(self) -> None:
        """Remember where the operator is; of the looks what the key chose, not what this terminal needs."""
        self.place = Place(self.main.open_id, self.main.section, self.place.looks, begun=True)
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
        self._asked += 1
        number = self._asked

        def then(checklist: Checklist) -> None:
            # A slow answer to an old question must not undo a newer one.
            if number > self._answered:
                self._answered = number
                self._show_checklist(checklist)

        self.background(self.desk.checklist, then)

    def _show_checklist(self, checklist: Checklist) -> None:
        if self.main.is_mounted:
            self.main.show_checklist(checklist)
        lost = self._followed is None
        if checklist.run and not self.run_goes_on and (checklist.going_on or lost):
            self.follow(checklist.run, tell=self._tell)

    # Runs

    @property
    def run_goes_on(self) -> bool:
        """Whether a run is being followed that has not ended."""
        return self._followed is not None and self._followed.status == "running"

    @property
    def waits(self) -> bool:
        """Whether the run only waits for something outside: then others may begin, which ends it."""
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
        self.starting = True

        def start() -> Run:
            number = self.desk.start(kind, ids, wait, decided)
            with self.desk.engine() as engine:
                return engine.store.run(number)

        def land(run: Run) -> None:
            self.starting = False
            self.main.say("")
            self.follow(run, tell=True)

        def fail(error: Exception) -> None:
            self.starting = False
            self.main_complains(error)

        self.background(start, land, fail)

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

        def failed(error: Exception) -> None:
            self.main_complains(error)
            if self._fresh is fresh:
                # The run goes on all the same: what of it is known is read again.
                self._followed = None
                self.set_timer(READ_AGAIN, self.refresh_checklist)

        self.background(lambda: self.desk.follow(run.id, fresh.append), ended, failed)
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
        self._note_checks(run, events)
        part = self.main.query_one(RunPart)
        part.add((event, self._take(event)) for event in events)
        if any(event["event"] == "guard.waiting" for event in events) and self.asks_for_login:
            self._ask_for_login()
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

    def _note_checks(self, run: Run, events: Sequence[dict[str, Any]]) -> None:
        """Keep what the checks of a run said; those of steps that were looked at again since it ended are old news."""
        states = self.main.checklist.states if self.main.checklist else ()
        since = {state.step.id for state in states if run.finished and state.looked_at > run.finished}
        told = [event for event in events if event["event"] == "check.finished" and event["step"] not in since]
        for event in told:
            self.results.setdefault(event["step"], {})[event["id"]] = event
        if self.main.section == "Checks" and self.main.open_id in {event["step"] for event in told}:
            self.main.show_checks()

    def _take(self, event: dict[str, Any]) -> Progress:
        """Follow the run by one event; how far it is then."""
        look, age = self.desk.look, 0.0
        if event["event"] == "guard.waiting":
            from datetime import datetime

            age = max(0.0, (look.now() - datetime.fromisoformat(event["at"])).total_seconds())
            self.background(self.desk.may_confirm, self._note_confirm)
        self.progress.take(event, age, look.monotonic())
        return self.progress

    def _ask_for_login(self) -> None:
        """Say that a countdown has begun, to who does not see it."""
        elsewhere = self.screen is not self.main or self.main.section != "Run"
        if elsewhere and isinstance(self.screen, WizardScreen):
            self.screen.say("Your way in was changed: log in once more. 3 on the checklist shows how.", "bad")

    def _note_confirm(self, may: bool) -> None:  # noqa: FBT001 - a result
        self.may_confirm = may
        self.main.show_keys()

    def more_time(self) -> None:
        """Begin the countdown of the guard anew."""

        def land(seconds: int | None) -> None:
            # It may have ended meanwhile.
            self.main.say(f"{duration(seconds)} from now." if seconds else NO_COUNTDOWN)

        if self.asks_for_login:
            self.background(self.desk.more_time, land)
        else:
            self.main.say(NO_COUNTDOWN)

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
            self.main.say(*said_of(last, self.progress, checklist, finished(self.answers)))

        self.background(self.desk.checklist, then)

    def stop_waiting(self) -> None:
        """End the run when it only waits."""
        if self.waits:
            self.main.say("It waits no more when its last look has ended …")
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

    def verify(self, ids: Sequence[str], asker: WizardScreen | None = None) -> None:
        """Run the checks of steps; each result is shown as it comes. `asker` is told how they came out, else main."""
        fresh = [step_id for step_id in ids if step_id not in self.asking]
        if not fresh:
            (asker or self.main).say(
                "That is being asked already." if ids else "Nothing can be asked yet: answers are missing."
            )
            return
        if asker is None:
            self.main.say(f"asking {counted(len(fresh), 'step')} …")
        self.asking |= set(fresh)
        for step_id in fresh:
            self.results.pop(step_id, None)

        def done(results: list[CheckResult]) -> None:
            self._drain_checks()
            self.asking -= set(fresh)
            self.main.show_checks()
            (asker if asker in self.screen_stack else self.main).say(*verdict(results, self.desk.titles))
            self.refresh_checklist()

        def failed(error: Exception) -> None:
            self.asking -= set(fresh)
            self.main.show_checks()
            (asker.complain if asker in self.screen_stack else self.main_complains)(error)

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

        open_above(self.main, TextScreen(title, text, name))

    def show_log(self) -> None:
        """Show all that the commands of the last run said."""
        from screens.texts import LogScreen

        if self._followed is None:
            self.main.say("There was no run yet.")
        else:
            open_above(self.main, LogScreen(self._followed.id))

    def show_records(self) -> None:
        """Show the record sheet."""
        from screens.records import RecordsScreen

        if not self.answers.relay.domain or not self.answers.relay.hostname:
            self.main.complain(AnswersError("relay.domain: it is missing"))
        else:
            open_above(self.main, RecordsScreen())

    def show_home(self) -> None:
        """Show the files for home."""
        from screens.sheets import HomeScreen

        if self.answers.home is None:
            self.main.complain(AnswersError("home.domains: it is missing"))
        else:
            open_above(self.main, HomeScreen())

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

        open_above(self.main, MailTestScreen())

    def show_welcome(self) -> None:
        """Show the first screen."""
        from screens.welcome import WelcomeScreen

        open_above(self.main, WelcomeScreen())

    def action_help(self) -> None:
        """Show the help."""
        from screens.help import HelpScreen

        step = self.desk.step(self.main.open_id) if self.main.open_id else None
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen, step))

    # How it is drawn

    def action_looks(self) -> None:
        """Go to the next way of drawing."""
        names = list(LOOKS)
        self.looks = self.place.looks = names[(names.index(self.looks) + 1) % len(names)]
        self.draw(self.looks)
        if isinstance(self.screen, MainScreen):
            self.screen.say(f"Drawn: {LOOKS[self.looks][1]}.")
        if self.main.open_id:
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
        """The palette has the keys by their names, and nothing else: a screenshot could hold a secret."""
        if screen is self.main:
            for verb in VERBS:
                owner = self if verb.action in {"help", "looks"} else self.main
                act = partial(self.run_action, verb.action, owner)
                yield SystemCommand(f"{verb.word} ({verb.label})", verb.text, act)
            return
        for label, word in getattr(screen, "KEYS", ()):
            if (key := key_of(label)) and label != "?":
                yield SystemCommand(f"{word} ({label})", f"What the key {label} does", partial(self.simulate_key, key))
        yield SystemCommand("Help (F1)", "The keys of this screen", self.action_help)
        yield SystemCommand("Look", "Dark, light, the terminal's own colours, plain ASCII", self.action_looks)
        yield SystemCommand("Leave (Ctrl+Q)", "Leave relay-wizard; a run that is going on goes on", self.action_leave)

    def action_command_palette(self) -> None:
        """Open the palette, but not over a question, whose keys all stand on it."""
        if not isinstance(self.screen, Dialog):
            super().action_command_palette()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """No cursor blinks: that is sent over the line, twice a second, for as long as a field has it."""
        if hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    # When it breaks

    def _handle_exception(self, error: Exception) -> None:
        if self._exit and isinstance(error, NoMatches | MountError):
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


def said_of(run: Run, progress: Progress, checklist: Checklist, all_done: str) -> tuple[str, str]:
    """How a run ended, and what to do next, `all_done` when there is nothing more; with its tone."""
    match run.status:
        case "ok" if run.request["kind"] == "rollback":
            return "Taken back.", "good"
        case "ok":
            return f"Done and verified. {'n goes to the next step.' if checklist.next else all_done}", "good"
        case "waiting" if progress.failed:
            return "The run waits no more. Something failed: 3 says what, and what to do.", "bad"
        case "waiting" if run.request["wait"]:
            return f"The run waits no more. {progress.where}; A goes on.", "good"
        case "waiting":
            return f"Done here. Now it waits for {progress.awaits}: {progress.where}.", "good"
        case "interrupted" if run.request["kind"] == "rollback":
            return "The run was killed. Undo again (u, or U for all); it finishes what was begun.", "bad"
        case "interrupted":
            return "The run was killed. Apply again; it finishes what was begun.", "bad"
        case _:
            return "Something failed: [!!] above says what to do. 4 shows the checks.", "bad"


def verdict(results: Sequence[CheckResult], titles: Mapping[str, str]) -> tuple[str, str]:
    """How checks came out, in a sentence; with its tone."""
    wrong = [result for result in results if result.failed]
    advice = sum(not result.failed and result.finding.status in {Status.WARN, Status.FAIL} for result in results)
    checks = counted(len(results), "check")
    if not wrong:
        return f"{checks}: all well{f', and {advice} could be better' if advice else ''}.", "good"
    if len({result.step for result in results}) == 1:
        return f"{len(wrong)} of {checks} failed: “do” says what to do, v asks again.", "bad"
    steps = list(dict.fromkeys(titles[result.step] for result in wrong))
    where = listed(steps if len(steps) <= NAMED_STEPS else [*steps[:NAMED_STEPS], f"{len(steps) - NAMED_STEPS} more"])
    return f"{len(wrong)} of {checks} failed. See 4 of {where}.", "bad"
