"""The pages: each calls a use case and renders what it answers."""

import platform
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any

import jinja2
import optuna
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api import problems
from api.dashboard import format as readable
from api.dashboard.chart import draw
from api.problems import Problem
from api.routes.objectives import described, everything
from api.serving import OfDatabase, Serving, StudyAddress, TrialNumber
from tuner import __version__
from tuner.definition import Study
from tuner.errors import NotFound
from tuner.service import studies, trials, workers
