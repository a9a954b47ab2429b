"""What receivers write into headers, explained; and nothing that a hostile header holds gets further."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.checks.authentication_results import LONGEST, MEANINGS, explain, fields, parse

GOOGLE = """Delivered-To: reader@gmail.example
Authentication-Results: mx.google.com;
       dkim=pass header.i=@hearth.example header.s=default header.b=abc;
       spf=pass (google.com: domain of x@hearth.example designates 192.0.2.10 as permitted; sender) \
smtp.mailfrom=x@hearth.example;
       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=hearth.example
Subject: dkim=fail
"""
MICROSOFT = (
    "Authentication-Results: spf=fail (sender IP is 192.0.2.9)\n smtp.mailfrom=a.example; dkim=none; compauth=fail"
)


def said(text: str) -> list[tuple[str, str, str, str]]:
    return [(result.judge, result.method, result.result, result.domain) for result in explain(text)]


def test_several_results_in_one_folded_field() -> None:
    assert said(GOOGLE) == [
        ("mx.google.com", "dkim", "pass", "hearth.example"),
        ("mx.google.com", "spf", "pass", "hearth.example"),
        ("mx.google.com", "dmarc", "pass", "hearth.example"),
    ]


def test_a_field_without_the_name_of_its_judge() -> None:
    assert said(MICROSOFT) == [("", "spf", "fail", "a.example"), ("", "dkim", "none", ""), ("", "compauth", "fail", "")]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("mx.example 1; none", []),
        ("mx.example; spf=pass", [("mx.example", "spf", "pass", "")]),
        ("mx.example; SPF = Pass smtp.mailfrom=A@B.Example", [("mx.example", "spf", "pass", "b.example")]),
        ("i=1; mx.example; arc=none", [("mx.example", "arc", "none", "")]),
        ('mx.example; dkim=fail reason="a; b" header.d=b.example', [("mx.example", "dkim", "fail", "b.example")]),
        ("mx.example; dkim=pass (a (nested; one) \\) still) header.d=b.example", [
            ("mx.example", "dkim", "pass", "b.example"),
        ]),
        ("mx.example (", []),
        ("", []),
        (";;;", []),
    ],
)  # fmt: skip
def test_parse(body: str, wanted: list[tuple[str, str, str, str]]) -> None:
    assert said(f"Authentication-Results: {body}") == wanted


def test_quoted_and_replied_headers_are_found() -> None:
    assert said("> Authentication-Results: mx.example; spf=pass") == [("mx.example", "spf", "pass", "")]
    assert said("ARC-Authentication-Results: i=1; mx.example; dkim=pass") == [("mx.example", "dkim", "pass", "")]


def test_the_body_of_another_field_is_not_read() -> None:
    assert fields("Subject: Authentication-Results: mx.example; spf=pass\n spf=fail\n") == ()


RECEIVED = "Received: from mail.brightmail.example by mx.google.com; Mon, 23 Nov 2026 12:00:00 +0000\n"
REAL = "Authentication-Results: mx.google.com; spf=fail smtp.mailfrom=a@b.example; dmarc=fail header.from=b.example\n"


def believed(text: str) -> list[tuple[str, str]]:
    return [(result.method, result.result) for result in explain(text) if not result.doubt]


@pytest.mark.parametrize(
    "forged",
    [
        # In the name of somebody else; in the receiver's, below its mark and right below its field.
        f"{REAL}Authentication-Results: mx.gmail.example; spf=pass; dmarc=pass\n",
        f"{REAL}{RECEIVED}Authentication-Results: mx.google.com; spf=pass; dmarc=pass; dkim=pass\n",
        f"{REAL}Authentication-Results: mx.google.com; spf=pass; dmarc=pass\n",
        f"{REAL}Authentication-Results: MX.GOOGLE.COM; spf=pass; dmarc=pass\n",
        f"{REAL}Authentication-Results: mx.g\u043e\u043egle.com; spf=pass; dmarc=pass\n",
        # Words of those who passed it on, which only a seal could prove, above and below.
        f"ARC-Authentication-Results: i=1; mx.evil.example; spf=pass; dmarc=pass\n{REAL}",
        f"X-Original-Authentication-Results: mx.evil.example; spf=pass; dmarc=pass\n{REAL}",
        f"{REAL}Authentication-Results-Original: mx.evil.example; spf=pass; dmarc=pass\n",
        # In a comment, in quotes, in an encoded word, in a folded line of another field, in the message itself.
        REAL.replace("; spf", " (x; spf=pass; dmarc=pass); spf"),
        REAL.replace("spf=fail", 'spf=fail reason="x; spf=pass; dmarc=pass"'),
        REAL.replace("spf=fail", r'spf=fail reason="x\"; spf=pass; dmarc=pass; \""'),
        f"{REAL}Authentication-Results: =?utf-8?q?mx.google.com=3B_spf=3Dpass?=; dmarc=pass\n",
        f"{REAL}Subject: hello\n Authentication-Results: mx.google.com; spf=pass; dmarc=pass\n",
        f"{REAL}Subject: hello\u2028Authentication-Results: mx.google.com; spf=pass; dmarc=pass\n",
        f"{REAL}Subject: hello\n\nAuthentication-Results: mx.google.com; spf=pass; dmarc=pass\n",
        f"{REAL}Subject: hello\r\n\r\nAuthentication-Results: mx.google.com; spf=pass; dmarc=pass\n",
    ],
)
def test_a_forged_pass_is_not_believed(forged: str) -> None:
    assert believed(f"Delivered-To: a@google.example\n{forged}") == [("spf", "fail"), ("dmarc", "fail")]


def test_a_domain_in_the_reason_is_not_the_domain() -> None:
    told = said(
        r'Authentication-Results: mx.example; dkim=pass reason="a \" header.d=bank.example" header.d=evil.example'
    )
    assert told == [("mx.example", "dkim", "pass", "evil.example")]


def test_what_the_receiver_says_in_several_fields_is_believed_once() -> None:
    text = (
        "ARC-Authentication-Results: i=1; mx.google.com; dkim=pass header.d=a.example; spf=pass\n"
        f"{RECEIVED}"
        "Authentication-Results: mx.google.com; dkim=pass header.d=a.example; spf=pass\n"
        "Authentication-Results: mx.google.com; dkim=fail header.d=b.example\n"
    )
    assert believed(text) == [("dkim", "pass"), ("spf", "pass"), ("dkim", "fail")]


@pytest.mark.parametrize(
    "word", ["a", "a.", "a-", "a.a ", "(", '"', "\\", ";", "=", " ", "a=", "a.b=", "i=1", "\n ", "> "]
)
def test_no_paste_holds_the_screen(word: str) -> None:
    began = time.monotonic()
    explain(f"Authentication-Results: mx.example; spf=pass {word * LONGEST}")
    assert time.monotonic() - began < 2


def test_every_meaning_is_a_plain_sentence_without_an_end() -> None:
    for meaning in MEANINGS.values():
        assert meaning
        assert not meaning.endswith(".")


def test_control_characters_are_made_visible() -> None:
    assert parse("mx\x1b[2J.example; spf=pass")[0].judge == "mx\\x1b[2J.example"


@given(st.text(max_size=300))
def test_any_text_is_survived(text: str) -> None:
    for result in explain(f"Authentication-Results: {text}"):
        assert result.result.isascii()


def test_a_huge_paste_is_cut() -> None:
    assert len(explain("Authentication-Results: a; spf=pass\n" * LONGEST)) < LONGEST / 30
