"""What takes bytes from outside, and what has to hold whatever they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import dns.exception
import dns.message

from wizard.answers import AnswersError, load
from wizard.checks import authentication_results, dkim_record, dmarc_record, mail_auth, pasted_headers
from wizard.lookup import time_left
from wizard.printable import invisible
from wizard.resolver import LONGEST_TEXT, MOST_RECORDS, judged


@dataclass(frozen=True)
class Target:
    """One parser: `judge` raises when it does with the bytes what it must not; `seeds` are where to begin."""

    judge: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def headers(data: bytes) -> None:
    text = data.decode(errors="replace")
    told = authentication_results.explain(text)
    receivers = {result.judge for result in told if not result.doubt}
    assert len(receivers) <= 1, f"two are believed: {receivers}"
    assert all(shown(result.judge) and shown(result.domain) for result in told)
    remarks = pasted_headers.explain(text, ("b.example",), ("mx.example", "192.0.2.10"))
    assert all(remark.said.isascii() and shown(remark.said) for remark in remarks)


def message(data: bytes) -> None:
    verdict = mail_auth.judge(data, spf=(), texts=lambda _name: ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg==",))
    assert not verdict.dkim_aligned, "nobody has signed this"
    assert shown(verdict.text), repr(verdict)


def answers(data: bytes) -> None:
    try:
        told = repr(load(data, "answers.toml"))
    except AnswersError as error:
        told = str(error).replace("\n", "")
    assert shown(told), repr(told)


def packet(data: bytes) -> None:
    try:
        reply = dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, OverflowError, IndexError):
        return
    found = judged(reply)
    assert len(found.records) <= MOST_RECORDS
    assert all(len(record.text) <= LONGEST_TEXT for record in found.records)
    assert time_left(found) >= 0


def records(data: bytes) -> None:
    text = data.decode(errors="replace")
    wanted = hashlib.sha256(data).hexdigest()
    assert dkim_record.compare([text], wanted).state in {"missing", "wrong"}
    record = dmarc_record.parse(text)
    assert isinstance(record.policy, str)
    assert all("\n" not in address for address in record.report_addresses)


def shown(text: str) -> bool:
    """Whether nothing in it moves a cursor or hides."""
    return not any(map(invisible, text))


SIGNED = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.example; s=x; t=1; l=0; h=from:to:subject;
 bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA
From: "you" <you@a.example>, <me@b.example>
Subject: =?utf-8?q?x?=

body
"""
PASTED = b"""Received: by mx.example; now
Authentication-Results: mx.example (said "so"); spf=pass reason="x; dkim=pass" smtp.mailfrom=a@b.example;
\tdkim=fail (bad \\) key) header.d=b.example; dmarc=none
ARC-Authentication-Results: i=1; mx.example/1; dkim=pass header.i=@c.example
DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=x; l=1; b=abc
From: "you" <you@b.example>
Return-Path: <you@b.example>
Received-SPF: pass (mx.example: so it is) client-ip=192.0.2.10;
Received: from mx.example (mx.example [192.0.2.10]) by b.example with ESMTPSA (version=TLS1_3)
X-Forefront-Antispam-Report: SCL:5;CAT:SPM; dest:J
X-Spam-Status: No, score=-0.1 required=5.0
X-Spamd-Result: default: False [1.20 / 15.00]

> Authentication-Results: mx.example; spf=fail
"""
TOML = b"""schema = 1
[relay]
domain = "brightmail.example"
hostname = "mail.brightmail.example"
[home]
domains = ["hearth.example", "xn--bcher-kva.example"]
address = "198.51.100.80"
networks = ["198.51.100.0/24", "2001:db8::/32"]
[[users]]
name = "you"
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAabcdefghijklmnopqrstuvwxyz0123456789ABCDEF you@laptop"]
[dmarc]
rua = ["mailto:a@b.example"]
"""
WIRE = bytes.fromhex(
    "000184000001000200000000016101620000100001c00c001000010000003c000706763d737066 31c00c0005000100000001 0002c00c"
)

TARGETS = {
    "headers": Target(headers, (PASTED,)),
    "message": Target(message, (SIGNED,)),
    "answers": Target(answers, (TOML,)),
    "packet": Target(packet, (WIRE,)),
    "records": Target(
        records, (b"v=DMARC1; p=none; rua=mailto:a@b.example!10m", b'v=DKIM1; k=rsa; h=sha256; t=y; p="AAAA" "BB"')
    ),
}
