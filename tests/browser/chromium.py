"""The browser of the tests: the system's Chromium, headless, offline, with a fresh profile.

``python -m tests.browser.chromium`` says where it is, and ends with status 1 where there is none.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    # Software rendering, WebGL included: machines of tests have no graphics card.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # The dashboard works offline: a name that it would have to look up is not found.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""Beside Playwright's own, which switch off background traffic, updates of components and the like."""


def found() -> str | None:
    """The path of the browser: what ``TUNER_CHROMIUM`` says, else the first of its usual names on the path."""
    if given := os.environ.get("TUNER_CHROMIUM"):
        return shutil.which(given)
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """The browser while it runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    path = found()
    if path is None:
        sys.exit("There is no Chromium.")
    print(path)
