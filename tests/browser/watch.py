"""Watches a page for what must not happen in it: errors, refusals of its security policy, requests that fail."""

from playwright.sync_api import ConsoleMessage, Dialog, Error, Page, Request, Response

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`security policy: ${event.violatedDirective} forbids ${event.blockedURI} in ${event.sourceFile}`));
"""


class Watch:
    """What went wrong in a page, in the order in which it did.

    Args:
        page: what is watched, from before its first document on.
        home: the service's address. A request for anything else is wrong.
    """

    def __init__(self, page: Page, home: str) -> None:
        self._home = home
        self._expected: list[str] = []
        self._seen: list[str] = []
        page.add_init_script(REPORT_VIOLATIONS)
        page.on("console", self._said)
        page.on("pageerror", self._raised)
        page.on("dialog", self._interrupted)
        page.on("request", self._asked)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def expect(self, *fragments: str) -> None:
        """Let what contains one of these pass: a test that brings it about says so."""
        self._expected += fragments

    @property
    def troubles(self) -> list[str]:
        """What went wrong and was not expected."""
        return [each for each in self._seen if not any(fragment in each for fragment in self._expected)]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._seen.append(f"console {message.type}: {message.text} ({message.location['url']})")

    def _raised(self, error: Error) -> None:
        self._seen.append(f"uncaught: {error}")

    def _interrupted(self, dialog: Dialog) -> None:
        # The browser's own question stops all scripts, and does not look like the page that asks.
        self._seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self._home}/", "data:", "blob:")):
            self._seen.append(f"request to elsewhere: {request.url}")

    def _failed(self, request: Request) -> None:
        # What the page itself gave up (it went elsewhere, or had no more use for the answer) has not failed.
        if request.failure != "net::ERR_ABORTED":
            self._seen.append(f"request failed: {request.failure} {request.method} {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._seen.append(f"status {response.status}: {response.request.method} {response.url}")
