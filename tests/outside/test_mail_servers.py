"""Mail servers and filters without an end, or so slow that there is none, over real sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.outside.servers import Talk, dripping, endless, silent, tcp, within
from wizard.check import Status
from wizard.checks import catch, milter, network, smtp
from wizard.host import Completed, LocalHost

HERE = "127.0.0.1"
PATIENCE = 0.3
# Generous to a busy machine, and far from the ten seconds for which each server goes on.
LIMIT = 3.0
BANNER = b"220 mx.example ESMTP\r\n"


class Elsewhere(LocalHost):
    """The machine, with every mail server of the world at one port of loopback."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def connect(self, address: str, port: int, *, timeout: float = 10.0, source: str = "") -> socket.socket:
        return super().connect(HERE, self.port, timeout=timeout)


ILL: dict[str, Talk] = {
    "nothing": silent,
    "no line end": endless(b"220 " + b"x" * 4000),
    "no last line": endless(b"220-still there\r\n" * 100),
    "drop by drop": dripping(b"220-" + b"x" * 1000),
    "line by line, slowly": dripping(b"220-x\r\n" * 500, pause=0.01),
    "no code": endless(b"\x1b]0;owned\x07\x1b[2J" * 10 + b"\r\n"),
    "no last line after EHLO": endless(b"250-ANOTHER\r\n" * 100, first=BANNER),
    "hangs up": lambda connection: connection.sendall(b"220 mx.exam"),
}


@pytest.mark.parametrize("talk", ILL.values(), ids=ILL)
def test_no_server_holds_the_conversation(talk: Talk) -> None:
    with tcp(talk) as port, within(LIMIT), pytest.raises(smtp.SmtpError) as told:
        smtp.greets(LocalHost(), HERE, port, name="mail.example", timeout=PATIENCE)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 300


def test_a_handshake_that_never_comes_is_not_waited_for() -> None:
    with (
        tcp(dripping(b"\x16\x03\x03\x10\x00" + bytes(4000))) as port,
        within(LIMIT),
        pytest.raises(smtp.SmtpError, match="no TLS"),
        smtp.dialogue(LocalHost(), HERE, port, name="mail.example", tls=True, timeout=PATIENCE),
    ):
        pass


def test_what_was_said_before_the_encryption_is_forgotten() -> None:
    def injects(connection: socket.socket) -> None:
        connection.sendall(BANNER)
        connection.recv(100)
        connection.sendall(b"220 go ahead\r\n250 this was never encrypted\r\n")

    with (
        tcp(injects) as port,
        smtp.dialogue(LocalHost(), HERE, port, name="mail.example", timeout=PATIENCE) as speak,
        pytest.raises(smtp.SmtpError, match="no TLS"),
    ):
        speak.starttls(smtp.unjudged(), "mail.example")


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("nothing", "silent"), ("drop by drop", "silent"), ("no line end", "refused"), ("no code", "refused")],
)
def test_no_server_holds_the_probe_of_port_25(monkeypatch: pytest.MonkeyPatch, kind: str, wanted: str) -> None:
    monkeypatch.setattr(network, "BANNER_SECONDS", PATIENCE)
    with tcp(ILL[kind]) as port, within(LIMIT):
        found = network.probe(Elsewhere(port), "mx.example", HERE, "")
    assert found.kind == wanted
    assert found.said.isprintable()


def test_a_banner_in_pieces_is_one_banner(monkeypatch: pytest.MonkeyPatch) -> None:
    with tcp(dripping(BANNER, pause=0.001)) as port:
        found = network.probe(Elsewhere(port), "mx.example", HERE, "")
    assert (found.kind, found.said) == ("open", "220 mx.example ESMTP")


@pytest.mark.parametrize(
    "talk",
    [silent, dripping(struct.pack(">I", 60000) + bytes(60000)), endless(b"\xff" * 1000), endless(b"\0\0\0\x0dO")],
    ids=["silent", "dripping", "endless", "repeats"],
)
def test_no_filter_holds_the_negotiation(monkeypatch: pytest.MonkeyPatch, talk: Talk) -> None:
    monkeypatch.setattr(milter, "TIMEOUT", PATIENCE)
    with tcp(talk) as port, within(LIMIT):
        found = milter.answers(LocalHost(), address=HERE, port=port, service="opendkim", mend="dkim")
    assert found.status is Status.FAIL


@contextmanager
def knocking(words: bytes) -> Iterator[Callable[[str], str]]:
    """Somebody on this machine who comes in Postfix's place, and never goes."""
    held: list[socket.socket] = []

    def send(recipient: str) -> str:
        number = int(recipient.partition("@")[2].partition(".")[0])
        for _ in range(3):
            held.append(socket.create_connection((f"{catch.NETWORK}.{number}", catch.PORT)))
            held[-1].sendall(words)
        return ""

    yield send
    for connection in held:
        connection.close()


@pytest.mark.parametrize(
    "words",
    [b"", b"NOOP\r\n" * 1000, b"DATA\r\n" + b"x" * 100_000, b"\xff" * 20_000],
    ids=["silent", "busy", "a letter without end", "a line without end"],
)
def test_nobody_on_this_machine_holds_the_wait_for_a_message(monkeypatch: pytest.MonkeyPatch, words: bytes) -> None:
    monkeypatch.setattr(catch, "LONGEST_TALK", 0.2)
    monkeypatch.setattr(LocalHost, "ask", lambda _self, argv, **_: Completed(tuple(argv), 0))
    with knocking(words) as send, within(LIMIT), pytest.raises(catch.NotCaughtError, match="did not come out"):
        catch.catch(LocalHost(), send, patience=0.7)
