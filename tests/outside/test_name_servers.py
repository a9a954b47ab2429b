"""Name servers that lie, babble, drip or keep silent, asked over real sockets."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rrset
import pytest

from tests.outside.servers import dripping, endless, silent, tcp, udp, within
from wizard.host import LocalHost
from wizard.lookup import World
from wizard.resolver import LONGEST_TEXT, MOST_RECORDS

HERE = "127.0.0.1"
PATIENCE = 0.3
# Generous to a busy machine, and far from the ten seconds for which each server goes on.
LIMIT = 3.0
NAME = "brightmail.example"
Answer = Callable[[bytes], Iterator[bytes]]


def reply(question: bytes, *records: str, flags: int = 0) -> dns.message.Message:
    """An answer with these records: "brightmail.example. 60 IN A 192.0.2.1"."""
    made = dns.message.make_response(dns.message.from_wire(question))
    made.flags |= flags
    for record in records:
        owner, ttl, _, rdtype, text = record.split(" ", 4)
        made.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", rdtype, text))
    return made


def right(question: bytes) -> bytes:
    return reply(question, f"{NAME}. 60 IN A 192.0.2.1").to_wire()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., object]]:
    """Ask a server that listens on another port than 53."""
    real = dns.query.udp_with_fallback

    def asked(port: int, rdtype: str = "A") -> object:
        monkeypatch.setattr(dns.query, "udp_with_fallback", partial(real, port=port))
        return LocalHost().query(HERE, NAME, rdtype, timeout=PATIENCE)

    return asked  # type: ignore[return-value]


def nothing(_question: bytes) -> Iterator[bytes]:
    yield from ()


def flood(_question: bytes) -> Iterator[bytes]:
    until = time.monotonic() + 2
    while time.monotonic() < until:
        yield os.urandom(40)
        time.sleep(0.01)


def another_number(question: bytes) -> Iterator[bytes]:
    yield bytes([question[0] ^ 1]) + right(question)[1:]


def another_question(question: bytes) -> Iterator[bytes]:
    made = reply(question, "evil.example. 60 IN A 192.0.2.66")
    made.question[0].name = dns.name.from_text("evil.example")
    yield made.to_wire()


def pointers_in_a_circle(question: bytes) -> Iterator[bytes]:
    header = right(question)[:12]
    yield header + b"\xc0\x0c" + struct.pack(">HH", 1, 1) + b"\xc0\x0c" * 100


def cut_in_the_middle(question: bytes) -> Iterator[bytes]:
    yield right(question)[:-3]


@pytest.mark.parametrize(
    "answer",
    [nothing, flood, another_number, another_question, pointers_in_a_circle, cut_in_the_middle],
    ids=lambda answer: answer.__name__,
)
def test_what_is_no_answer_is_none_in_time(ask: Callable[..., object], answer: Answer) -> None:
    with udp(answer) as port, within(LIMIT):
        found = ask(port)
    assert not found.answered  # type: ignore[attr-defined]
    assert found.records == ()  # type: ignore[attr-defined]


def test_the_right_answer_behind_garbage_is_heard(ask: Callable[..., object]) -> None:
    def late(question: bytes) -> Iterator[bytes]:
        for wrong in (another_number, another_question, pointers_in_a_circle, cut_in_the_middle):
            yield from wrong(question)
        yield right(question)

    with udp(late) as port:
        assert ask(port).texts("A") == ("192.0.2.1",)  # type: ignore[attr-defined]


def cut(question: bytes) -> Iterator[bytes]:
    yield reply(question, flags=dns.flags.TC).to_wire()


@pytest.mark.parametrize(
    "talk",
    [
        silent,
        dripping(struct.pack(">H", 400) + bytes(400)),
        endless(os.urandom(1000)),
        lambda connection: connection.close(),
    ],
    ids=["silent", "dripping", "endless", "hangs up"],
)
def test_a_cut_answer_is_asked_for_by_tcp_in_time(
    ask: Callable[..., object], talk: Callable[[socket.socket], None]
) -> None:
    with udp(cut) as port, tcp(talk, port), within(LIMIT):
        assert not ask(port).answered  # type: ignore[attr-defined]


def test_an_answer_of_64_kilobytes_is_cut_to_what_is_worth_reading(ask: Callable[..., object]) -> None:
    def large(connection: socket.socket) -> None:
        (length,) = struct.unpack(">H", connection.recv(2))
        question = connection.recv(length)
        strings = " ".join(f'"{"x" * 255}"' for _ in range(200))
        wire = reply(question, f"{NAME}. 60 IN TXT {strings}", *many()).to_wire(max_size=65535)
        assert len(wire) > 60000
        connection.sendall(struct.pack(">H", len(wire)) + wire)

    def many() -> list[str]:
        return [f"{NAME}. 60 IN TXT {number}" for number in range(600)]

    with udp(cut) as port, tcp(large, port):
        texts = ask(port, "TXT").texts("TXT")  # type: ignore[attr-defined]
    assert len(texts) == MOST_RECORDS
    assert max(map(len, texts)) <= LONGEST_TEXT


def test_aliases_without_an_end_come_to_one(ask: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def loop(question: bytes) -> Iterator[bytes]:
        name = str(dns.message.from_wire(question).question[0].name)
        asked.append(name)
        yield reply(question, f"{name} 60 IN CNAME x.{name}").to_wire()

    with udp(loop) as port, within(LIMIT):
        ask(port)
        found = World(LocalHost(), (HERE,)).truth(NAME, "TXT")
    assert found.texts("TXT") == ()
    assert len(asked) < 20


def test_a_server_that_lets_every_question_wait_is_given_up(
    ask: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.lookup.PATIENCE_IN_ALL", 0.5)

    def slow(question: bytes) -> Iterator[bytes]:
        time.sleep(0.15)
        yield reply(question, flags=dns.flags.AA).to_wire()

    with udp(slow) as port, within(LIMIT):
        ask(port)
        world = World(LocalHost(), (HERE,))
        replies = [world.ask(HERE, f"{number}.{NAME}", "A") for number in range(40)]
    assert replies[0].answered
    assert replies[-1].rcode == "TIMEOUT"
