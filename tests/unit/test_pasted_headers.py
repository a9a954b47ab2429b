"""The lines of a pasted header, each in words; and nothing that a hostile one holds gets further."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.checks import authentication_results
from wizard.checks.pasted_headers import LINES, MOST_LINES, explain
from wizard.printable import invisible

DOMAINS, MACHINES = ("brightmail.example", "hearth.example"), ("mail.brightmail.example", "192.0.2.10")
GMAIL = """Delivered-To: reader@gmail.example
ARC-Seal: i=1; a=rsa-sha256; t=1; cv=none; d=google.com; s=arc-20240605; b=abc
ARC-Authentication-Results: i=1; mx.google.com;
       dkim=pass header.i=@hearth.example header.s=default header.b=abc;
Return-Path: <x@hearth.example>
Received: from mail.brightmail.example (mail.brightmail.example. [192.0.2.10])
        by mx.google.com with ESMTPS id x1 for <reader@gmail.example>
        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);
Received-SPF: pass (google.com: domain of x@hearth.example designates 192.0.2.10) client-ip=192.0.2.10;
Authentication-Results: mx.google.com; dkim=pass header.i=@hearth.example
Received: from home.hearth.example (unknown [198.51.100.80])
	(using TLSv1.2 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
	by mail.brightmail.example (Postfix) with ESMTPSA id 4Abc
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=hearth.example; s=default; b=abc
From: "You, too" <x@hearth.example>
Subject: From: somebody else

Received-SPF: fail (this stands in the body)
"""


def said(text: str) -> list[tuple[str, str]]:
    return [(remark.name, remark.said) for remark in explain(text, DOMAINS, MACHINES)]


def test_a_message_at_a_big_provider_line_by_line() -> None:
    told = said(GMAIL)
    assert [name for name, _ in told] == [
        "ARC-Seal", "ARC-Authentication-Results", "Return-Path", "Received", "Received-SPF", "Received",
        "DKIM-Signature", "From",
    ]  # fmt: skip
    seal, forwarder, bounces, first, spf, second, signature, sender = (text for _, text in told)
    assert seal == "seal 1, of google.com, on what it saw; it is the first"
    assert forwarder.startswith("what mx.google.com says it saw (number 1), for those to whom")
    assert bounces == "bounces go to hearth.example, which fits From: SPF counts for DMARC"
    assert first == (
        "mx.google.com took it from mail.brightmail.example (192.0.2.10), this relay, encrypted with TLS 1.3"
    )
    assert spf.startswith("pass for mail from 192.0.2.10: the sending address is one that")
    assert second.startswith("mail.brightmail.example took it from home.hearth.example (198.51.100.80), encrypted with")
    assert ", after a login. This and those below were there before" in second
    assert signature == (
        "signed by hearth.example (selector default, rsa-sha256), one of your domains; it fits From, so it counts for "
        "DMARC when dkim= says pass"
    )
    assert "of hearth.example: one of your domains" in sender


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("DKIM-Signature: d=bulk.example; s=x; l=0", "not one of your domains; it does not fit From"),
        ("DKIM-Signature: d=bulk.example; s=x; l=0", "l= leaves what was added at the end unsigned"),
        ("DKIM-Signature: v=1; s=x", "nobody stands for it"),
        ("Return-Path: <a@bounces.bulk.example>", "does not fit From: SPF does not count"),
        ("Return-Path: <>", "it is a bounce"),
        ("Received: by mx.example with ESMTPS; now", "mx.example took it, encrypted"),
        ("Received: from [IPv6:2001:db8::1] by mx.example with ESMTP", "took it from [ipv6:2001:db8::1]"),
        ("Received-SPF: softfail (x) client-ip=192.0.2.9", "softfail for mail from 192.0.2.9: the sending address is"),
        ("X-Forefront-Antispam-Report: CIP:192.0.2.9;SCL:5;CAT:PHSH", "SCL 5 (spam confidence level): spam"),
        ("X-Forefront-Antispam-Report: CIP:192.0.2.9;SCL:5;SFV:SPM;CAT:PHSH;DIR:INB", "kind: phishing"),
        ("X-MS-Exchange-Organization-SCL: -1", "was not asked"),
        ("X-MS-Exchange-Organization-SCL: 9", "certainly spam"),
        ("X-Microsoft-Antispam: BCL:8;", "BCL 8 (bulk complaint level): bulk mail, with many complaints"),
        ("X-Microsoft-Antispam-Mailbox-Delivery: ucf:0;dest:J;OFR:x", "it was put into the junk folder"),
        ("X-Microsoft-Antispam-Mailbox-Delivery: ucf:0;dest:I;", "it was put into the inbox"),
        ("X-Spam-Status: Yes, score=7.1 required=5.0", "the filter calls it spam: 7.1 points, spam from 5.0 on"),
        ("X-Spam-Flag: NO", "the filter does not call it spam"),
        ("X-Spamd-Result: default: False [1.20 / 15.00]; X", "1.20 points of the spam filter, spam from 15.00 on"),
        ("X-Apple-MoveToFolder: Junk", "it was put into Junk"),
        ("X-UI-Filterresults: notjunk:1;", "does not call it spam"),
        ("List-Id: <l.example>", "somebody passed it on"),
    ],
)  # fmt: skip
def test_one_line(line: str, want: str) -> None:
    told = said(f"From: you@brightmail.example\n{line}\n")
    assert want in told[-1][1]


@pytest.mark.parametrize(
    "senders", ["From: a@hearth.example\nFrom: b@evil.example\n", "From: a@x.example, b@y.example\n"]
)
def test_two_senders_are_none(senders: str) -> None:
    assert all("not exactly one sender" in text for _, text in said(senders))


def test_what_says_nothing_is_passed_over() -> None:
    assert said("X-Spam-Score: none\nX-MS-Exchange-Organization-SCL: \u0665\nReceived:\nReceived-SPF: \n") == []


HOSTILE = st.text(st.characters() | st.sampled_from('=:;<>@[]()"\\\x1b\u202e'), max_size=200)


@given(st.sampled_from(sorted(LINES)), HOSTILE)
def test_any_text_is_survived_and_can_be_shown(name: str, text: str) -> None:
    for remark in explain(f"From: a@hearth.example\n{name}: {text}", DOMAINS, MACHINES):
        assert remark.said.isascii()
        assert not any(map(invisible, remark.said))
        assert len(remark.said) < 3000


@pytest.mark.parametrize("word", [">", "> ", "|", "a", "from ", "by x", "[", "score=", "@", "<", ";", "d=", "1", "\n "])
@pytest.mark.parametrize("name", ["Received", "X-Spam-Status", "From", "DKIM-Signature"])
def test_no_paste_holds_the_screen(name: str, word: str) -> None:
    began = time.monotonic()
    explain(f"{name}: {word * 65536}", DOMAINS, MACHINES)
    explain(word * 65536, DOMAINS, MACHINES)
    authentication_results.explain(word * 65536)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("letter", ["\ufffd", "\u2026", "\x1b", "é"])
def test_what_is_quoted_of_a_forwarder_is_ascii_and_short(letter: str) -> None:
    remark = explain(f"ARC-Authentication-Results: i=2; mx.exampl{letter * 300}; spf=pass", (), ())[0]
    assert remark.said.isascii()
    assert remark.said.isprintable()
    assert len(remark.said) < 300


def test_what_is_quoted_is_short() -> None:
    assert said(f"X-Apple-MoveToFolder: {'x' * 1000}") == [("X-Apple-MoveToFolder", f"it was put into {'x' * 100}")]


def test_a_huge_paste_is_cut() -> None:
    assert len(explain("List-Id: x\n" * 5000, DOMAINS, MACHINES)) == MOST_LINES
