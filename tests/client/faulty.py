"""A proxy that loses answers, refuses and dawdles, each time as a test has planned it; and keeps what came through."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import httpx


@dataclass(frozen=True)
class Seen:
    """A request that came, and what was done with it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    fault: "Fault | None"

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


@dataclass(frozen=True)
class Fault:
    """Instead of passing on: answer this, or nothing at all; ``passed_on``: lose the service's answer."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    passed_on: bool = False


LOST_REQUEST = Fault()
LOST_ANSWER = Fault(passed_on=True)

Plan = Callable[[str, str], Fault | None]
"""What to do with a request, by method and path."""


class Faulty:
    """The proxy. ``plan`` decides for each request; faults in ``next_faults`` come first, one each."""

    def __init__(self, url: str) -> None:
        self.seen: list[Seen] = []
        self.next_faults: list[Fault] = []
        self.plan: Plan = lambda method, path: None
        self._lock = threading.Lock()
        self._http = httpx.Client(base_url=url, timeout=30)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                proxy.handle(self, body)

            do_GET = do_POST = do_PATCH = handle_any  # noqa: N815

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def handle(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        with self._lock:
            planned = self.plan(handler.command, handler.path)
            fault = self.next_faults.pop(0) if self.next_faults else planned
            headers = {name.lower(): value for name, value in handler.headers.items()}
            self.seen.append(Seen(handler.command, handler.path, headers, body, fault))
        if fault is None or fault.passed_on:
            kept: dict[str, str] = {
                name: headers[name] for name in ("content-type", "idempotency-key", "if-match") if name in headers
            }
            response = self._http.request(handler.command, handler.path, content=body, headers=kept)
            answer = Fault(
                response.status_code,
                tuple((n, v) for n, v in response.headers.items() if n in {"content-type", "etag", "retry-after"}),
                response.content,
            )
        else:
            answer = fault
        if (fault is not None and fault.passed_on) or answer.status is None:
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def calls(self, ending: str) -> list[Seen]:
        """The requests whose path ends so."""
        with self._lock:
            return [seen for seen in self.seen if seen.path.endswith(ending)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._http.close()
