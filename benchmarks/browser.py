"""A page in Chromium, as a reader has it: with nobody looking into the browser until all is drawn.

A program that drives a browser watches it all the while, by its inspector. Under that V8 compiles a script anew which
it would otherwise have kept, so a page would be measured that no reader has. Here the browser is told an address over
HTTP and left alone; the page itself marks when each chart is drawn (``performance.mark``), and is asked for its marks
when all is long over. Every visit is a new tab with a process of its own.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTLED = 4.0
"""Seconds for which a page is left alone."""

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
    """Seconds from the click until every chart in view was drawn, and bytes that were sent, Plotly apart."""

    seconds: float
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
        """Open a page in a new tab, leave it alone, then see what it has marked.

        Raises:
            RuntimeError: it is not drawn, or another one than was meant.
        """
        tab = json.load(self._send("PUT", f"/json/new?{url}"))
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
        return Visit(max(seen["drawn"]) / 1000, seen["sent"])

    def _send(self, method: str, path: str) -> Any:
        return urllib.request.urlopen(urllib.request.Request(self._address + path, method=method), timeout=60)


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
