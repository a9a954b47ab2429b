"""Servers of loopback that mean ill, each for one test."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

Talk = Callable[[socket.socket], None]
# However a test goes wrong, no server outlives it by long.
MOST_SECONDS = 10.0


@contextlib.contextmanager
def tcp(talk: Talk, port: int = 0) -> Iterator[int]:
    """A server that has `talk` with whoever connects; its port."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(MOST_SECONDS)
        over = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while not over.is_set():
                    connection, _ = listener.accept()
                    threading.Thread(target=speak, args=(connection,), daemon=True).start()

        def speak(connection: socket.socket) -> None:
            connection.settimeout(MOST_SECONDS)
            with connection, contextlib.suppress(OSError):
                talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            over.set()


@contextlib.contextmanager
def udp(answer: Callable[[bytes], Iterator[bytes]]) -> Iterator[int]:
    """A server that sends all packets of `answer` back to each question; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(MOST_SECONDS)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    question, client = server.recvfrom(65535)
                    for packet in answer(question):
                        server.sendto(packet, client)

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])


def dripping(data: bytes, pause: float = 0.05) -> Talk:
    """A byte at a time, so that no single wait is ever long."""

    def talk(connection: socket.socket) -> None:
        until = time.monotonic() + MOST_SECONDS
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)
            if time.monotonic() > until:
                return

    return talk


def endless(data: bytes, first: bytes = b"") -> Talk:
    """The same for ever."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        until = time.monotonic() + MOST_SECONDS
        while time.monotonic() < until:
            connection.sendall(data)

    return talk


def silent(connection: socket.socket) -> None:
    """Takes all and says nothing."""
    while connection.recv(4096):
        pass


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """What stands below has to be over after so many seconds."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"it took {took:.1f} seconds"
