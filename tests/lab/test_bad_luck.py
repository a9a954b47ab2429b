"""Bad input and bad luck on a bare VPS: a clear message, the right exit status, nothing half-done, and a way on.

From the very first start, on a machine that has neither our libraries nor Python's venv, to an engine that is killed.
One VPS for all of it, in this order: what a case breaks it mends, and after each the store still opens and no
temporary file is left.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import lab as labs
from . import network
from .lab import PROGRAM, Lab
from .places import LINKS
from .product import (
    ANSWERS,
    CHECK_FAILS,
    LOCKED,
    OK,
    OPERATION_FAILED,
    UNPROVED,
    UNSUPPORTED,
    USAGE,
    WAITING,
    Asked,
)
from .shell import LabError, Result, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .machine import Machine

# A checkout where everybody may look at it: /root is root's alone.
CHECKOUT = "/opt/relay-wizard"
LAUNCHER = f"{CHECKOUT}/relay-wizard"
POLICY = "/usr/sbin/policy-rc.d"
# As the Host, and Python's tempfile, name what is on its way into place.
TEMPORARY = re.compile(r"\.relay-wizard$|^\..+\.[a-z0-9_]{8}$")
NOT_OURS = re.compile(r"^(run|proc|sys|tmp|var/log/journal|var/lib/systemd|etc/machine-id|root/\.ssh)")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
# Holds a port or a lock until its standard input closes, so that nothing outlives a test.
HOLD_PORT = "import socket,sys; s=socket.create_server(('0.0.0.0',{})); print('held',flush=True); sys.stdin.read()"
HOLD_LOCK = "import fcntl,sys; f=open('{}','w'); fcntl.lockf(f,2); print('held',flush=True); sys.stdin.read()"

WRONG_CLOCK = """
import datetime
from wizard.host import LocalHost
right = LocalHost.now
LocalHost.now = lambda self: right(self) + datetime.timedelta(days={})
"""


@dataclass(frozen=True)
class Luck:
    """The VPS that everything happens to."""

    lab: Lab

    @property
    def vps(self) -> Machine:
        """The machine."""
        return self.lab.vps

    def ask(self, *arguments: str, timeout: float = 120) -> Result:
        """Run the program as root does, in words."""
        return self.vps.run(LAUNCHER, *arguments, check=False, timeout=timeout)

    def apply(self, *steps: str, timeout: float = 120) -> Asked:
        """Apply steps with the lab's answers."""
        argv = [LAUNCHER, "apply", *steps, "--answers", ANSWERS, *UNPROVED, "--json"]
        return Asked(self.vps.run(*argv, check=False, timeout=timeout))

    def steps(self) -> dict[str, str]:
        """The status of each step, by the store."""
        asked = Asked(self.ask("steps", "--json"))
        assert asked.status == OK, f"the store does not open:\n{asked.told()}"
        return {step["id"]: step["status"] for step in asked.data}

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the program and do not wait for it."""
        argv = self.vps.argv([LAUNCHER, *arguments])
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    @contextmanager
    def holding(self, program: str) -> Iterator[subprocess.Popen[bytes]]:
        """Somebody in the VPS holds something, until the end or until his standard input is closed."""
        holder = subprocess.Popen(
            self.vps.argv(["python3", "-c", program]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"held\n"
            yield holder
        finally:
            holder.stdin.close()
            holder.wait(timeout=10)

    @contextmanager
    def full_disk(self, path: str, size: str, *, fill: bool = True) -> Iterator[None]:
        """A small disk stands at `path`, and is full."""
        self.vps.run("mkdir", "-p", path)
        self.vps.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "full", path)
        try:
            if fill:
                self.vps.run("sh", "-c", f"cat /dev/zero > {path}/.filler 2>/dev/null", check=False)
            yield
        finally:
            self.vps.run("umount", path)

    @contextmanager
    def in_place_of(self, path: str, content: str) -> Iterator[None]:
        """A file says something else for a while."""
        self.vps.write("/var/tmp/instead", content)
        self.vps.run("mount", "--bind", "/var/tmp/instead", path)
        try:
            yield
        finally:
            self.vps.run("umount", path)
            self.vps.run("rm", "/var/tmp/instead")

    @contextmanager
    def read_only(self, path: str) -> Iterator[None]:
        """Nobody can write below `path`, as after a disk error."""
        self.vps.run("mount", "--bind", path, path)
        self.vps.run("mount", "-o", "remount,bind,ro", path)
        try:
            yield
        finally:
            self.vps.run("umount", path)

    @contextmanager
    def clock_off(self, days: int) -> Iterator[None]:
        """The program takes the time for another: the clock itself is that of the machine around the lab."""
        (libraries,) = self.vps.root.glob(f"{CHECKOUT.lstrip('/')}/.venv/lib/python3.*/site-packages")
        (libraries / "wrong_clock.py").write_text(WRONG_CLOCK.format(days))
        (libraries / "zz-wrong-clock.pth").write_text("import wrong_clock\n")
        try:
            yield
        finally:
            (libraries / "wrong_clock.py").unlink()
            (libraries / "zz-wrong-clock.pth").unlink()

    @contextmanager
    def file(self, path: str, content: str) -> Iterator[None]:
        """The operator has put a file somewhere, for a while; systemd is told."""
        self.vps.write(path, content)
        self.vps.run("systemctl", "daemon-reload")
        try:
            yield
        finally:
            self.vps.run("rm", path)
            self.vps.run("systemctl", "daemon-reload")

    @contextmanager
    def lost_on_the_way(self, *rules: str) -> Iterator[None]:
        """Packets of these kinds go into the network and are never seen again."""
        inet = network.namespace(self.lab.id, "inet")
        chain = "type filter hook forward priority 0"
        table = "\n".join(["table inet luck {", "chain lost {", chain, *rules, "}", "}", ""])
        run(["ip", "netns", "exec", inet, "nft", "-f", "-"], stdin=table)
        try:
            yield
        finally:
            run(["ip", "netns", "exec", inet, "nft", "delete", "table", "inet", "luck"])

    def changed_files(self) -> dict[str, tuple[float, int]]:
        """All that differs from the bare image, with time and size."""
        upper = self.vps.folder / "upper"
        found = {}
        for folder, _, names in os.walk(upper):
            for name in names:
                path = Path(folder) / name
                if not NOT_OURS.match(inside := str(path.relative_to(upper))):
                    state = path.lstat()
                    found[f"/{inside}"] = (state.st_mtime, state.st_size)
        return found


@pytest.fixture(scope="module")
def luck(release: str) -> Iterator[Luck]:
    """A bare VPS with the checkout, and the world for its preflight."""
    name = f"luck-{os.getpid()}"
    lab = Lab(name, release, ("world", "vps"))
    try:
        lab.up()
        lab.vps.run("cp", "-a", PROGRAM, CHECKOUT)
        yield Luck(lab)
    except LabError as error:
        pytest.fail(f"THE LAB DID NOT RUN: {error}", pytrace=False)
    finally:
        if not os.environ.get("RELAY_WIZARD_LAB_KEEP"):
            labs.down(name)


@pytest.fixture(autouse=True)
def nothing_half_done(luck: Luck) -> Iterator[None]:
    """After each case: no temporary file, no candidate, no policy-rc.d; the store opens, whole."""
    yield
    leftovers = [path for path in luck.changed_files() if TEMPORARY.search(path.rpartition("/")[2])]
    assert not leftovers, f"wanted no half-written file, found {leftovers}"
    left = luck.vps.run("sh", "-c", f"ls -d /run/relay-wizard/* {POLICY} 2>/dev/null", check=False).out
    assert not left, f"wanted nothing left behind, found {left}"
    if (luck.vps.root / CHECKOUT.lstrip("/") / ".venv/installed-from").exists():
        assert luck.steps()
        look = "import sqlite3; print(sqlite3.connect('/var/lib/relay-wizard/state.sqlite3').execute('{}').fetchone())"
        if (luck.vps.root / "var/lib/relay-wizard/state.sqlite3").exists():
            judged = luck.vps.run("python3", "-c", look.format("PRAGMA integrity_check")).out
            assert judged == "('ok',)\n", f"the store is damaged: {judged}"


def failure(asked: Asked) -> dict[str, Any]:
    """What the first step that failed says, in the words that everybody reads: asked, got, do."""
    told = [event for event in asked.events if event["event"] == "step.failed"]
    assert told, f"wanted a step to say why it failed\n{asked.told()}"
    assert all(told[0][word] for word in ("asked", "got", "do")), f"wanted asked, got and do\n{asked.told()}"
    return told[0]


def complaints(asked: Asked) -> dict[str, dict[str, Any]]:
    """The checks that fail, by id, each with what to do."""
    checks = [event for event in asked.events if event["event"] == "check.finished" and event["status"] == "fail"]
    assert all(check[word] for check in checks for word in ("asked", "got", "want", "do")), asked.told()
    return {check["id"]: check for check in checks}


def refused(result: Result, status: int, *words: str) -> None:
    """The program said no with `status`, in one line on standard error that has all of `words`, and no traceback."""
    assert result.status == status, f"wanted exit status {status}\n{result.told()}"
    for word in words:
        assert word in result.err, f"wanted {word!r} in the message\n{result.told()}"
    assert "Traceback" not in result.err + result.out, result.told()
    assert not result.out, f"wanted nothing on standard output\n{result.told()}"


# The first start


def test_the_launcher_says_that_venv_is_missing_and_cannot_be_had(luck: Luck) -> None:
    with luck.in_place_of("/etc/apt/sources.list", "deb http://127.0.0.1:9/debian stable main\n"):
        result = luck.ask("steps")
    refused(result, OPERATION_FAILED, "python3-venv", "apt-get update")
    assert not (luck.vps.root / "opt/relay-wizard/.venv").exists()


def test_the_launcher_sends_a_user_who_may_not_write_there_to_root(luck: Luck) -> None:
    result = luck.vps.run(*NOBODY, LAUNCHER, "steps", check=False)
    refused(result, UNSUPPORTED, "root", "sudo")


@pytest.mark.parametrize(
    "settings",
    [
        {"PIP_FIND_LINKS": "/srv/nowhere"},
        {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"},
    ],
    ids=["no folder of wheels", "no index"],
)
def test_the_launcher_says_what_to_do_without_libraries(luck: Luck, settings: dict[str, str]) -> None:
    result = luck.vps.run(LAUNCHER, "steps", check=False, env=settings)
    refused(result, OPERATION_FAILED, "PIP_FIND_LINKS", "start it again")
    assert not (luck.vps.root / "opt/relay-wizard/.venv").exists()


def test_a_killed_first_start_is_made_up_for_by_the_next(luck: Luck) -> None:
    started = luck.begin("steps", "--json")
    made = luck.vps.root / "opt/relay-wizard/.venv/bin/pip"
    assert not made.exists()
    deadline = time.monotonic() + 60
    while not made.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    luck.vps.run("pkill", "-KILL", "-f", CHECKOUT)
    luck.vps.run("ln", "-s", LAUNCHER, "/usr/local/bin/relay-wizard")
    started.wait(timeout=10)
    assert made.exists()
    result = first_start(luck)
    assert result.status == OK, result.told()
    assert json.loads(result.out), "wanted data alone on standard output"


def test_the_first_start_leaves_nothing_else(luck: Luck) -> None:
    before = luck.changed_files()
    luck.vps.run("rm", "-rf", f"{CHECKOUT}/.venv")
    result = first_start(luck)
    assert "preparing" in result.err, result.told()
    new = [path for path, state in luck.changed_files().items() if before.get(path) != state]
    outside = [path for path in new if not path.startswith(CHECKOUT)]
    assert not outside, f"wanted nothing outside its folder, found {outside}"


def first_start(luck: Luck) -> Result:
    """By a symlink, from another folder."""
    return luck.vps.run("sh", "-c", "cd /usr/share && relay-wizard steps --json", check=False)


def test_later_starts_take_no_time(luck: Luck) -> None:
    took = []
    # The quickest of some: the machine has other work as well.
    for _ in range(5):
        begun = time.monotonic()
        result = luck.vps.run("sh", "-c", "cd / && relay-wizard steps --json")
        took.append(time.monotonic() - begun)
        assert not result.err
    assert min(took) < 1, took


def test_nothing_is_imported_from_where_the_operator_stands(luck: Luck) -> None:
    luck.vps.write("/var/tmp/trap/wizard/__init__.py", "raise SystemExit('trapped')\n")
    luck.vps.write("/var/tmp/trap/argparse.py", "raise SystemExit('trapped')\n")
    result = luck.vps.run("sh", "-c", "cd /var/tmp/trap && relay-wizard steps --json", check=False)
    assert result.status == OK, result.told()


# What the operator types


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hostname =", "hostnmae =", ["relay.hostnmae", "did you mean relay.hostname?"]),
        ("[relay]", "[realy]", ["realy", "did you mean relay?"]),
        ('domain = "brightmail.example"', 'domain = "bright mail;reboot"', ["relay.domain", "bright mail;reboot"]),
        ("port = 2222", "port = 222222", ["ssh.port", "222222"]),
        ("schema = 1", "schema = [", ["not TOML", "line"]),
        ("schema = 1", "schema = 9", ["schema", "want 1"]),
    ],
    ids=["unknown key", "unknown table", "bad domain", "bad port", "not TOML", "of another schema"],
)
def test_wrong_answers_are_named(luck: Luck, old: str, new: str, words: list[str]) -> None:
    text = luck.vps.read(ANSWERS)
    assert old in text
    luck.vps.write("/root/wrong.toml", text.replace(old, new, 1), 0o600)
    refused(luck.ask("apply", "--answers", "/root/wrong.toml", "--yes"), USAGE, "/root/wrong.toml", *words)


@pytest.mark.parametrize(("path", "word"), [("/root/none.toml", "No such file"), ("/root", "directory")])
def test_an_answers_file_that_cannot_be_read(luck: Luck, path: str, word: str) -> None:
    refused(luck.ask("apply", "--answers", path, "--yes"), USAGE, path, word)


def test_a_password_that_others_can_read_is_not_used(luck: Luck) -> None:
    luck.vps.run("chmod", "0644", "/root/you.password")
    result = luck.ask("apply", "--answers", ANSWERS, *UNPROVED)
    luck.vps.run("chmod", "0600", "/root/you.password")
    refused(result, USAGE, "/root/you.password", "0644", "chmod 0600")


def test_nothing_is_applied_unasked(luck: Luck) -> None:
    refused(luck.ask("apply", "--answers", ANSWERS), USAGE, "no terminal", "--yes")


def test_missing_answers_are_asked_for(luck: Luck) -> None:
    result = luck.ask("apply", "hostname", "--yes", "--state", "/root/other-state")
    refused(result, USAGE, "relay.domain", "--answers")


def test_an_unknown_step_names_the_nearest(luck: Luck) -> None:
    refused(luck.ask("apply", "postfx", "--yes"), USAGE, "did you mean postfix?")


# A machine that is not to be changed


def test_nobody_but_root_changes_anything(luck: Luck) -> None:
    for command in (["apply", "--yes"], ["plan"], ["verify"], ["rollback", "ssh"]):
        refused(luck.vps.run(*NOBODY, LAUNCHER, *command, check=False), UNSUPPORTED, "root", "sudo")


def test_another_system_is_refused(luck: Luck) -> None:
    other = 'ID=plan9\nPRETTY_NAME="Plan 9 from Bell Labs"\nVERSION_ID=4\n'
    with luck.in_place_of("/usr/lib/os-release", other):
        refused(luck.ask("apply", "--yes"), UNSUPPORTED, "Plan 9 from Bell Labs", "Debian 12 or 13")


def test_a_release_without_security_updates_goes_no_further(luck: Luck) -> None:
    old = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 10 (buster)"\nVERSION_ID="10"\n'
    with luck.in_place_of("/usr/lib/os-release", old):
        asked = luck.apply("preflight")
    assert asked.status == CHECK_FAILS, asked.told()
    assert "Debian 12 or 13" in complaints(asked)["preflight.system"]["do"]


def test_a_machine_without_systemd_is_refused(luck: Luck) -> None:
    result = luck.vps.run("unshare", "-p", "-f", "--mount-proc", LAUNCHER, "apply", "--yes", check=False)
    refused(result, UNSUPPORTED, "process 1", "not systemd")


# The network


def test_without_a_network_preflight_says_so_at_once(luck: Luck) -> None:
    begun = time.monotonic()
    with no_network(luck):
        asked = luck.apply("preflight")
    assert time.monotonic() - begun < 30
    assert asked.status == CHECK_FAILS, asked.told()
    assert "ip -4 route" in complaints(asked)["preflight.port_25_out"]["do"]


@contextmanager
def no_network(luck: Luck) -> Iterator[None]:
    """The VPS has neither addresses nor routes."""
    cable = ["ip", "-n", network.namespace(luck.lab.id, "vps")]
    link = LINKS["vps"]
    run([*cable, "link", "set", "eth0", "down"])
    try:
        yield
    finally:
        run([*cable, "link", "set", "eth0", "up"])
        run([*cable, "route", "replace", "default", "via", link.ipv4_router])
        run([*cable, "-6", "addr", "replace", f"{link.ipv6[0]}/64", "dev", "eth0", "nodad"])
        run([*cable, "-6", "route", "replace", "default", "via", link.ipv6_router])


def test_a_provider_that_blocks_port_25_gets_a_ticket(luck: Luck) -> None:
    with luck.lost_on_the_way("tcp dport 25 drop"):
        asked = luck.apply("preflight")
    assert asked.status == WAITING, asked.told()
    told = complaints(asked)
    assert set(told) == {"preflight.port_25_out", "preflight.port_25_out_ipv6"}
    assert "Please open outbound TCP port 25 for 192.0.2.10" in told["preflight.port_25_out"]["do"]


def test_a_resolver_that_is_silent_costs_seconds_not_minutes(luck: Luck) -> None:
    begun = time.monotonic()
    with luck.lost_on_the_way("udp dport 53 drop", "tcp dport 53 drop"):
        asked = luck.apply("preflight")
    assert time.monotonic() - begun < 90, f"took {time.monotonic() - begun:.0f} s"
    assert asked.status == CHECK_FAILS, asked.told()
    told = complaints(asked)
    assert "TIMEOUT" in told["preflight.resolver"]["got"]
    assert "/etc/resolv.conf" in told["preflight.resolver"]["do"]


def test_dead_name_servers_are_named_and_the_sheet_is_printed_all_the_same(luck: Luck) -> None:
    begun = time.monotonic()
    with luck.lost_on_the_way("udp dport 53 drop", "tcp dport 53 drop"):
        luck.vps.run(LAUNCHER, "steps", "--answers", ANSWERS)
        asked = Asked(luck.ask("verify", "dns", "ptr", "--json"))
        sheet = luck.ask("records")
    assert time.monotonic() - begun < 120, f"took {time.monotonic() - begun:.0f} s"
    assert asked.status == CHECK_FAILS, asked.told()
    failed = [check for check in asked.data["checks"] if check["status"] == "fail"]
    assert {check["step"] for check in failed} == {"dns", "ptr"}, asked.told()
    assert all(check["got"] and check["do"] for check in failed), asked.told()
    assert sheet.status == OK, sheet.told()
    assert "mail.brightmail.example" in sheet.out


def test_another_mail_server_on_port_25_is_named(luck: Luck) -> None:
    with luck.holding(HOLD_PORT.format(25)):
        asked = luck.apply("preflight")
    assert asked.status == CHECK_FAILS, asked.told()
    told = complaints(asked)["preflight.port_25_free"]
    assert "python3" in told["got"]
    assert "systemctl disable" in told["do"]


# Packages


def test_a_mirror_that_is_down_is_told(luck: Luck) -> None:
    with luck.in_place_of("/etc/apt/sources.list", "deb http://127.0.0.1:9/debian stable main\n"):
        asked = luck.apply("updates")
    assert asked.status == OPERATION_FAILED, asked.told()
    told = failure(asked)
    assert "127.0.0.1:9" in told["got"]
    assert "mirror" in told["do"]
    assert not any(event.get("kept") for event in asked.events), "nothing was installed, so nothing stays"
    # The index that the dead mirror spoilt.
    luck.vps.run("apt-get", "-q", "update")


def test_a_disk_too_full_for_the_downloads(luck: Luck) -> None:
    with (
        luck.in_place_of("/etc/apt/sources.list", "deb [trusted=yes] copy:/srv/apt ./\n"),
        luck.full_disk("/var/cache/apt/archives", "64k"),
    ):
        luck.vps.run("apt-get", "-q", "update")
        asked = luck.apply("users")
    luck.vps.run("apt-get", "-q", "update")
    assert asked.status == OPERATION_FAILED, asked.told()
    assert "df -h" in failure(asked)["do"], asked.told()


def test_a_disk_that_fills_up_while_packages_unpack(luck: Luck) -> None:
    with luck.full_disk("/usr/libexec/sudo", "16k"):
        asked = luck.apply("users")
    assert asked.status == OPERATION_FAILED, asked.told()
    assert "df -h" in failure(asked)["do"], asked.told()


def test_a_package_manager_at_work_is_waited_for(luck: Luck) -> None:
    with luck.holding(HOLD_LOCK.format("/var/lib/dpkg/lock-frontend")) as holder:
        started = luck.begin("apply", "users", "--answers", ANSWERS, "--yes", "--json")
        time.sleep(6)
        assert started.poll() is None, f"it did not wait:\n{started.communicate()}"
        assert holder.stdin is not None
        holder.stdin.close()
        out, err = started.communicate(timeout=60)
    assert started.returncode == OK, (out + err).decode()


def test_the_index_lock_is_waited_for_too(luck: Luck) -> None:
    luck.vps.run("sh", "-c", "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin")
    with luck.holding(HOLD_LOCK.format("/var/lib/apt/lists/lock")) as holder:
        started = luck.begin("apply", "updates", "--answers", ANSWERS, "--yes", "--json")
        time.sleep(4)
        assert started.poll() is None, f"it did not wait:\n{started.communicate()}"
        assert holder.stdin is not None
        holder.stdin.close()
        out, err = started.communicate(timeout=120)
    assert started.returncode == OK, (out + err).decode()


# Daemons and files


def test_sshd_stays_where_it_is_when_its_new_port_is_taken(luck: Luck) -> None:
    with luck.holding(HOLD_PORT.format(2222)):
        asked = luck.apply("ssh")
    assert asked.status == OPERATION_FAILED, asked.told()
    told = failure(asked)
    assert "2222" in told["asked"]
    assert "python3" in told["got"]
    assert "ssh.port" in told["do"]
    assert run([*luck.lab.ssh(), "true"]).status == 0, "the old way in is shut"


def test_a_disk_too_full_for_a_configuration_file(luck: Luck) -> None:
    luck.vps.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "fail2ban")
    with luck.full_disk("/etc/fail2ban/jail.d", "16k"):
        asked = luck.apply("fail2ban")
        names = luck.vps.run("ls", "-A", "/etc/fail2ban/jail.d").out.split()
    assert asked.status == OPERATION_FAILED, asked.told()
    told = failure(asked)
    assert "No space left on device" in told["got"]
    assert "df -h" in told["do"]
    assert names == [".filler"], f"wanted no half-written file, found {names}"


def test_an_etc_that_cannot_be_written(luck: Luck) -> None:
    before = luck.changed_files()
    with luck.read_only("/etc"):
        asked = luck.apply("hostname")
    assert asked.status == OPERATION_FAILED, asked.told()
    told = failure(asked)
    assert "ead-only file system" in told["got"]
    assert "findmnt" in told["do"]
    new = [path for path, state in luck.changed_files().items() if before.get(path) != state]
    assert not [path for path in new if path.startswith("/etc/")], new
    assert luck.apply("hostname").status == OK


@pytest.mark.parametrize("days", [730, -730])
def test_a_clock_that_is_two_years_off_costs_nothing(luck: Luck, days: int) -> None:
    with luck.clock_off(days):
        asked = luck.apply("hostname")
        # By such a clock a release may have come to its end; that is told, and is no harm.
        ended = [event for event in asked.events if event.get("id") == "preflight.system" and event["status"] == "fail"]
        assert asked.status == (CHECK_FAILS if ended else OK), asked.told()
        assert all("without security updates since" in event["got"] for event in ended), asked.told()
        assert asked.events[0]["at"][:4] != str(datetime.now(UTC).year), "this case has lost its point"
        assert luck.steps()["hostname"] == "verified"
    asked = luck.apply("hostname")
    assert asked.status == OK, asked.told()
    assert asked.finished["changed"] == 0
    assert luck.steps()["hostname"] == "verified"


def test_a_contradicting_file_of_the_operator_is_named_and_left(luck: Luck) -> None:
    theirs = "[DEFAULT]\nbantime = 10m\n[no-such-filter]\nenabled = true\n"
    with luck.file("/etc/fail2ban/jail.d/zz-mine.local", theirs):
        asked = luck.apply("fail2ban")
    assert asked.status == OPERATION_FAILED, asked.told()
    told = failure(asked)
    assert "no-such-filter" in told["got"], told
    assert "beside it" in told["do"]
    assert not (luck.vps.root / "etc/fail2ban/jail.d/relay-wizard.local").exists(), "the old state is back in place"


def test_a_daemon_that_does_not_start_says_why(luck: Luck) -> None:
    luck.vps.run("systemctl", "stop", "fail2ban")
    breaking = "[Service]\nExecStartPre=/bin/sh -c 'echo the dog ate it; exit 1'\n"
    with luck.file("/etc/systemd/system/fail2ban.service.d/mine.conf", breaking):
        asked = luck.apply("fail2ban")
    assert asked.status == OPERATION_FAILED, asked.told()
    told = failure(asked)
    assert "fail2ban" in told["asked"]
    assert "the dog ate it" in told["got"]
    assert "journalctl -u fail2ban" in told["do"]


def test_a_masked_daemon_is_started_all_the_same(luck: Luck) -> None:
    luck.vps.run("systemctl", "reset-failed", "fail2ban", check=False)
    luck.vps.run("systemctl", "mask", "--now", "fail2ban")
    asked = luck.apply("fail2ban")
    assert asked.status == OK, asked.told()


# The state


@pytest.mark.parametrize("size", ["16k", "64k", "96k", "128k", "192k"])
def test_a_full_disk_below_the_state_ends_with_a_word(luck: Luck, size: str) -> None:
    with luck.full_disk("/mnt", size, fill=False):
        result = luck.ask("apply", "hostname", "--answers", ANSWERS, "--yes", "--state", "/mnt/state", timeout=60)
        again = luck.ask("steps", "--json", "--state", "/mnt/state")
    if result.status != OK:
        assert result.status == OPERATION_FAILED, result.told()
        assert "df -h" in result.err + result.out, result.told()
    assert "Traceback" not in result.err + result.out + again.err, result.told() + again.told()
    assert again.status in {OK, OPERATION_FAILED}, again.told()


def test_a_state_that_cannot_be_written_is_told(luck: Luck) -> None:
    luck.vps.run(LAUNCHER, "steps", "--answers", ANSWERS)
    with luck.read_only("/var/lib/relay-wizard"):
        result = luck.ask("apply", "hostname", "--answers", ANSWERS, "--yes", timeout=60)
    refused(result, OPERATION_FAILED, "findmnt")


# Runs


def test_a_second_apply_is_told_to_attach_and_a_killed_run_is_finished_by_the_next(luck: Luck) -> None:
    luck.vps.run("apt-get", "-qq", "-y", "purge", "fail2ban")
    # The package manager is caught in the middle of its work, while nothing may start a service.
    with luck.file("/etc/apt/apt.conf.d/99slow", 'DPkg::Pre-Invoke {"sleep 60";};\n'):
        follower = luck.begin("apply", "fail2ban", "--answers", ANSWERS, *UNPROVED)
        until(luck, "pgrep", "-x", "apt-get")
        refused(luck.ask("apply", "--answers", ANSWERS, *UNPROVED), LOCKED, "another run", "relay-wizard attach")
        luck.vps.run("pkill", "-KILL", "-f", "wizard run-in-background")
        out, err = follower.communicate(timeout=20)
    assert follower.returncode == OPERATION_FAILED, (out + err).decode()
    assert b"the run was killed" in err
    assert b"Start it again" in err
    attached = luck.ask("attach")
    assert attached.status == OPERATION_FAILED, attached.told()
    assert "the run was killed" in attached.err, attached.told()
    assert (luck.vps.root / POLICY.lstrip("/")).exists(), "this case has lost its point"
    asked = luck.apply("fail2ban")
    assert asked.status == OK, asked.told()
    assert luck.steps()["fail2ban"] == "verified"
    assert luck.apply("fail2ban").finished["changed"] == 0


def until(luck: Luck, *command: str) -> None:
    """Wait until a command in the VPS says yes."""
    deadline = time.monotonic() + 30
    while luck.vps.run(*command, check=False).status != 0:
        assert time.monotonic() < deadline, f"it never came to pass: {' '.join(command)}"
        time.sleep(0.1)


def test_the_two_commands_of_the_readme(luck: Luck) -> None:
    """By now the step `users` has installed sudo."""
    result = luck.vps.run("sh", "-c", f"cd {CHECKOUT} && sudo ./relay-wizard steps --json", check=False)
    assert result.status == OK, result.told()
    assert "verified" in result.out
