"""The home server's folder: all that home needs, as files to be read and one script to be run there."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.answers import AnswersError
from wizard.render import render

if TYPE_CHECKING:
    from wizard.fact import Context

EXECUTABLE = 0o755
READABLE = 0o644


def write(context: Context, directory: str | Path) -> tuple[Path, ...]:
    """Write the folder; files of an earlier time are replaced, others in it are left alone.

    No password is written: the script asks for it, or reads a file that the operator brings.

    Returns:
        the files, in the order in which they are read.

    Raises:
        AnswersError: when there is no home server in the answers, or its relay has no address yet.
        OSError: when the folder cannot be written.
    """
    folder = Path(directory)
    contents = files(context)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        path.chmod(EXECUTABLE if name.endswith(".sh") else READABLE)
        written.append(path)
    return tuple(written)


def files(context: Context) -> dict[str, bytes]:
    """The files of the folder by their names."""
    home = context.answers.home
    if home is None:
        raise AnswersError(
            "home: it is missing; answer home.domains and home.address to have a server behind the relay"
        )
    if not context.addresses:
        raise AnswersError("relay.ipv4: it could not be detected; write the relay's public address")
    authorities = _authorities(context)
    variables = {
        "relay": context.hostname,
        "addresses": context.addresses,
        "domains": home.domains,
        "login": home.login,
        "port": home.port,
        "ca": bool(authorities),
        "quoted": {
            "relay": shlex.quote(context.hostname),
            "relay_addresses": shlex.quote(" ".join(context.addresses)),
            "login": shlex.quote(home.login),
            "domains": shlex.quote(" ".join(home.domains)),
        },
    }
    found = {
        "README.md": render("home/README.md.j2", **variables).encode(),
        "setup.sh": render("home/setup.sh.j2", **variables).encode(),
        "dns-records.txt": _records(context).encode(),
    }
    return {**found, "ca.pem": authorities} if authorities else found


def _authorities(context: Context) -> bytes:
    """The CA file that the answers name: a relay with a private authority is unknown to home's own list."""
    path = context.answers.certbot.ca_bundle
    if not path:
        return b""
    data = context.host.read(path)
    if data is None:
        raise AnswersError(f"certbot.ca_bundle: there is no file {path}")
    return data


def _records(context: Context) -> str:
    """The records of home's domains: for the form of a registrar, and as lines of a zone file."""
    from wizard import records

    domains = context.answers.home_domains
    mine = [record for record in records.sheet(context) if record.subject in domains and record.kind != "report"]
    return f"{records.as_table(mine)}\n\nThe same as lines of a zone file:\n\n{records.as_zone(mine)}"
