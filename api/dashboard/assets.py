"""Style sheet, scripts and Plotly, each under an address that names its content, so that browsers keep them for good.

What changes gets another address, and nobody has to ask whether it has. Modules import one another by relative
addresses, so those of a folder share one: it names all of them together. Plotly comes from its installed package.
"""

import gzip
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.dashboard import plotly

router = APIRouter(prefix="/assets", include_in_schema=False)

FOLDER = Path(__file__).parent / "static"

PLOTLY = plotly.NAME

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

FOR_GOOD = "public, max-age=31536000, immutable"

WORTH_COMPRESSING = 1000
"""Bytes below which a compressed answer is hardly smaller."""


_compressing = threading.Lock()


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    media_type: str

    @property
    def compressed(self) -> bytes:
        """The content through gzip, made when it is first asked for: that reader waits, and all later ones read it."""
        with _compressing:
            return self._compressed

    @property
    def is_compressed(self) -> bool:
        """Whether that has been made."""
        return "_compressed" in vars(self)

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self.content, compresslevel=4, mtime=0)


def _digest(*contents: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()[:16]


def _collected() -> dict[str, Asset]:
    """Every asset by its address below the router's."""
    ours = {
        path.name: Asset(path.read_bytes(), MEDIA_TYPES[path.suffix])
        for path in sorted(FOLDER.iterdir())
        if path.suffix in MEDIA_TYPES
    }
    script = plotly.script()
    together = _digest(*(name.encode() + asset.content for name, asset in ours.items()))
    return {f"{together}/{name}": asset for name, asset in ours.items()} | {
        f"{_digest(script)}/{PLOTLY}": Asset(script, MEDIA_TYPES[".js"])
    }


_ASSETS = _collected()
_ADDRESSES = {address.split("/")[1]: f"{router.prefix}/{address}" for address in _ASSETS}


def asset(name: str) -> str:
    """The address of an asset.

    Raises:
        KeyError: there is none of that name.
    """
    return _ADDRESSES[name]


def compress_ahead(name: str) -> None:
    """Begin to compress an asset that a page is about to ask for: it need not wait until that page is there."""
    found = _ASSETS[_ADDRESSES[name].removeprefix(f"{router.prefix}/")]
    if not found.is_compressed:
        threading.Thread(target=lambda: found.compressed, name="compressing", daemon=True).start()


@router.get("/{digest}/{name}")
def file(digest: str, name: str, request: Request) -> Response:
    """An asset, compressed for those who take it so."""
    found = _ASSETS.get(f"{digest}/{name}")
    if found is None:
        raise HTTPException(404)
    small = takes_gzip(request)
    return Response(
        found.compressed if small else found.content,
        media_type=found.media_type,
        headers={"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding"}
        | ({"Content-Encoding": "gzip"} if small else {}),
    )


def compressed(
    request: Request, content: bytes, media_type: str, headers: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    """An answer, through gzip where it is worth it and the reader takes it so."""
    sent = {"Vary": "Accept-Encoding", **(headers or {})}
    if len(content) >= WORTH_COMPRESSING and takes_gzip(request):
        # The lowest level: answers are made for one reader, and time is what he waits for.
        content, sent = gzip.compress(content, compresslevel=1, mtime=0), {**sent, "Content-Encoding": "gzip"}
    return Response(content, status, sent, media_type)


def takes_gzip(request: Request) -> bool:
    """Whether the reader says that it reads gzip."""
    for part in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = part.partition(";")
        if coding.strip().lower() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
