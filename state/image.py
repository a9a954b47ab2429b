"""The image of a path, and what tells two of them apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """A path as it was at one moment; `kind` is "absent" when nothing was there.

    `parents` are the folders above it that were not there either, the outermost first.
    """

    path: str
    kind: str
    content: bytes = b""
    mode: int = 0
    owner: str = ""
    group: str = ""
    target: str = ""
    parents: tuple[str, ...] = ()


def fingerprint(image: Image) -> str:
    """What tells two states of a path apart: kind, bytes, mode and owner, but no folder's entries."""
    import hashlib

    if image.kind == "absent":
        return "absent"
    words = f"{image.kind} {image.mode:o} {image.owner}:{image.group} {image.target}\n".encode()
    return hashlib.sha256(words + image.content).hexdigest()
