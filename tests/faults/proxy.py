"""A proxy between clients and the service that loses answers: the request arrives, and its sender never learns so."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Literal

Cut = Literal["at once", "after the answer", "within the answer"]
"""When a connection is cut: when the request has been passed on and its answer is not even made; when the answer has
arrived here, whole; or when half of it has been passed on."""

CUTS: tuple[Cut, ...] = ("at once", "after the answer", "within the answer")


class LossyProxy:
    """A TCP proxy that passes one request and its answer along each connection, and cuts every other one.

    Args:
        port: of the service, on the loopback.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.cut: list[Cut] = []
        """What was done to the connections that were cut."""
        self._numbers = count()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._accepting.start()

    def stop(self) -> None:
        """Listen no more; return when the last connection is done with."""
        # Closing alone does not wake a thread that accepts.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            number = next(self._numbers)
            cut = CUTS[number // 2 % len(CUTS)] if number % 2 == 0 else None
            thread = threading.Thread(target=self._pass_on, args=(connection, cut), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, client: socket.socket, cut: Cut | None) -> None:
        with client, socket.create_connection(self._target, timeout=60) as service:
            client.settimeout(60)
            request = _message(client)
            if not request:
                return
            service.sendall(_said_once(request))
            if cut == "at once":
                self.cut.append(cut)
                client.close()
            # Read to its end in any case: a service that is hung up on could leave off.
            answer = _message(service)
            if cut == "after the answer":
                self.cut.append(cut)
            elif cut == "within the answer":
                self.cut.append(cut)
                client.sendall(answer[: len(answer) // 2])
            elif cut is None:
                client.sendall(_said_once(answer))


def _message(connection: socket.socket) -> bytes:
    """One HTTP message, which says how long its body is; empty where the connection ended before it."""
    message = b""
    while b"\r\n\r\n" not in message:
        received = connection.recv(65_536)
        if not received:
            return b""
        message += received
    head, _, body = message.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = (int(lengths[0]) if lengths else 0) - len(body)
    while missing > 0:
        received = connection.recv(65_536)
        if not received:
            return b""
        message += received
        missing -= len(received)
    return message


def _said_once(message: bytes) -> bytes:
    """The message, with the word that its connection ends after it."""
    head, end, body = message.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*kept, b"Connection: close"]) + end + body


@contextmanager
def losing_answers(port: int) -> Iterator[LossyProxy]:
    """A proxy that runs."""
    proxy = LossyProxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
