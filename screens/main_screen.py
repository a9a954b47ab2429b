"""The main screen: the checklist at the left, one step with its parts at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher, Input, Static

from screens import fields
from screens.base import WizardScreen, open_above
from screens.dialogs import Conflicting
from screens.parts import ChecksPart, PlanPart, RunPart, operation_text
from screens.proposals import before_apply, before_apply_all, before_taking_back
from screens.questions import FieldBox, StepForm
from screens.verbs import VERBS, key_line
from screens.widgets import KeyBar, Row, Rows, Sections
from screens.words import GLYPHS, MEANINGS, TONES, finished, fitted, listed, moment
from wizard.answers import AnswersError
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from textual.app import ComposeResult

    from screens.desk import Back, Checklist
    from screens.dialogs import Dialog
    from wizard.answers import Answers
    from wizard.checklist import StepState
    from wizard.engine import StepPlan
    from wizard.fact import WayIn
    from wizard.rollback import Decision

T = TypeVar("T")
SECTIONS = ("Questions", "Plan", "Run", "Checks")
TYPING_KEYS = (
    ("Enter", "Next field"),
    ("Shift+Tab", "Back"),
    ("Ctrl+Z", "As it was"),
    ("Esc", "Checklist"),
    ("F1", "Help"),
)
# How long “Apply all” goes on watching for the records that the operator publishes.
A_DAY = 86400
# Columns of the line below the checklist.
CHECKLIST_ROOM = 29
# What acts on a step or a run, and so has nothing to act on before the store was read.
NEEDS_THE_STORE = {verb.action for verb in VERBS} - {"leave"}


class MainScreen(WizardScreen):
    """Checklist and step. All verbs are keys; each acts on the step that is open or under the cursor."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]  # noqa: RUF012 - as Textual declares it
    KEYS = key_line(section="Questions")
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(verb.key, verb.action, verb.word, show=False)
            for verb in VERBS
            if verb.action not in {"help", "looks"}
        ),
        Binding("f1,question_mark", "app.help", show=False),
        Binding("t", "app.looks", show=False),
        Binding("escape", "to_checklist", show=False, priority=True),
        *(Binding(str(number), f"section('{name}')", show=False) for number, name in enumerate(SECTIONS, start=1)),
    ]

    def __init__(self) -> None:
        # As on nearly every terminal: to become so later would style everything twice before the first paint.
        super().__init__(classes="-wide -high")
        self.open_id = ""
        self.section = SECTIONS[0]
        self.checklist: Checklist | None = None
        self._typing = False
        self._warned = False
        # Whether the cursor was in a field when the machine began to be looked at.
        self._was_typing = False
        # Whether the message line says what is wrong with an answer, and what is done once it is saved.
        self._refusing = False
        self._saving: list[Callable[[], object]] = []
        self._top = ""

    def compose(self) -> ComposeResult:
        yield Static("", id="top", markup=False)
        with Horizontal(id="desk"):
            with Vertical(id="list") as left:
                left.border_title = "Checklist"
                yield Rows(tuple(self._blank_rows()), id="checklist")
            with Vertical(id="pane") as pane:
                pane.border_title = "Step"
                yield Static("", id="status", markup=False)
                yield Sections(SECTIONS, id="sections")
                with ContentSwitcher(initial="questions", id="parts"):
                    yield Vertical(id="questions")
        yield Static("", id="message", markup=False)
        yield KeyBar(self.KEYS)

    def _blank_rows(self) -> Iterator[Row]:
        """The checklist before anything is known: the first paint does not wait for the store."""
        group = ""
        for step in self.desk.steps:
            if step.group != group:
                group = step.group
                yield Row(group, tone="heading")
            yield Row(f"            {step.title}", step.id)

    def on_mount(self) -> None:
        self.top("")
        self.query_one("#checklist").focus()

    async def furnish(self) -> None:
        """Bring in the parts that the first paint does not show."""
        parts = (PlanPart(), RunPart(self.desk.titles), ChecksPart())
        for part in parts:
            part.display = False
        await self.query_one(ContentSwitcher).mount(*parts)
        await self.query_one("#list").mount(Static("", id="under", markup=False))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """No verb before the store was read: there is nothing that it could act on, and the parts are not there."""
        del parameters
        return self.checklist is not None or action not in NEEDS_THE_STORE

    # What is shown

    def top(self, doing: str) -> None:
        """The first line: whose machine, what goes on."""
        name = self.checklist.hostname if self.checklist and not self.has_class("-narrow") else ""
        left = f" relay-wizard  {name}"
        done = f"{self.checklist.done} of {self.checklist.needed} done" if self.checklist else ""
        middle, right = doing or done, " ? Help " if self.has_class("-narrow") else " t Look  ? Help "
        width = self.size.width or 80
        room = width - len(left) - len(right) - 1
        line = f"{left} {middle[:room].center(room)}{right}"[:width]
        if line != self._top:
            self._top = line
            self.query_one("#top", Static).update(Content(line), layout=False)

    def show_checklist(self, checklist: Checklist) -> None:
        """Show where each step stands."""
        self.checklist = checklist
        self.query_one("#checklist", Rows).show(tuple(self._rows(checklist)))
        self.wizard.show_top()
        self._show_under_cursor()
        if self.open_id:
            self._show_status(checklist.state(self.open_id))

    def _rows(self, checklist: Checklist) -> Iterator[Row]:
        group, following = "", checklist.next
        for state in checklist.states:
            if state.step.group != group:
                group = state.step.group
                yield Row(group, tone="heading")
            mark = " ←" if state is following else ""
            word = word_for(state)
            text = f"{GLYPHS[word]} {word:<8} {state.step.title}"
            yield Row(text, state.step.id, "accent" if mark else TONES[word], mark)

    def _show_status(self, state: StepState) -> None:
        word = word_for(state)
        said = state.note or MEANINGS[word]
        if state.status == "blocked":
            said = f"needs first: {self._titles(state.blocked_by)}"
        line = f"{GLYPHS[word]} {word}: {said}"
        if state.last_verified:
            line = f"{line}. Verified {moment(state.last_verified)}"
        self.query_one("#status", Static).update(Content(printable(line)))
        self.query_one("#pane").border_title = state.step.title

    @on(Rows.Moved, "#checklist")
    def _show_under_cursor(self) -> None:
        """Below the checklist: what the step under the cursor waits for, or when it was last verified."""
        rows = self.query_one("#checklist", Rows)
        state = self.checklist.state(rows.current_id) if self.checklist and rows.current_id else None
        said = ""
        if state and state.status == "blocked":
            said = f"first: {self._titles(state.blocked_by)}"
        elif state and state.last_verified:
            said = f"verified {moment(state.last_verified)}"
        for line in self.query("#under").results(Static):
            line.update(Content(fitted(said, CHECKLIST_ROOM)), layout=False)

    def _titles(self, ids: Sequence[str]) -> str:
        return listed(self._title(step_id) for step_id in ids)

    # Opening steps and parts

    async def open(self, step_id: str, section: str = "") -> None:
        """Open a step, at the part that its status asks for, unless one is named."""
        if self.checklist is None:
            return
        state = self.checklist.state(step_id)
        section = section or _section_for(state)
        if step_id != self.open_id:
            self.open_id = step_id
            self.query_one("#checklist", Rows).point_at(step_id)
            await self._new_form()
        self._show_status(state)
        self.show_section(section)
        self.wizard.keep_place()

    async def _new_form(self) -> None:
        step = self.desk.step(self.open_id)
        holder = self.query_one("#questions")
        form = StepForm(step, self.wizard.answers, self.desk)
        await holder.remove_children()
        await holder.mount(form)
        self.query_one(PlanPart).wait()
        if any(field.detect for field in step.fields):
            self.background(
                lambda: self.desk.detected(step.fields),
                lambda found: form.suggest(found) if form is self.form else None,
            )

    def show_section(self, section: str) -> None:
        """Turn to a part of the open step."""
        self.section = section
        self.query_one(ContentSwitcher).current = section.lower()
        self.query_one(Sections).mark(section)
        self.show_keys()
        if section == "Plan":
            self.refresh_plan()
        elif section == "Checks":
            self.show_checks()

    def refresh_plan(self) -> None:
        """Compute anew what would change in the open step."""
        step_id, part = self.open_id, self.query_one(PlanPart)
        part.wait()

        def land(plan: StepPlan) -> None:
            if step_id == self.open_id:
                first = self.checklist.state(step_id).blocked_by if self.checklist else ()
                part.show(plan, self._titles(first) if first else "")
                self.show_keys()
                self.wizard.refresh_checklist()

        def fail(error: Exception) -> None:
            if step_id == self.open_id:
                part.complain(f"{self._in_words(error)}{' Press a to go there.' * isinstance(error, AnswersError)}")

        self.background(lambda: self.desk.plan(step_id), land, fail)

    def show_checks(self) -> None:
        """Show the results that are known of the open step."""
        rows = self.wizard.results.get(self.open_id, {})
        note = ""
        if self.open_id in self.wizard.asking:
            note = "asking …"
        elif not rows and self.checklist:
            state = self.checklist.state(self.open_id)
            note = f"Last verified: {moment(state.last_verified)}. Press v to ask now."
            if state.status == "failed":
                note = "The answers of the checks are not kept when the wizard ends. Press v: they say what failed."
        width = max(30, self.query_one("#parts").size.width - 2)
        self.query_one(ChecksPart).show(tuple(rows.values()), note, width)

    def focus_part(self) -> None:
        """Go into the part that is open."""
        self._narrowly(in_pane=True)
        match self.section:
            case "Questions" if self.form:
                # From the top: what the step is for is read before its first question.
                self.form.scroll_home(animate=False)
                self.form.first_field().focus(scroll_visible=False)
            case "Questions":
                pass
            case "Plan":
                self.query_one("#operations").focus()
            case "Run":
                self.query_one("#run-log").focus()
            case _:
                self.query_one("#checks").focus()

    @property
    def form(self) -> StepForm | None:
        """The open questions, once they are there with their fields."""
        return next((form for form in self.query(StepForm) if form.is_mounted), None)

    @on(Rows.Chosen, "#checklist")
    async def choose_step(self, event: Rows.Chosen) -> None:
        """Enter on a step opens it."""
        event.stop()
        if self.checklist is None:
            return
        if event.row.id == self.open_id:
            self.focus_part()
            return

        async def go() -> None:
            await self.open(event.row.id)
            self.focus_part()

        self._saved_then(go)

    @on(Rows.Chosen, "#operations")
    def choose_operation(self, event: Rows.Chosen) -> None:
        """Enter on an operation shows it."""
        event.stop()
        self.action_diff()

    @on(Sections.Turned)
    def turn(self, event: Sections.Turned) -> None:
        """The arrows on the line of parts."""
        self.action_section(event.section)

    def action_section(self, section: str) -> None:
        """Turn to a part by its number."""
        if self.open_id:
            self._with_step(lambda: self._turn(section))

    def _turn(self, section: str) -> None:
        on_line = isinstance(self.focused, Sections)
        self.show_section(section)
        self.wizard.keep_place()
        if not on_line:
            self.focus_part()

    def action_to_checklist(self) -> None:
        """Esc goes back to the checklist."""
        self._narrowly(in_pane=False)
        self.query_one("#checklist").focus()

    def _narrowly(self, *, in_pane: bool) -> None:
        """On a narrow terminal there is room for one of the two."""
        self.query_one("#desk").set_class(in_pane, "in-pane")

    # Saving answers

    @on(StepForm.Save)
    def save_and_show(self) -> None:
        """The button below the questions."""

        def go() -> None:
            self.show_section("Plan")
            self.focus_part()

        self._saved_then(go)

    def _saved_then(self, go: Callable[[], object]) -> None:
        """Keep what was typed, then go on; what is wrong with it is shown instead."""
        if self._saving:
            # What is being saved may yet be refused: a second verb must not take that for an answer.
            self._saving.append(go)
            return
        self.say("")
        form = self.form
        if form is None or not form.changed:
            self._warned = False
            self.call_later(go)
            return
        if wrong := form.complaint:
            self._refuse(form, f"{wrong[1].question} {wrong[0]}", wrong[1], go)
            return
        self._saving = [go]
        changes, passwords, told, entered = form.changes(), form.passwords(), form.told, form.entered

        async def land(found: tuple[Answers, Checklist]) -> None:
            answers, checklist = found
            self._warned = False
            for account, text in passwords.items():
                self.desk.keep_password(account, text)
            self.wizard.answers = answers
            if form is self.form:
                await self._after_saving(form, entered)
            # Before what follows: answers decide which steps are needed.
            self.show_checklist(checklist)
            self.say(told, "good")
            waiting, self._saving = self._saving, []
            for one in waiting:
                self.call_later(one)
            self.wizard.look_for_drift()

        def fail(error: Exception) -> None:
            self._saving = []
            if form is self.form:
                self._refuse(form, self._in_words(error), form.box_of(error), go)

        self.background(lambda: (self.desk.save(changes, form.answers), self.desk.checklist()), land, fail)

    async def _after_saving(self, form: StepForm, entered: list[object]) -> None:
        """Show the questions with the answers that are saved now; what was typed since stays."""
        if form.entered == entered:
            await self._new_form()
        else:
            form.rebase(self.wizard.answers)

    def _refuse(self, form: StepForm, text: str, box: FieldBox | None, go: Callable[[], object]) -> None:
        """Say what cannot be saved. When the operator goes on all the same, it is left as it was."""
        if self._warned:
            form.leave_as_it_was(box)
            # What else is wrong has not been named yet.
            self._warned = False
            self._saved_then(go)
            return
        self._warned = True
        self.show_section("Questions")
        self._narrowly(in_pane=True)
        self.say(f"Not saved; once more leaves it as it was. {text}", "bad")
        self._refusing = True
        if box is not None:
            self._point_out(box, text)

    @staticmethod
    def _point_out(box: FieldBox, text: str) -> None:
        """Put the cursor into a field, and below it what is wrong."""
        box.point_out(text.removeprefix(box.question).strip())
        box.enter()

    @on(StepForm.Edited)
    def edited(self) -> None:
        """What is typed now was not told to be wrong yet; what was is no more, once it is mended."""
        warned, self._warned = self._warned, False
        # Fields also tell what they hold when they appear.
        typed = warned or (self.form is not None and self.form.changed)
        if self._refusing and typed and (self.form is None or self.form.complaint is None):
            self.say("")

    def say(self, text: str, tone: str = "") -> None:
        self._refusing = False
        super().say(text, tone)

    def _in_words(self, error: Exception) -> str:
        """An error as it reads here; one about an answer begins with its question."""
        if not isinstance(error, AnswersError) or (step := self.desk.asking(error.key, self.open_id)) is None:
            return str(error)
        field = next(field for field in step.fields if fields.is_about(error.key, field))
        return f"{fields.question(field, self.wizard.answers)} {fields.in_words(field, error)}"

    # The verbs

    def _with_step(self, go: Callable[[], object]) -> None:
        """Do something with the step that is meant: the one under the cursor of the checklist, else the open one."""
        if wanted := self._pointed_at:

            async def first_open() -> None:
                await self.open(wanted)
                # At once: a key that follows may open another step.
                go()

            self._saved_then(first_open)
        elif self.open_id:
            self._saved_then(go)

    @property
    def _pointed_at(self) -> str:
        """The step under the cursor of the checklist, when the operator is there and it is not the open one."""
        rows = self.query_one("#checklist", Rows)
        return rows.current_id if rows.has_focus and rows.current_id != self.open_id else ""

    def action_apply(self) -> None:
        """Show what would change, ask, and begin."""
        self._with_step(self._apply)

    def _apply(self) -> None:
        step_id = self.open_id
        if not self._may_begin():
            return
        state = self.checklist.state(step_id) if self.checklist else None
        if state and state.status == "blocked":
            self.say(
                f"{state.step.title} needs first: {self._titles(state.blocked_by)}. n goes to the next step to do.",
                "bad",
            )
            return
        self.say("looking at the machine …")

        def land(found: tuple[StepPlan, WayIn | None]) -> None:
            plan, way_in = found
            if step_id != self.open_id:
                return
            if plan.skip or not plan.changes:
                self.say("Nothing to change; the checks run now.")
                self._verify()
            else:
                self._ask_to_apply(plan, way_in)

        self.background(lambda: (self.desk.plan(step_id), self.desk.way_in([step_id])), land)

    def _ask_to_apply(self, plan: StepPlan, way_in: WayIn | None) -> None:
        self.say("")
        self._ask(
            before_apply(plan, self.wizard.answers, way_in, self._ends()),
            lambda yes: self.wizard.begin("apply", (plan.step.id,)) if yes else None,
        )

    def action_apply_all(self) -> None:
        """Begin a run of all that is not done."""
        self._with_step(self._apply_all)

    def _apply_all(self) -> None:
        if not self._may_begin():
            return
        self.say("looking at the machine …")

        def look() -> tuple[Checklist, WayIn | None]:
            # A step that is verified has something left to do when its answers have changed since.
            self.desk.look_for_drift()
            checklist = self.desk.checklist()
            return checklist, self.desk.way_in(checklist.remaining)

        def land(found: tuple[Checklist, WayIn | None]) -> None:
            checklist, way_in = found
            self.show_checklist(checklist)
            if checklist.remaining:
                self.say("")
                self._ask_to_apply_all(checklist.remaining, way_in)
            else:
                self.say(finished(self.wizard.answers), "good")

        self.background(look, land)

    def _ask_to_apply_all(self, ids: tuple[str, ...], way_in: WayIn | None) -> None:
        titles = [self._title(step_id) for step_id in ids]
        self._ask(
            before_apply_all(titles, self.wizard.answers, way_in, self._ends()),
            lambda yes: self.wizard.begin("apply", ids, A_DAY) if yes else None,
        )

    def _ask(self, question: Dialog[T], answered: Callable[[T | None], None]) -> None:
        """Ask, unless the operator is elsewhere by now, or types: those keys would be taken for the answer."""
        typing = isinstance(self.focused, Input) and not self._was_typing
        if typing or (self.form and self.form.changed):
            self.say(
                "The machine has been looked at. Esc goes to the checklist. Press the key again there to be asked."
            )
        else:
            open_above(self, question, answered)

    def _ends(self) -> list[str]:
        """What is said of the run that waits, if there is one: another run ends it."""
        if not self.wizard.waits:
            return []
        run = self.wizard.progress
        return [f"Run {run.number}, which waits for {run.awaits}, ends by this; A begins it again."]

    def _may_begin(self) -> bool:
        if self.wizard.starting:
            return False
        if self.wizard.run_goes_on and not self.wizard.waits:
            self.say("A run is going on; it has to end first. 3 shows it.", "bad")
            return False
        self._was_typing = isinstance(self.focused, Input)
        return True

    def action_verify(self) -> None:
        """Run the step's checks."""
        self._with_step(self._verify)

    def _verify(self) -> None:
        self.wizard.verify((self.open_id,))
        self.show_section("Checks")
        self.focus_part()

    def action_verify_all(self) -> None:
        """Run all checks whose answers are there."""
        if self.checklist:
            self.wizard.verify(
                tuple(s.step.id for s in self.checklist.states if s.status not in {"pending", "skipped"})
            )

    def action_diff(self) -> None:
        """Show the operation under the cursor, or the first that changes something."""
        part = self.query_one(PlanPart)
        if self._pointed_at or self.section != "Plan" or part.plan is None:
            self._with_step(lambda: self._turn("Plan"))
            return
        entry = part.chosen
        if entry is None:
            self.say("This step changes nothing.")
            return
        self.wizard.show_text(entry.operation.summary, operation_text(entry), f"{self.open_id}.diff")

    def action_log(self) -> None:
        """The whole output of the last run."""
        self.wizard.show_log()

    def action_records(self) -> None:
        """The record sheet."""
        self._with_step(self.wizard.show_records)

    def action_home_folder(self) -> None:
        """The folder for home."""
        self._with_step(self.wizard.show_home)

    def action_clients(self) -> None:
        """The settings for mail programs."""
        self._with_step(self.wizard.show_clients)

    def action_mail_test(self) -> None:
        """The mail test."""
        self._with_step(self.wizard.show_mail_test)

    def action_welcome(self) -> None:
        """The first screen."""
        self.wizard.show_welcome()

    def action_roll_back(self) -> None:
        """Ask, then take back."""
        self._with_step(self._roll_back)

    def _roll_back(self, step_id: str = "") -> None:
        if self._may_begin():
            self.say("looking at the machine …")
            step_id = step_id or self.open_id
            self.background(lambda: self.desk.back(step_id), lambda back: self._ask_about(back, {}))

    def action_roll_back_all(self) -> None:
        """Ask, then take back the whole set-up."""
        if self._may_begin():
            self.say("looking at the machine …")
            self.background(self.desk.back, lambda back: self._ask_about(back, {}))

    def _ask_about(self, back: Back, decided: dict[str, Decision]) -> None:
        """Ask about one file after the other that somebody has changed since; then about the whole."""
        self.say("")
        if not back.changes:
            self.say("Nothing was changed that could be taken back.")
            return
        if back.refused:
            self.say(back.refused, "bad")
            return
        left = [conflict for conflict in back.conflicts if conflict.path not in decided]
        if not left:
            self._ask_to_take_back(back, decided)
            return
        conflict = left[0]

        def answered(choice: str | None) -> None:
            if choice is None:
                self.say("Nothing was taken back.")
            else:
                self._ask_about(back, {**decided, conflict.path: conflict.decide(choice)})

        place = f"File {len(decided) + 1} of {len(back.conflicts)}: "
        self._ask(Conflicting(conflict, place), answered)

    def _ask_to_take_back(self, back: Back, decided: dict[str, Decision]) -> None:
        self._ask(
            before_taking_back(back, decided, self.desk.titles, self._ends()),
            lambda yes: self.wizard.begin("rollback", back.ids, decided=decided) if yes else None,
        )

    def _title(self, step_id: str) -> str:
        return self.desk.titles.get(step_id, step_id)

    def action_keep(self) -> None:
        """Leave the setting under the cursor as the operator has it, or let go of it again."""
        from wizard.operations.packages import InstallPackages

        part = self.query_one(PlanPart)
        entry, step_id = part.chosen, self.open_id
        if self._pointed_at or self.section != "Plan" or part.plan is None:
            self._with_step(lambda: self._turn("Plan"))
        elif entry is None or isinstance(entry.operation, InstallPackages) or not (entry.kept or entry.changes):
            self.say("There is nothing of yours in it that could be kept.")
        else:
            kept = not entry.kept

            def land(_: None) -> None:
                self.say("Kept as you have it. k lets it go again." if kept else "As planned again: a puts it back.")
                self.refresh_plan()

            self.background(lambda: self.desk.keep(step_id, entry.operation.id, kept=kept), land)

    def action_more_time(self) -> None:
        """Begin the countdown of the guard anew."""
        self.wizard.more_time()

    def action_confirm_way_in(self) -> None:
        """Give the operator's word that the way in works."""
        self.wizard.confirm_way_in()

    def action_stop_waiting(self) -> None:
        """End the run that only waits."""
        self.wizard.stop_waiting()

    def action_next(self) -> None:
        """Open the step to do next."""
        following = self.checklist.next if self.checklist else None
        if following is None:
            self.say(finished(self.wizard.answers), "good")
            return

        async def go() -> None:
            await self.open(following.step.id)
            self.focus_part()

        self._saved_then(go)

    def action_leave(self) -> None:
        """Leave, after a word about the run that goes on."""
        self._saved_then(self.wizard.leave)

    def complain(self, error: Exception) -> None:
        """Say what went wrong; where an answer is missing, go to its question."""
        text = self._in_words(error)
        self.say(text, "bad")
        if not isinstance(error, AnswersError) or (self.form and self.form.changed):
            return
        self._refusing = True
        step_id = getattr(error, "step", "") or self.open_id
        if asks := self.desk.asking(error.key, step_id):
            step_id = asks.id
        if not step_id:
            return

        async def go() -> None:
            await self.open(step_id, "Questions")
            self._narrowly(in_pane=True)
            box = self.form.box_of(error) if self.form else None
            if box is not None:
                self._point_out(box, text)
            else:
                # Not into any other field: what is missing may be a password, and would be typed there.
                self.query_one(Sections).focus()
            self.say(text, "bad")
            self._refusing = True

        self.call_later(go)

    def on_resize(self) -> None:
        self.wizard.show_top()
        if self.section == "Checks":
            self.call_after_refresh(self.show_checks)

    def on_descendant_focus(self) -> None:
        """Letters are text while one types: the key line says what works then."""
        if self.focused:
            self._narrowly(in_pane=self.query_one("#pane") in self.focused.ancestors)
        typing = isinstance(self.focused, Input)
        if typing != self._typing:
            self._typing = typing
            self.show_keys()

    def show_keys(self) -> None:
        """Show the keys that serve now."""
        plan = next((part.plan for part in self.query(PlanPart)), None)
        operations = plan.operations if plan else ()
        serving = key_line(
            self.open_id, section=self.section, waits=self.wizard.waits, login=self.wizard.asks_for_login,
            word=self.wizard.may_confirm,
            drifted=any(entry.is_drifted for entry in operations), kept=any(entry.kept for entry in operations),
        )  # fmt: skip
        self.query_one(KeyBar).set_keys(TYPING_KEYS if self._typing else serving)


def word_for(state: StepState) -> str:
    """The word that a step stands in the checklist with."""
    return "stale" if state.stale else state.status


def _section_for(state: StepState) -> str:
    """The part that a status asks for: the note of a failed step tells of a change, its checks speak for themselves."""
    match state.status:
        case "running":
            return "Run"
        case "failed" if state.note:
            return "Run"
        case "drifted":
            return "Plan"
        case "failed" | "verified" | "applied":
            return "Checks"
        case _:
            return "Questions"
