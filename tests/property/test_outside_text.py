"""Whatever comes in from outside: answers, texts, secrets, edited files."""

from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wizard.answers import AnswersError, as_tables, as_toml, load, parse, validate
from wizard.check import failed
from wizard.lines import take_back
from wizard.operation import OperationFailed
from wizard.printable import invisible, printable
from wizard.secret import HIDDEN, Redactor, Secret

KEYS = (
    *("relay.domain", "relay.hostname", "relay.admin_email", "relay.timezone", "certbot.server", "probe.smtp"),
    *("users.name", "users.ssh_keys", "users.password_file", "home.address", "home.recipients", "ssh.port"),
    *("firewall.block", "access.reject", "dmarc.rua", "dkim.selector"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
DOMAINS = st.from_regex(r"\A[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,5})?\.(example|xn--p1ai|org)\Z")


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, (tuple, list)) else []


@given(st.sampled_from(KEYS), VALUES | st.from_regex(r"\A[-a-z@.:/ \n\"'$`;0-9]{1,30}\Z"))
def test_no_answer_starts_a_second_line_or_an_option(key: str, raw: Any) -> None:
    try:
        judged = validate(key, raw)
    except AnswersError:
        return
    for text in leaves(judged):
        assert not text.startswith("-")
        assert not any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in text)


@given(st.dictionaries(st.sampled_from(["relay", "home", "users", "ssh", "access", "schema", "x"]), VALUES, max_size=4))
def test_any_answers_file_is_read_or_refused_in_words(raw: dict[str, Any]) -> None:
    try:
        answers = parse(raw)
    except AnswersError:
        return
    assert parse(as_tables(answers)) == answers


@given(DOMAINS, st.lists(DOMAINS, max_size=3), st.integers(1, 65535), st.sampled_from(["none", "reject"]))
def test_answers_survive_being_written_and_read(domain: str, rejected: list[str], port: int, policy: str) -> None:
    raw = {"relay": {"domain": domain}, "access": {"reject": rejected}, "dmarc": {"policy": policy}}
    if port not in {25, 80, 443, 465, 587, 8891, 8893}:
        raw["ssh"] = {"port": port}
    answers = parse(raw)
    assert load(as_toml(answers).encode(), "x") == answers


@given(st.text(max_size=300))
def test_shown_text_moves_no_cursor_and_reorders_no_letters(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in shown)


@given(st.lists(st.text(min_size=4, max_size=12), min_size=1, max_size=4), st.text(max_size=50))
def test_no_learnt_secret_survives_the_redactor(secrets: list[str], around: str) -> None:
    redactor = Redactor()
    for secret in secrets:
        redactor.learn(Secret(secret))
    cleaned = redactor.clean(around.join([*secrets, ""]))
    assert not [secret for secret in secrets if secret in cleaned.replace(HIDDEN, "\0")]


LINES = st.lists(st.from_regex(r"\A[a-z]{3}:[0-9]{2}\Z"), unique=True, max_size=6)


@given(LINES, LINES, LINES)
def test_taking_our_lines_back_keeps_everybody_elses(before: list[str], ours: list[str], theirs: list[str]) -> None:
    ours = [line for line in ours if line not in before]
    theirs = [line for line in theirs if line not in [*before, *ours]]

    def file(lines: list[str]) -> bytes:
        return "".join(f"{line}\n" for line in lines).encode()

    left = take_back(file(before), file([*before, *ours]), file([*before, *ours, *theirs]))
    assert (left or b"").decode().splitlines() == [*before, *theirs]


OUTSIDE = st.text(max_size=80) | st.sampled_from(
    ["\x1b[2J\x1b]0;owned\x07", "\x9b2J", "a\rb", "\u202egpj.exe", "a\x00b", "\ufeff", "\x7f", "é\u034f", "x" * 9000]
)


@given(OUTSIDE, OUTSIDE)
def test_no_finding_and_no_failure_moves_a_cursor(asked: str, got: str) -> None:
    finding = failed(asked, got, asked, got)
    failure = OperationFailed(asked, got, "do")
    for text in (finding.asked, finding.got, finding.want, finding.do, failure.asked, failure.got, str(failure)):
        assert not any(invisible(character) and character != "\n" for character in text)
        assert len(text) < 100_000
