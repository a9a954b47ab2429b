"""The wizard over a real SSH connection, typed as an operator would: from the first screen to a verified relay.

The connection is cut once while packages are installed, and once while DNS is waited for.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

from tests.terminal.pseudo import Terminal

from . import lab as labs
from .certifier import bundle
from .client import Client
from .lab import PROGRAM, SECRETS, Lab
from .leaks import Watch
from .operator import Operator
from .product import HOME_FOLDER, HOME_PASSWORD, Product, publish, run_home_script
from .relay import LOGIN, MAIL_HOST, Relay
from .shell import LabError

# What an operator on the real Internet never has to say: where the lab's resolver, authority and mail servers are.
ABOUT_THE_LAB = """\
[certbot]
server = "https://acme.certifier.example:14000/dir"
ca_bundle = "/root/acme-ca.pem"
[dns]
resolvers = ["203.0.113.55"]
[reputation]
blocklists = ["bl.blocklist.example"]
[probe]
smtp = ["mx.bigmail.example", "mx2.bigmail.example"]
[monitors]
logwatch = false
logcheck = false
logwatcher = false
"""
NEW_PORT = 2222
UP, DOWN, ESC, TAB, ENTER = "\x1b[A", "\x1b[B", "\x1b", "\t", "\r"


@pytest.fixture
def fresh(release: str) -> Iterator[Lab]:
    """A lab of its own, in which nobody has done anything yet."""
    made = Lab(f"ssh-{os.getpid()}", release)
    try:
        made.up()
        made.vps.write("/root/lab.toml", ABOUT_THE_LAB)
        yield made
    except LabError as error:
        pytest.fail(f"THE LAB DID NOT RUN: {error}", pytrace=False)
    finally:
        if not os.environ.get("RELAY_WIZARD_LAB_KEEP"):
            labs.down(made.id)


def connect(lab: Lab, *arguments: str, user: str = "root", port: int = 22) -> Terminal:
    """An SSH session with a terminal of 80x24, in which the wizard is started."""
    settings = [f"{name}={value}" for name, value in lab.vps.environment.items()]
    # sudo, as an administrator would; root's own session needs none.
    become = ["sudo"] if user != "root" else []
    return Terminal([*lab.ssh(user, port), "-tt", *become, "env", *settings, f"{PROGRAM}/relay-wizard", *arguments])


def open_step(terminal: Terminal, title: str) -> None:
    """Walk down the checklist to a step, by arrows, and open it."""
    terminal.press(ESC, "\x1b[H")
    for _ in range(40):
        if pointed_at(terminal, title):
            break
        terminal.press(DOWN)
    terminal.press(ENTER)
    terminal.shows(f"─ {title} ─")


def pointed_at(terminal: Terminal, title: str) -> bool:
    """Whether the pointer of the checklist stands at a step."""
    return any(line.startswith("│\u203a") and title in line[:34] for line in terminal.picture.text.splitlines())


def begin(terminal: Terminal) -> None:
    """Read the first screen, and answer what the checklist asks."""
    terminal.shows("Mail can leave this server", 240)
    terminal.press(ENTER)
    terminal.shows("Checklist")
    open_step(terminal, "Host name")
    terminal.press("brightmail.example", ENTER)
    terminal.shows("mail.brightmail.example")
    open_step(terminal, "Users")
    terminal.press(ENTER, "boss")
    terminal.shows("ssh-ed25519")
    terminal.press("\x13")
    terminal.shows("admin, 1 SSH key")
    terminal.press("\x1b[F", ENTER, LOGIN[0], TAB, TAB, TAB, LOGIN[1], TAB, LOGIN[1])
    terminal.press("\x13")
    terminal.shows("mail, password typed")
    open_step(terminal, "The way home")
    terminal.press("hearth.example", TAB, "198.51.100.80")
    open_step(terminal, "Home server")
    password = SECRETS[HOME_PASSWORD].strip()
    terminal.press(TAB, password, TAB, password, ESC)


def cut(terminal: Terminal) -> None:
    """Lose the connection: nobody says goodbye."""
    terminal.hang_up()
    subprocess.run(["kill", "-KILL", str(terminal.pid)], check=False)
    os.waitpid(terminal.pid, 0)
    terminal.status = -9
    terminal.fd = os.open(os.devnull, os.O_RDWR)


def until_the_run_ends(terminal: Terminal, lab: Lab, words: str, patience: float) -> None:
    """Watch a run on the screen; what it said is told when it ends otherwise."""
    try:
        terminal.shows(words, patience)
    except AssertionError as error:
        told = lab.vps.run(f"{PROGRAM}/relay-wizard", "attach", check=False).out
        raise AssertionError(f"{error}\n{told[-6000:]}") from error


def carry_the_folder_home(lab: Lab, line: str) -> None:
    """Fetch what the wizard saved by the line that it showed, carry it to the server at home, run its script there."""
    with tempfile.TemporaryDirectory() as here:
        scp, *words = shlex.split(line)
        subprocess.run([*lab.from_outside(scp), *words], cwd=here, check=True, timeout=60)
        folder = f"{here}/relay-wizard-home"
        packed = subprocess.run(["tar", "-C", folder, "-cf", "-", "."], capture_output=True, check=True)
    lab.home.run("mkdir", "-p", HOME_FOLDER)
    lab.home.run("tar", "-C", HOME_FOLDER, "-xf", "-", stdin=packed.stdout)
    lab.home.write(HOME_PASSWORD, SECRETS[HOME_PASSWORD], 0o600)
    run_home_script(lab)


def test_an_operator_makes_a_relay_on_the_screen(fresh: Lab) -> None:
    with Watch(fresh.vps) as watch:
        make_it(fresh)
    assert not watch.seen, f"passwords that were typed, in the words or the environment of {watch.seen}"
    left = watch.left()
    assert not left, f"passwords that were typed are left in {left}"

    relay = Relay(
        fresh, Product(fresh), Operator(fresh.id), Client(fresh.id, MAIL_HOST, bundle(fresh.world)), made=True
    )
    relay.carries_mail_out()
    relay.carries_mail_in()
    relay.carries_homes_mail()


def make_it(fresh: Lab) -> None:
    """All that the operator types, from the first screen to the last."""
    with connect(fresh, "--answers", "/root/lab.toml") as first:
        begin(first)
        first.press("A")
        first.shows("Apply all that is left?")
        first.press("y")
        first.shows("run 1  [", 60)
        time.sleep(6)
        first.read()
        # Once while it works.
        cut(first)

    # The old port stays open until the new one is proved: the screen says how, and a second terminal does it.
    with connect(fresh) as second:
        second.shows("Checklist", 60)
        until_the_run_ends(second, fresh, f"ssh -p {NEW_PORT} root@", 300)
        assert _answers(fresh, NEW_PORT)
        second.shows("Your new way in works", 60)
        until_the_run_ends(second, fresh, "waiting for DNS", 300)
        second.press("h")
        second.shows("setup.sh")
        second.press("s")
        second.shows("Saved. c copies the line that fetches it.")
        line = re.search(r"scp -P \d+ -r \S+ \.", second.picture.text)
        second.press(ESC, "r")
        second.shows("missing", 60)
        # Once while DNS is waited for.
        cut(second)

    publish(fresh)
    assert line is not None
    carry_the_folder_home(fresh, line[0])
    with connect(fresh, user="boss", port=NEW_PORT) as third:
        # Nobody asks it to: the run has waited, and has kept the passwords that were typed in the first session.
        third.shows("run 1", 60)
        until_the_run_ends(third, fresh, "Done and verified", 400)
        third.press(ESC, "n")
        third.shows("Everything is done")
        third.press("q")
        assert third.wait(10) == 0


def _answers(lab: Lab, port: int) -> bool:
    return subprocess.run([*lab.ssh(port=port), "true"], check=False, capture_output=True, timeout=30).returncode == 0
