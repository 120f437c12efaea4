"""The interactive API reference: Swagger UI from an installed package, so that it works without a network."""

from importlib import resources

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from api.dashboard.assets import asset
from api.security import HEADERS

router = APIRouter(prefix="/docs", include_in_schema=False)

DISTRIBUTION = "fastapi-swagger"
PACKAGE = "fastapi_swagger.resources"
FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

PAGE = f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>API reference · Tuner</title>
  <link rel="icon" href="{asset("icon.svg")}">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="reference"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="{asset("reference.js")}"></script>
</body>
</html>
"""

# Swagger UI writes style elements and carries its icons as data.
POLICY = HEADERS["Content-Security-Policy"] + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


@router.get("")
def page() -> HTMLResponse:
    """The page; it reads ``/openapi.json``."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


@router.get("/swagger-ui-bundle.js")
def script() -> Response:
    """Swagger UI."""
    return _packaged("swagger-ui-bundle.js")


@router.get("/swagger-ui.css")
def style() -> Response:
    """Its style."""
    return _packaged("swagger-ui.css")


def _packaged(name: str) -> Response:
    content = resources.files(PACKAGE).joinpath(name).read_bytes()
    return Response(content, media_type=FILES[name], headers={"Cache-Control": "max-age=86400"})
