"""A study of 100,000 trials on its pages: how long its charts take, and what they transfer.

The study has what a real one has: a curve for each trial, verdicts, runs that diverged. *Cold* is the first request to
a process that has just started, *warm* the same request again; what the cold one took of the processor is the same on a
busy machine. Sizes are those of the compressed answers.

With Playwright and a Chromium (``TUNER_CHROMIUM``, or one on the path) the study's page is opened as well, until every
chart in view is drawn. *Cold* is then the first visit with a new browser to a new process; *warm* a visit with one that
has been there twice, which it takes until Chromium keeps what V8 has compiled. What the second visit takes is told too.
"""

import gzip
import importlib
import json
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks import browser, servers
from benchmarks.filling import ROWS, Done, create_with_past, past
from benchmarks.servers import Served
from benchmarks.table import Measurement, seconds
from tuner.storage import curves, studies, trials
from tuner.storage.curves import CurveBlock
from tuner.storage.database import Connection, Database

TRIALS = 100_000
STUDY = "large"
CHARTS = ("rate-loss", "loss-curves", "history", "rate-steps", "front", "importance")
COLD, WARM, MOST_BYTES = 1.5, 0.5, 1_000_000
DELTAS = 10
ROUNDS, VISITS = 3, 5

DIVERGES_FROM = 0.5
"""The rate from which on the trials diverge."""


def measure() -> list[Measurement]:
    """Each chart by itself, the page with all of them, what a live page gets, and the page in a browser."""
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as directory:
        url = servers.migrated(f"sqlite:///{directory}/tuner.db")
        _fill(url)
        rows = [_chart(url, name) for name in CHARTS]
        rows += [_together(url), *_live(url)]
        if path := browser.found():
            rows += _in_a_browser(url, path)
        return rows


def _fill(url: str) -> None:
    done = []
    for one in past(TRIALS):
        rate = float(str(one.parameters["learning_rate"]))
        diverged = rate > DIVERGES_FROM
        verdict = "diverged" if diverged else "converged" if rate > 0.05 else "improving" if rate > 1e-3 else "too_slow"
        done.append(Done(one.parameters, float("inf") if diverged else one.loss, verdict))
    create_with_past(url, STUDY, done)
    database = Database(url)
    for first in range(0, TRIALS, ROWS):

        def work(connection: Connection, first: int = first) -> None:
            study = studies.get(connection, STUDY)
            found = trials.get_many(connection, study.id, range(first, min(first + ROWS, TRIALS)))
            blocks = [
                CurveBlock(record.id, 1, "loss", *_curve(done[number].loss, int(record.parameters["steps"])))
                for number, record in found.items()
            ]
            curves.append(connection, blocks)

        database.write(work)
    database.close()


def _curve(loss: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """From 10 evenly to the loss, on a log scale; or up, until it leaves the finite numbers."""
    at = np.arange(steps + 1)
    with np.errstate(over="ignore"):
        return at, 10.0 * (max(loss, 1e-9) / 10.0) ** (at / steps) if np.isfinite(loss) else 10.0 * 50.0 ** (2.0 * at)


@dataclass(frozen=True)
class Answer:
    """How long an answer took, and its size as it was sent and as it is read."""

    seconds: float
    sent: int
    content: bytes


def _get(served: Served, path: str) -> Answer:
    request = urllib.request.Request(f"http://127.0.0.1:{served.port}{path}", headers={"Accept-Encoding": "gzip"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as response:
        sent = response.read()
        took = time.perf_counter() - began
        packed = response.headers["Content-Encoding"] == "gzip"
    return Answer(took, len(sent), gzip.decompress(sent) if packed else sent)


def _chart(url: str, name: str) -> Measurement:
    with servers.serving(url) as served:
        before = served.processor_seconds()
        cold = _get(served, f"/studies/{STUDY}/charts/{name}")
        taken = served.processor_seconds() - before
        warm = median(_get(served, f"/studies/{STUDY}/charts/{name}").seconds for _ in range(5))
    return _row(f"chart {name} of {TRIALS:,} trials", cold.seconds, warm, cold.sent, taken)


def _together(url: str) -> Measurement:
    """The page and its charts, one after another, as one process has to make them."""
    paths = [f"/studies/{STUDY}", *(f"/studies/{STUDY}/charts/{name}" for name in CHARTS)]
    with servers.serving(url) as served:
        before = served.processor_seconds()
        cold = [_get(served, path) for path in paths]
        taken = served.processor_seconds() - before
        warm = [_get(served, path) for path in paths]
    sent = sum(answer.sent for answer in cold)
    what = f"the page of {TRIALS:,} trials and its {len(CHARTS)} charts, one after another"
    return _row(what, sum(one.seconds for one in cold), sum(one.seconds for one in warm), sent, taken)


def _live(url: str) -> Iterator[Measurement]:
    """A live page: a trial is told, and the charts that can are asked what has changed."""
    names = ("rate-loss", "history", "loss-curves")
    with servers.serving(url) as served:
        known = {name: json.loads(_get(served, f"/studies/{STUDY}/charts/{name}").content) for name in names}
        for name in names:
            since, answers = known[name]["sequence"], []
            for _ in range(DELTAS):
                [trial] = served.post(f"/v1/studies/{STUDY}/trials:ask", {"count": 1})["trials"]
                told = {"attempt": trial["attempt"], "state": "complete", "values": {"loss": 0.9}}
                served.post(f"/v1/studies/{STUDY}/trials/{trial['number']}:tell", told)
                answers.append(_get(served, f"/studies/{STUDY}/charts/{name}?since={since}"))
                since = json.loads(answers[-1].content)["sequence"]
            took, sent = median(one.seconds for one in answers), max(one.sent for one in answers)
            what = f"what has changed since in {name}, one trial more"
            yield Measurement(what, f"{seconds(took)}, {sent / 1000:.1f} kB", "", "", "", None)


def _in_a_browser(url: str, path: str) -> Iterator[Measurement]:
    """The study's page, until every chart in view is drawn: of a new process and a new browser, and then again."""
    # Of development only, and not on every machine.
    playwright: Any = importlib.import_module("playwright.sync_api")
    visits = []
    for _ in range(ROUNDS):
        with (
            servers.serving(url) as served,
            playwright.sync_playwright() as driver,
            browser.running(path, driver) as chromium,
        ):
            visits.append([chromium.visit(f"http://127.0.0.1:{served.port}/studies/{STUDY}") for _ in range(VISITS)])
    cold, second = (median(one[place].seconds for one in visits) for place in (0, 1))
    warm = median(visit.seconds for one in visits for visit in one[2:])
    first = [median(one[0].first for one in visits), median(visit.first for one in visits for visit in one[2:])]
    what = (
        f"the page of {TRIALS:,} trials in Chromium, not inspected, until all charts in view are drawn (the one at the "
        f"top alone: {seconds(first[0])}, {seconds(first[1])}; second visit, before V8 has kept Plotly: "
        f"{seconds(second)})"
    )
    yield _row(what, cold, warm, max(one[0].sent for one in visits))


def _row(what: str, cold: float, warm: float, sent: int, taken: float | None = None) -> Measurement:
    of_processor = "" if taken is None else f" ({seconds(taken)} of the processor)"
    return Measurement(
        what,
        f"cold {seconds(cold)}{of_processor}, warm {seconds(warm)}, {sent / 1000:.0f} kB",
        "",
        "",
        f"<= {COLD:g} s, <= {WARM:g} s, < 1 MB",
        cold <= COLD and warm <= WARM and sent < MOST_BYTES,
    )
