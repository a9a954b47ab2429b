"""A user's entry. Loaded when it is first needed: text areas take a while to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, Static, TextArea

from screens import fields
from screens.dialogs import Dialog
from screens.widgets import Choice, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class UserForm(Dialog[dict[str, Any] | None]):
    """A user: login name, role, SSH keys, password typed twice.

    Its result is the user's table with the typed password as "password"; {"remove": True} when it is to go; None when
    all stays as it was.
    """

    HELP = (
        "A user. One of the role mail can send mail through this server, and nothing else. One of the role admin has "
        "a shell and sudo, and logs in by SSH: paste the public key, a line that begins with ssh-ed25519 or alike. "
        "The password is typed twice and never saved."
    )

    KEYS = (("Tab", "Next"), ("Space", "Role"), ("Ctrl+S", "Save"), ("Esc", "Cancel"), ("F1", "Help"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "save", show=False)]

    def __init__(self, user: dict[str, Any], others: Sequence[str], home: str = "", *, has_password: bool) -> None:
        """Show an entry.

        Args:
            user: the table; of a newcomer with an empty name.
            others: the names of the other users.
            home: the login of the server at home, '' without one.
            has_password: whether the user's password was typed in this session.
        """
        super().__init__()
        self._user, self._others, self._home, self._has_password = user, list(others), home, has_password
        self._warned = False

    def compose(self) -> ComposeResult:
        user = self._user
        with self.box("User"):
            yield Static("Login name", classes="question")
            yield Line(user.get("name", ""), id="name", placeholder="anna")
            yield Static("mail: sends mail, nothing else.  admin: shell and sudo.", classes="question")
            yield Choice(fields.CHOICES["users.role"], user.get("role", "mail"), id="role")
            yield Static("Public SSH keys, one a line (needed by an admin)", classes="question")
            yield TextArea("\n".join(user.get("ssh_keys", ())), id="ssh_keys", compact=True, soft_wrap=False)
            yield Static(self._password_text(), classes="question")
            yield Line(id="password", password=True)
            yield Static("The same again", classes="question")
            yield Line(id="again", password=True)
            yield Static("", id="complaint", classes="complaint", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Save", id="save", compact=True)
                if user.get("name"):
                    yield Button("Remove", id="remove", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def _password_text(self) -> str:
        if self._has_password:
            return "Another password (empty: the one typed before)"
        if self._user.get("password_file"):
            return "Password (empty: the one in its file)"
        return "Password (an admin with a key may go without)"

    def on_mount(self) -> None:
        self.query_one("#name").focus(scroll_visible=False)

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
        found = fields.user_complaint(user, self._others, self._home)
        found = found or fields.password_complaint(typed, self.query_one("#again", Input).value)
        if found or user["role"] == "admin":
            return found or (
                "" if user["ssh_keys"] or typed or self._knows_one(user) else "an admin needs a key or a password"
            )
        return "" if typed or self._knows_one(user) else "a mail user needs a password"

    def _knows_one(self, user: dict[str, Any]) -> bool:
        """Whether there is a password for this name: one that was typed belongs to the name it was typed for."""
        return bool(user.get("password_file")) or (self._has_password and user["name"] == self._user["name"])

    @property
    def unsaved(self) -> bool:
        typed = self.query_one("#password", Input).value or self.query_one("#again", Input).value
        return bool(typed) or self.table() != self._user

    @on(Input.Changed)
    @on(TextArea.Changed)
    @on(Choice.Changed)
    def judge(self) -> None:
        """Say what is wrong while one types."""
        self._warned = False
        self._complain(self.complaint())

    def _complain(self, text: str) -> None:
        self.query_one("#complaint", Static).update(Content(f"! {text}" if text else ""))

    def _refuse(self, text: str) -> None:
        """Say why the form stays, where it is seen on a small screen too."""
        self._complain(text)
        self.call_after_refresh(self.query_one("#complaint").scroll_visible, animate=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "save":
                self.action_save()
            case "remove":
                self.dismiss({"remove": True})
            case _:
                self.action_give_up()

    def action_save(self) -> None:
        """Hand the entry back when nothing is wrong with it."""
        if found := self.complaint():
            self._refuse(found)
        else:
            self.dismiss({**self.table(), "password": self.query_one("#password", Input).value})

    def action_give_up(self) -> None:
        """Change nothing; what was typed is dropped only when that is meant."""
        if self.unsaved and not self._warned:
            self._warned = True
            self._refuse("not saved: Ctrl+S saves it, Esc once more drops it")
        else:
            self.dismiss(None)
