"""The guard: a timed revert that stands over changes which could cut the operator off.

It is armed before the first such change and falls by itself: a timer of systemd, which needs neither engine nor
terminal and outlives a reboot, takes the changes back. Only a proof disarms it: a new login by SSH, or the operator's
word from a session that came in by such a login, or from the console.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.store import Locked
from wizard.fact import is_public
from wizard.host import SshSession
from wizard.operation import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from state.store import Guard, Store
    from wizard.engine import Engine
    from wizard.fact import Context
    from wizard.host import Host
    from wizard.step import Step

TIMER, SERVICE = "relay-wizard-revert.timer", "relay-wizard-revert.service"
UNITS = "/etc/systemd/system"
CHECKOUT = Path(__file__).resolve().parent.parent
OPEN = ("armed", "waiting")
# How long a run that is at work when the time is over may take to die.
DYING = 30.0
# How often taking back is tried, and the seconds between.
TRIES, TRY_AGAIN = 5, 10.0

ACCEPTED = re.compile(r"Accepted (\S+) for (\S+) from (\S+) port (\d+)\b")
CONNECTION = re.compile(r"Connection from (\S+) port (\d+) on (\S+) port (\d+)\b")


@dataclass(frozen=True)
class Login:
    """A login by SSH that the journal tells of. `port` is the server's, 0 when the journal does not say it."""

    user: str
    client: str
    client_port: int
    port: int

    def __str__(self) -> str:
        """In words."""
        return f"{self.user} from {self.client}" + (f" on port {self.port}" if self.port else "")


def is_wanted(choice: str, session: SshSession | None) -> bool:
    """What `--confirm-ssh` means here: "auto" asks for a proof when the operator came by SSH, and could lose it."""
    return choice == "login" or (choice == "auto" and session is not None)


# Arming and disarming


def arm(store: Store, host: Host, run: int, context: Context, session: SshSession | None) -> Guard:
    """Have everything taken back that is changed from now on, unless it is proved that the operator can get in.

    An open guard, of a run that was killed, goes on: what it would have taken back still is.

    Raises:
        OperationFailed: when no login would be seen, or the timer cannot be set; nothing was changed then.
    """
    _require_log(host)
    ssh, known = context.answers.ssh, asdict(session) if session else None
    record = {"steps": [], "port": ssh.port, "seconds": ssh.revert_after, "session": known}
    guard = store.last_guard()
    if guard is not None and guard.is_open:
        store.keep_guard(guard.id, run, {**record, "steps": guard.record["steps"]})
        store.turn_guard(guard.id, ("waiting",), "armed")
    else:
        store.add_guard(run, record, _stamp(host))
    # The way back shall not hang on one file.
    store.keep_copy()
    set_timer(store, host, ssh.revert_after)
    return _last(store)


def cover(store: Store, guard: Guard, step: str) -> Guard:
    """Note that the guard stands over the changes of a step too."""
    steps = list(dict.fromkeys([*guard.record["steps"], step]))
    store.keep_guard(guard.id, guard.run, {**guard.record, "steps": steps})
    return _last(store)


def _require_log(host: Host) -> None:
    from wizard.operations.ssh import effective

    level = effective(host).get("loglevel", "")
    if level in {"QUIET", "FATAL", "ERROR"}:
        raise OperationFailed(
            "have sshd write new logins into the journal, where yours would be seen", f"LogLevel is {level}",
            "Set LogLevel INFO in the configuration of sshd and reload sshd, then apply again.",
        )  # fmt: skip


def await_proof(store: Store, host: Host, guard: Guard, context: Context) -> Guard:
    """From now on a login counts, and the operator has the whole time for it."""
    stay = _ports_that_stay(host, context.answers.ssh.port)
    port = context.answers.ssh.port if context.answers.ssh.port in stay else stay[0]
    session = guard.record["session"]
    asked = {
        "cursor": _cursor(host), "ports": stay, "port": port,
        "command": login_command(context, SshSession(**session) if session else None, port),
    }  # fmt: skip
    store.keep_guard(guard.id, guard.run, {**guard.record, **asked})
    store.turn_guard(guard.id, ("armed",), "waiting")
    set_timer(store, host, guard.record["seconds"])
    return _last(store)


def set_timer(store: Store, host: Host, seconds: int) -> None:
    """Start the countdown, anew when it runs already.

    Raises:
        OperationFailed: when systemd does not take it.
    """
    from wizard.render import render

    checkout, python, state = (_word(path) for path in (CHECKOUT, sys.executable, store.folder))
    for name in (SERVICE, TIMER):
        text = render(f"guard{UNITS}/{name}.j2", seconds=seconds, checkout=checkout, python=python, state=state)
        host.write(f"{UNITS}/{name}", text.encode())
    for argv in (["daemon-reload"], ["--quiet", "enable", TIMER], ["restart", TIMER]):
        done = host.run(["systemctl", *argv])
        if not done.ok:
            raise OperationFailed(
                f"set the timer that takes the change back ({TIMER})", done.complaint,
                "Nothing was changed. Look with: systemctl status, mend that, then apply again.",
            )  # fmt: skip


def _word(path: object) -> str:
    """A path as one word of a unit's command line (systemd.syntax(7), systemd.unit(5) SPECIFIERS)."""
    text = str(path).replace("%", "%%")
    return json.dumps(text) if set(text) & set(" \t'\"\\") else text


def disarm(host: Host) -> None:
    """Take the timer away; its files go last, so that a reboot in between finds it whole."""
    host.run(["systemctl", "stop", TIMER])
    host.run(["systemctl", "--quiet", "disable", TIMER])
    for name in (TIMER, SERVICE):
        host.remove(f"{UNITS}/{name}")
    host.run(["systemctl", "daemon-reload"])


def seconds_left(host: Host) -> float | None:
    """Seconds until the timer falls; None when it does not run."""
    unit = TIMER.replace("-", "_2d").replace(".", "_2e")
    asked = host.ask(
        [
            "busctl", "get-property", "org.freedesktop.systemd1", f"/org/freedesktop/systemd1/unit/{unit}",
            "org.freedesktop.systemd1.Timer", "NextElapseUSecMonotonic",
        ]
    )  # fmt: skip
    # "t 53353385000": microseconds of the clock that never jumps; all bits are set when it will not elapse.
    word = asked.text.removeprefix("t ")
    if not asked.ok or not word.isdigit() or int(word) in {0, 2**64 - 1}:
        return None
    return max(0.0, int(word) / 1e6 - host.monotonic())


# Proof


def seen_login(host: Host, guard: Guard, context: Context) -> Login | None:
    """The login of an administrator that proves the way in."""
    from wizard.operations.ssh import admin_group
    from wizard.operations.users import has_commands_alone, members

    if guard.state != "waiting":
        return None
    # Whoever changes the way in is an administrator, be it by a rule of sudo of his own.
    session = guard.record["session"] or {}
    admins = {"root", session.get("user"), *members(host, admin_group(context))}
    by_admins = (login for login in _proofs(host, guard) if login.user in admins)
    return next((login for login in by_admins if not has_commands_alone(host, login.user)), None)


def _proofs(host: Host, guard: Guard) -> list[Login]:
    """The logins that came in by a way that stays: from elsewhere, after it was asked for."""
    from wizard.operations.ssh import listening_ports

    own = {*host.addresses(), "127.0.0.1", "::1"}
    stay, listening = {*guard.record["ports"]}, {*listening_ports(host)}
    # Where the journal does not name the port, it is one of those.
    counts = stay | {0} if listening and listening <= stay else stay
    return [login for login in logins(host, guard.record["cursor"]) if login.port in counts and login.client not in own]


def _ports_that_stay(host: Host, port: int) -> tuple[int, ...]:
    """The ports that SSH is answered on after the proof; where sshd was not moved to the new one, those of now."""
    from wizard.operations.ssh import ports_in_use, ports_of_others

    now = ports_in_use(host)
    return tuple(each for each in now if each in {port, *ports_of_others(host)}) if port in now else now


def logins(host: Host, cursor: str) -> list[Login]:
    """The logins that sshd has written into the journal after `cursor`, the oldest first.

    Only what root wrote as sshd counts: the kernel vouches for _UID (systemd.journal-fields(7)). _COMM would be missing
    where the session had ended before journald came to look. The server's port is in the journal while sshd's LogLevel
    is VERBOSE. (With --after-cursor journalctl skips the first line that matches, when the cursor's own does not.)
    """
    root = "_UID=0"
    sshd = [root, "SYSLOG_IDENTIFIER=sshd", "+", root, "SYSLOG_IDENTIFIER=sshd-session"]
    asked = host.ask(["journalctl", "-q", "--no-pager", "-o", "json", f"--cursor={cursor}", *sshd])
    ports: dict[tuple[str, str], int] = {}
    found = []
    for line in asked.out.splitlines():
        message = _message(line, cursor)
        if match := CONNECTION.match(message):
            ports[match[1], match[2]] = int(match[4])
        elif match := ACCEPTED.match(message):
            found.append(Login(match[2], match[3], int(match[4]), ports.get((match[3], match[4]), 0)))
    return found


def _message(line: str, cursor: str) -> str:
    """What sshd said; '' for the entry of the cursor itself, which was there before."""
    try:
        entry = json.loads(line)
        return "" if entry.get("__CURSOR") == cursor else str(entry.get("MESSAGE", ""))
    except (ValueError, AttributeError):
        return ""


def _cursor(host: Host) -> str:
    asked = host.ask(["journalctl", "-q", "--no-pager", "-n", "1", "-o", "json"])
    try:
        return str(json.loads(asked.out)["__CURSOR"])
    except (ValueError, KeyError, TypeError) as error:
        raise OperationFailed(
            "read the journal, in which a new login would be seen", asked.complaint,
            "Look with: journalctl -n 1   What was changed is taken back in a few minutes; then apply again.",
        ) from error  # fmt: skip


def prove(store: Store, host: Host, guard: Guard, how: str) -> bool:
    """Keep what was changed; False when it is too late for that."""
    store.keep_guard(guard.id, guard.run, {**guard.record, "how": how})
    if not store.turn_guard(guard.id, OPEN, "proved", _stamp(host)):
        return False
    disarm(host)
    return True


def proved(store: Store, port: int) -> bool:
    """Whether the last guard ended with a proof that SSH can be reached on this port."""
    guard = store.last_guard()
    return guard is not None and guard.state == "proved" and guard.record["port"] == port


def refusal(guard: Guard | None, session: SshSession | None, context: Context) -> str:
    """Why the operator's word from this session proves nothing, '' when it does. No session is the console."""
    if guard is None or not guard.is_open:
        return "there is nothing to confirm"
    if guard.state == "armed":
        return (
            "there is nothing to confirm yet: wait until the run asks for a new login, or apply again if it has ended"
        )
    if guard.state == "reverting":
        return "it is too late: the change is being taken back. Apply again to try once more"
    if session is None or seen_login(context.host, guard, context) is not None:
        return ""
    mine = (session.client, session.client_port)
    if any((login.client, login.client_port) == mine for login in _proofs(context.host, guard)):
        return ""
    return (
        "this session did not come in by the new way, so it does not show that you could log in again. "
        f"Open a second terminal and type there: {guard.record['command']}"
    )


def login_command(context: Context, session: SshSession | None, port: int) -> str:
    """The line to type into a second terminal: "ssh -p 2222 boss@192.0.2.10"."""
    user, place = login_of(context, session)
    return f"ssh -p {port} {shlex.quote(user)}@{place}"


def login_of(context: Context, session: SshSession | None) -> tuple[str, str]:
    """Who can log in, and the address where: the operator's own ones, when they still serve."""
    from wizard.operations.ssh import ways_in

    came = session.user if session else ""
    able = [way.user for way in ways_in(context, context.host)]
    user = came if came in able or not able else able[0]
    # Behind NAT the machine itself knows only an address that nobody outside can reach.
    server = session.server if session else ""
    place = server if server and (is_public(server) or not is_public(context.ipv4)) else context.ipv4
    return user or "root", place


# The way back


def revert(engine: Engine, host: Host, guard: Guard) -> bool:
    """Take back what was changed under the guard; False when it was proved in the meantime.

    It is the way in: what keeps a file from being put back, a full disk, say, may be gone in a moment, so it is tried
    TRIES times. What is left even then stands in the guard's record ("left").
    """
    store = engine.store
    if not store.turn_guard(guard.id, (*OPEN, "reverting"), "reverting"):
        return False

    def emit(event: dict[str, Any]) -> None:
        store.add_event(guard.run, {**event, "at": _stamp(host)})

    emit({"event": "guard.reverting", "steps": guard.record["steps"]})
    left = _take_back(engine, host, guard, emit)
    for _ in range(TRIES - 1):
        if not left:
            break
        host.sleep(TRY_AGAIN)
        left = _take_back(engine, host, guard, emit)
    store.keep_guard(guard.id, guard.run, {**guard.record, "left": left})
    store.turn_guard(guard.id, ("reverting",), "reverted", _stamp(host))
    disarm(host)
    return True


def _take_back(engine: Engine, host: Host, guard: Guard, emit: Callable[[dict[str, Any]], None]) -> list[str]:
    """Take back all that can be; what cannot, in words."""
    from wizard.rollback import ORIGINAL, foresee, roll_back

    store, left = engine.store, []
    for step in reversed(engine.choose(guard.record["steps"])):
        # The way in comes first: what somebody has edited in these minutes is shown, and gives way.
        edited = foresee(store, host, step.id)
        for conflict in edited:
            emit({"event": "guard.overruled", "path": conflict.path, "diff": conflict.since})
        decided = {conflict.path: conflict.decide(ORIGINAL) for conflict in edited}
        afterwards = _afterwards(engine, host, step)
        taken = roll_back(store, host, step.id, emit, afterwards, since=guard.since, decided=decided)
        emit({"event": "rollback.finished", "step": step.id, "kept": taken.kept, "conflicts": taken.conflicts})
        left += taken.conflicts
    return left


def _afterwards(engine: Engine, host: Host, step: Step) -> Callable[[], Sequence[Any]]:
    return lambda: step.after_rollback(engine.context(host))


def fall(engine: Engine, host: Host) -> None:
    """What the timer does: nothing when a login was seen, else everything back."""
    store = engine.store
    guard = store.last_guard()
    if guard is None or not guard.is_open:
        disarm(host)
        return
    login = seen_login(host, guard, engine.context(host))
    if login is not None and prove(store, host, guard, str(login)):
        return
    with contextlib.ExitStack() as stack:
        if guard.state == "armed":
            _stop_run(store, host, guard.run)
        # A run that waits for the proof holds the lock and only looks on.
        with contextlib.suppress(Locked):
            stack.enter_context(store.lock())
        revert(engine, host, guard)


def _stop_run(store: Store, host: Host, run: int) -> None:
    """End a run that is still at work when the time is over: it hangs, perhaps for want of the network."""
    from wizard.detached import unit_of

    if not store.is_locked():
        return
    host.run(["systemctl", "kill", "--signal=KILL", unit_of(run)])
    until = host.monotonic() + DYING
    while store.is_locked() and host.monotonic() < until:
        host.sleep(0.2)


def _last(store: Store) -> Guard:
    guard = store.last_guard()
    if guard is None:
        raise LookupError("the guard that was just set is not there")
    return guard


def _stamp(host: Host) -> str:
    return host.now().strftime("%Y-%m-%dT%H:%M:%SZ")
