"""The questions of a step: one field for each, judged while one types by the validators of the answers file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static

from screens import fields
from screens.base import open_above
from screens.widgets import Choice, Line, Row, Rows
from wizard.answers import AnswersError
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from textual.app import ComposeResult
    from textual.widget import Widget

    from screens.desk import Desk
    from wizard.answers import Answers
    from wizard.step import Field, Step

ADD = "+ add"


class FieldBox(Vertical):
    """A question with its field and, below, its help or what is wrong. Ctrl+Z takes back what was typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+z", "take_back", show=False)]

    def __init__(self, field: Field, answers: Answers, *, needed: bool) -> None:
        super().__init__(classes="field")
        self.field, self.needed = field, needed
        self.question = fields.question(field, answers)
        self.kind = fields.kind_of(field.key)
        self.saved = "" if self.kind in {"users", "password"} else fields.shown(answers, field.key)

    def compose(self) -> ComposeResult:
        yield Static(self.question, classes="question", markup=False)
        if self.kind == "choice":
            yield Choice(fields.words_of(self.field.key), self.saved)
        else:
            yield Line(self.saved)
        yield Static(self.field.help, classes="note", markup=False)

    def on_descendant_focus(self) -> None:
        """Bring the question into sight with its field."""
        if isinstance(self.parent, StepForm) and self.parent.first_field() not in self.query("*"):
            self.parent.scroll_to_widget(self, animate=False)

    @property
    def text(self) -> str:
        """What stands in the field."""
        if self.kind == "choice":
            return self.query_one(Choice).value
        return self.query_one(Input).value

    @property
    def entered(self) -> object:
        """All that stands in it, to be compared."""
        return self.text

    def rebase(self, answers: Answers) -> None:
        """Take what is saved now for what it was shown with; what stands in it stays."""
        self.saved = fields.shown(answers, self.field.key)

    @property
    def changed(self) -> bool:
        """Whether it differs from what is saved."""
        return self.text.strip() != self.saved

    @property
    def complaint(self) -> str:
        """What is wrong with it, '' when nothing is."""
        return fields.complaint(self.field.key, self.text, needed=self.needed)

    @property
    def hint(self) -> str:
        """What is said below the field when nothing is wrong."""
        return self.field.help

    @property
    def told(self) -> str:
        """The new answer, as it is said that it was saved."""
        return f"{self.question} {self.text.strip() or 'no answer'}"

    def judge(self) -> None:
        """Show help or complaint."""
        self.point_out(self.complaint)

    def point_out(self, wrong: str) -> None:
        """Show what is wrong with the answer; '' shows the help again."""
        note = self.query_one(".note", Static)
        note.set_class(bool(wrong), "complaint")
        note.update(Content(f"! {printable(wrong)}" if wrong else self.hint))

    def restore(self) -> None:
        """Show the saved answer again."""
        # Not as if it were typed: that would ask anew about what is being left as it was.
        with self.prevent(Input.Changed):
            if self.kind == "choice":
                choice = self.query_one(Choice)
                choice.at = choice.words.index(self.saved)
            else:
                self.query_one(Input).value = self.saved
        self.judge()

    def action_take_back(self) -> None:
        """Ctrl+Z shows the saved answer again."""
        self.restore()
        self.post_message(StepForm.Edited())

    def enter(self) -> None:
        """Put the cursor into the field."""
        next(widget for widget in self.query("Input, Choice, Rows") if widget.focusable).focus(scroll_visible=False)
        # With the question above it; what is wrong may just have taken another line.
        self.call_after_refresh(self.scroll_visible, animate=False, top=True)

    def suggest(self, text: str) -> None:
        """Say what is found by itself when the field is left empty."""
        if text and self.kind in {"text", "list"}:
            self.query_one(Input).placeholder = printable(text)


class PasswordBox(FieldBox):
    """A password, masked, typed twice; it is never saved. A file with it does as well."""

    def __init__(self, field: Field, answers: Answers, *, known: bool, file: str) -> None:
        super().__init__(field, answers, needed=False)
        self.account, self._known, self.file = fields.account_of(field.key, answers), known, file

    def compose(self) -> ComposeResult:
        yield Static(self.question, classes="question", markup=False)
        yield Line(id="password", password=True)
        yield Static("The same again", classes="question")
        yield Line(id="again", password=True)
        yield Static(self.hint, classes="note", markup=False)

    @property
    def hint(self) -> str:
        if self._known:
            return "It was typed in this session; leave empty to keep it."
        if self.file:
            return f"Leave empty to take it from {self.file}."
        if self.account == "root":
            return "Leave empty to keep root's password as it is. It is never saved by the wizard."
        return "It is never saved by the wizard. Home needs the same one: write it down."

    @property
    def text(self) -> str:
        return self.query_one("#password", Input).value

    @property
    def entered(self) -> object:
        return tuple(line.value for line in self.query(Input))

    def rebase(self, answers: Answers) -> None:
        """A password has no saved form: what stands here is taken once more."""

    @property
    def changed(self) -> bool:
        return bool(self.text)

    @property
    def complaint(self) -> str:
        return fields.password_complaint(self.text, self.query_one("#again", Input).value)

    @property
    def told(self) -> str:
        return f"{self.account}'s password is taken for this session"

    def restore(self) -> None:
        with self.prevent(Input.Changed):
            for line in self.query(Input):
                line.value = ""
        self.judge()


class UsersBox(FieldBox):
    """The users: a row for each, and one to add another."""

    def __init__(self, field: Field, answers: Answers, desk: Desk) -> None:
        super().__init__(field, answers, needed=False)
        self._desk = desk
        self._home = answers.home.login if answers.home else ""
        self.users, self._before = _users(answers), _users(answers)
        # By name; '' forgets the one that was typed for it before.
        self.typed: dict[str, str] = {}
        self.keys: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(self.question, classes="question", markup=False)
        yield Rows(tuple(self._lines()), id="users")
        yield Static(self.field.help, classes="note", markup=False)

    def _lines(self) -> Iterator[Row]:
        for user in self.users:
            facts = [user["role"]]
            facts += [f"{len(user['ssh_keys'])} SSH key{'s' if len(user['ssh_keys']) > 1 else ''}"] * bool(
                user["ssh_keys"]
            )
            facts += ["password typed"] * self.has_password(user["name"])
            yield Row(f"{user['name']:<12} {', '.join(facts)}", user["name"])
        yield Row("+ add a user (Enter)", ADD, "accent")

    def has_password(self, name: str) -> bool:
        """Whether a password was typed for a user."""
        return bool(self.typed[name]) if name in self.typed else name in self._desk.passwords

    @property
    def text(self) -> str:
        return ""

    @property
    def entered(self) -> object:
        return [dict(user) for user in self.users], dict(self.typed)

    def rebase(self, answers: Answers) -> None:
        self._before = _users(answers)

    @property
    def changed(self) -> bool:
        return self.users != self._before or bool(self.typed)

    @property
    def complaint(self) -> str:
        return ""

    @property
    def told(self) -> str:
        return f"the users: {', '.join(user['name'] for user in self.users) or 'none'}"

    def restore(self) -> None:
        self.users, self.typed = [dict(user) for user in self._before], {}
        self.query_one(Rows).show(tuple(self._lines()))
        self.judge()

    @on(Rows.Chosen)
    def edit(self, event: Rows.Chosen) -> None:
        """Open the entry of a user, or an empty one."""
        event.stop()
        at = next((at for at, user in enumerate(self.users) if user["name"] == event.row.id), len(self.users))
        user = self._newcomer()
        if at < len(self.users):
            user = self.users[at]
        others = [other["name"] for other in self.users if other is not user]

        def take(result: dict[str, Any] | None) -> None:
            if result is not None:
                self._take(at, result)

        from screens.user_form import UserForm

        form = UserForm(dict(user), others, self._home, has_password=self.has_password(user["name"]))
        open_above(self.screen, form, take)

    def _newcomer(self) -> dict[str, Any]:
        """An empty entry. The first is the administrator, who logs in with the key that root was reached with."""
        if any(user["role"] == "admin" for user in self.users):
            return {"name": "", "role": "mail", "ssh_keys": [], "password_file": ""}
        return {"name": "", "role": "admin", "ssh_keys": list(self.keys), "password_file": ""}

    def _take(self, at: int, result: dict[str, Any]) -> None:
        for user in self.users[at : at + 1]:
            if user["name"] != result.get("name"):
                # Removed or renamed: whoever gets that name next has a password of their own.
                self.typed[user["name"]] = ""
        if result.get("remove"):
            del self.users[at]
        else:
            if password := result.pop("password"):
                self.typed[result["name"]] = password
            self.users[at : at + 1] = [result]
        rows = self.query_one(Rows)
        rows.show(tuple(self._lines()))
        rows.focus()
        self.post_message(StepForm.Edited())


def _users(answers: Answers) -> list[dict[str, Any]]:
    from wizard.answers import as_tables

    found: list[dict[str, Any]] = as_tables(answers)["users"]
    return found


class StepForm(VerticalScroll, can_focus=False):
    """What a step is for, and its questions."""

    class Edited(Message):
        """Something was typed."""

    class Save(Message):
        """The button was pressed: save, then show the plan."""

    def __init__(self, step: Step, answers: Answers, desk: Desk) -> None:
        super().__init__(classes="form")
        self.step, self.answers, self._desk = step, answers, desk

    def compose(self) -> ComposeResult:
        yield Static(" ".join(self.step.why.split()), classes="why", markup=False)
        for field in self.step.fields:
            yield self._box(field)
        if self.step.better:
            yield Static(
                f"Done better than usual: {' '.join(self.step.better.split())}", classes="better", markup=False
            )
        word = "Save, and show what would change" if self.step.fields else "Show what would change"
        yield Button(word, id="save", compact=True)

    def _box(self, field: Field) -> FieldBox:
        match fields.kind_of(field.key):
            case "users":
                return UsersBox(field, self.answers, self._desk)
            case "password":
                account = fields.account_of(field.key, self.answers)
                file = fields.shown(self.answers, field.key)
                return PasswordBox(field, self.answers, known=account in self._desk.passwords, file=file)
            case _:
                return FieldBox(field, self.answers, needed=field.key in self.step.needs)

    @property
    def boxes(self) -> tuple[FieldBox, ...]:
        """The fields."""
        return tuple(self.query(FieldBox))

    @property
    def entered(self) -> list[object]:
        """All that stands in the fields, to be compared."""
        return [box.entered for box in self.boxes]

    def rebase(self, answers: Answers) -> None:
        """These are the saved answers now; what was typed while they were being saved stays."""
        self.answers = answers
        for box in self.boxes:
            box.rebase(answers)

    @property
    def changed(self) -> bool:
        """Whether anything differs from what is saved."""
        return any(box.changed for box in self.boxes)

    @property
    def complaint(self) -> tuple[str, FieldBox] | None:
        """The first thing that is wrong, with its field."""
        return next(((found, box) for box in self.boxes if (found := box.complaint)), None)

    def box_of(self, error: Exception) -> FieldBox | None:
        """The field that an error is about, when it is one of these."""
        key = error.key if isinstance(error, AnswersError) else ""
        return next((box for box in self.boxes if fields.is_about(key, box.field)), None)

    def leave_as_it_was(self, box: FieldBox | None) -> None:
        """Show the saved answer again in a field that is wrong; in all, where it is not theirs to mend."""
        for one in [box] if box is not None and box.changed else self.boxes:
            one.restore()

    @property
    def told(self) -> str:
        """What will have been saved, in a sentence."""
        changed = [box.told for box in self.boxes if box.changed]
        return f"Saved: {changed[0]}" if len(changed) == 1 else f"Saved {len(changed)} answers."

    def changes(self) -> dict[str, Any]:
        """New answers by dotted key; nothing may be wrong with them."""
        found: dict[str, Any] = {}
        for box in self.boxes:
            if not box.changed:
                continue
            if isinstance(box, UsersBox):
                found["users"] = box.users
            elif not isinstance(box, PasswordBox):
                found[box.field.key] = fields.taken(box.field.key, box.text)
        return found

    def passwords(self) -> dict[str, str]:
        """What was typed, by account; '' where the password is to be forgotten."""
        found: dict[str, str] = {}
        for box in self.boxes:
            if isinstance(box, UsersBox):
                found |= box.typed
            elif isinstance(box, PasswordBox) and box.changed:
                found[self._home_login() if box.field.key.startswith("home.") else box.account] = box.text
        return found

    def _home_login(self) -> str:
        typed = [box.text.strip() for box in self.boxes if box.field.key == "home.login"]
        return typed[0] if typed else fields.account_of("home.", self.answers)

    def suggest(self, found: Mapping[str, str]) -> None:
        """Show what the machine itself suggests."""
        for box in self.boxes:
            if isinstance(box, UsersBox):
                box.keys = tuple(found.get(box.field.key, "").splitlines())
            box.suggest(found.get(box.field.key, ""))

    def first_field(self) -> Widget:
        """Where one begins to type."""
        wanted = [widget for widget in self.query("Input, Choice, Rows, Button") if widget.focusable]
        return wanted[0]

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """Judge what was typed, and follow a domain with its usual host name."""
        event.stop()
        box = next((box for box in self.boxes if event.input in box.query(Input)), None)
        if box is not None:
            box.judge()
            self._name_the_host(box)
            self.post_message(self.Edited())

    def _name_the_host(self, box: FieldBox) -> None:
        if box.field.key != "relay.domain" or box.complaint:
            return
        host = next((other for other in self.boxes if other.field.key == "relay.hostname"), None)
        if host is not None and not host.saved:
            host.query_one(Input).value = f"mail.{box.text.strip()}"

    @on(Choice.Changed)
    def turned(self, event: Choice.Changed) -> None:
        """A choice cannot be wrong."""
        event.stop()
        self.post_message(self.Edited())

    @on(Button.Pressed)
    def save(self, event: Button.Pressed) -> None:
        """Ask for what was typed to be kept."""
        event.stop()
        self.post_message(self.Save())
