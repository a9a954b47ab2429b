"""The proofs: from a fresh VPS to a trusted mail relay, and what holds then. In this order, on each release."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wizard.detached import HARDENED

from . import etc_manifest, home, receiver
from .breakages import BREAKAGES, Breakage
from .lab import SECRETS
from .leaks import Watch
from .places import CLIENT, VPS
from .product import OK, WAITING, run_home_script, walk
from .relay import DOMAIN, LOGIN, YOU, failing, tell
from .shell import Result, run

if TYPE_CHECKING:
    from .client import Dialogue
    from .relay import Relay

READER = receiver.READER
# Seconds after which the relay asks home again about an address that was refused: Postfix keeps a "no" for a minute.
FORGETTING = 90
KEYS = r"/etc/dkimkeys /etc/letsencrypt/archive \( -name '*.private' -o -name 'privkey*.pem' \)"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
HOME_LOGIN = ("home", SECRETS["/root/home.password"].strip())


@pytest.fixture
def finished(relay: Relay) -> Relay:
    """The relay after the operator's walk; without it no proof means anything."""
    if not relay.made:
        pytest.fail("there is no finished relay: test_an_operator_makes_a_relay says why", pytrace=False)
    return relay


def test_an_operator_makes_a_relay(relay: Relay) -> None:
    answers = walk(relay.lab)
    with Watch(relay.lab.vps) as relay.watch:
        what, first = next(answers)
        assert first.status == WAITING, f"{what}: wanted exit status 6, DNS is not published yet\n{first.told()}"
        assert first.finished["status"] == "waiting", first.told()
        what, second = next(answers)
    assert second.status == OK, f"{what}: wanted exit status 0\n{second.told()}"
    assert second.finished["status"] == "ok", second.told()
    relay.made = True


# 1


def test_verify_passes(finished: Relay) -> None:
    finished.verifies()


def test_a_second_apply_changes_and_restarts_nothing(finished: Relay) -> None:
    finished.changes_nothing()


def test_every_step_is_verified(finished: Relay) -> None:
    unfinished = {step["id"]: step["status"] for step in finished.product.steps()}
    unfinished = {step: status for step, status in unfinished.items() if status not in {"verified", "skipped"}}
    assert not unfinished, f"wanted every step verified, got {unfinished}"


def test_no_password_shows_in_a_process_or_stays_behind(finished: Relay) -> None:
    watch = finished.watch
    assert watch is not None
    assert watch.looks > 100, "nobody looked"
    assert not watch.seen, f"passwords in the words or the environment of {watch.seen}"
    left = watch.left()
    assert not left, f"passwords are left in {left}"


def test_what_is_private_is_roots_alone(finished: Relay) -> None:
    vps = finished.lab.vps
    state = vps.run("find", "/var/lib/relay-wizard", "/run/relay-wizard", "-printf", "%y %m %u %p\n", check=False).out
    wrong = [line for line in state.splitlines() if not line.startswith(("f 600 root ", "d 700 root ", "s 600 root "))]
    assert "f 600 root /var/lib/relay-wizard/state.sqlite3" in state
    assert not wrong, f"wanted 0600 below 0700, root's\n{wrong}"
    keys = vps.run("sh", "-c", f"find {KEYS} -type f -printf '%m %p\\n'").out.splitlines()
    assert len(keys) >= 3, keys
    open_to_others = [line for line in keys if not line.startswith(("600 ", "400 "))]
    assert not open_to_others, f"private keys that others can read\n{open_to_others}"
    # Somebody without any right, for real.
    for path in ("/var/lib/relay-wizard", *(line.partition(" ")[2] for line in keys)):
        tried = vps.run(*NOBODY, "cat", path, check=False)
        assert "Permission denied" in tried.err, f"nobody can look at {path}\n{tried.told()}"


def test_units_of_ours_and_what_systemd_thinks_of_them(finished: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    """They change the machine in root's name, so that most of a sandbox would be in the way: the numbers are told."""
    vps = finished.lab.vps
    unit = "relay-wizard-run-9999"
    vps.run("systemd-run", f"--unit={unit}", *HARDENED, "--", "sleep", "60")
    try:
        told = vps.run("systemd-analyze", "security", "--no-pager", f"{unit}.service").out
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
        assert level, told
        private = vps.run("systemctl", "show", "-P", "LockPersonality", "-P", "RestrictRealtime", unit).out.split()
    finally:
        vps.run("systemctl", "stop", unit, check=False)
    with capsys.disabled():
        print(f"\n{unit}: systemd-analyze security: {level[1]}")
    assert private == ["yes", "yes"]
    # No unit of ours that stays: what runs by a timer is Debian's own.
    units = vps.run("sh", "-c", "ls /etc/systemd/system | grep relay-wizard", check=False).out
    assert units == "", f"units that stay behind: {units}"


# 2, 3, 4


def test_what_a_login_submits_the_provider_trusts(finished: Relay) -> None:
    finished.carries_mail_out()


def test_what_the_provider_sends_reaches_homes_mailbox(finished: Relay) -> None:
    finished.carries_mail_in()


def test_what_home_sends_the_provider_trusts(finished: Relay) -> None:
    finished.carries_homes_mail()


def test_the_home_folder_leaves_what_home_had_set_up(finished: Relay) -> None:
    machine = finished.lab.home
    before = etc_manifest.take(machine)
    run_home_script(finished.lab)
    changed = etc_manifest.differences(before, etc_manifest.take(machine))
    # Indexed maps may be made anew; what they are made from may not change.
    changed = [line for line in changed if not line.partition(":")[0].endswith((".db", ".lmdb", ".cdb"))]
    assert not changed, f"setup.sh, run again, changed {changed}"
    for name, value in home.OWN_SETTINGS.items():
        got = machine.run("postconf", "-h", name).out.strip()
        assert got == value, f"home's own {name}: wanted {value}, got {got}"


# 5


@pytest.mark.parametrize(
    "recipient",
    [
        "reader@bigmail.example",
        "reader%bigmail.example@brightmail.example",
        "reader%bigmail.example@hearth.example",
        '"reader@bigmail.example"',
        '"reader@bigmail.example"@brightmail.example',
        "@brightmail.example:reader@bigmail.example",
        "bigmail.example!reader@brightmail.example",
        "bigmail.example!reader",
        "reader@bigmail.example@brightmail.example",
        "reader@[203.0.113.25]",
        f"reader%bigmail.example@[{VPS}]",
    ],
)
def test_no_stranger_relays_through_it(finished: Relay, recipient: str) -> None:
    for sender in ("me@stranger.example", YOU, ""):
        said = finished.stranger().say(f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>")
        assert _refused(said), f"{sender!r} -> {recipient!r} on port 25: wanted a refusal\n{said.told()}"


def test_no_login_is_offered_on_port_25(finished: Relay) -> None:
    for starttls in (False, True):
        said = finished.stranger().say("AUTH PLAIN AHlvdQBndWVzcw==", starttls=starttls)
        greetings = [text for command, _, text in said.said if command.startswith("EHLO")]
        assert not [text for text in greetings if "AUTH" in text], f"AUTH is offered on 25\n{said.told()}"
        assert said.code >= 500, f"AUTH on port 25: wanted a refusal\n{said.told()}"


def test_nobody_submits_without_the_right_password(finished: Relay) -> None:
    said = finished.stranger().submit(("you", "guess"), YOU, READER)
    assert said.code == 535, f"a wrong password: wanted 535\n{said.told()}"
    said = finished.stranger().submit(("nobody-here", "guess"), YOU, READER)
    assert said.code == 535, f"an unknown login: wanted 535\n{said.told()}"
    said = finished.stranger().submit(None, YOU, READER)
    assert _refused(said), f"no login at all: wanted a refusal\n{said.told()}"


@pytest.mark.parametrize(
    ("login", "sender"),
    [
        (LOGIN, f"boss@{DOMAIN}"),
        (LOGIN, home.ADDRESS),
        (LOGIN, f"writer@{receiver.DOMAIN}"),
        (HOME_LOGIN, YOU),
        (HOME_LOGIN, f"writer@{receiver.DOMAIN}"),
    ],
)
def test_no_login_sends_as_somebody_else(finished: Relay, login: tuple[str, str], sender: str) -> None:
    said = finished.stranger().submit(login, sender, READER)
    assert any(code == 235 for _, code, _ in said.said), f"login {login[0]}: wanted 235\n{said.told()}"
    assert _refused(said), f"{login[0]} as {sender}: wanted a refusal\n{said.told()}"


def test_old_tls_is_refused_on_465(finished: Relay) -> None:
    versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    got = [finished.stranger().tls_version(version) for version in versions]
    assert got == [None, None, "TLSv1.2", "TLSv1.3"], f"asked for TLS 1.0 to 1.3, one at a time, got {got}"


def test_a_bad_actor_meets_a_wall(finished: Relay) -> None:
    # With its own ports open to everybody else, the wall is the firewall's.
    assert finished.client.connects(25), f"port 25 from {CLIENT}: wanted a connection"
    for port in (25, 465):
        assert not finished.blocked().connects(port), f"port {port} from a blocked address: wanted no connection"
    for port in (22, 80, 587, 8891, 8893):
        assert not finished.client.connects(port), f"port {port} from outside: wanted no connection"


def test_the_admin_comes_in_by_key_alone(finished: Relay) -> None:
    words = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
    *command, target = finished.lab.ssh("boss", 2222)
    entered = run([*command, *words, target, "id -nG"], check=False)
    assert entered.status == 0, f"boss by key on port 2222: wanted a session\n{entered.told()}"
    assert "sudo" in entered.out.split(), f"boss is no admin: {entered.out}"
    asked = run([*command, *words, "-o", "PubkeyAuthentication=no", target, "true"], check=False)
    methods = asked.err.rpartition("(")[2].partition(")")[0].split(",")
    assert asked.status != 0, asked.told()
    assert methods == ["publickey"], f"wanted keys to be all that is taken, got {methods}\n{asked.told()}"


def test_no_mail_user_comes_in_by_ssh(finished: Relay, tmp_path: Path) -> None:
    lab = finished.lab
    ask = tmp_path / "ask"
    ask.write_text('#!/bin/sh\nprintf "%s\\n" "$PASSWORD"\n')
    ask.chmod(0o700)

    def enters(user: str, password: str) -> Result:
        *command, target = lab.ssh(user, 2222)
        words = ["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=5"]
        secret = {
            "SSH_ASKPASS": str(ask),
            "SSH_ASKPASS_REQUIRE": "force",
            "PASSWORD": password,
            "PATH": os.environ["PATH"],
        }
        return run([*command, *words, target, "echo inside"], check=False, env=secret)

    # Even where passwords open the door: an account of the lab's own proves that they do, but no mail user gets in.
    lab.vps.write("/etc/ssh/sshd_config.d/0-lab.conf", "PasswordAuthentication yes\n", 0o600)
    lab.vps.run("useradd", "-m", "-s", "/bin/sh", "control")
    lab.vps.run("chpasswd", stdin="control:door-is-open-5512\n")
    # A restart: after a reload the ports are closed for a moment, and nothing tells when that is over.
    lab.vps.run("systemctl", "restart", "ssh")
    try:
        control = enters("control", "door-is-open-5512")
        assert control.out == "inside\n", f"no password opens the door, so this proves nothing\n{control.told()}"
        for user, password in (LOGIN, HOME_LOGIN):
            tried = enters(user, password)
            assert tried.status != 0, f"{user} comes in with the password for mail"
            assert "inside" not in tried.out
            shell = lab.vps.run("getent", "passwd", user).out.strip().rpartition(":")[2]
            assert shell.endswith("nologin"), f"{user} has the shell {shell}"
    finally:
        lab.vps.run("rm", "/etc/ssh/sshd_config.d/0-lab.conf")
        lab.vps.run("systemctl", "restart", "ssh")
        lab.vps.run("userdel", "-r", "control", check=False)


def test_passwords_are_taken_on_465_alone(finished: Relay) -> None:
    greeted = finished.stranger().submit(None, YOU, READER)
    offered = [text for command, _, text in greeted.said if command.startswith("EHLO") and "AUTH" in text]
    assert offered, f"465 offers no AUTH\n{greeted.told()}"
    listening = finished.lab.vps.run("ss", "-Hltn").out
    outside = {line.split()[3] for line in listening.splitlines() if not re.match(r"127\.|\[::1\]", line.split()[3])}
    ports = {int(address.rpartition(":")[2]) for address in outside}
    assert ports == {25, 465, 2222}, f"wanted 25, 465 and SSH alone, got {sorted(ports)}"


# 6


def test_the_renewed_certificate_is_served_without_a_hands_help(finished: Relay) -> None:
    vps = finished.lab.vps
    timer = vps.run("systemctl", "is-enabled", "certbot.timer", check=False)
    assert timer.out.strip() == "enabled", f"nothing renews by itself: certbot.timer is {timer.out.strip()}"
    before = finished.client.served_certificate()
    # What the timer starts, with all that the unit was given, made to find the certificate old.
    forced = "[Service]\nExecStart=\nExecStart=/usr/bin/certbot -q renew --force-renewal --no-random-sleep-on-renew\n"
    vps.write("/etc/systemd/system/certbot.service.d/zz-lab.conf", forced)
    vps.run("systemctl", "daemon-reload")
    try:
        renewed = vps.run("systemctl", "start", "certbot.service", check=False)
    finally:
        vps.run("rm", "/etc/systemd/system/certbot.service.d/zz-lab.conf")
        vps.run("systemctl", "daemon-reload")
    journal = vps.run("journalctl", "-u", "certbot", "-n", "40", "--no-pager").out
    assert renewed.status == 0, f"renewal failed\n{renewed.told()}\n{journal}"
    after = finished.client.served_certificate()
    assert after["serialNumber"] != before["serialNumber"], f"465 still serves the old certificate\n{journal}"
    assert not finished.client.connects(80), "port 80 is still open after the renewal"


# 7


def test_all_of_it_survives_a_reboot(finished: Relay) -> None:
    finished.lab.vps.reboot()
    finished.verifies()
    finished.changes_nothing()
    finished.carries_mail_out()
    finished.carries_mail_in()
    finished.carries_homes_mail()
    said = finished.stranger().say("MAIL FROM:<me@stranger.example>", f"RCPT TO:<{READER}>")
    assert _refused(said), said.told()
    assert not finished.blocked().connects(465), "the firewall did not come back"


# 8


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.id)
def test_what_breaks_is_named_and_mended(finished: Relay, breakage: Breakage) -> None:
    mend = breakage.break_it(finished)
    mended = False
    try:
        asked = finished.product.verify()
        failed = failing(asked)
        naming = [check for check in failed if breakage.names(check)]
        assert naming, f"wanted a failing check that names it ({breakage.named}), got\n{tell(failed) or asked.told()}"
        assert asked.status == 1, f"wanted exit status 1, got {asked.status}\n{tell(failed)}"
        silent = [check for check in naming if not check["do"]]
        assert not silent, f"a failing check must say what to do\n{tell(silent)}"
        if breakage.mended_by_apply:
            applied = finished.product.apply()
            assert applied.status == OK, f"apply does not mend it\n{applied.told()}"
            mended = True
    finally:
        if not mended:
            mend()
    finished.verifies(patience=0 if mended else FORGETTING)


# 9


def test_rollback_leaves_etc_as_it_was(finished: Relay) -> None:
    lab, product = finished.lab, finished.product
    lab.reset("vps")
    # The program's own environment, and the packages of the plan, stay: so they come before the first look.
    vps = lab.vps
    packages = product.packages()
    assert packages, "the plan of a fresh machine installs no package"
    vps.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    vps.run("apt-get", "-q", "update")
    vps.run("apt-get", "-qy", "--no-install-recommends", "install", *packages, env=quiet)
    vps.run("rm", "/usr/sbin/policy-rc.d")
    before = etc_manifest.take(vps)

    for what, answered in walk(lab):
        assert answered.status in {OK, WAITING}, f"{what}\n{answered.told()}"
    assert etc_manifest.differences(before, etc_manifest.take(vps)), "apply changed nothing in /etc"
    for step in reversed(product.steps()):
        rolled = product.ask("rollback", step["id"])
        assert rolled.status == OK, f"rollback {step['id']}\n{rolled.told()}"
    left = etc_manifest.differences(before, etc_manifest.take(vps))
    assert not left, "not as before:\n" + "\n".join(left)


def _refused(said: Dialogue) -> bool:
    return 500 <= said.code < 600 or said.code == 0
