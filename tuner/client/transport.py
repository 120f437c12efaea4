"""One request, made again until it is answered: the client's patience with networks and restarting services.

What is made again is the *same* request: the same bytes under the same ``Idempotency-Key``, so a service that had
carried it out, and whose answer was lost, answers once more and does nothing twice.
"""

import json
import logging
import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx

from tuner import __version__
from tuner.client.errors import ServiceUnreachable, UnexpectedAnswer, reason, refusal
from tuner.errors import InvalidInput

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.2
"""Seconds within which a failed request is first made again; doubled from try to try."""

LONGEST_PAUSE = 15.0
"""Seconds that a pause grows to."""

UNAVAILABLE = frozenset({408, 429, 502, 503, 504})
"""Statuses that say: not now."""

# The operating system's: a training program seeds Python's own generator, the same in each of its processes.
_chance = random.SystemRandom()


def pause(tries: int, retry_after: float | None = None) -> float:
    """Seconds to wait after so many failed tries: any time up to a bound that doubles ("full jitter").

    With ``retry_after``, which the service asked for, at least that.
    """
    return (retry_after or 0.0) + _chance.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 16)))


def jittered(seconds: float) -> float:
    """About so many seconds, so that those who were told the same do not come back at once."""
    return seconds * _chance.uniform(1.0, 1.5)


def in_path(name: str) -> str:
    """A name as one segment of a path, whatever is in it."""
    return quote(name, safe="~")


@dataclass(frozen=True)
class Message:
    """A request as it is sent, each time the same."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def write(
        cls, path: str, document: Any, *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> "Message":
        """A write, under a key of its own. Non-finite floats must be encoded already."""
        body = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
        key = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        return cls(method, path, body, {**key, **(headers or {})})


class Transport:
    """Requests to one service, from any thread. Connections are opened when first needed, and after a fork anew."""

    def __init__(self, url: str, *, headers: Mapping[str, str], timeout: float, patience: float) -> None:
        parsed = _parsed(url)
        self.url = str(parsed).rstrip("/")
        self.headers = {"User-Agent": f"tuner-client/{__version__}", **headers}
        self.timeout = timeout
        self.patience = patience
        self._http: httpx.Client | None = None
        self._forgotten: list[httpx.Client | None] = []

    def send(self, message: Message, *, patience: float | None = None) -> httpx.Response:
        """The answer, after as many tries as fit into ``patience`` seconds (the transport's own where None).

        Raises:
            ServiceUnreachable: none of them was answered.
            UnexpectedAnswer: one was, but by no healthy Tuner service.
            TunerError: the service refused.
        """
        patience = self.patience if patience is None else patience
        deadline = time.monotonic() + patience
        for tries in count():
            try:
                return self.attempt(message, timeout=min(self.timeout, max(1.0, patience)))
            except ServiceUnreachable as failure:
                seconds = pause(tries, failure.retry_after)
                if time.monotonic() + seconds > deadline:
                    raise ServiceUnreachable(f"{failure} (gave up after {patience:g} s)") from failure
                if tries == 1:
                    left = deadline - time.monotonic()
                    logger.warning("%s; trying again for up to %.0f s", failure, left)
            time.sleep(seconds)
        raise AssertionError

    def attempt(self, message: Message, *, timeout: float | None = None) -> httpx.Response:
        """One try, with the transport's own timeout where None is given.

        Raises:
            ServiceUnreachable: it may be made again.
            UnexpectedAnswer, TunerError: as `send`.
        """
        http = self._http = self._http or httpx.Client(headers=self.headers, timeout=self.timeout)
        try:
            response = http.request(
                message.method,
                self.url + message.path,
                content=message.body,
                headers=message.headers,
                timeout=timeout or self.timeout,
            )
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise UnexpectedAnswer(f"{self.url}: {error}", 0) from error
            raise ServiceUnreachable(
                f"{self.url} does not answer ({type(error).__name__}{f': {error}' if str(error) else ''})"
            ) from error
        if response.status_code in UNAVAILABLE:
            raise ServiceUnreachable(
                f"{self.url} cannot serve at the moment ({response.status_code} {reason(response)})",
                _seconds(response.headers.get("retry-after")),
            )
        if not response.is_success:
            raise refusal(response)
        return response

    def write(
        self,
        path: str,
        document: Any,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> Any:
        """The document that answers a write."""
        message = Message.write(path, document, method=method, headers=headers)
        return document_of(self.send(message, patience=patience))

    def read(self, path: str) -> httpx.Response:
        """The answer to a GET."""
        return self.send(Message("GET", path))

    def close(self) -> None:
        """Close the connections; the next request would open new ones."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def after_fork(self) -> None:
        """Leave the connections to the parent process: kept, because to collect them would be to close them."""
        self._forgotten.append(self._http)
        self._http = None


def document_of(response: httpx.Response) -> Any:
    """The JSON object of an answer.

    Raises:
        UnexpectedAnswer: there is none.
    """
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UnexpectedAnswer(f"{response.request.url} answered no JSON object", response.status_code)
    return document


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidInput.at("url", str(error)) from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise InvalidInput.at("url", f"must begin with http:// or https:// and name a host, is {url!r}")
    return parsed


def _seconds(text: str | None) -> float | None:
    """A Retry-After header: seconds, or a date."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
