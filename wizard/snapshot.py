"""Images of paths: taken before a change, put back by rollback."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from state.image import Image, fingerprint

if TYPE_CHECKING:
    from state.store import Store
    from wizard.host import Host

__all__ = ["difference", "fingerprint", "note_what_stayed", "put_back", "take"]


def take(host: Host, path: str) -> Image:
    """The path as it is now, with the folders above it that are not there yet."""
    found = host.stat(path)
    if found is None:
        return Image(path, "absent", parents=_missing_parents(host, path))
    content = host.read(path, follow=False) or b"" if found.kind == "file" else b""
    return Image(path, found.kind, content, found.mode, found.owner, found.group, found.target)


def difference(path: str, before: bytes | None, after: Image, *others: Image) -> str:
    """What leads from bytes (None: nothing there) to an image, for people to read.

    Bytes that not everybody may read on this machine are not shown; those of `others` are about the same path.
    """
    from wizard.operations.files import unified

    if any(image.kind == "file" and not image.mode & 0o004 for image in (after, *others)):
        return f"{path}: not for everybody to read, so it is not shown\n"
    text = unified(before, None if after.kind == "absent" else after.content, path)
    return text or f"{path}: the same bytes, {after.kind}, {after.mode:04o} {after.owner}:{after.group}\n"


def note_what_stayed(store: Store, host: Host) -> None:
    """What a killed run left of the change that it was making is taken for what that change has made.

    Whatever is there differently later was then done by somebody else, and is not overwritten by rollback. Where the
    change was known to the last byte, other bytes are somebody's already.
    """
    for change in store.changes():
        if change.state != "intended":
            continue
        for entry in change.snapshots:
            if entry.after_print is None:
                now = take(host, entry.before.path)
                known = change.record.get("leaves", {}).get(now.path)
                ours = known is None or fingerprint(now) in {known, entry.before_print}
                store.settle(change.id, "intended", [(now, fingerprint(now) if ours else known)])


def put_back(host: Host, image: Image) -> None:
    """Make the path what the image says; folders that a change had to make go too, when they are empty."""
    match image.kind:
        case "absent":
            _remove(host, image)
        case "file":
            host.write(image.path, image.content, mode=image.mode, owner=image.owner, group=image.group)
        case "directory":
            host.make_directory(image.path, mode=image.mode, owner=image.owner, group=image.group)
        case "symlink":
            host.symlink(image.path, image.target)


def _remove(host: Host, image: Image) -> None:
    for path in (image.path, *reversed(image.parents)):
        found = host.stat(path)
        if found is not None and (found.kind != "directory" or not host.list(path)):
            host.remove(path)


def _missing_parents(host: Host, path: str) -> tuple[str, ...]:
    missing = [str(parent) for parent in PurePosixPath(path).parents if host.stat(str(parent)) is None]
    return tuple(reversed(missing))
