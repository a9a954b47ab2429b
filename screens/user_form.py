"""A user's entry. Loaded when it is first needed: text areas take a while to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static, TextArea

from screens import fields
from screens.widgets import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class UserForm(ModalScreen[dict[str, Any] | None]):
    """A user: login name, role, SSH keys, password typed twice.

    Its result is the user's table with the typed password as "password"; {"remove": True} when it is to go; None when
    all stays as it was.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("ctrl+s", "save", show=False),
    ]

    def __init__(self, user: dict[str, Any], others: Sequence[str], *, has_password: bool) -> None:
        super().__init__()
        self._user, self._others, self._has_password = user, list(others), has_password

    def compose(self) -> ComposeResult:
        user = self._user
        with VerticalScroll(id="dialog", can_focus=False) as box:
            box.border_title = "User"
            yield Static("Login name", classes="question")
            yield Input(user.get("name", ""), id="name", compact=True, placeholder="anna")
            yield Static("mail: sends mail, nothing else.  admin: shell and sudo.", classes="question")
            yield Choice(fields.CHOICES["users.role"], user.get("role", "mail"), id="role")
            yield Static("Public SSH keys, one a line (needed by an admin)", classes="question")
            yield TextArea("\n".join(user.get("ssh_keys", ())), id="ssh_keys", compact=True, soft_wrap=False)
            yield Static(self._password_text(), classes="question")
            yield Input(id="password", password=True, compact=True)
            yield Static("The same again", classes="question")
            yield Input(id="again", password=True, compact=True)
            yield Static("", id="complaint", classes="complaint", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Save", id="save", compact=True)
                if user.get("name"):
                    yield Button("Remove this user", id="remove", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def _password_text(self) -> str:
        if self._has_password:
            return "Another password (empty: the one typed before)"
        if self._user.get("password_file"):
            return "Password (empty: the one in its file)"
        return "Password (an admin with a key may go without)"

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    def table(self) -> dict[str, Any]:
        """The user as typed."""
        keys = [line.strip() for line in self.query_one("#ssh_keys", TextArea).text.splitlines() if line.strip()]
        return {
            **self._user,
            "name": self.query_one("#name", Input).value.strip(),
            "role": self.query_one("#role", Choice).value,
            "ssh_keys": keys,
        }

    def complaint(self) -> str:
        """What is wrong, '' when nothing is."""
        user = self.table()
        typed = self.query_one("#password", Input).value
        found = fields.user_complaint(user, self._others)
        found = found or fields.password_complaint(typed, self.query_one("#again", Input).value)
        if found or user["role"] == "admin":
            return found or (
                "" if user["ssh_keys"] or typed or self._knows_one() else "an admin needs a key or a password"
            )
        return "" if typed or self._knows_one() else "a mail user needs a password"

    def _knows_one(self) -> bool:
        return self._has_password or bool(self._user.get("password_file"))

    @on(Input.Changed)
    @on(TextArea.Changed)
    @on(Choice.Changed)
    def judge(self) -> None:
        """Say what is wrong while one types."""
        found = self.complaint()
        self.query_one("#complaint", Static).update(Content(f"! {found}" if found else ""))

    @on(Input.Submitted)
    def go_on(self) -> None:
        """Enter goes to the next field."""
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "save":
                self.action_save()
            case "remove":
                self.dismiss({"remove": True})
            case _:
                self.dismiss(None)

    def action_save(self) -> None:
        """Hand the entry back when nothing is wrong with it."""
        if found := self.complaint():
            self.query_one("#complaint", Static).update(Content(f"! {found}"))
        else:
            self.dismiss({**self.table(), "password": self.query_one("#password", Input).value})

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)
