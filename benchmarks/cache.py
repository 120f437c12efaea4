"""What took long to measure and is the same each time it is: kept under ``.cache/``, outside of version control.

Everything about a problem is kept under what its objective *does*: a hash of the losses of some short descents, to the
last bit. It outlives a change of comments or names, and no change of the mathematics.
"""

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problems import HIGHEST_RATE, LOWEST_RATE, Problem
from tuner.descent import Descent, Row

DIRECTORY = Path(os.environ.get("TUNER_BENCH_CACHE", Path(__file__).parents[1] / ".cache")) / "search"
"""``TUNER_BENCH_CACHE`` moves it, so that several checkouts can share one."""


def read(kind: str, problem: Problem, question: str) -> Any:
    """What was kept under this question, or None."""
    path = _path(kind, problem, question)
    return json.loads(path.read_text())["answer"] if path.exists() else None


def write(kind: str, problem: Problem, question: str, answer: Any) -> None:
    """Keep a JSON value, whole or not at all."""
    path = _path(kind, problem, question)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps({"problem": problem.name, "question": question, "answer": answer}))
    unfinished.replace(path)


def _path(kind: str, problem: Problem, question: str) -> Path:
    digest = hashlib.sha256(f"{_behaviour(problem)}\n{question}".encode()).hexdigest()[:16]
    name = "".join(letter if letter.isalnum() else "-" for letter in problem.name)
    return DIRECTORY / kind / f"{name}-{digest}.json"


@cache
def _behaviour(problem: Problem) -> str:
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, 13)
    descent = Descent(problem.create(), [Row(float(rate), 30) for rate in rates], initial_seed=problem.initial_seed)
    descent.advance()
    losses = b"".join(descent.loss_curve(row).values.tobytes() for row in range(len(rates)))
    return hashlib.sha256(problem.key.encode() + losses).hexdigest()
