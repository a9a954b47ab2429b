"""Postfix's own files, main.cf and master.cf, changed by Postfix's own editor, postconf(1).

What the operator has set and no step asks for stays as it is.

**Shared lists.** Several steps have a say in one list: which checks a recipient passes, which milters see a message.
If each of them edited the list, the outcome would hang on the order in which they ran, and none could be taken back
alone. So the step `postfix` writes every such list once, in its final form, and the list names *hooks*: parameters of
our own (`HOOKS`), empty until the step that owns one fills it. Postfix expands `$relay_wizard_spf` to nothing until
the step `spf` sets it; taking that step back empties it again; and no step ever reads what another one wrote. The step
`postfix` only *defines* hooks that are not there (`define`), it never resets one.

Maps are `texthash:` or `cidr:` files named /etc/postfix/relay-wizard-NAME: no postmap, no database type, nothing that
can be forgotten. Postfix reads them when it reloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.hooks import FOLDER
from wizard.operation import Change, Command, Operation, OperationFailed
from wizard.operations.services import RunService, unit_name
from wizard.printable import printable

if TYPE_CHECKING:
    from wizard.host import Completed, Host

MAIN = f"{FOLDER}/main.cf"
MASTER = f"{FOLDER}/master.cf"
# Where a change is tried before the real file is touched: root's alone, gone at the next boot.
CANDIDATE = "/run/relay-wizard/postfix"
# Fields of a master.cf entry before its arguments, see master(5): name, type, private, unpriv, chroot, wakeup, maxproc,
# command.
FIELDS = 8


def main_parameters(host: Host) -> dict[str, str]:
    """What main.cf sets explicitly, white space folded; {} when there is no main.cf.

    Read from the file, not from `postconf -n`: that leaves out parameters that nothing refers to yet.
    """
    found: dict[str, str] = {}
    for line in _logical_lines(host.read(MAIN)):
        name, equals, value = line.partition("=")
        if equals:
            found[name.strip()] = " ".join(value.split())
    return found


def effective(host: Host, *names: str) -> dict[str, str]:
    """The values in force, defaults included and `$name` expanded, as postconf sees them."""
    asked = host.ask(["postconf", "-x", *names])
    pairs = (line.partition("=") for line in asked.out.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


@dataclass(frozen=True)
class Service:
    """One entry of master.cf.

    Attributes:
        fields: its eight fields.
        options: its `-o` settings, in order.
        arguments: what else is given to the command: "user=policyd-spf", "argv=…".
    """

    fields: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How postconf(1) names it: "465/inet"."""
        return f"{self.fields[0]}/{self.fields[1]}"

    @property
    def line(self) -> str:
        """The entry on one line, as `postconf -M` takes it."""
        options = [part for name, value in self.options for part in ("-o", _option(name, value))]
        return " ".join((*self.fields, *self.arguments, *options))


def services(host: Host) -> dict[str, Service]:
    """The entries of master.cf by their keys; {} when there is no master.cf."""
    found = {}
    for line in _logical_lines(host.read(MASTER)):
        words = _words(line)
        if len(words) >= FIELDS:
            service = parse_service(line)
            found[service.key] = service
    return found


def parse_service(line: str) -> Service:
    """Read one entry, on one line, as master(5) describes it."""
    words = _words(line)
    options: list[tuple[str, str]] = []
    arguments: list[str] = []
    rest = iter(words[FIELDS:])
    for word in rest:
        if not word.startswith("-o"):
            arguments.append(word)
            continue
        name, _, value = (word[2:] or next(rest, "")).strip("{} \t").partition("=")
        options.append((name.strip(), value.strip()))
    return Service(tuple(words[:FIELDS]), tuple(options), tuple(arguments))


def submissions_name(host: Host) -> str:
    """What master.cf calls the service on port 465: a name that the operator already uses there, else the number.

    Some systems' services file has no name for the port, and two entries for one port cannot both listen.
    """
    names = [key.removesuffix("/inet") for key in services(host)]
    return next((name for name in ("submissions", "smtps", "465") if name in names), "465")


@dataclass(frozen=True)
class SetPostfixParameters(Operation):
    """Set parameters in main.cf, all of them by one call of postconf.

    Attributes:
        parameters: names and values; a value may refer to others as `$name`.
        remove: parameters that shall not be set (they then have Postfix's default).
        define: parameters of our own that have to exist and are left alone when they do.
        notify, restart: services that read the file; see Change.
    """

    parameters: tuple[tuple[str, str], ...]
    remove: tuple[str, ...] = ()
    define: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        names = [name for name, _ in self.parameters] or list(self.define) or list(self.remove)
        return f"postfix:{names[0]}" + (f"+{len(names) - 1}" if len(names) > 1 else "")

    @property
    def summary(self) -> str:
        names = ", ".join(name for name, _ in self.parameters)
        return f"Postfix: {names if len(names) < 80 else f'{len(self.parameters)} parameters'}"

    def diff(self, host: Host) -> Change | None:
        now = main_parameters(host)
        wanted, gone = self._wanted(now)
        if not wanted and not gone:
            return None
        lines = []
        for name, value in [*wanted.items(), *((name, None) for name in gone)]:
            lines += [f"-{name} = {now[name]}\n"] if name in now else []
            lines += [f"+{name} = {value}\n"] if value is not None else []
        set_before = [f"{name} = {now[name]}" for name in (*wanted, *gone) if name in now]
        unset_before = [name for name in wanted if name not in now]
        undo: list[Command] = [("postconf", "-e", *set_before)] if set_before else []
        undo += [("postconf", "-X", *unset_before)] if unset_before else []
        return Change(
            summary=f"set {', '.join((*wanted, *gone))} in main.cf", diff=f"--- {MAIN}\n+++ {MAIN}\n{''.join(lines)}",
            command=self._commands(wanted, gone)[0], paths=(MAIN,), undo_edit=tuple(undo),
            notify=self.notify, restart=self.restart,
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        commands = self._commands(*self._wanted(main_parameters(host)))
        _try_out(host, commands)
        for command in commands:
            _run(host, command)
        wanted, gone = self._wanted(main_parameters(host))
        if wanted or gone:
            raise OperationFailed(
                f"set {', '.join((*wanted, *gone))} in {MAIN}", "postconf said it did, and the file does not show it",
                f"Look for a second line with that name in {MAIN} and remove it, then apply again.",
            )  # fmt: skip

    def _wanted(self, now: dict[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
        """What has to be set, and what has to go, given what is set now."""
        wanted = {name: " ".join(value.split()) for name, value in self.parameters}
        wanted |= {name: now.get(name, "") for name in self.define}
        changes = {name: value for name, value in wanted.items() if now.get(name) != value}
        return changes, tuple(name for name in self.remove if name in now)

    @staticmethod
    def _commands(wanted: dict[str, str], gone: tuple[str, ...]) -> list[Command]:
        commands: list[Command] = []
        if wanted:
            commands.append(("postconf", "-e", *(f"{name} = {value}" for name, value in wanted.items())))
        if gone:
            commands.append(("postconf", "-X", *gone))
        return commands


@dataclass(frozen=True)
class SetPostfixService(Operation):
    """Have an entry in master.cf; settings and arguments that the operator gave it besides stay.

    Attributes:
        entry: its fields and arguments, without `-o`: "465 inet n - y - - smtpd".
        options: its `-o` settings; values without white space (postconf -P of older releases takes no other).
        notify, restart: services that read the file; see Change.
    """

    entry: str
    options: tuple[tuple[str, str], ...] = ()
    notify: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"postfix-service:{parse_service(self.entry).key}"

    @property
    def summary(self) -> str:
        return f"Postfix service {parse_service(self.entry).key}"

    def diff(self, host: Host) -> Change | None:
        now, wanted = self._now(host), self._wanted(self._now(host))
        if now == wanted:
            return None
        before = "" if now is None else "".join(f"-{line}\n" for line in _shown(now))
        after = "".join(f"+{line}\n" for line in _shown(wanted))
        undo = ("postconf", "-MX", wanted.key) if now is None else _edit(now)
        return Change(
            summary=f"{'add' if now is None else 'change'} {wanted.key} in master.cf",
            diff=f"--- {MASTER}\n+++ {MASTER}\n{before}{after}", command=_edit(wanted),
            paths=(MASTER,), undo_edit=(undo,), notify=self.notify, restart=self.restart,
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        command = _edit(self._wanted(self._now(host)))
        _try_out(host, [command])
        _run(host, command)

    def _now(self, host: Host) -> Service | None:
        return services(host).get(parse_service(self.entry).key)

    def _wanted(self, now: Service | None) -> Service:
        asked = parse_service(self.entry)
        if now is None:
            return Service(asked.fields, self.options, asked.arguments)
        # What is there keeps its place and ours gets its value, so that a second look finds nothing to change.
        options = dict(now.options) | dict(self.options)
        return Service(asked.fields, tuple(options.items()), asked.arguments or now.arguments)


@dataclass(frozen=True)
class RunPostfix(RunService):
    """Have Postfix running now and after every boot.

    systemd's word is not enough: on Debian 12 "postfix.service" is a shell around the instances that stays active when
    the daemon has died. So Postfix itself is asked.
    """

    def diff(self, host: Host) -> Change | None:
        unit = unit_name(self.name)
        enabled = host.ask(["systemctl", "is-enabled", unit]).text
        wants_enable = enabled in {"disabled", "masked", "masked-runtime", "not-found", ""}
        running = is_running(host)
        if running and not wants_enable:
            return None
        undo: list[Command] = []
        undo += [] if running else [("systemctl", "stop", unit)]
        undo += [("systemctl", "disable", unit)] if wants_enable else []
        undo += [("systemctl", "mask", unit)] if enabled == "masked" else []
        return Change(
            summary=f"enable {self.name}" if running else f"start {self.name}",
            diff=f"{unit}: {enabled or 'not found'}, {'running' if running else 'not running'} → enabled, running\n",
            command=("systemctl", "restart", unit), undo=tuple(undo),
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        unit = unit_name(self.name)
        if host.ask(["systemctl", "is-enabled", unit]).text == "masked":
            host.run(["systemctl", "unmask", unit])
        done = host.run(["systemctl", "enable", unit], timeout=120)
        if done.ok and not is_running(host):
            done = host.run(["systemctl", "restart", unit], timeout=120)
        for _ in range(20):
            if not done.ok or is_running(host):
                break
            host.sleep(0.25)
        if done.ok and is_running(host):
            return
        journal = host.ask(["journalctl", "-u", f"{self.name}*", "-n", "5", "-o", "cat", "--no-pager"]).text
        raise OperationFailed(
            "start Postfix", " / ".join(journal.splitlines()) or done.complaint,
            f"Read more with: journalctl -u '{self.name}*' -n 50",
        )  # fmt: skip


def is_running(host: Host) -> bool:
    """True when Postfix's master process is there, as `postfix status` finds it."""
    return host.ask(["postfix", "status"]).ok


def warnings(completed: Completed) -> tuple[str, ...]:
    """What postconf complains about on standard error: unused, overridden, deprecated parameters."""
    lines = f"{completed.out}\n{completed.err}".splitlines()
    return tuple(printable(line) for line in lines if "warning:" in line or "fatal:" in line or "error:" in line)


def _try_out(host: Host, commands: list[Command]) -> None:
    """Make the change on a copy and have postconf judge it; the files in force are read by every new process."""
    host.make_directory(CANDIDATE, mode=0o700)
    try:
        for path in (MAIN, MASTER):
            host.write(path.replace(FOLDER, CANDIDATE), host.read(path) or b"", mode=0o600)
        _age(host)
        before = warnings(host.run(["postconf", "-c", CANDIDATE, "-n"]))
        for command in commands:
            _run(host, (command[0], "-c", CANDIDATE, *command[1:]))
            _age(host)
        new = [line for line in warnings(host.run(["postconf", "-c", CANDIDATE, "-n"])) if line not in before]
    finally:
        for path in (MAIN, MASTER):
            host.remove(path.replace(FOLDER, CANDIDATE))
        host.remove(CANDIDATE)
    if new:
        raise OperationFailed(
            "try the change on a copy of Postfix's configuration", " / ".join(new).replace(CANDIDATE, FOLDER),
            "Nothing was changed. Look at the answer that this value is made from, and at main.cf.",
        )  # fmt: skip


def _age(host: Host) -> None:
    """Let the copy look old: Postfix's programs wait seconds for a file that has just changed to change no more."""
    host.run(["touch", "-d", "1 minute ago", *(path.replace(FOLDER, CANDIDATE) for path in (MAIN, MASTER))])


def _run(host: Host, command: Command) -> None:
    done = host.run(command)
    if not done.ok:
        raise OperationFailed(
            " ".join(command[:3]), done.complaint,
            f"Is Postfix installed, and are {MAIN} and {MASTER} as it left them? Look with: postfix check",
        )  # fmt: skip


def _edit(service: Service) -> Command:
    return ("postconf", "-M", f"{service.key}={service.line}")


def _shown(service: Service) -> list[str]:
    head = " ".join((*service.fields, *service.arguments))
    return [head, *(f"    -o {_option(name, value)}" for name, value in service.options)]


def _option(name: str, value: str) -> str:
    return f"{{ {name} = {value} }}" if " " in value else f"{name}={value}"


def _logical_lines(data: bytes | None) -> list[str]:
    """Lines with their continuations (lines that begin with white space) joined, comments dropped; postconf(5)."""
    lines: list[str] = []
    for line in (data or b"").decode(errors="replace").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and lines:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.strip())
    return lines


def _words(line: str) -> list[str]:
    """Split at white space, a `{ … }` with what is in it kept as one word."""
    words: list[str] = []
    depth = 0
    for word in line.split():
        if depth:
            words[-1] += f" {word}"
        else:
            words.append(word)
        depth += word.count("{") - word.count("}")
    return words
