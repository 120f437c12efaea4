"""pages"""
from fastapi import APIRouter
from starlette.staticfiles import StaticFiles
from pathlib import Path
router = APIRouter()
static = StaticFiles(directory=Path(__file__).parent/"static")
def refusal(request, problem, headers):
    from starlette.responses import PlainTextResponse
    return PlainTextResponse(str(problem), problem.status, headers)
