"""The pictures of the dashboard: taken of the running service, in a real browser, with studies that it ran itself.

``python -m docs.pictures.dashboard`` takes them anew (``make screenshots``); it needs Chromium and the extra ``data``.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import httpx
from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from examples.three_studies import STUDIES
from tests.browser import charts, chromium
from tests.browser.watch import Watch
from tests.faults.service import serving
from tests.worker.running import eventually

FOLDER = Path(__file__).parent

LARGEST = 300_000
"""Bytes that a picture may take."""

LAPTOP = (1280, 860)
PHONE = (375, 812)

AIR = 16
"""CSS pixels around a picture of a part of a page."""

PATIENCE = 60_000
"""Milliseconds that a page may take to be drawn."""

VALLEY: dict[str, Any] = {
    "name": "valley",
    "objective": {"name": "rosenbrock"},
    "search_space": {
        "learning_rate": {"type": "float", "low": 1e-5, "high": 0.1, "scale": "log"},
        "steps": {"type": "int", "low": 1, "high": 2000, "scale": "log"},
    },
    "sampler": {"name": "tpe", "seed": 1},
    "budget": {"trials": 150},
    "tags": ["tutorial"],
}
"""Beside the studies of ``make run``: one of Optuna's sampler, in which many rates are too small or too large."""


@dataclass(frozen=True)
class Picture:
    """A page as it looks somewhere.

    Args:
        name: of the file.
        path: of the page.
        size: of the window, in CSS pixels.
        scheme: the system's setting.
        prepare: what a reader does before it looks so.
        of: the part of the page that is taken, in CSS; the window's first screen where there is none.
    """

    name: str
    path: str
    size: tuple[int, int] = LAPTOP
    scheme: Literal["light", "dark"] = "light"
    prepare: Callable[[Page], None] | None = None
    of: str | None = None


PICTURES = [
    Picture("dashboard-studies", "/", size=(1280, 600)),
    Picture("dashboard-study", "/studies/valley", size=(1280, 1350)),
    Picture("dashboard-landscape", "/objectives/line_fit", of="tuner-descent"),
    Picture("dashboard-dark", "/studies/digits", scheme="dark"),
    Picture("dashboard-phone", "/studies/line-fit", size=PHONE),
]


def main() -> int:
    """Run the studies and take the pictures; their sizes are printed."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    path = chromium.found()
    if path is None:
        print("There is no Chromium: install it, or say in TUNER_CHROMIUM where it is.", file=sys.stderr)
        return 1
    expect.set_options(timeout=PATIENCE)
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(f"sqlite:///{directory}/tuner.db", Path(directory)) as service,
        chromium.launched(path) as browser,
    ):
        fill(service.url)
        for picture in PICTURES:
            content = taken(browser, service.url, picture)
            (folder / f"{picture.name}.png").write_bytes(content)
            print(f"{picture.name}: {len(content) / 1000:.0f} KB")
            assert len(content) <= LARGEST, "too large for a page of the guide"
    return 0


def fill(url: str) -> None:
    """Run the studies: those of ``make run``, one of many bad rates, and scikit-learn's training as a client."""
    with httpx.Client(base_url=url, timeout=30) as api:
        for definition in (*STUDIES, VALLEY):
            api.post("/v1/studies", json=definition).raise_for_status()
        # A client trains in a process of its own.
        subprocess.run([sys.executable, "-m", "examples.sklearn_partial_fit", "--url", url], check=True, timeout=300)

        def all_completed() -> bool:
            return all(study["state"] == "completed" for study in api.get("/v1/studies").json()["studies"])

        eventually(all_completed, within=120)


def taken(browser: Browser, url: str, picture: Picture) -> bytes:
    """A picture, as PNG, at twice the resolution of CSS pixels."""
    width, height = picture.size
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        device_scale_factor=2,
        color_scheme=picture.scheme,
        # What moves is taken where it comes to rest.
        reduced_motion="reduce",
    )
    page = context.new_page()
    watch = Watch(page, url)
    page.goto(picture.path)
    if picture.prepare is not None:
        picture.prepare(page)
    settled(page)
    content = page.screenshot(clip=around(page.locator(picture.of)) if picture.of else None, full_page=bool(picture.of))
    assert watch.troubles == []
    context.close()
    return small(content)


def around(part: Locator) -> FloatRect:
    """A part of a page that is scrolled to its top, with some air."""
    box = part.bounding_box()
    assert box is not None, "it is not shown"
    return {
        "x": box["x"] - AIR,
        "y": box["y"] - AIR,
        "width": box["width"] + 2 * AIR,
        "height": box["height"] + 2 * AIR,
    }


def settled(page: Page) -> None:
    """Wait until what is in the window is drawn."""
    for chart in page.locator(charts.CHARTS).all():
        if chart.evaluate("element => element.getBoundingClientRect().top < innerHeight"):
            charts.bring(chart)
    page.evaluate("scrollTo(0, 0)")
    page.evaluate("document.fonts.ready")


def small(content: bytes) -> bytes:
    """A picture in 256 colours, which are enough for text, lines and areas of one colour."""
    image = Image.open(BytesIO(content)).convert("RGB")
    buffer = BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
