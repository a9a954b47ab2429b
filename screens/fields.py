"""Questions without the screen: what kind of answer a key has, how it is shown, taken and judged."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from wizard import values
from wizard.answers import Answers, AnswersError, Home, User, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.step import Field

Kind = Literal["users", "password", "choice", "list", "text"]

YES, NO = "yes", "no"
# Answers that are one of a few words, the usual one first.
CHOICES = {
    "ssh.permit_root_login": ("prohibit-password", "no", "yes"),
    "web.method": ("standalone", "apache"),
    "spf.policy": ("-all", "~all"),
    "dmarc.policy": ("none", "quarantine", "reject"),
    "users.role": ("mail", "admin"),
}
SHORTEST_PASSWORD = 8


def kind_of(key: str) -> Kind:
    """How an answer is asked for."""
    if key == "users":
        return "users"
    if key.endswith("password_file"):
        return "password"
    entry = _entry(key)
    if key in CHOICES or entry.metadata["parse"] is values.flag:
        return "choice"
    return "list" if entry.metadata.get("several") or key == "home.recipients" else "text"


def words_of(key: str) -> tuple[str, ...]:
    """The words of a choice."""
    return CHOICES.get(key, (YES, NO))


def shown(answers: Answers, key: str) -> str:
    """The answer as it stands in its field; the default where nothing was answered."""
    section, _, name = key.partition(".")
    holder = getattr(answers, section)
    found = getattr(Home() if holder is None else holder, name)
    if isinstance(found, bool):
        return YES if found else NO
    return ", ".join(found) if isinstance(found, tuple) else str(found)


def taken(key: str, text: str) -> Any:
    """The answer that a text in a field stands for, judged.

    Raises:
        AnswersError: when it is wrong.
    """
    text = text.strip()
    raw: Any = text
    if kind_of(key) == "choice" and key not in CHOICES:
        raw = text == YES
    elif kind_of(key) == "list" and not (key == "home.recipients" and text in {"", "verify"}):
        raw = text.replace(",", " ").split()
    elif key == "home.recipients":
        raw = "verify"
    found = validate(key, raw)
    return list(found) if isinstance(found, tuple) else found


def complaint(key: str, text: str, *, needed: bool = False) -> str:
    """What is wrong with a text in a field, '' when nothing is."""
    if needed and not text.strip():
        return "an answer is needed here"
    try:
        taken(key, text)
    except AnswersError as error:
        return without_key(error)
    return ""


def without_key(error: AnswersError) -> str:
    """What is said of an answer, as it reads beside the field itself."""
    message = str(error)
    return message.partition(": ")[2] if error.key else message


def is_about(key: str, field: Field) -> bool:
    """Whether what is said of a key is said of this field; "home" is each field of home's."""
    return field.key == key or (bool(key) and field.key.startswith(f"{key}."))


def question(field: Field, answers: Answers) -> str:
    """What is asked: a password is typed here, where an answers file names the file that holds it."""
    if kind_of(field.key) == "password":
        return f"Which password shall {account_of(field.key, answers)} have?"
    return field.question


def in_words(field: Field, error: AnswersError) -> str:
    """What the engine says of an answer, as it reads beside its question."""
    if kind_of(field.key) == "password":
        return "It is needed first. It is never saved: each session asks for it again."
    return "Needed first." if "it is missing" in str(error) else without_key(error)


def password_complaint(first: str, again: str) -> str:
    """What is wrong with a password typed twice, '' when nothing is or none was typed."""
    if not first and not again:
        return ""
    if len(first) < SHORTEST_PASSWORD:
        return f"at least {SHORTEST_PASSWORD} characters; three or four words are easy to remember"
    if not first.isprintable():
        return "it has a character that cannot be typed everywhere"
    return "" if first == again else "the two are not the same yet"


def user_complaint(user: dict[str, Any], others: Sequence[str], home: str = "") -> str:
    """What is wrong with a user's entry, '' when nothing is; `home` is the login of the server there."""
    if not user["name"]:
        return "the login name is missing"
    if user["name"] in others:
        return f"there is another user {user['name']}"
    if user["name"] == home:
        return f"{home} is the login of your server at home: take another name"
    for name in ("name", "role", "ssh_keys"):
        try:
            validate(f"users.{name}", user[name])
        except AnswersError as error:
            return without_key(error)
    return ""


def account_of(key: str, answers: Answers) -> str:
    """Whose password a key asks for."""
    return "root" if key.startswith("root.") else (answers.home or Home()).login


def _entry(key: str) -> dataclasses.Field[Any]:
    section, _, name = key.partition(".")
    holder: Any = {"home": Home, "users": User}.get(section) or type(getattr(Answers(), section))
    return next(entry for entry in dataclasses.fields(holder) if entry.name == name)
