"""A value that must never be seen, and the filter that keeps it from being seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "[hidden]"


@dataclass(frozen=True)
class Secret:
    """A password on its way from the operator to one command's standard input or one 0600 file.

    Its text forms are all hidden, so that a log line, a traceback or a dataclass dump cannot show it; `reveal`
    is the one way out and is easy to search for.
    """

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret itself, to be handed to a file descriptor and nothing else."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__


def cleaned(data: Any, clean: Callable[[str], str]) -> Any:
    """Lists and tables with `clean` done to each text in them; the keys are ours.

    Not to the JSON made of them: there a quotation mark or a letter with an accent looks otherwise.
    """
    match data:
        case str():
            return clean(data)
        case dict():
            return {key: cleaned(value, clean) for key, value in data.items()}
        case list() | tuple():
            return [cleaned(value, clean) for value in data]
        case _:
            return data


class Redactor:
    """Replaces every secret that the program has seen in whatever is about to be recorded or shown."""

    # Replacing a string this short would blank out ordinary words, and so protect nothing.
    SHORTEST = 4

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def learn(self, secret: Secret) -> Secret:
        """Remember `secret`, and hand it back so that it can be learnt where it is read."""
        text = secret.reveal()
        if len(text) >= self.SHORTEST:
            self._texts.add(text)
        return secret

    def clean(self, text: str) -> str:
        """Return `text` with every known secret hidden, the longest first (one may contain another)."""
        for known in sorted(self._texts, key=len, reverse=True):
            text = text.replace(known, HIDDEN)
        return text

    def stream(self) -> Stream:
        """Hide the secrets that are known now in bytes that come piece by piece."""
        return Stream(tuple(text.encode() for text in sorted(self._texts, key=len, reverse=True)))


class Stream:
    """Bytes on their way, without secrets, also those that are cut in two by the pieces they come in."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take a piece in; what can be handed on."""
        data = self._rest + data
        for secret in self._secrets:
            data = data.replace(secret, HIDDEN.encode())
        cut = len(data) - max((_overlap(data, secret) for secret in self._secrets), default=0)
        self._rest = data[cut:]
        return data[:cut]

    def end(self) -> bytes:
        """What was held back."""
        return self._rest


def _overlap(data: bytes, secret: bytes) -> int:
    """How much of the end of `data` may be the beginning of a secret."""
    return next((size for size in range(len(secret) - 1, 0, -1) if data.endswith(secret[:size])), 0)
