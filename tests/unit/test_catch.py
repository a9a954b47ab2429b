"""Catching test messages: Postfix is played by the test, which delivers what it is told to."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from tests.fake_host import FakeHost
from wizard.checks.catch import LANES, PORT, NotCaughtError, catch, lanes
from wizard.host import Completed

ADDRESS_OF = dict(lanes())


def deliver(host: FakeHost, recipient: str, body: bytes, *, sender: str = "root@brightmail.example") -> None:
    """Speak as Postfix's smtp client does, in a thread of its own."""

    def speak() -> None:
        connection = host.connect(ADDRESS_OF[recipient.partition("@")[2]], PORT)
        with connection, connection.makefile("rb") as replies:

            def expect(code: bytes, command: bytes = b"") -> None:
                if command:
                    connection.sendall(command + b"\r\n")
                line = replies.readline()
                while line[3:4] == b"-":
                    line = replies.readline()
                assert line.startswith(code), line

            expect(b"220")
            expect(b"250", b"EHLO mail.brightmail.example")
            expect(b"250", f"MAIL FROM:<{sender}> SIZE=10".encode())
            expect(b"250", f"RCPT TO:<{recipient}>".encode())
            expect(b"354", b"DATA")
            expect(b"250", body.replace(b"\n.", b"\n..") + b".")
            expect(b"221", b"QUIT")

    threading.Thread(target=speak, daemon=True).start()


def test_a_message_is_caught_as_it_left() -> None:
    host = FakeHost()
    body = b"From: root@brightmail.example\r\n\r\n.dot\r\nend  \r\n"

    def send(recipient: str) -> str:
        deliver(host, recipient, body)
        return ""

    found = catch(host, send)
    assert found.message == body
    assert found.sender == "root@brightmail.example"


def test_an_older_message_is_taken_and_forgotten() -> None:
    host = FakeHost()

    def send(recipient: str) -> str:
        deliver(host, f"0123@{recipient.partition('@')[2]}", b"Subject: old\r\n\r\n\r\n")
        deliver(host, recipient, b"Subject: new\r\n\r\n\r\n")
        return ""

    assert catch(host, send).message.startswith(b"Subject: new")


def test_what_cannot_be_sent_is_said() -> None:
    with pytest.raises(NotCaughtError, match="port 465: 535 no"):
        catch(FakeHost(), lambda _recipient: "port 465: 535 no")


def test_a_message_that_does_not_come_is_taken_out_of_the_queue() -> None:
    host = FakeHost()
    sent: list[str] = []
    host.commands["postsuper", "-d"] = "deleted"

    def queue(_host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        entries = [
            {"queue_id": "AAA", "queue_name": "deferred", "recipients": [{"address": "somebody@b.example"}]},
            {
                "queue_id": "BBB", "queue_name": "deferred",
                "recipients": [{"address": sent[0], "delay_reason": "milter says no"}],
            },
        ]  # fmt: skip
        return Completed(argv, 0, "".join(f"{json.dumps(entry)}\n" for entry in entries))

    host.commands["postqueue", "-j"] = queue

    def send(recipient: str) -> str:
        sent.append(recipient)
        return ""

    with pytest.raises(NotCaughtError, match="milter says no"):
        catch(host, send, patience=0.05)
    removed = [argv for argv in host.asked if argv[0] == "postsuper"]
    assert [argv[:3] for argv in removed] == [("postsuper", "-d", "BBB")]


def test_lanes_that_are_taken_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()
    free = host.listen
    tried: list[str] = []

    def listen(address: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        tried.append(address)
        if len(tried) < 3:
            raise OSError(98, "Address already in use")
        return free(address, port, timeout=timeout)

    monkeypatch.setattr(host, "listen", listen)

    def send(recipient: str) -> str:
        deliver(host, recipient, b"\r\nx\r\n")
        return ""

    assert catch(host, send).message == b"\r\nx\r\n"
    assert len(set(tried)) == 3


def test_no_lane_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()

    def refuse(address: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(host, "listen", refuse)
    with pytest.raises(NotCaughtError, match="already in use"):
        catch(host, lambda _recipient: "")


def test_every_lane_has_an_address_of_its_own() -> None:
    assert len({address for _, address in lanes()}) == LANES
    assert all(address.startswith("127.") and domain.endswith(".invalid") for domain, address in lanes())
