"""The operator's answers: typed, checked, and the same for the answers file, the screens and the store."""

from __future__ import annotations

import difflib
import re
from dataclasses import Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from wizard import values
from wizard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCHEMA = 1
LONGEST_FILE = 1 << 20
MOST_ENTRIES = 5000
T = TypeVar("T")


class AnswersError(Exception):
    """An answer is missing, unknown or wrong; the text names the key and what would be right, and can be shown."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text, 1000))

    @property
    def key(self) -> str:
        """The dotted key that the text begins with, "users" for any of theirs; '' when it begins with none."""
        found = re.match(r"(users)\[|([a-z]+(?:\.[a-z0-9_]+)?): ", str(self))
        return (found[1] or found[2]) if found else ""


def value(parse: Callable[[object], T], default: T) -> T:
    """One answer: how the raw value is judged, and its default."""
    made: T = field(default=default, metadata={"parse": parse})
    return made


def several(parse: Callable[[object], T], default: tuple[T, ...] = ()) -> tuple[T, ...]:
    """A list of answers of one kind."""
    made: tuple[T, ...] = field(default=default, metadata={"parse": parse, "several": True})
    return made


@dataclass(frozen=True)
class Relay:
    """The VPS itself."""

    domain: str = value(values.domain, "")
    hostname: str = value(values.domain, "")
    ipv4: str = value(values.ipv4, "")
    ipv6: str = value(values.ipv6, "")
    admin_email: str = value(values.email, "")
    timezone: str = value(values.timezone, "Etc/UTC")


# Named, so that its type is the whole union and not that of the one text.
DEFAULT_RECIPIENTS: str | tuple[str, ...] = "verify"


def recipients(raw: object) -> str | tuple[str, ...]:
    """How home's addresses are known: "verify" (home is asked at RCPT), or the list of them."""
    if raw == "verify":
        return "verify"
    if isinstance(raw, (list, tuple)) and 0 < len(raw) <= MOST_ENTRIES:
        return tuple(values.email(entry) for entry in raw)
    raise ValueError(f'{values.short(raw)} is neither "verify" nor a list of addresses')


@dataclass(frozen=True)
class Home:
    """The mail server in the house."""

    domains: tuple[str, ...] = several(values.domain)
    address: str = value(values.host_or_address, "")
    port: int = value(values.port, 10025)
    networks: tuple[str, ...] = several(values.relaying_network)
    recipients: str | tuple[str, ...] = value(recipients, DEFAULT_RECIPIENTS)
    login: str = value(values.login, "home")
    login_password_file: str = value(values.path, "")


@dataclass(frozen=True)
class User:
    """Somebody with a login: "mail" sends mail and has no shell, "admin" has a shell and sudo."""

    name: str = value(values.login, "")
    role: str = value(values.choice("mail", "admin"), "mail")
    ssh_keys: tuple[str, ...] = several(values.ssh_key)
    password_file: str = value(values.path, "")


@dataclass(frozen=True)
class Root:
    """The root account."""

    password_file: str = value(values.path, "")


@dataclass(frozen=True)
class Ssh:
    """How the operator comes in."""

    port: int = value(values.ssh_port, 2222)
    permit_root_login: str = value(values.choice("no", "prohibit-password", "yes"), "prohibit-password")
    password_authentication: bool = value(values.flag, default=False)
    revert_after: int = value(values.proof_time, 300)


@dataclass(frozen=True)
class Firewall:
    """Who may not knock."""

    block: tuple[str, ...] = several(values.network)


@dataclass(frozen=True)
class Updates:
    """Security updates by themselves."""

    unattended: bool = value(values.flag, default=True)


@dataclass(frozen=True)
class Web:
    """Who answers port 80 when the certificate is made."""

    method: str = value(values.choice("standalone", "apache"), "standalone")


@dataclass(frozen=True)
class Certbot:
    """Where the certificate comes from."""

    server: str = value(values.url, "https://acme-v02.api.letsencrypt.org/directory")
    ca_bundle: str = value(values.path, "")
    agree_tos: bool = value(values.flag, default=True)


@dataclass(frozen=True)
class Spf:
    """What receivers do with mail from elsewhere (RFC 7208, section 4.6.2; the open policies are left out)."""

    policy: str = value(values.choice("-all", "~all"), "-all")


@dataclass(frozen=True)
class Dkim:
    """How the key is named in DNS, and whether to sign before DNS has it."""

    selector: str = value(values.selector, "default")
    sign_unpublished: bool = value(values.flag, default=False)


@dataclass(frozen=True)
class Dmarc:
    """What receivers do with mail that fails both SPF and DKIM, and where they report it (RFC 9989)."""

    policy: str = value(values.choice("none", "quarantine", "reject"), "none")
    rua: tuple[str, ...] = several(values.report_uri)


@dataclass(frozen=True)
class Access:
    """Whom the relay refuses."""

    reject: tuple[str, ...] = several(values.reject_entry)


@dataclass(frozen=True)
class Dns:
    """Which resolvers show how the world sees the records."""

    resolvers: tuple[str, ...] = several(values.ip_address)


@dataclass(frozen=True)
class Reputation:
    """Which block lists are asked."""

    blocklists: tuple[str, ...] = several(values.domain)


@dataclass(frozen=True)
class Probe:
    """Whose port 25 shows that mail can leave."""

    smtp: tuple[str, ...] = several(values.probe_target)


@dataclass(frozen=True)
class Monitors:
    """Who reads the logs."""

    logwatch: bool = value(values.flag, default=True)
    logcheck: bool = value(values.flag, default=True)
    logwatcher: bool = value(values.flag, default=True)


@dataclass(frozen=True)
class Answers:
    """All answers. `home` is None for a relay without a server behind it."""

    schema: int = SCHEMA
    relay: Relay = field(default_factory=Relay)
    home: Home | None = None
    users: tuple[User, ...] = ()
    root: Root = field(default_factory=Root)
    ssh: Ssh = field(default_factory=Ssh)
    firewall: Firewall = field(default_factory=Firewall)
    updates: Updates = field(default_factory=Updates)
    web: Web = field(default_factory=Web)
    certbot: Certbot = field(default_factory=Certbot)
    spf: Spf = field(default_factory=Spf)
    dkim: Dkim = field(default_factory=Dkim)
    dmarc: Dmarc = field(default_factory=Dmarc)
    access: Access = field(default_factory=Access)
    dns: Dns = field(default_factory=Dns)
    reputation: Reputation = field(default_factory=Reputation)
    probe: Probe = field(default_factory=Probe)
    monitors: Monitors = field(default_factory=Monitors)

    @property
    def home_domains(self) -> tuple[str, ...]:
        """The domains of the server behind, none when there is none."""
        return self.home.domains if self.home else ()

    @property
    def mail_domains(self) -> tuple[str, ...]:
        """Every domain that mail is signed and published for, the relay's own first."""
        return (self.relay.domain, *self.home_domains)

    @property
    def mail_users(self) -> tuple[User, ...]:
        """The users that send mail."""
        return tuple(user for user in self.users if user.role == "mail")

    @property
    def senders(self) -> tuple[str, ...]:
        """The logins whose mail the relay takes: those of the mail users, and home's."""
        home = (self.home.login,) if self.home else ()
        return (*(user.name for user in self.mail_users), *home)

    @property
    def admins(self) -> tuple[User, ...]:
        """The users with a shell and sudo."""
        return tuple(user for user in self.users if user.role == "admin")

    @property
    def report_addresses(self) -> tuple[str, ...]:
        """The `rua` of every DMARC record: what was answered, else a mailbox of the relay's domain."""
        return self.dmarc.rua or (f"mailto:dmarc-reports@{self.relay.domain}",)


# The hosts whose banner shows that outbound port 25 is open: large providers, each of them up for decades.
PROBE_TARGETS = ("gmail-smtp-in.l.google.com", "mx1.mail.icloud.com", "mta5.am0.yahoodns.net")
PUBLIC_RESOLVERS = ("9.9.9.9", "1.1.1.1", "8.8.8.8")
BLOCKLISTS = ("zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org")


def parse(raw: Mapping[str, Any]) -> Answers:
    """Judge a whole answers file as TOML or JSON gave it.

    Raises:
        AnswersError: naming the first key that is unknown or wrong, and what would be right.
    """
    if raw.get("schema", SCHEMA) != SCHEMA:
        raise AnswersError(
            f"schema: got {values.short(raw['schema'])}, want {SCHEMA}: this program reads answers of schema {SCHEMA}"
        )
    _known("", raw, tuple(entry.name for entry in fields(Answers)))
    sections: dict[str, Any] = {}
    for name, kind in _section_types().items():
        if name in raw:
            sections[name] = _section(name, kind, raw[name])
    users = raw.get("users", [])
    if not isinstance(users, (list, tuple)):
        raise AnswersError("users: got a single table, want [[users]], one for each user")
    parsed = tuple(_section(f"users[{number}]", User, entry) for number, entry in enumerate(users))
    return complete(Answers(**sections, users=parsed))


def complete(answers: Answers) -> Answers:
    """Check what only the answers together can show, and return them, the host's usual name filled in.

    Raises:
        AnswersError: with the key to change.
    """
    _check_users(answers)
    if answers.home is not None:
        _check_home(answers, answers.home)
    if answers.relay.domain and not answers.relay.hostname:
        return replace(answers, relay=replace(answers.relay, hostname=f"mail.{answers.relay.domain}"))
    return answers


def _check_users(answers: Answers) -> None:
    names = [user.name for user in answers.users]
    for number, name in enumerate(names):
        if not name:
            raise AnswersError(f"users[{number}].name: it is missing; write the login name")
        if name in names[:number]:
            raise AnswersError(f"users[{number}].name: {name!r} is there twice; each user needs a name of its own")


def _check_home(answers: Answers, home: Home) -> None:
    if not home.domains:
        raise AnswersError("home.domains: it is missing; write the domain of the home server, or leave [home] out")
    if not home.address:
        raise AnswersError("home.address: it is missing; write the address or name under which home is reached")
    if answers.relay.domain in home.domains:
        raise AnswersError(f"home.domains: {answers.relay.domain!r} is the relay's own domain; home needs another")
    if home.login in [user.name for user in answers.users]:
        raise AnswersError(f"home.login: {home.login!r} is a user as well; home needs a login of its own")
    if isinstance(home.recipients, tuple):
        for address in home.recipients:
            if address.rpartition("@")[2] not in home.domains:
                raise AnswersError(f"home.recipients: {address!r} is not in one of home's domains")


def load(data: bytes, source: str) -> Answers:
    """Read an answers file.

    Args:
        data: the file's bytes.
        source: its name, for messages.

    Raises:
        AnswersError: when it is not TOML, or an answer is wrong.
    """
    import tomllib

    if len(data) > LONGEST_FILE:
        raise AnswersError(f"{source}: it has {len(data)} bytes; no answers file is longer than {LONGEST_FILE}")
    try:
        raw = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise AnswersError(f"{source}: it is not TOML: {error}") from None
    try:
        return parse(raw)
    except AnswersError as error:
        raise AnswersError(f"{source}: {error}") from None


def validate(key: str, raw: Any) -> Any:
    """Judge one answer by its dotted key ("ssh.port", "users.name"), as the screens do while one types.

    Raises:
        AnswersError: for an unknown key or a wrong value.
    """
    section, _, name = key.partition(".")
    kinds = {**_section_types(), "users": User}
    if section not in kinds or name not in {entry.name for entry in fields(kinds[section])}:
        raise AnswersError(f"{key}: there is no such answer")
    return _section(section, kinds[section], {name: raw}).__getattribute__(name)


def as_tables(answers: Answers) -> dict[str, Any]:
    """The answers as plain tables and lists, ready for JSON or TOML; what is empty by default stays in."""
    tables: dict[str, Any] = {"schema": answers.schema}
    for entry in fields(answers)[1:]:
        section = getattr(answers, entry.name)
        if entry.name == "users":
            tables["users"] = [_table(user) for user in section]
        elif section is not None:
            tables[entry.name] = _table(section)
    return tables


def as_toml(answers: Answers) -> str:
    """The answers as an answers file that `load` reads back to the same."""
    tables = as_tables(answers)
    lines = [f"schema = {tables.pop('schema')}"]
    for name, section in tables.items():
        for table in section if isinstance(section, list) else [section]:
            heading = f"[[{name}]]" if isinstance(section, list) else f"[{name}]"
            lines += ["", heading, *(f"{key} = {_toml(entry)}" for key, entry in table.items())]
    return "\n".join(lines) + "\n"


def _section_types() -> dict[str, type[Any]]:
    kinds: dict[str, type[Any]] = {"home": Home}
    for entry in fields(Answers):
        factory: object = entry.default_factory
        if isinstance(factory, type):
            kinds[entry.name] = factory
    return kinds


def _section(name: str, kind: type[T], raw: Any) -> T:
    if not isinstance(raw, dict):
        raise AnswersError(f"{name}: got {values.short(raw)}, want a table [{name}]")
    entries: dict[str, Field[Any]] = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    _known(f"{name}.", raw, tuple(entries))
    return kind(**{key: _judge(f"{name}.{key}", entries[key], entry) for key, entry in raw.items()})


def _judge(key: str, entry: Field[Any], raw: Any) -> Any:
    judge = entry.metadata["parse"]
    try:
        if not entry.metadata.get("several"):
            # An empty text where the default is empty says "not answered", whatever kind would be wanted.
            return entry.default if raw == "" == entry.default else judge(raw)
        if not isinstance(raw, (list, tuple)):
            raise ValueError(f"{values.short(raw)} is not a list; put it in [ ]")  # noqa: TRY301
        if len(raw) > MOST_ENTRIES:
            raise ValueError(f"it has {len(raw)} entries; {MOST_ENTRIES} are the most")  # noqa: TRY301
        return tuple(judge(part) for part in raw)
    except ValueError as error:
        raise AnswersError(f"{key}: {error}") from None


def _known(prefix: str, raw: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for key in raw:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.0)
            raise AnswersError(f"{prefix}{key}: there is no such key; did you mean {prefix}{near[0]}?")


def _table(section: Any) -> dict[str, Any]:
    table = {entry.name: getattr(section, entry.name) for entry in fields(section)}
    return {key: list(entry) if isinstance(entry, tuple) else entry for key, entry in table.items()}


def _toml(entry: Any) -> str:
    if isinstance(entry, bool):
        return "true" if entry else "false"
    if isinstance(entry, list):
        return "[" + ", ".join(_toml(part) for part in entry) + "]"
    if isinstance(entry, str):
        import json

        return json.dumps(entry, ensure_ascii=False)
    return str(entry)
