"""postconf, postfix and postmap on the fake machine: they edit and read its files as the real ones do."""

from __future__ import annotations

from tests.fake_host import FakeHost
from wizard.host import Completed
from wizard.operations.postfix import MAIN, MASTER, main_parameters, parse_service, services

STOCK_MAIN = """# Debian's
compatibility_level = 3.6
myhostname = vps
mydestination = $myhostname, vps,
    localhost
alias_maps = hash:/etc/aliases
smtp_tls_CApath = /etc/ssl/certs
message_size_limit = 1000
queue_minfree = 7
"""
STOCK_MASTER = """# service type  private unpriv  chroot  wakeup  maxproc command + args
smtp      inet  n       -       y       -       -       smtpd
#submissions inet n - y - - smtpd
pickup    unix  n       -       y       60      1       pickup
"""


def install(host: FakeHost, version: str = "3.10.13") -> FakeHost:
    """Put a fresh Postfix onto the machine."""
    host.put(MAIN, STOCK_MAIN)
    host.put(MASTER, STOCK_MASTER)
    host.commands[("postconf",)] = _postconf
    host.commands["postconf", "-h", "mail_version"] = version
    host.commands["postfix", "check"] = ""
    host.commands["postfix", "status"] = Completed((), 1)
    host.commands[("postmap",)] = _postmap
    return host


def _postconf(host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed:
    if "-c" in argv:
        return _postconf_in(host, argv)
    what, words = argv[1], argv[2:]
    if what == "-e":
        for word in words:
            name, _, value = word.partition("=")
            _set(host, name.strip(), value.strip())
    elif what == "-X":
        for name in words:
            _set(host, name, None)
    elif what in {"-M", "-MX"} and words:
        _set_service(host, *words[0].partition("=")[::2])
    elif what in {"-n", "-M"}:
        return Completed(argv, 0, "", _lint(host))
    elif what in {"-x", "-h"}:
        return _show(host, argv)
    return Completed(argv, 0)


def _postconf_in(host: FakeHost, argv: tuple[str, ...]) -> Completed:
    """The same on a copy of the configuration, which then is thrown away by whoever made it."""
    folder = argv[2]
    kept = host.files[MAIN], host.files[MASTER]
    host.files[MAIN], host.files[MASTER] = host.files[f"{folder}/main.cf"], host.files[f"{folder}/master.cf"]
    done = _postconf(host, (argv[0], *argv[3:]), b"")
    host.files[f"{folder}/main.cf"], host.files[f"{folder}/master.cf"] = host.files[MAIN], host.files[MASTER]
    host.files[MAIN], host.files[MASTER] = kept
    return Completed(argv, done.status, done.out, done.err)


def _set(host: FakeHost, name: str, value: str | None) -> None:
    lines: list[str] = []
    dropping = False
    for line in host.text(MAIN).splitlines():
        if not line[:1].isspace():
            dropping = line.partition("=")[0].strip() == name
        if not dropping:
            lines.append(line)
    if value is not None:
        lines.append(f"{name} = {value}")
    host.put(MAIN, "\n".join(lines) + "\n")


def _set_service(host: FakeHost, key: str, line: str) -> None:
    lines: list[str] = []
    dropping = False
    for entry in host.text(MASTER).splitlines():
        if not entry[:1].isspace():
            words = entry.split()
            dropping = not entry.startswith("#") and "/".join(words[:2]) == key
        if not dropping:
            lines.append(entry)
    if line:
        service = parse_service(line)
        lines.append("   ".join((*service.fields, *service.arguments)))
        lines += [
            f"    -o {{ {name} = {value} }}" if " " in value else f"    -o {name}={value}"
            for name, value in service.options
        ]
    host.put(MASTER, "\n".join(lines) + "\n")


def _expand(host: FakeHost, value: str) -> str:
    for name, text in main_parameters(host).items():
        value = value.replace(f"${name}", text)
    return value


def _show(host: FakeHost, argv: tuple[str, ...]) -> Completed:
    defaults = {"default_database_type": "hash", "relay_recipient_maps": "", "unverified_recipient_reject_code": "450"}
    values = {**defaults, **main_parameters(host)}
    shown = [(name, _expand(host, values[name])) for name in argv[2:] if name in values]
    unknown = [name for name in argv[2:] if name not in values]
    text = "".join(f"{value}\n" if argv[1] == "-h" else f"{name} = {value}\n" for name, value in shown)
    return Completed(argv, 0, text, "".join(f"postconf: warning: {name}: unknown parameter\n" for name in unknown))


def _lint(host: FakeHost) -> str:
    """Own parameters that are named and not there, as postconf tells them."""
    known = main_parameters(host)
    options = [value for entry in services(host).values() for _, value in entry.options]
    words = " ".join((*known.values(), *options)).replace(",", " ").split()
    missing = {word for word in words if word.startswith("$relay_wizard_") and word[1:] not in known}
    return "".join(f"postconf: warning: {MAIN}: undefined parameter: {word[1:]}\n" for word in sorted(missing))


def _postmap(host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed:
    key, table = argv[2], argv[3].partition(":")[2]
    for line in (host.read(table) or b"").decode().splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return Completed(argv, 0, f"{value}\n")
    return Completed(argv, 1)
