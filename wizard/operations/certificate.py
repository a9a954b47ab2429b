"""The certificate, made by certbot, and the unit files that its renewal needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wizard import certificate
from wizard.operation import Change, Command, Operation, OperationFailed
from wizard.operations.files import RemoveFile, WriteFile
from wizard.operations.services import activity, unit_name
from wizard.printable import printable

if TYPE_CHECKING:
    from wizard.host import Completed, Host

HOOKS = "/etc/letsencrypt/renewal-hooks"
PRE, POST, DEPLOY = (f"{HOOKS}/{when}/relay-wizard" for when in ("pre", "post", "deploy"))
LOG = "/var/log/letsencrypt/letsencrypt.log"
DAEMON_RELOAD: Command = ("systemctl", "daemon-reload")
# The authority visits port 80 from several places and takes its time.
TIMEOUT = 300.0


def trusting(ca_bundle: str, command: Command) -> Command:
    """A command of certbot's, which trusts the authorities of `ca_bundle` instead of the system's, when it is given."""
    return ("env", f"REQUESTS_CA_BUNDLE={ca_bundle}", *command) if ca_bundle else command


@dataclass(frozen=True)
class ObtainCertificate(Operation):
    """Have a certificate from this authority for these names, well before its end.

    Attributes:
        names: what it is for; the first one names certbot's folder.
        email: whom the authority writes to; '' for nobody.
        server: the authority's directory address (RFC 8555).
        ca_bundle: a file of authorities that its server is trusted by; '' for the system's.
        webroot: the web server's folder; '' when certbot itself answers on port 80.
        readers: the services that serve it, told where they run already.
    """

    names: tuple[str, ...]
    email: str
    server: str
    ca_bundle: str = ""
    webroot: str = ""
    readers: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"certificate:{self.names[0]}"

    @property
    def summary(self) -> str:
        return f"certificate for {', '.join(self.names)}"

    @property
    def _folder(self) -> str:
        return f"/etc/letsencrypt/live/{self.names[0]}"

    @property
    def _settings(self) -> str:
        return f"/etc/letsencrypt/renewal/{self.names[0]}.conf"

    def diff(self, host: Host) -> Change | None:
        reason = self._reason(host)
        if not reason:
            return None
        again = host.stat(self._settings) is not None
        return Change(
            summary=f"{'renew' if again else 'get'} the {self.summary}",
            diff=f"{self._folder}: {reason}\n",
            command=self._command(again=again),
            kept=f"the certificate in {self._folder}, and the account at {self.server}",
            notify=tuple(name for name in self.readers if activity(host, unit_name(name)) == "active"),
        )

    def _reason(self, host: Host) -> str:
        """Why another certificate is needed; '' when it is not."""
        found = certificate.installed(host, self._folder)
        if found is None:
            return "no certificate"
        missing = [name for name in self.names if not found.covers(name)]
        days = found.days_left(host.now())
        if missing:
            return f"it is not for {', '.join(missing)}"
        if days < 0:
            return f"it ended {-days:.0f} days ago"
        if found.is_due(host.now()):
            return f"it ends in {days:.0f} days"
        if certificate.public_half(host, self._folder) != found.key:
            return "it does not belong to the private key"
        return self._renewed_otherwise(host)

    def _renewed_otherwise(self, host: Host) -> str:
        text = (host.read(self._settings) or b"").decode(errors="replace")
        settings = dict(re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE))
        method = "webroot" if self.webroot else "standalone"
        if settings.get("server", "").rstrip("/") != self.server.rstrip("/"):
            return f"it comes from {settings.get('server') or 'another authority'}"
        if settings.get("authenticator") != method:
            return f"it would be renewed by {settings.get('authenticator') or 'other means'}, not by {method}"
        return ""

    def _command(self, *, again: bool) -> Command:
        account = ("-m", self.email) if self.email else ("--register-unsafely-without-email",)
        method = ("--webroot", "-w", self.webroot) if self.webroot else ("--standalone",)
        names = tuple(word for name in self.names for word in ("-d", name))
        forced = ("--force-renewal", "--renew-with-new-domains") if again else ()
        return trusting(
            self.ca_bundle,
            (
                "certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email", *account,
                "--server", self.server, *method, "--cert-name", self.names[0], *names, *forced,
            ),
        )  # fmt: skip

    def apply(self, host: Host) -> None:
        # certbot runs the hooks in its folders for renewals; for a first certificate only from version 4 on. So those
        # for the port are run here: they may run twice. Who serves it is told at the end of the step, by the next run
        # if this one is killed.
        again = host.stat(self._settings) is not None
        try:
            opened = host.run([PRE], timeout=120)
            if not opened.ok:
                raise OperationFailed(
                    "open port 80 for the certificate authority", opened.complaint,
                    "Look with: ufw status verbose   and mend what it names, then apply again.",
                )  # fmt: skip
            done = host.run(self._command(again=again), timeout=TIMEOUT)
        finally:
            host.run([POST], timeout=120)
        if not done.ok:
            raise OperationFailed(f"get the {self.summary}", complaint(done), advice(done.out, self.names))
        left = self._reason(host)
        if left:
            raise OperationFailed(f"get the {self.summary}", f"certbot is content, yet: {left}", f"Read: {LOG}")


def complaint(done: Completed) -> str:
    """What certbot says went wrong, without its pleasantries."""
    text = f"{done.out}\n{done.err}"
    wanted = re.findall(
        r"^\s*(?:Domain|Type|Detail|Identifier): .*$|^.*(?:rror|xception|ailed|urn:).*$", text, re.MULTILINE
    )
    lines = dict.fromkeys(line.strip() for line in wanted)
    return printable(" / ".join(list(lines)[:8]) or done.complaint, 1000)


def advice(text: str, names: tuple[str, ...]) -> str:
    """The next thing to do, by what the authority complains of."""
    text = text.lower()
    if "rate" in text and "limit" in text:
        return "The authority has had too many requests. Wait for the time that it names, then apply again."
    if "another instance of certbot" in text:
        return "certbot runs already. Wait for it to end, then apply again."
    if "caa" in text:
        return "A CAA record keeps this authority out: relay-wizard verify dns"
    if "nxdomain" in text or "dns problem" in text or "no valid a" in text:
        return f"The authority cannot find {' or '.join(names)} in DNS: relay-wizard verify dns"
    if "could not bind" in text or "address already in use" in text:
        return "Another program holds port 80: relay-wizard verify web"
    if "timeout" in text or "connection" in text or "firewall" in text:
        return (
            "The authority cannot reach port 80 here, or this server not the authority. Does the provider have a "
            "firewall of its own, in its panel? Open TCP port 80 there, then apply again."
        )
    if "not yet valid" in text or "has expired" in text:
        return "Is the clock right? Look with: relay-wizard verify clock   and mend that, then apply again."
    if "certificate verify failed" in text or "ssl" in text:
        return "The authority's own server is not trusted: give its CA file in certbot.ca_bundle."
    return f"Read more in {LOG}, then apply again."


@dataclass(frozen=True)
class WriteUnit(WriteFile):
    """Write a piece of a unit, or the unit, and let systemd read it."""

    def diff(self, host: Host) -> Change | None:
        change = super().diff(host) or _unread(host, self.path)
        return change and replace(change, undo=(DAEMON_RELOAD,))

    def apply(self, host: Host) -> None:
        super().apply(host)
        host.run(DAEMON_RELOAD)


@dataclass(frozen=True)
class RemoveUnit(RemoveFile):
    """Take a piece of a unit away, or the unit, and let systemd know."""

    def diff(self, host: Host) -> Change | None:
        change = super().diff(host) or _unread(host, self.path)
        return change and replace(change, undo=(DAEMON_RELOAD,))

    def apply(self, host: Host) -> None:
        super().apply(host)
        host.run(DAEMON_RELOAD)


def _unread(host: Host, path: str) -> Change | None:
    """A run that was killed just after it wrote `path` has told systemd nothing."""
    unit = next(part.removesuffix(".d") for part in reversed(path.split("/")) if not part.endswith(".conf"))
    if host.ask(["systemctl", "show", "-p", "NeedDaemonReload", "--value", unit]).text != "yes":
        return None
    return Change(summary=f"let systemd read {path}", command=DAEMON_RELOAD)
