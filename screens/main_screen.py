"""The main screen: the checklist at the left, one step with its parts at the right."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher, Input, Static

from screens.base import WizardScreen
from screens.dialogs import Confirm, Conflicting
from screens.parts import ChecksPart, PlanPart, RunPart, operation_text
from screens.questions import FieldBox, StepForm
from screens.verbs import VERBS, key_line
from screens.widgets import KeyBar, Row, Rows, Sections
from screens.words import GLYPHS, MEANINGS, TONES, duration, listed, moment
from wizard.answers import AnswersError
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.app import ComposeResult

    from screens.desk import Back, Checklist
    from wizard.checklist import StepState
    from wizard.engine import StepPlan
    from wizard.fact import WayIn
    from wizard.rollback import Decision

SECTIONS = ("Questions", "Plan", "Run", "Checks")
TYPING_KEYS = (("Enter", "Next field"), ("Shift+Tab", "Last field"), ("Esc", "Checklist"), ("F1", "Help"))
# How long “Apply all” goes on watching for the records that the operator publishes.
A_DAY = 86400
# Said before a change that could cut the operator off.
LOGIN_FIRST = (
    "Your way in by SSH changes. From a second terminal, log in once more",
    "within {time}, or all of it is put back by itself.",
    "",
)
NO_LOGIN = (
    "Your way in by SSH changes. You are at the console, so no new login",
    "is asked for, and nothing is put back by itself if SSH shuts you out.",
    "",
)
KEEP = "keep"
# How many changes a question before applying names, before it counts the rest.
NAMED_CHANGES = 9


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
        Binding("escape", "to_checklist", show=False),
        *(Binding(str(number), f"section('{name}')", show=False) for number, name in enumerate(SECTIONS, start=1)),
    ]

    def __init__(self) -> None:
        # As on nearly every terminal: to become so later would style everything twice before the first paint.
        super().__init__(classes="-wide -high")
        self.open_id = ""
        self.section = SECTIONS[0]
        self.checklist: Checklist | None = None
        self._typing = False
        self._warned = ""
        self._top = ""

    def compose(self) -> ComposeResult:
        yield Static("", id="top", markup=False)
        with Horizontal(id="desk"):
            checklist = Rows(tuple(self._blank_rows()), id="checklist")
            checklist.border_title = "Checklist"
            yield checklist
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
        titles = {step.id: step.title for step in self.desk.steps}
        parts = (PlanPart(), RunPart(titles), ChecksPart())
        for part in parts:
            part.display = False
        await self.query_one(ContentSwitcher).mount(*parts)

    # What is shown

    def top(self, doing: str) -> None:
        """The first line: whose machine, what goes on."""
        name = self.checklist.hostname if self.checklist and not self.has_class("-narrow") else ""
        left = f" relay-wizard  {name}"
        done = f"{self.checklist.done} of {self.checklist.needed} done" if self.checklist else ""
        middle, right = doing or done, "t Look  ? Help "
        width = self.size.width or 80
        room = width - len(left) - len(right) - 2
        line = f"{left}  {middle[:room].center(room)}{right}"[:width]
        if line != self._top:
            self._top = line
            self.query_one("#top", Static).update(Content(line), layout=False)

    def show_checklist(self, checklist: Checklist) -> None:
        """Show where each step stands."""
        self.checklist = checklist
        self.query_one("#checklist", Rows).show(tuple(self._rows(checklist)))
        self.wizard.show_top()
        if self.open_id:
            self._show_status(checklist.state(self.open_id))

    def _rows(self, checklist: Checklist) -> Iterator[Row]:
        group, following = "", checklist.next
        for state in checklist.states:
            if state.step.group != group:
                group = state.step.group
                yield Row(group, tone="heading")
            mark = " ←" if state is following else ""
            stale = "!" if state.note.startswith("stale") else " "
            text = f"{GLYPHS[state.status]} {state.status:<8}{stale}{state.step.title}"
            yield Row(text, state.step.id, "accent" if mark else TONES[state.status], mark)

    def _show_status(self, state: StepState) -> None:
        titles = {step.id: step.title for step in self.desk.steps}
        said = MEANINGS[state.status]
        if state.status == "blocked":
            said = f"needs first: {listed(titles[needed] for needed in state.blocked_by)}"
        elif state.note:
            said = state.note
        line = f"{GLYPHS[state.status]} {state.status}: {said}"
        if state.last_verified:
            line = f"{line}. Verified {moment(state.last_verified)}"
        self.query_one("#status", Static).update(Content(printable(line)))
        self.query_one("#pane").border_title = state.step.title

    # Opening steps and parts

    async def open(self, step_id: str, section: str = "") -> None:
        """Open a step, at the part that its status asks for, unless one is named."""
        if self.checklist is None:
            return
        state = self.checklist.state(step_id)
        section = section or _section_for(state)
        if step_id != self.open_id:
            self.say("")
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
            self.background(lambda: self.desk.detected(step.fields), form.suggest)

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
                part.show(plan)
                self.show_keys()
                self.wizard.refresh_checklist()

        def fail(error: Exception) -> None:
            if step_id == self.open_id:
                part.complain(str(error))

        self.background(lambda: self.desk.plan(step_id), land, fail)

    def show_checks(self) -> None:
        """Show the results that are known of the open step."""
        rows = self.wizard.results.get(self.open_id, {})
        note = ""
        if self.open_id in self.wizard.asking:
            note = "asking …"
        elif not rows and self.checklist:
            seen = self.checklist.state(self.open_id).last_verified
            note = f"Last verified: {moment(seen)}. Press v to ask now."
        width = max(30, self.query_one("#parts").size.width - 2)
        self.query_one(ChecksPart).show(tuple(rows.values()), note, width)

    def focus_part(self) -> None:
        """Go into the part that is open."""
        self._narrowly(in_pane=True)
        match self.section:
            case "Questions":
                # From the top: what the step is for is read before its first question.
                self.query_one(StepForm).scroll_home(animate=False)
                self.query_one(StepForm).first_field().focus(scroll_visible=False)
            case "Plan":
                self.query_one("#operations").focus()
            case "Run":
                self.query_one("#run-log").focus()
            case _:
                self.query_one("#checks").focus()

    @property
    def form(self) -> StepForm | None:
        """The open questions."""
        return next(iter(self.query(StepForm)), None)

    @on(Rows.Chosen, "#checklist")
    async def choose_step(self, event: Rows.Chosen) -> None:
        """Enter on a step opens it."""
        event.stop()
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
        form = self.form
        if form is None or not form.changed:
            self.call_later(go)
            return
        if wrong := form.complaint:
            if self._warned != wrong[0]:
                self._warned = wrong[0]
                self._show_wrong(*wrong)
                return
            # Told once, and the operator goes on: what cannot be saved is dropped.
            self._warned = ""
            self.call_later(self._drop, go)
            return
        self._warned = ""
        for account, text in form.passwords().items():
            self.desk.keep_password(account, text)
        changes = form.changes()

        async def land(answers: object) -> None:
            self.wizard.answers = answers  # type: ignore[assignment]
            await self._new_form()
            self.wizard.refresh_checklist()
            self.say("Saved.", "good")
            self.call_later(go)

        def fail(error: Exception) -> None:
            self.show_section("Questions")
            self.say(str(error), "bad")

        self.background(lambda: self.desk.save(changes), land, fail)

    async def _drop(self, go: Callable[[], object]) -> None:
        await self._new_form()
        self.say("Not saved.", "bad")
        self.call_later(go)

    def _show_wrong(self, text: str, box: FieldBox) -> None:
        self.show_section("Questions")
        box.judge()
        self.say(f"Not saved: {text}. Once more leaves it as it was.", "bad")
        fields = [widget for widget in box.query("Input, Choice, Rows") if widget.focusable]
        if fields:
            fields[0].focus()

    # The verbs

    def _with_step(self, go: Callable[[], object]) -> None:
        """Do something with the step that is meant: the one under the cursor of the checklist, else the open one."""
        rows = self.query_one("#checklist", Rows)
        if rows.has_focus and rows.current_id and rows.current_id != self.open_id:
            wanted = rows.current_id

            async def first_open() -> None:
                await self.open(wanted)
                self.call_later(go)

            self._saved_then(first_open)
        elif self.open_id:
            self._saved_then(go)

    def action_apply(self) -> None:
        """Show what would change, ask, and begin."""
        self._with_step(self._apply)

    def _apply(self) -> None:
        step_id = self.open_id
        if not self._may_begin():
            return
        state = self.checklist.state(step_id) if self.checklist else None
        if state and state.status == "blocked":
            titles = listed(self.desk.step(needed).title for needed in state.blocked_by)
            self.say(f"{state.step.title} needs first: {titles}. n goes to the next step to do.", "bad")
            return
        self.say("looking at the machine …")

        def land(found: tuple[StepPlan, WayIn | None]) -> None:
            plan, way_in = found
            if not self.is_current or step_id != self.open_id:
                return
            if plan.skip or not plan.changes:
                self.say("Nothing to change; the checks run now.")
                self._verify()
            else:
                self._ask_to_apply(plan, way_in)

        self.background(lambda: (self.desk.plan(step_id), self.desk.way_in([step_id])), land)

    def _ask_to_apply(self, plan: StepPlan, way_in: WayIn | None) -> None:
        summaries = [
            entry.change.summary if entry.change else entry.operation.summary
            for entry in plan.operations
            if entry.changes
        ]
        lines = [f"+ {summary}" for summary in summaries[:NAMED_CHANGES]]
        if len(summaries) > NAMED_CHANGES:
            lines.append(f"and {len(summaries) - NAMED_CHANGES} more")
        lines += ["", *self._way_in_lines(way_in)]
        lines += ["It goes on by itself if this terminal closes. u takes it back.", *self._instead()]
        number = "1 change" if len(summaries) == 1 else f"{len(summaries)} changes"
        self.say("")
        self.app.push_screen(
            Confirm(f"{plan.step.title}: make {number}?", lines, "Apply"),
            lambda yes: self.wizard.begin("apply", (plan.step.id,)) if yes else None,
        )

    def action_apply_all(self) -> None:
        """Begin a run of all that is not done."""
        self._with_step(self._apply_all)

    def _apply_all(self) -> None:
        if not self._may_begin() or self.checklist is None:
            return
        ids = self.checklist.remaining
        if not ids:
            self.say("Everything is done. V runs all checks.", "good")
            return
        self.background(lambda: self.desk.way_in(ids), lambda way_in: self._ask_to_apply_all(ids, way_in))

    def _ask_to_apply_all(self, ids: tuple[str, ...], way_in: WayIn | None) -> None:
        lines = [
            f"{len(ids)} steps are not done yet, from “{self.desk.step(ids[0]).title}” on.",
            "Each is applied, then verified before those that need it.",
            "Where DNS is needed it waits, for a day at most, until you have",
            "published the records (r shows them), and goes on by itself.",
            "",
            *self._way_in_lines(way_in),
            "Close this terminal when you like: the work goes on.",
            *self._instead(),
        ]
        self.app.push_screen(
            Confirm("Apply all that is left?", lines, "Apply all", careful=True),
            lambda yes: self.wizard.begin("apply", ids, A_DAY) if yes else None,
        )

    def _way_in_lines(self, way_in: WayIn | None) -> list[str]:
        """What is asked of the operator where the way in changes, with the time that there is for it."""
        from wizard.fact import WayIn

        if way_in is None:
            return []
        seconds = self.wizard.answers.ssh.revert_after
        lines = LOGIN_FIRST if way_in is WayIn.UNPROVED else NO_LOGIN
        return [line.format(time=duration(seconds)) for line in lines]

    def _instead(self) -> list[str]:
        """What becomes of the run that waits, if there is one."""
        if not self.wizard.waits:
            return []
        return [f"Run {self.wizard.progress.number}, which waits for DNS, ends by this; A begins it again."]

    def _may_begin(self) -> bool:
        if self.wizard.run_goes_on and not self.wizard.waits:
            self.say("A run is going on; it has to end first. 3 shows it.", "bad")
            return False
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
        if self.section != "Plan" or part.plan is None:
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
        self.app.push_screen(Conflicting(conflict, place), answered)

    def _ask_to_take_back(self, back: Back, decided: dict[str, Decision]) -> None:
        lines = [f"- {summary}" for _, summary in back.changes[:NAMED_CHANGES]]
        title = f"Take back what “{self._title(back.ids[0])}” changed?"
        if len(back.ids) > 1:
            counts = Counter(step for step, _ in back.changes)
            title = f"Take back all {len(back.changes)} changes of {len(back.ids)} steps?"
            lines = [f"- {self._title(step)}: {counts[step]}" for step in back.ids[:NAMED_CHANGES]]
        more = (len(back.ids) if len(back.ids) > 1 else len(back.changes)) - NAMED_CHANGES
        if more > 0:
            lines.append(f"and {more} more")
        kept = [path for path, word in decided.items() if word.choice == KEEP]
        lines += ["", *(f"Kept as it is: {path}" for path in kept)]
        lines += ["Files get back their old content; installed packages stay.", *self._instead()]
        if back.way_in:
            from wizard.rollback import WAY_IN

            lines += ["", WAY_IN]
        self.app.push_screen(
            Confirm(title, lines, "Take back", careful=True),
            lambda yes: self.wizard.begin("rollback", back.ids, decided=decided) if yes else None,
        )

    def _title(self, step_id: str) -> str:
        return next((step.title for step in self.desk.steps if step.id == step_id), step_id)

    def action_keep(self) -> None:
        """Leave the setting under the cursor as the operator has it, or let go of it again."""
        from wizard.operations.packages import InstallPackages

        part = self.query_one(PlanPart)
        entry, step_id = part.chosen, self.open_id
        if self.section != "Plan" or entry is None:
            self._with_step(lambda: self._turn("Plan"))
        elif isinstance(entry.operation, InstallPackages) or not (entry.kept or entry.changes):
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
            self.say("Everything is done. V runs all checks.", "good")
            return

        async def go() -> None:
            await self.open(following.step.id)
            self.focus_part()

        self._saved_then(go)

    def action_leave(self) -> None:
        """Leave, after a word about the run that goes on."""
        self._saved_then(self.wizard.leave)

    def complain(self, error: Exception) -> None:
        """Say what went wrong; a missing answer opens its question."""
        text = said_here(str(error))
        self.say(text, "bad")
        step_id = getattr(error, "step", "") or (self.open_id if isinstance(error, AnswersError) else "")
        if step_id:

            async def go() -> None:
                await self.open(step_id, "Questions")
                self.focus_part()
                self.say(text, "bad")

            self.call_later(go)

    def on_resize(self) -> None:
        self.wizard.show_top()
        if self.section == "Checks":
            self.call_after_refresh(self.show_checks)

    def on_descendant_focus(self) -> None:
        """Letters are text while one types: the key line says what works then."""
        typing = isinstance(self.focused, Input)
        if typing != self._typing:
            self._typing = typing
            self.show_keys()

    def show_keys(self) -> None:
        """Show the keys that serve now."""
        plan = next((part.plan for part in self.query(PlanPart)), None)
        serving = key_line(
            section=self.section, waits=self.wizard.waits, login=self.wizard.asks_for_login,
            word=self.wizard.may_confirm,
            drifted=plan is not None and any(entry.is_drifted or entry.kept for entry in plan.operations),
        )  # fmt: skip
        self.query_one(KeyBar).set_keys(TYPING_KEYS if self._typing else serving)


def said_here(message: str) -> str:
    """A message as it reads on the screens, where passwords are typed, not written into files."""
    if "password_file: it is missing" in message:
        return "A password is needed now. It is never saved: each session asks again."
    return message


def _section_for(state: StepState) -> str:
    """The part that a status asks for."""
    match state.status:
        case "running":
            return "Run"
        case "drifted":
            return "Plan"
        case "failed" | "verified" | "applied":
            return "Checks"
        case _:
            return "Questions"
