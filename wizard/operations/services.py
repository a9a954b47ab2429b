"""Services of systemd: running, enabled, masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.operation import Change, Command, Operation, OperationFailed

if TYPE_CHECKING:
    from wizard.host import Host

# States that a unit only passes through, and how long it is waited for.
PASSING = frozenset({"activating", "reloading", "refreshing"})
PASSING_SECONDS = 10.0


def unit_name(service: str) -> str:
    """The unit of a service: "postfix" → "postfix.service"; a name with a suffix stays."""
    return service if "." in service else f"{service}.service"


def activity(host: Host, unit: str) -> str:
    """What systemd says of a unit ("active", "inactive", "failed" …), once it is no longer on its way.

    A daemon that reads its files again is "reloading" for a moment after `systemctl reload` has come back.
    """
    until = host.monotonic() + PASSING_SECONDS
    while True:
        found = host.ask(["systemctl", "is-active", unit]).text
        if found not in PASSING or host.monotonic() >= until:
            return found
        host.sleep(0.1)


@dataclass(frozen=True)
class RunService(Operation):
    """Have a service running now and after every boot.

    Attributes:
        name: "dovecot", or a unit with its suffix: "certbot.timer".
    """

    name: str

    @property
    def id(self) -> str:
        return f"service:{self.name}"

    @property
    def summary(self) -> str:
        return f"run {self.name}"

    def diff(self, host: Host) -> Change | None:
        unit = unit_name(self.name)
        enabled = host.ask(["systemctl", "is-enabled", unit]).text
        active = activity(host, unit)
        # "static", "generated", "alias" … units cannot be enabled and need not be.
        wants_enable = enabled in {"disabled", "masked", "masked-runtime", "not-found", ""}
        if not wants_enable and active == "active":
            return None
        undo: list[Command] = []
        if active != "active":
            undo.append(("systemctl", "stop", unit))
        if wants_enable:
            undo.append(("systemctl", "disable", unit))
        if enabled == "masked":
            undo.append(("systemctl", "mask", unit))
        return Change(
            summary=f"start {self.name}" if active != "active" else f"enable {self.name}",
            diff=f"{unit}: {enabled or 'not found'}, {active or 'unknown'} → enabled, active\n",
            command=("systemctl", "enable", "--now", unit),
            undo=tuple(undo),
        )

    def apply(self, host: Host) -> None:
        unit = unit_name(self.name)
        if host.ask(["systemctl", "is-enabled", unit]).text == "masked":
            host.run(["systemctl", "unmask", unit])
        done = host.run(["systemctl", "enable", "--now", unit], timeout=120)
        if done.ok and activity(host, unit) == "active":
            return
        raise OperationFailed(
            f"start {self.name}", _reason(host, unit, done.complaint),
            f"Read more with: journalctl -u {unit} -n 50",
        )  # fmt: skip


@dataclass(frozen=True)
class StopService(Operation):
    """Have a service neither running nor started at boot; `mask` also keeps others from starting it."""

    name: str
    mask: bool = False

    @property
    def id(self) -> str:
        return f"service:{self.name}"

    @property
    def summary(self) -> str:
        return f"stop {self.name}"

    def diff(self, host: Host) -> Change | None:
        unit = unit_name(self.name)
        enabled = host.ask(["systemctl", "is-enabled", unit]).text
        active = activity(host, unit)
        if enabled in {"not-found", ""}:
            return None
        wanted = {"masked"} if self.mask else {"disabled", "masked", "static", "indirect"}
        if active != "active" and enabled in wanted:
            return None
        undo: list[Command] = []
        if self.mask and enabled != "masked":
            undo.append(("systemctl", "unmask", unit))
        if enabled == "enabled":
            undo.append(("systemctl", "enable", unit))
        if active == "active":
            undo.append(("systemctl", "start", unit))
        verb = "mask" if self.mask else "disable"
        return Change(
            summary=self.summary,
            diff=f"{unit}: {enabled}, {active} → {'masked' if self.mask else 'disabled'}, inactive\n",
            command=("systemctl", verb, "--now", unit),
            undo=tuple(undo),
        )

    def apply(self, host: Host) -> None:
        unit = unit_name(self.name)
        # Disabled as well, so that a later unmask does not bring it back at boot.
        host.run(["systemctl", "disable", unit])
        done = host.run(["systemctl", "mask" if self.mask else "disable", "--now", unit], timeout=120)
        if not done.ok:
            raise OperationFailed(f"stop {self.name}", done.complaint, f"Look with: systemctl status {unit}")


def reload_services(host: Host, notify: tuple[str, ...], restart: tuple[str, ...]) -> None:
    """Make running services read their configuration again, once; those that do not run are left alone.

    Raises:
        OperationFailed: when one does not come back, with the end of its journal.
    """
    for name in dict.fromkeys((*notify, *restart)):
        unit = unit_name(name)
        verb = "try-restart" if name in restart else "try-reload-or-restart"
        was_active = activity(host, unit) == "active"
        done = host.run(["systemctl", verb, unit], timeout=120)
        if not done.ok or (was_active and activity(host, unit) != "active"):
            raise OperationFailed(
                f"make {name} read its new configuration", _reason(host, unit, done.complaint),
                f"Read more with: journalctl -u {unit} -n 50",
            )  # fmt: skip


def _reason(host: Host, unit: str, complaint: str) -> str:
    """What the daemon said last before it died, else what systemd said about it, else what systemctl said."""
    invocation = host.ask(["systemctl", "show", "-p", "InvocationID", "--value", unit]).text
    own, whole = (f"_SYSTEMD_INVOCATION_ID={invocation}",), ("-u", unit)
    for which in (own, whole) if invocation else (whole,):
        journal = host.ask(["journalctl", "-q", *which, "-n", "5", "-o", "cat", "--no-pager"])
        if journal.ok and journal.text:
            return " / ".join(journal.text.splitlines())
    return complaint
