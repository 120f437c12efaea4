"""A page in Chromium, as a reader has it: with nobody looking into the browser until all is drawn.

A program that drives a browser watches it all the while, by its inspector. Under that V8 compiles a script anew which
it would otherwise have kept, so a page would be measured that no reader has. Here the browser is told an address over
HTTP and left alone; the page itself marks when each chart is drawn (``performance.mark``), and is asked for its marks
when all is long over.

A reader comes from another page of the service, the list of studies as a rule, so there is a renderer already. Here
that is a page of a server of our own, on the same host, which leads on to the one that is meant by itself: time is
counted from when the browser sets out. Every visit is a new tab, which has seen nothing of the visits before it.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SETTLED = 5.0
"""Seconds for which a tab is left alone."""

LEADS_ON = b"""<!doctype html><meta http-equiv="refresh" content="1;url=%s">"""

WITHIN = 60.0
"""Seconds within which a browser starts, and a page is drawn."""

SIZE = (1200, 900)
"""Of the page, in pixels."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)

_LOOK = """() => {
    const inView = [...document.querySelectorAll("tuner-chart")].filter((chart) => {
        const { top, bottom } = chart.getBoundingClientRect();
        return bottom >= 0 && top <= innerHeight;
    });
    const drawn = new Map(performance.getEntriesByName("drawn").map((mark) => [mark.detail, mark.startTime]).reverse());
    const loads = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return {
        size: [innerWidth, innerHeight],
        visible: document.visibilityState === "visible",
        drawn: inView.map((chart) => drawn.get(chart.getAttribute("src")) ?? null),
        sent: loads.filter(({ name }) => !name.includes("plotly")).reduce((sum, one) => sum + one.transferSize, 0),
    };
}"""


@dataclass(frozen=True)
class Visit:
    """Seconds until every chart was drawn that is in view, be it by its head alone; and bytes sent, Plotly apart.

    ``first``: seconds until the chart at the top was drawn.
    """

    seconds: float
    first: float
    sent: int


def found() -> str | None:
    """The browser's path; None where there is none, or nobody who could ask it for marks."""
    path = os.environ.get("TUNER_CHROMIUM") or shutil.which("chromium")
    return path if path and importlib.util.find_spec("playwright") else None


class Browser:
    """A running browser."""

    def __init__(self, port: int, driver: Any) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._driver = driver

    def visit(self, url: str) -> Visit:
        """Let a new tab come to a page, leave it alone, then see what it has marked.

        Raises:
            RuntimeError: it is not drawn, or another one than was meant.
        """
        with _leading_to(url) as before:
            tab = json.load(self._send("PUT", f"/json/new?{before}"))
            time.sleep(SETTLED)
        inspector = self._driver.chromium.connect_over_cdp(self._address)
        try:
            [page] = [page for context in inspector.contexts for page in context.pages if page.url == url]
            until = time.monotonic() + WITHIN
            while None in (seen := page.evaluate(_LOOK))["drawn"] and time.monotonic() < until:
                time.sleep(0.1)
        finally:
            inspector.close()
        self._send("GET", f"/json/close/{tab['id']}")
        if not seen["drawn"] or None in seen["drawn"] or tuple(seen["size"]) != SIZE or not seen["visible"]:
            raise RuntimeError(f"the page did not come as it was to: {seen}")
        return Visit(max(seen["drawn"]) / 1000, seen["drawn"][0] / 1000, seen["sent"])

    def _send(self, method: str, path: str) -> Any:
        return urllib.request.urlopen(urllib.request.Request(self._address + path, method=method), timeout=60)


@contextmanager
def _leading_to(url: str) -> Iterator[str]:
    """The address of a page of this host that leads on to another one."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = LEADS_ON % url.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        # Browsers open connections that they may need, and keep them.
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running(path: str, driver: Any) -> Iterator[Browser]:
    """A browser with nothing in its caches. ``driver`` is Playwright's."""
    with tempfile.TemporaryDirectory(prefix="tuner-bench-", ignore_cleanup_errors=True) as directory:
        # A window has a frame even where nobody sees it.
        size = f"--window-size={SIZE[0]},{SIZE[1] + 87}"
        command = [path, *FLAGS, size, f"--user-data-dir={directory}", "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield Browser(_port(Path(directory, "DevToolsActivePort")), driver)
            finally:
                process.terminate()
                process.wait(WITHIN)


def _port(said: Path) -> int:
    until = time.monotonic() + WITHIN
    while not said.exists() or "\n" not in said.read_text():
        if time.monotonic() > until:
            raise RuntimeError("the browser did not start")
        time.sleep(0.05)
    # It has opened its first tab, and is at rest.
    time.sleep(1)
    return int(said.read_text().split()[0])
