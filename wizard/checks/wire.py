"""Bytes from the other end of a connection, within a time and a size, whoever is there.

The timeout of a socket bounds one recv(2) alone: who sends a byte every ten seconds would be listened to for days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from wizard.host import Host

# RFC 5321, section 4.5.3.1.5 allows 512 octets; a server that sends more without a line end is no mail server.
LONGEST_LINE = 8192


class EndlessError(OSError):
    """The other end sends more than anything that was asked for can have."""


class Wire:
    """A connection that is read by lines or by count; all of one answer has to be there when its time is over."""

    def __init__(self, host: Host, connection: socket.socket, seconds: float) -> None:
        """Read from `connection`, each answer within `seconds`; the first one's time begins now."""
        self.connection = connection
        self._host = host
        self._seconds = seconds
        self._buffer = b""
        self.again()

    def again(self) -> None:
        """Begin the time of the next answer."""
        self._until = self._host.monotonic() + self._seconds

    def send(self, data: bytes) -> None:
        """Send all of `data`, and begin the time of the answer to it.

        Raises:
            OSError: when the connection broke, or nobody took it in time.
        """
        self.connection.settimeout(self._seconds)
        self.connection.sendall(data)
        self.again()

    def line(self, most: int = LONGEST_LINE) -> bytes:
        """One line with its end; what is left when the other end hung up, b"" for nothing.

        Raises:
            TimeoutError: when it is not there in time.
            EndlessError: when it is longer than `most`.
            OSError: when the connection broke.
        """
        while b"\n" not in self._buffer and len(self._buffer) <= most and self._more():
            pass
        line, end, rest = self._buffer.partition(b"\n")
        if len(line) > most:
            raise EndlessError(f"a line of more than {most} bytes")
        self._buffer = rest
        return line + end

    def exactly(self, count: int) -> bytes:
        """So many bytes.

        Raises:
            EOFError: when the other end hung up before.
            TimeoutError: when they are not there in time.
            OSError: when the connection broke.
        """
        while len(self._buffer) < count:
            if not self._more():
                raise EOFError("it hung up")
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _more(self) -> bool:
        left = self._until - self._host.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {self._seconds:.0f} seconds")
        self.connection.settimeout(left)
        data = self.connection.recv(4096)
        self._buffer += data
        return bool(data)
