"""What an operator may type: each function takes the raw value and returns it clean, or says what is wrong with it.

The same functions judge the answers file and every key press on the screens. Nothing that passes them holds a
control character or a leading dash, so no answer can reach a shell as an option or start a second line in a file.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING

from wizard.printable import invisible, printable
from wizard.public_key import fault

if TYPE_CHECKING:
    from collections.abc import Callable

LABEL = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)$")
LOGIN = re.compile(r"^[a-z_][a-z0-9_-]{0,30}$")
# Not all that RFC 5322 allows. In Postfix's maps and on command lines a leading "-", "|", "/" or "#" means something
# else than an address, and so do "%" and "!" to relays, "$" to postconf.
LOCAL_PART = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_+='~-]*(\.[A-Za-z0-9_+='~-]+)*$")
URL = re.compile(r"^https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[A-Za-z0-9._~/%-]*)?$")
TIMEZONE = re.compile(r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$")
SELECTOR = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$")
SSH_KEY = re.compile(r"^((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,3})( [^\n\r]*)?$")
# Of the system (base-passwd(5)) and of the daemons that a relay has.
RESERVED_LOGINS = frozenset(
    {
        "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data",
        "backup", "list", "irc", "nobody", "_apt", "messagebus", "sshd", "systemd-network", "systemd-resolve",
        "systemd-timesync", "postfix", "dovecot", "dovenull", "opendkim", "opendmarc", "policyd-spf",
    }
)  # fmt: skip
# No answer comes near; what is longer was not typed.
LONGEST = 4096
# Scripts that one word may well be written in (UTS 39, section 5.2, "highly restrictive").
TOGETHER = frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"})
# Cyrillic and Greek letters that cannot be told from Latin ones by looking.
LOOK_LATIN = frozenset("асеорхуіјѕԁһӏԛԝԍьν\u03bfαικρτυγ")  # noqa: RUF001 - they are meant


def short(value: object) -> str:
    """A value that was refused, for the message: quoted, and cut when it is long."""
    return printable(repr(value), 80)


def text(value: object) -> str:
    """One line of text without control, format or bidirectional characters."""
    if not isinstance(value, str):
        raise ValueError(f"{short(value)} is not text; put it in quotes")
    if len(value) > LONGEST:
        raise ValueError(f"it has {len(value)} characters; no answer is longer than {LONGEST}")
    if any(invisible(character) or (character.isspace() and character != " ") for character in value):
        raise ValueError("it holds a control or invisible character; type it again by hand")
    return value.strip()


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{short(value)} is neither true nor false")
    return value


def _dns_name(value: object) -> str:
    name = text(value).rstrip(".").lower()
    if not name:
        raise ValueError("it is empty; a name such as mail.brightmail.example is wanted")
    if "@" in name:
        raise ValueError(f"{short(name)} is a mail address; the domain is what follows the @")
    if len(name) > 253:
        raise ValueError("it is longer than the 253 characters of a DNS name")
    if not name.isascii():
        import idna

        shown = name
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            raise ValueError(
                f"{short(name)} holds a character that domain names cannot have; type it again by hand"
            ) from None
        _honest(shown, name)
    if len(name) > 253:
        raise ValueError("it is longer than the 253 characters of a DNS name")
    for label in name.split("."):
        if not LABEL.match(label):
            raise ValueError(
                f"the part {short(label)} cannot stand in a DNS name; use letters, digits and inner hyphens"
            )
    return name


def _honest(name: str, ascii_name: str) -> None:
    """Refuse letters that only look like others: a reader would take the domain for somebody else's.

    Written as A-labels ("xn--…") a name deceives nobody, so that is the way to have it all the same.
    """
    # Full-width letters and dots of an input method stand for the plain ones.
    labels = unicodedata.normalize("NFKC", name).replace("\u3002", ".").split(".")
    for label in labels:
        letters = [character for character in label if character.isalpha()]
        scripts = {unicodedata.name(character, "?").split()[0] for character in letters} - {"MODIFIER"}
        if len(scripts) > 1 and not scripts <= TOGETHER:
            raise ValueError(
                f"{short(label)} mixes letters that may look alike ({', '.join(sorted(scripts))}); "
                f"type it again by hand, or write {ascii_name} when it is meant so"
            )
        if letters and labels[-1].isascii() and LOOK_LATIN.issuperset(letters):
            raise ValueError(
                f"all letters of {short(label)} look like Latin ones and are not; "
                f"type it again by hand, or write {ascii_name} when it is meant so"
            )


def domain(value: object) -> str:
    """A domain of at least two labels, as A-labels in lower case: "brightmail.example" (RFC 1035, RFC 5890)."""
    name = _dns_name(value)
    if "." not in name:
        shown = printable(text(value), 80)
        raise ValueError(f"'{shown}' has no dot; write the whole domain, such as {shown}.example")
    if name.rsplit(".", 1)[1].isdigit():
        raise ValueError(f"{short(name)} looks like an IP address; a domain name is wanted")
    return name


def ipv4(value: object) -> str:
    """An IPv4 address; empty means "detect it"."""
    shown = text(value)
    if not shown:
        return ""
    try:
        return str(ipaddress.IPv4Address(shown))
    except ValueError:
        raise ValueError(f"{short(shown)} is not an IPv4 address such as 192.0.2.10") from None


def ipv6(value: object) -> str:
    """An IPv6 address; empty means "IPv4 only"."""
    shown = text(value)
    if not shown:
        return ""
    try:
        return str(ipaddress.IPv6Address(_without_zone(shown)))
    except ValueError:
        raise ValueError(f"{short(shown)} is not an IPv6 address such as 2001:db8::10") from None


def _without_zone(shown: str) -> str:
    """The address, when it names no interface: ipaddress takes any text at all behind a "%" (RFC 4007, section 11)."""
    if "%" in shown:
        raise ValueError("an address with % is one of a single cable")
    return shown


def ip_address(value: object) -> str:
    """An IP address of either family."""
    shown = text(value)
    try:
        return str(ipaddress.ip_address(_without_zone(shown)))
    except ValueError:
        raise ValueError(f"{short(shown)} is not an IP address") from None


def network(value: object) -> str:
    """An address or a range in CIDR form: "203.0.113.66/32". Host bits are an error, as they hide a typing slip."""
    shown = text(value)
    plain = _without_zone(shown)
    try:
        entry = ipaddress.ip_interface(plain)
    except ValueError:
        raise ValueError(f"{short(shown)} is not an address range such as 203.0.113.0/24") from None
    found = entry.network
    if entry.ip != found.network_address:
        raise ValueError(f"{short(shown)} is not an address range: write {found} for the range, or {entry.ip} alone")
    if found.prefixlen == 0:
        raise ValueError(f"{short(shown)} is the whole Internet")
    return str(found)


def relaying_network(value: object) -> str:
    """A range whose mail is relayed without a login: one's own, so no large part of the Internet."""
    found = ipaddress.ip_network(network(value))
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped is not None:
        raise ValueError(f"{found} stands for IPv4 addresses; write those")
    widest = 16 if found.version == 4 else 32
    if found.prefixlen < widest and not found.is_private:
        raise ValueError(f"{found} is a large part of the Internet, and all of it could send; /{widest} at most")
    return str(found)


def host_or_address(value: object) -> str:
    """An IP address or a host name; empty means "there is none"."""
    shown = text(value)
    if not shown:
        return ""
    try:
        return str(ipaddress.ip_address(_without_zone(shown)))
    except ValueError:
        return domain(shown)


def port(value: object) -> int:
    """A TCP port."""
    if isinstance(value, str) and re.match(r"^ *[0-9]{1,5} *$", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError(f"{short(value)} is not a port; a number from 1 to 65535 is wanted")
    return value


def ssh_port(value: object) -> int:
    """A TCP port for SSH that no service of the relay needs."""
    number = port(value)
    if number in {25, 80, 443, 465, 587, 8891, 8893}:
        raise ValueError(f"port {number} is needed by the mail relay; choose another, such as 2222")
    return number


def proof_time(value: object) -> int:
    """Seconds for trying a new way in, as a number or as "5m"; long enough to type a line, short enough to wait for."""
    shown = value.strip() if isinstance(value, str) else value
    if isinstance(shown, str) and (match := re.fullmatch(r"(\d{1,4})([sm]?)", shown)):
        shown = int(match[1]) * (60 if match[2] == "m" else 1)
    if not isinstance(shown, int) or isinstance(shown, bool) or not 10 <= shown <= 3600:
        raise ValueError(f"{short(value)} is no time such as 300 (seconds) or 5m; 10 seconds to an hour are possible")
    return shown


def email(value: object) -> str:
    """An e-mail address in its plain form, its domain as A-labels (RFC 5321, section 4.1.2; no quoted local part)."""
    shown = text(value)
    local, at, rest = shown.rpartition("@")
    if not at:
        raise ValueError(f"{short(shown)} has no @; an address such as you@brightmail.example is wanted")
    if len(local) > 64 or not LOCAL_PART.match(local):
        raise ValueError(f"{short(local)} before the @ is not usable; letters, digits, dots and hyphens are")
    return f"{local}@{domain(rest)}"


def login(value: object) -> str:
    """A login name as useradd(8) accepts it, and not one that a daemon owns."""
    shown = text(value)
    if not LOGIN.match(shown):
        raise ValueError(
            f"{short(shown)} is not a login name; start with a small letter, then small letters, digits, - or _"
        )
    if shown in RESERVED_LOGINS:
        raise ValueError(f"{short(shown)} belongs to the system; choose another name")
    return shown


def ssh_key(value: object) -> str:
    """One public key as in authorized_keys(5), without options: they could carry a command."""
    shown = text(value)
    if re.search(r"(^|[ ,])(ssh|ecdsa|sk)-\S+ AAAA", shown) and not re.match(r"(ssh|ecdsa|sk)-", shown):
        raise ValueError(
            f"{short(shown[:40])} is not a public SSH key alone: options are not taken; paste it from its type on"
        )
    found = SSH_KEY.match(shown)
    if not found:
        raise ValueError(
            f"{short(shown[:40])} is not a public SSH key; paste the one line of a file such as ~/.ssh/id_ed25519.pub"
        )
    if wrong := fault(found[1], found[2]):
        raise ValueError(f"the key {short(shown[:40])} {wrong}")
    return shown


def path(value: object) -> str:
    """An absolute path without `..`; empty means "none"."""
    shown = text(value)
    if shown and (not shown.startswith("/") or ".." in shown.split("/") or len(shown) > 1024):
        raise ValueError(f"{short(shown)} is not a full path: from / on, without ..")
    return shown


def url(value: object) -> str:
    """An https address."""
    shown = text(value)
    match = URL.match(shown)
    if not match or len(shown) > 1024:
        raise ValueError(f"{short(shown)} is not an https:// address")
    if match[1].startswith("["):
        ip_address(match[1].strip("[]"))
    else:
        _dns_name(match[1])
    return shown


def timezone(value: object) -> str:
    """A zone of the tz database by its form; whether the machine has it is asked when it is set."""
    shown = text(value)
    if not TIMEZONE.match(shown) or len(shown) > 64:
        raise ValueError(f"{short(shown)} is not a time zone such as Etc/UTC or Europe/Vienna")
    return shown


def selector(value: object) -> str:
    """A DKIM selector: DNS labels in front of ._domainkey (RFC 6376, section 3.1)."""
    shown = text(value).lower()
    if not SELECTOR.match(shown) or len(shown) > 100:
        raise ValueError(f"{short(shown)} is not a selector; letters, digits and hyphens, such as s2026")
    return shown


def report_uri(value: object) -> str:
    """Where DMARC reports go: mailto: and an address."""
    shown = text(value)
    if not shown.startswith("mailto:"):
        raise ValueError(f"{short(shown)} has to begin with mailto:, such as mailto:dmarc-reports@brightmail.example")
    return f"mailto:{email(shown.removeprefix('mailto:'))}"


def reject_entry(value: object) -> str:
    """Whom to refuse: a domain, an e-mail address, an IP address or a range."""
    shown = text(value)
    if "@" in shown:
        return email(shown)
    if re.match(r"^[0-9.]+(/\d+)?$", shown) or ":" in shown:
        return network(shown)
    return domain(shown)


def probe_target(value: object) -> str:
    """A mail server: a host name or an address."""
    found = host_or_address(value)
    if not found:
        raise ValueError("it is empty; a host name such as mx.example.net is wanted")
    return found


def choice(*words: str) -> Callable[[object], str]:
    """One of a few words."""
    shown = ", ".join(f'"{word}"' for word in words)

    def judge(value: object) -> str:
        found = text(value)
        if found not in words:
            raise ValueError(f"{short(found)} is not one of {shown}")
        return found

    return judge
