"""Whatever programs print, files hold and name servers send: plans and checks end in words, never in a traceback.

More than the quick suite tries: RELAY_WIZARD_FUZZ=50 .venv/bin/pytest tests/property
"""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress
from dataclasses import dataclass, field

import dns.message
import dns.name
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_dns import NS1, RAW, NamedHost, published
from wizard.answers import AnswersError, load, parse
from wizard.checking import _ask as asked
from wizard.checks import dmarc_record
from wizard.fact import Context, Facts
from wizard.host import Completed, DnsReply, HostError
from wizard.lookup import time_left
from wizard.operation import OperationFailed
from wizard.printable import invisible
from wizard.resolver import judged
from wizard.steps import STEPS

# How often more than in the quick suite each test is tried.
TIMES = int(os.environ.get("RELAY_WIZARD_FUZZ", "1"))
ANSWERS = parse(
    {**RAW, "users": [{"name": "you"}, {"name": "boss", "role": "admin"}], "access": {"reject": ["x.example"]}}
)
# What the programs print that we read, whole and in pieces; below, all of it is cut, doubled and mixed.
PRINTED = (
    "", "\n", "active", "inactive", "yes", "0", "-1", "9" * 5000, "\u00b2", "0x7f", "nan", "null", "[]", "{}",
    "[null]", "[[]]", '[{"prefsrc": null}]', '[{"prefsrc": 5}]', '{"queue_name": "deferred", "recipients": null}',
    '{"recipients": [1]}', '{"recipients": [{"address": "a", "delay_reason": null}]}', "[" * 3000, '"',
    "\x1b[2J\x1b]0;x\x07", "\u202e", "\x00", "postfix ii 3.10.5\n", "postfix ii\n",
    "fail2ban:\n  Candidate: (none)\n", "  Candidate: 1:2.4.1+dfsg1-6\n",
    "Status: active\nDefault: deny (incoming), allow (outgoing), disabled (routed)\nTo Action From\n-- ------ ----\n",
    "22/tcp                     ALLOW IN    Anywhere                   # SSH\n", "Anywhere DENY IN 203.0.113.66\n",
    "ufw allow 25/tcp comment 'relay-wizard'\n", "ufw allow 2²/tcp\n", "ufw deny from x to y port any\n",
    "ufw allow ²\n", "mynetworks = 127.0.0.0/8 [::1]/128 x/99 [", "smtp inet n - y - - smtpd\n  -o a=b\n",
    "smtp inet n\n", " -o\n", "3.10.5", "2.4.1 (abc)", "2..", "port 22\nport x\nport 99999999\n",
    "permitrootlogin prohibit-password\n", "root:x:0:0:root:/root:/bin/bash\n", "you:x:1000\n", "you:x:y:z::/:\n",
    "root:!:1:2:3:4:::\n", "root L 01/01/2026\n", "mail:x:2000:you,boss\n", "LISTEN 0 4096 0.0.0.0:22\n",
    "tcp LISTEN\n", "NTPSynchronized=yes\nTimezone=Etc/UTC\n", "ActiveState=active\nUnitFileState=\n",
    "Status\n|- Number of jail:\t4\n`- Jail list:\tsshd, postfix\n", "Banned IP list: x",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\n",
    "nameserver x\nnameserver\n", "KeyTable /etc/x\nSigningTable refile:/y\n", "a b:c:d\n", "a b\n", "*@x.example\n",
    "Listening on: 0.0.0.0:8891\n",
)  # fmt: skip
ILL = b"\xff\xfe\x00\x80"


@dataclass
class Babel(NamedHost):
    """A machine on which every program and every file says something else than it should, and the same each time."""

    seed: int = 0
    sockets: list[socket.socket] = field(default_factory=list)

    def words(self, about: str) -> str:
        draw = random.Random(f"{self.seed} {about}")
        parts = [draw.choice(PRINTED) for _ in range(draw.randint(1, 3))]
        text = "".join(parts)
        return text[: draw.randint(0, len(text))] if draw.random() < 0.3 else text

    def _execute(self, argv: tuple[str, ...], stdin: bytes) -> Completed:
        text = self.words(" ".join(argv))
        status = random.Random(f"{self.seed} {argv}").choice([0, 0, 0, 1, 124, 127])
        return Completed(argv, status, text, self.words(f"errors of {argv}"))

    def read(self, path: str, *, follow: bool = True) -> bytes | None:
        if path.startswith("/root/"):
            return b"correct horse 7 battery\n"
        draw = random.Random(f"{self.seed} file {path}")
        return draw.choice([None, ILL, self.words(path).encode(errors="replace")])

    def list(self, path: str) -> tuple[str, ...]:
        return random.Random(f"{self.seed} {path}").choice([(), ("a", "b.conf", "-rf", "\x1b[2J")])

    def connect(self, address: str, port: int, *, timeout: float = 10.0, source: str = "") -> socket.socket:
        near, far = socket.socketpair()
        far.sendall(self.words(f"{address} {port}").encode(errors="replace") or b"\n")
        far.close()
        self.sockets.append(near)
        return near

    def listen(self, address: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        raise OSError(98, "Address already in use")


SETTINGS = settings(max_examples=12 * TIMES, deadline=None)


@SETTINGS
@given(st.integers())
def test_whatever_programs_print_a_plan_and_a_check_end_in_words(seed: int) -> None:
    host = Babel(seed=seed, records=published())
    try:
        for step in STEPS:
            context = Context(host, ANSWERS, Facts(host))
            with suppress(OperationFailed, HostError, AnswersError):
                for operation in step.plan(context):
                    with suppress(OperationFailed, HostError):
                        operation.diff(host)
            with suppress(OperationFailed, HostError, AnswersError):
                for check in step.checks(context):
                    finding = asked(host, check)
                    assert not any(map(invisible, "".join(vars(finding).values()).replace("\n", "")))
    finally:
        for made in host.sockets:
            made.close()


# DNS


@dataclass
class Liar(NamedHost):
    """A world in which one name server sends whatever the test says."""

    reply: DnsReply = field(default_factory=lambda: DnsReply("SERVFAIL"))

    def query(self, server: str, name: str, rdtype: str, *, timeout: float = 3.0) -> DnsReply:
        truth = super().query(server, name, rdtype, timeout=timeout)
        return self.reply if server == NS1 and rdtype not in {"NS", "SOA"} else truth


TYPES = ("A", "AAAA", "MX", "TXT", "CNAME", "PTR", "NS", "SOA", "CAA", "SRV", "NULL")
# The names that are asked for, so that the lies are about them.
OWNERS = (
    "brightmail.example", "mail.brightmail.example", "_dmarc.brightmail.example", "default._domainkey.hearth.example",
)  # fmt: skip
TXT = st.sampled_from([
    b"v=spf1", b"v=spf1 a mx -all", b"v=spf1 include:brightmail.example ?all", b"v=spf1 redirect=brightmail.example",
    b"v=spf1 " + b"a " * 120, b"v=spf1 exists:%{l1r-}.%{d9999}.x -all", b"v=spf1 ip4:1.2.3.4/99 ip6:::::/1",
    b"v=DMARC1", b"v=DMARC1; p=none; rua=mailto:a@b!10m,,mailto:", b"v=DMARC1;p=;p=;;=;x", b"v=DKIM1; p=",
    b"v=DKIM1; k=rsa; p=AAAA", b"v=DKIM1; p=\xff\xfe", b"\x1b[2J\x1b]0;x\x07", "\u202ev=spf1 -all".encode(),
    b'"v=spf1 -all"', b"\\000\\",
]) | st.binary(max_size=255)  # fmt: skip


def wire(owner: str, rdtype: str, strings: list[bytes], rest: bytes) -> bytes:
    """An answer as it comes by UDP, whose data may be anything."""
    bodies = [bytes([len(text)]) + text if rdtype == "TXT" else text + rest for text in strings or [b""]]
    header = b"\x00\x01\x84\x00\x00\x00" + len(bodies).to_bytes(2, "big") + b"\x00\x00\x00\x00"
    name = dns.name.from_text(owner).to_wire() or b""
    kind = dns.rdatatype.from_text(rdtype).to_bytes(2, "big") + b"\x00\x01\x00\x00\x00\x3c"
    return header + b"".join(name + kind + len(body).to_bytes(2, "big") + body for body in bodies) + rest[:3]


@settings(max_examples=40 * TIMES, deadline=None)
@given(st.sampled_from(OWNERS), st.sampled_from(TYPES), st.lists(TXT, max_size=4), st.binary(max_size=20))
def test_whatever_a_name_server_sends_is_judged_in_words(
    owner: str, rdtype: str, strings: list[bytes], rest: bytes
) -> None:
    try:
        reply = judged(dns.message.from_wire(wire(owner, rdtype, strings, rest), ignore_trailing=True))
    except Exception:  # noqa: BLE001 - what dnspython makes of it is no answer; see wizard/resolver.py
        return
    assert time_left(reply) >= 0
    host = Liar(records=published(), reply=reply)
    context = Context(host, ANSWERS, Facts(host))
    for step in STEPS:
        if step.id in {"dns", "ptr", "spf", "dkim", "dmarc"}:
            for check in step.checks(context):
                # Not by way of the engine: a judge that breaks would be told as one that failed.
                finding = check.ask(host)
                assert not any(map(invisible, "".join(vars(finding).values()).replace("\n", "")))
                assert len(finding.got) < 20_000


@settings(max_examples=100 * TIMES, deadline=None)
@given(TXT | st.text(max_size=200).map(str.encode))
def test_any_dmarc_text_is_read(text: bytes) -> None:
    record = dmarc_record.parse(text.decode(errors="replace"))
    assert isinstance(record.policy, str)
    assert isinstance(record.report_addresses, tuple)


# Answers


TOML = st.sampled_from([
    b"[relay]", b"domain", b"=", b'"x.example"', b"\n", b"[[users]]", b'name = "you"', b"[home]", b"'''", b'"' * 3,
    b"\\u0000", b"schema = 1", b"{", b"}", b"[", b"]", b",", b".", b"1e999", b"nan", b"9" * 5000, b"true", b"#",
    b"1979-05-27T07:32:00Z", b"ssh.port = 22", b"\xff", b"\x00", b"\r", b'"\\u001b[2J" = 1', b"users = [1]",
    b"home = []", b"relay = 1",
]) | st.binary(max_size=12)  # fmt: skip


@settings(max_examples=200 * TIMES, deadline=None)
@given(st.lists(TOML, max_size=12).map(b" ".join) | st.lists(TOML, max_size=12).map(b"\n".join))
def test_any_bytes_are_answers_or_refused_in_words(data: bytes) -> None:
    try:
        told = repr(load(data, "answers.toml"))
    except AnswersError as error:
        told = str(error)
    assert not any(map(invisible, told))
