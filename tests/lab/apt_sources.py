"""Where Debian packages come from: this machine's own apt sources, for any release.

No file of the project names a mirror; what works for the machine works for the lab.
"""

from __future__ import annotations

import re
from pathlib import Path

from .shell import LabError

APT = Path("/etc/apt")


def of_release(release: str) -> str:
    """The machine's Debian sources as deb822 text, rewritten for another release."""
    own = _own_codename()
    stanzas = [_for_release(stanza, own, release) for stanza in _stanzas(own)]
    if not stanzas:
        raise LabError(f"no apt source of this machine ({APT}/sources.list*) speaks of its own release, {own}")
    return "\n".join(stanzas)


def _own_codename() -> str:
    found = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    if not found:
        raise LabError("/etc/os-release has no VERSION_CODENAME: the lab runs on Debian")
    return found[1].strip('"')


def _stanzas(own: str) -> list[str]:
    """Every source that offers a suite of the machine's own release, as deb822."""
    found: list[str] = []
    for path in sorted((APT / "sources.list.d").glob("*.sources")):
        text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
        found += [part for part in re.split(r"\n\s*\n", text) if re.search(rf"(?m)^Suites:.*\b{own}\b", part)]
    one_line = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*.list"))]
    for path in one_line:
        if path.exists():
            found += [_deb822(line) for line in path.read_text().splitlines() if re.match(rf"deb\s.*\s{own}", line)]
    return found


def _deb822(line: str) -> str:
    options = re.search(r"\[(.*?)\]", line)
    uri, suite, *components = re.sub(r"\[.*?\]", "", line).split()[1:]
    text = f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {' '.join(components)}\n"
    signed = re.search(r"signed-by=(\S+)", options[1]) if options else None
    return text + f"Signed-By: {signed[1] if signed else '/usr/share/keyrings/debian-archive-keyring.gpg'}\n"


def _for_release(stanza: str, own: str, release: str) -> str:
    lines = [
        line.replace(own, release) if line.startswith("Suites:") else line
        for line in stanza.strip().splitlines()
        if not line.startswith("#")
    ]
    return "\n".join(lines) + "\n"
