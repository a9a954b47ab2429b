"""The home server's folder: all that home needs, as files to be read and one script to be run there."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.answers import AnswersError
from wizard.render import render

if TYPE_CHECKING:
    from wizard.fact import Context
    from wizard.host import Host, SshSession

NAME = "relay-wizard-home"


@dataclass(frozen=True)
class Fetch:
    """Where the folder lies, and the line with which it is fetched from there."""

    folder: str
    command: str


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
        path.chmod(_mode(name))
        written.append(path)
    return tuple(written)


@dataclass(frozen=True)
class Taker:
    """Who can log in by SSH, be it root or not, and fetch what is saved for them: in their home, as theirs."""

    user: str
    group: str
    home: str
    place: str


def taker(context: Context, hand: Host, session: SshSession | None) -> Taker:
    """Whoever that is on this machine, and the address where they come in; arguments as of `hand_out`."""
    from wizard.guard import login_of
    from wizard.operations.users import home_of, primary_group

    user, place = login_of(context, session)
    return Taker(user, primary_group(hand, user), home_of(hand, user), place)


def hand_out(context: Context, hand: Host, session: SshSession | None) -> Fetch:
    """Write the folder where it can be fetched.

    Args:
        context: answers and facts.
        hand: the machine, to be changed.
        session: the operator's SSH session.

    Raises:
        AnswersError: as `write` does.
        HostError: when the folder cannot be written.
    """
    from wizard.operations.ssh import listening_ports, ports_in_use

    contents = files(context)
    to = taker(context, hand, session)
    folder = f"{to.home}/{NAME}"
    hand.make_directory(folder, mode=0o700, owner=to.user, group=to.group)
    for name, content in contents.items():
        hand.write(f"{folder}/{name}", content, mode=_mode(name), owner=to.user, group=to.group)
    # Where sshd answers now: the port of the answers is its own only when the step ssh has been applied.
    ports = listening_ports(hand) or ports_in_use(hand)
    port = context.answers.ssh.port if context.answers.ssh.port in ports else ports[0]
    where = f"[{to.place}]" if ":" in to.place else to.place
    return Fetch(folder, f"scp -P {port} -r {shlex.quote(to.user)}@{where}:{NAME} .")


def _mode(name: str) -> int:
    return 0o755 if name.endswith(".sh") else 0o644


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
