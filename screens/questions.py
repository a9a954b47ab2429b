"""The questions of a step: one field for each, judged while one types by the validators of the answers file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static

from screens import fields
from screens.widgets import Choice, Row, Rows
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
    """A question with its field and, below, its help or what is wrong."""

    def __init__(self, field: Field, answers: Answers, *, needed: bool) -> None:
        super().__init__(classes="field")
        self.field, self.needed = field, needed
        self.kind = fields.kind_of(field.key)
        self.saved = "" if self.kind in {"users", "password"} else fields.shown(answers, field.key)

    def compose(self) -> ComposeResult:
        yield Static(self.field.question, classes="question", markup=False)
        if self.kind == "choice":
            yield Choice(fields.words_of(self.field.key), self.saved)
        else:
            yield Input(self.saved, compact=True)
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
    def changed(self) -> bool:
        """Whether it differs from what is saved."""
        return self.text.strip() != self.saved

    @property
    def complaint(self) -> str:
        """What is wrong with it, '' when nothing is."""
        return fields.complaint(self.field.key, self.text, needed=self.needed)

    def judge(self) -> None:
        """Show help or complaint."""
        note = self.query_one(".note", Static)
        found = self.complaint
        note.set_class(bool(found), "complaint")
        note.update(Content(f"! {printable(found)}" if found else self.field.help))

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
        yield Static(f"Which password shall {self.account} have?", classes="question", markup=False)
        yield Input(id="password", password=True, compact=True)
        yield Static("The same again", classes="question")
        yield Input(id="again", password=True, compact=True)
        yield Static(self._help(), classes="note", markup=False)

    def _help(self) -> str:
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
    def changed(self) -> bool:
        return bool(self.text)

    @property
    def complaint(self) -> str:
        return fields.password_complaint(self.text, self.query_one("#again", Input).value)

    def judge(self) -> None:
        note, found = self.query_one(".note", Static), self.complaint
        note.set_class(bool(found), "complaint")
        note.update(Content(f"! {found}" if found else self._help()))


class UsersBox(FieldBox):
    """The users: a row for each, and one to add another."""

    def __init__(self, field: Field, answers: Answers, desk: Desk) -> None:
        super().__init__(field, answers, needed=False)
        from wizard.answers import as_tables

        self._desk = desk
        self.users: list[dict[str, Any]] = as_tables(answers)["users"]
        self._before = [dict(user) for user in self.users]
        self.typed: dict[str, str] = {}
        self.keys: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(self.field.question, classes="question", markup=False)
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
        return name in self.typed or name in self._desk.passwords

    @property
    def text(self) -> str:
        return ""

    @property
    def changed(self) -> bool:
        return self.users != self._before or bool(self.typed)

    @property
    def complaint(self) -> str:
        return ""

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

        self.app.push_screen(UserForm(dict(user), others, has_password=self.has_password(user["name"])), take)

    def _newcomer(self) -> dict[str, Any]:
        """An empty entry. The first is the administrator, who logs in with the key that root was reached with."""
        if any(user["role"] == "admin" for user in self.users):
            return {"name": "", "role": "mail", "ssh_keys": [], "password_file": ""}
        return {"name": "", "role": "admin", "ssh_keys": list(self.keys), "password_file": ""}

    def _take(self, at: int, result: dict[str, Any]) -> None:
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


class StepForm(VerticalScroll, can_focus=False):
    """What a step is for, and its questions."""

    class Edited(Message):
        """Something was typed."""

    class Save(Message):
        """The button was pressed: save, then show the plan."""

    def __init__(self, step: Step, answers: Answers, desk: Desk) -> None:
        super().__init__(classes="form")
        self.step, self._answers, self._desk = step, answers, desk

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
                return UsersBox(field, self._answers, self._desk)
            case "password":
                account = fields.account_of(field.key, self._answers)
                file = fields.shown(self._answers, field.key)
                return PasswordBox(field, self._answers, known=account in self._desk.passwords, file=file)
            case _:
                return FieldBox(field, self._answers, needed=field.key in self.step.needs)

    @property
    def boxes(self) -> tuple[FieldBox, ...]:
        """The fields."""
        return tuple(self.query(FieldBox))

    @property
    def changed(self) -> bool:
        """Whether anything differs from what is saved."""
        return any(box.changed for box in self.boxes)

    @property
    def complaint(self) -> tuple[str, FieldBox] | None:
        """The first thing that is wrong, with its field."""
        return next(((found, box) for box in self.boxes if (found := box.complaint)), None)

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
        """What was typed, by account."""
        found: dict[str, str] = {}
        for box in self.boxes:
            if isinstance(box, UsersBox):
                found |= box.typed
            elif isinstance(box, PasswordBox) and box.changed:
                found[self._home_login() if box.field.key.startswith("home.") else box.account] = box.text
        return found

    def _home_login(self) -> str:
        typed = [box.text.strip() for box in self.boxes if box.field.key == "home.login"]
        return typed[0] if typed else fields.account_of("home.", self._answers)

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

    @on(Input.Submitted)
    def go_on(self, event: Input.Submitted) -> None:
        """Enter goes to the next field."""
        event.stop()
        self.screen.focus_next()

    @on(Button.Pressed)
    def save(self, event: Button.Pressed) -> None:
        """Ask for what was typed to be kept."""
        event.stop()
        self.post_message(self.Save())
