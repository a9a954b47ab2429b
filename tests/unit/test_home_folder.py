"""Home's folder is handed out to whoever can log in and fetch it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fake_sshd import ANSWERS, KEY, SESSION, Machine
from wizard import home_folder
from wizard.answers import Home, Ssh
from wizard.fact import Context, Facts
from wizard.host import Listener, SshSession

V6 = replace(SESSION, server="2001:db8::10")


@pytest.mark.parametrize(
    ("ports", "session", "root_login", "folder", "command"),
    [
        # The port is moved by the step ssh; before that it is the old one.
        ((22,), SESSION, "yes", "/root", "scp -P 22 -r root@192.0.2.10:relay-wizard-home ."),
        ((22, 2222), SESSION, "yes", "/root", "scp -P 2222 -r root@192.0.2.10:relay-wizard-home ."),
        # What lies in /root could not be fetched where root may not log in.
        ((2222,), SESSION, "no", "/home/boss", "scp -P 2222 -r boss@192.0.2.10:relay-wizard-home ."),
        ((2222,), V6, "no", "/home/boss", "scp -P 2222 -r boss@[2001:db8::10]:relay-wizard-home ."),
        ((2222,), None, "no", "/home/boss", "scp -P 2222 -r boss@192.0.2.10:relay-wizard-home ."),
    ],
)
def test_the_line_that_fetches_it_works_as_it_stands(
    *, ports: tuple[int, ...], session: SshSession | None, root_login: str, folder: str, command: str
) -> None:
    host = Machine()
    host.listening = tuple(Listener("0.0.0.0", port, "sshd") for port in ports)
    host.put("/etc/group", "root:x:0:\nsudo:x:27:boss\nboss:x:1000:\n")
    host.put("/root/.ssh/authorized_keys", KEY)
    host.put("/home/boss/.ssh/authorized_keys", KEY, owner="boss")
    home = Home(domains=("hearth.example",), address="198.51.100.80")
    relay = replace(ANSWERS.relay, ipv4="192.0.2.10")
    answers = replace(ANSWERS, relay=relay, home=home, ssh=Ssh(port=2222, permit_root_login=root_login))
    fetch = home_folder.hand_out(Context(host, answers, Facts(host)), host, session)
    assert fetch == home_folder.Fetch(f"{folder}/relay-wizard-home", command)
    owner = folder.rpartition("/")[2]
    made = host.files[fetch.folder]
    assert (made.kind, made.mode, made.owner, made.group) == ("directory", 0o700, owner, owner)
    script = host.files[f"{fetch.folder}/setup.sh"]
    assert (script.mode, script.owner, script.group) == (0o755, owner, owner)
    assert "password" in host.text(f"{fetch.folder}/README.md")
