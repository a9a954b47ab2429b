"""Whatever is accepted as an answer stays one word where it is written: in every file, command and record.

The answers are walked by their dataclasses, so a new field is tried by itself; only a new *kind* of value needs a word
here: a harmless example in SAMPLES.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_host import FakeHost
from tests.fake_postfix import install
from wizard import answers, home_folder, records, values
from wizard.answers import Answers, AnswersError, User, parse, validate
from wizard.fact import Context, Facts
from wizard.host import Completed, HostError
from wizard.operation import OperationFailed
from wizard.operations.files import WriteFile
from wizard.printable import invisible
from wizard.steps import STEPS

# A harmless answer for each kind of text. The others (choice, flag, port …) leave nothing to write freely.
SAMPLES = {
    "domain": "stove.example", "email": "anna@admins.example", "ipv4": "192.0.2.10", "ipv6": "2001:db8:2::10",
    "ip_address": "203.0.113.53", "network": "203.0.113.64/28", "relaying_network": "198.51.100.80/32",
    "host_or_address": "home.stove.example", "login": "anna", "path": "/root/anna.pem", "timezone": "Europe/Vienna",
    "selector": "s2026", "report_uri": "mailto:dmarc@reports.example", "reject_entry": "spam.example",
    "probe_target": "mx.stove.example", "recipients": "anna@stove.example",
    "url": "https://acme.stove.example:14000/dir",
    "ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAabcdefghijklmnopqrstuvwxyz0123456789ABCDEF anna@laptop",
}  # fmt: skip
NOT_TEXT = {"flag", "port", "ssh_port", "proof_time", "choice.<locals>.judge"}
FRAGMENTS = (
    *("\n", "\r", "\0", "\x0b", "\x1b[2J", "\x85", "\u2028", "\u202e", "\u2066", "\u200b", "\u00ad", "\ufeff"),
    *("\u115f", "\u3164", "\u2800", "\ufe0f", "\u00a0", "\u3000", " ", "  x", "\t", "é", "ß", "\u0456", "\u03bf"),
    *("\uff0e", "\u3002", "-", "--help", "|", "/", "//", "#", ";", ":", "%", "%n", "%eth0", "%a b", "$HOME", "${x}"),
    *("$(id)", "`id`", "{{ 7*7 }}", "{% raw %}", '"', "'", "\\", "\\n", "<", ">", "*", "!", "&", ",", "=", "+", "~"),
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "@",
        "_",
        "..",
        "../",
        ":include:/etc/passwd",
        'command="id" ',
        "x" * 70,
        "x" * 5000,
    ),
    *("0.0.0.0/0 ", "::ffff:0:0/96", " smtp:[192.0.2.66]"),
)
PASSWORD = "/root/password"
# Letters, digits and what addresses, names and paths are made of; all else is structure.
WORD = re.compile(r"[A-Za-z0-9._:@+=~'/-]+")


def kind_of(judge: Any) -> str:
    return str(judge.__qualname__)


def walk() -> Iterator[tuple[str, str, bool]]:
    """Every answer: its dotted key, the kind of its value, and whether it is a list."""
    for entry in fields(Answers):
        section = {"home": answers.Home, "users": User}.get(entry.name, entry.default_factory)
        if is_dataclass(section):
            for field in fields(section):
                several = bool(field.metadata.get("several")) or field.metadata["parse"] is answers.recipients
                yield f"{entry.name}.{field.name}", kind_of(field.metadata["parse"]), several


TEXTS = tuple((key, kind, several) for key, kind, several in walk() if kind not in NOT_TEXT)


def candidates(sample: str) -> Iterator[str]:
    places = {0, len(sample) // 2, len(sample), *(match.start() for match in re.finditer(r"[@:/.]", sample))}
    for fragment in FRAGMENTS:
        yield fragment
        for at in places:
            yield f"{sample[:at]}{fragment}{sample[at:]}"
            yield f"{sample[:at]}{fragment}{sample[at + 1 :]}"


@cache
def accepted(key: str, kind: str, several: bool) -> tuple[str, ...]:  # noqa: FBT001
    """What is let through of all that an attacker, or a slip of the hand, may put there."""
    found = [SAMPLES[kind]]
    for raw in candidates(SAMPLES[kind]):
        try:
            judged = validate(key, [raw] if several else raw)
        except AnswersError:
            continue
        # Nothing but blanks says "not answered".
        found += [raw] if judged else []
    return tuple(found)


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, tuple) else []


@pytest.mark.parametrize("key", [key for key, _, _ in walk()])
def test_no_answer_starts_a_line_an_option_or_hides_a_letter(key: str) -> None:
    sample = next((SAMPLES.get(kind, "") for name, kind, _ in walk() if name == key), "")
    told: list[str] = []
    for raw in candidates(sample):
        for shape in (raw, [raw], [[raw]], {raw: raw}):
            try:
                judged = validate(key, shape)
            except AnswersError as error:
                told.append(str(error))
                continue
            for text in leaves(judged):
                assert not text.startswith("-")
                assert not any(invisible(character) for character in text)
                assert text == text.strip()
                assert len(text) <= values.LONGEST
    assert len(told) > 300
    assert max(map(len, told)) < 1100
    assert not [text for text in told if any(invisible(character) for character in text)]


def test_every_kind_of_text_has_a_harmless_example() -> None:
    assert {kind for _, kind, _ in walk()} == set(SAMPLES) | NOT_TEXT
    for key, kind, several in TEXTS:
        validate(key, [SAMPLES[kind]] if several else SAMPLES[kind])
        # Lists are long at most, too.
        if several:
            with pytest.raises(AnswersError, match=re.escape(key)):
                validate(key, [SAMPLES[kind]] * (answers.MOST_ENTRIES + 1))


def whole(chosen: dict[str, str]) -> Answers:
    """Answers with every field answered; what must be different or belong together is made so."""
    raw: dict[str, Any] = {"users": [{}, {"name": "boss", "role": "admin", "ssh_keys": [SAMPLES["ssh_key"]]}]}
    for key, kind, several in TEXTS:
        section, _, name = key.partition(".")
        table = raw["users"][0] if section == "users" else raw.setdefault(section, {})
        text = chosen.get(key, SAMPLES[kind])
        table[name] = [text] if several else text
    raw["users"][0]["password_file"] = raw["root"]["password_file"] = raw["home"]["login_password_file"] = PASSWORD
    raw["relay"]["domain"] = f"relay.{values.domain(raw['relay']['domain'])}"
    raw["relay"]["hostname"] = f"mail.{values.domain(raw['relay']['hostname'])}"
    raw["home"]["login"] = "l" + raw["home"]["login"].strip()[:20]
    home = f"home.{values.domain(raw['home']['domains'][0])}"
    raw["home"]["domains"] = [home]
    raw["home"]["recipients"] = [f"{entry.rpartition('@')[0]}@{home}" for entry in raw["home"]["recipients"]]
    raw["dkim"]["sign_unpublished"] = True
    return parse(raw)


def machine(made: Answers, dovecot: str) -> FakeHost:
    addresses = ("127.0.0.1", "::1", made.relay.ipv4, made.relay.ipv6)
    host = install(FakeHost(own_addresses=addresses), "3.7.11" if dovecot.startswith("2.3") else "3.10.13")
    host.commands["dovecot", "--version"] = f"{dovecot} (abc)"
    host.put("/root/anna.pem", "-----BEGIN CERTIFICATE-----\n")
    host.put(PASSWORD, "correct horse 7 battery\n", 0o600)
    for program in ("certbot", "ufw", "useradd", "usermod", "groupadd", "hostnamectl", "timedatectl", "systemctl"):
        host.commands[(program,)] = Completed((), 0)
    return host


def written(made: Answers, dovecot: str) -> tuple[dict[str, str], list[str]]:
    """Every file that the steps would write, the records and home's folder; and every word of every command."""
    host = machine(made, dovecot)
    context = Context(host, made, Facts(host))
    texts: dict[str, str] = {}
    argv: list[tuple[str, ...]] = []
    for step in STEPS:
        for number, operation in enumerate(step.plan(context)):
            if isinstance(operation, WriteFile):
                texts[f"{step.id} {number}"] = operation.content
            try:
                change = operation.diff(host)
                if change is not None:
                    argv += [change.command or (), *change.undo]
                operation.apply(host)
            except (OperationFailed, HostError):
                # The fake machine cannot do it all; what was asked of it is kept.
                continue
    texts |= {name: data.decode() for name, data in home_folder.files(context).items()}
    texts["zone"] = records.as_zone(records.sheet(context))
    texts["main.cf"] = host.text("/etc/postfix/main.cf")
    return texts, [word for words in (*argv, *host.ran, *host.asked) for word in words]


def shape(text: str) -> list[str]:
    """The lines with every word taken for the same one, and columns however wide."""
    return sorted(re.sub(" +", " ", WORD.sub("w", line)) for line in text.splitlines())


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("-")}


def like(key: str, kind: str, several: bool, raw: str) -> str:  # noqa: FBT001
    """A harmless answer of the same shape: an address for an address, a name for a name."""
    judged = validate(key, [raw] if several else raw)
    text = judged[0] if several else judged
    if "@" in text and kind == "reject_entry":
        return SAMPLES["email"]
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        return SAMPLES[kind]
    plain = "203.0.113.64" if found.version == 4 else "2001:db8:9::"
    return f"{plain}/{'28' if found.version == 4 else '64'}" if "/" in text else plain


@cache
def harmless(chosen: tuple[tuple[str, str], ...], dovecot: str) -> tuple[dict[str, str], list[str]]:
    return written(whole(dict(chosen)), dovecot)


CHOICES = st.fixed_dictionaries({
    # A path with blanks and quotes is quoted where it is written; tests/golden reads it there.
    key: st.sampled_from(accepted(key, kind, several)) if kind != "path" else st.just(SAMPLES["path"])
    for key, kind, several in TEXTS
})  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(CHOICES, st.sampled_from(["2.3.19.1", "2.4.1"]))
def test_no_accepted_answer_changes_the_structure_of_what_is_written(chosen: dict[str, str], dovecot: str) -> None:
    texts, words = written(whole(chosen), dovecot)
    same = tuple((key, like(key, kind, several, chosen[key])) for key, kind, several in TEXTS)
    expected, expected_words = harmless(same, dovecot)
    assert texts.keys() == expected.keys()
    for name, text in texts.items():
        assert shape(text) == shape(expected[name]), name
    assert options(words) == options(expected_words)
    assert not [word for word in words if any(character in word for character in "\n\r\0") and "-c" not in words]
