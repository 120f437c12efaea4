"""What is larger than `tuner/limits.py` allows is refused with its field named, and the guide lists every limit."""

import ast
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.requests import SPACE, external, fields, post_raw, registered
from tuner import limits

GUIDE = Path(__file__).parents[2] / "docs" / "settings.md"


def described() -> dict[str, tuple[Any, str]]:
    """Each limit by its name: the value, and what it is of."""
    assert limits.__file__ is not None
    _, *statements = ast.parse(Path(limits.__file__).read_text()).body
    found = {}
    for assignment, text in zip(statements[::2], statements[1::2], strict=True):
        assert isinstance(assignment, ast.Assign)
        assert isinstance(assignment.targets[0], ast.Name)
        assert isinstance(text, ast.Expr)
        assert isinstance(text.value, ast.Constant)
        found[assignment.targets[0].id] = getattr(limits, assignment.targets[0].id), str(text.value.value)
    return found


def test_the_guide_lists_every_limit() -> None:
    table = GUIDE.read_text().partition("## Limits\n")[2]
    rows = re.findall(r"^\| (.*) \| (.*) \|$", table, re.MULTILINE)
    assert rows[1:] == [
        (what, f"{value:,}" if isinstance(value, int) else f"{value:g}") for value, what in described().values()
    ]


def space(**parameters: Any) -> dict[str, Any]:
    return {"search_space": {**SPACE, **parameters}}


def one_of(choices: list[Any]) -> dict[str, Any]:
    return {"type": "categorical", "choices": choices}


STUDIES, ASK, RESULT = "/v1/studies", "/v1/studies/resnet/trials:ask", {"attempt": 1, "state": "failed"}
TELL, REPORT = "/v1/studies/resnet/trials/0:tell", "/v1/studies/resnet/trials/0:report"
PREVIEW, CURVE = "/v1/objectives/line_fit:preview", "/v1/range-tests:analyse"

BEYOND: dict[str, list[tuple[str, Any, str]]] = {
    "LONGEST_NAME": [
        (STUDIES, external(name="a" * 101), "name"),
        (STUDIES, external(**space(**{"a" * 101: one_of([1])})), f"search_space.{'a' * 101}"),
        (STUDIES, external(goal={"minimize": "a" * 101}), "goal.minimize"),
        (STUDIES, external(sampler={"name": "a" * 101}), "sampler.name"),
        (f"{STUDIES}?text={'a' * 101}", None, "text"),
    ],
    "LONGEST_TOKEN_NAME": [("/v1/tokens", {"name": "a" * 65}, "name")],
    "LONGEST_WORKER_NAME": [(ASK, {"worker": "a" * 201}, "worker")],
    "LONGEST_TAG": [(STUDIES, external(tags=["a" * 65]), "tags.0"), (f"{STUDIES}?tag={'a' * 65}", None, "tag")],
    "MOST_TAGS": [(STUDIES, external(tags=["a"] * 51), "tags")],
    "LONGEST_NOTES": [(STUDIES, external(notes="a" * 100_001), "notes")],
    "LONGEST_REASON": [(TELL, {**RESULT, "reason": "a" * 10_001}, "reason")],
    "LONGEST_KEY": [(ASK, "a" * 256, "Idempotency-Key")],
    "MOST_PARAMETERS": [(STUDIES, external(**space(**{f"x{i}": one_of([1]) for i in range(99)})), "search_space")],
    "MOST_CHOICES": [(STUDIES, external(**space(x=one_of(list(range(1001))))), "search_space.x.choices")],
    "LONGEST_CHOICE": [(STUDIES, external(**space(x=one_of(["a" * 501]))), "search_space.x.choices.0")],
    "LARGEST_FLOAT": [
        (
            STUDIES,
            external(**space(learning_rate={**SPACE["learning_rate"], "high": 2e18})),
            "search_space.learning_rate.high",
        ),
        (STUDIES, external(budget={"seconds": 2e18}), "budget.seconds"),
    ],
    "LARGEST_INTEGER": [
        (STUDIES, external(**space(x={"type": "int", "low": 0, "high": 2**53})), "search_space.x.high"),
        (STUDIES, external(sampler={"name": "random", "seed": 2**53}), "sampler.seed"),
        (STUDIES, external(budget={"trials": 2**53}), "budget.trials"),
    ],
    "LARGEST_RATE": [
        (
            STUDIES,
            registered(**space(learning_rate={**SPACE["learning_rate"], "high": 2e12})),
            "search_space.learning_rate.high",
        ),
        (PREVIEW, {"learning_rates": [2e12]}, "learning_rates.0"),
    ],
    "LARGEST_STEPS": [
        (STUDIES, registered(**space(steps={**SPACE["steps"], "high": 10**6 + 1})), "search_space.steps.high")
    ],
    "LARGEST_CLIENT_STEPS": [
        (STUDIES, external(**space(steps={**SPACE["steps"], "high": 10**12 + 1})), "search_space.steps.high"),
        (REPORT, {"attempt": 1, "steps": [10**12 + 1], "values": {"loss": [1]}}, "steps.0"),
    ],
    "LARGEST_TEST_STEPS": [
        ("/v1/objectives/line_fit:range-test", {"steps": 10_001}, "steps"),
        (CURVE, {"rates": [0.1] * 10_001, "losses": [1.0] * 10_001}, "rates"),
    ],
    "LARGEST_BATCH": [
        (ASK, {"count": 1001}, "count"),
        ("/v1/studies/resnet/trials:tell", {"results": [{"number": 0, **RESULT}] * 1001}, "results"),
    ],
    "LONGEST_LEASE": [(ASK, {"lease_seconds": 86_401}, "lease_seconds")],
    "MOST_POINTS": [
        (REPORT, {"attempt": 1, "steps": [0] * 100_001, "values": {}}, "steps"),
        (REPORT, {"attempt": 1, "steps": [0] * 50_001, "values": {"a": [1] * 50_001, "b": [1] * 50_001}}, "values"),
    ],
    "MOST_METRICS": [
        (REPORT, {"attempt": 1, "steps": [], "values": {f"x{i}": [] for i in range(101)}}, "values"),
        (TELL, {**RESULT, "values": {f"x{i}": 1 for i in range(101)}}, "values"),
    ],
    "LARGEST_PAGE": [
        (f"{STUDIES}?page_size=1001", None, "page_size"),
        (f"{STUDIES}/resnet/trials?page_size=1001", None, "page_size"),
    ],
    "LARGEST_TEST_PAGE": [(f"{STUDIES}/resnet/range-tests?page_size=101", None, "page_size")],
    "LARGEST_CURVE": [(f"{STUDIES}/resnet/trials/0/curve?max_points=100001", None, "max_points")],
    "MOST_PATHS": [
        (PREVIEW, {"learning_rates": [0.1] * 9}, "learning_rates"),
        (f"{STUDIES}/line-fit/analysis/landscape?trials=0,1,2,3,4,5,6,7,8", None, "trials"),
    ],
    "LARGEST_PREVIEW": [(PREVIEW, {"steps": 2001}, "steps")],
    "LARGEST_GRID": [
        (PREVIEW, {"resolution": 102}, "resolution"),
        (f"{STUDIES}/line-fit/analysis/landscape?resolution=102", None, "resolution"),
    ],
    "DEEPEST": [(STUDIES, b'{"a":' * 51 + b"1" + b"}" * 51, "body")],
    "LONGEST_INTEGER": [(STUDIES, b'{"name": ' + b"9" * 301 + b"}", "name")],
}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_beyond_a_limit_is_refused_with_its_field_named(client: httpx.Client) -> None:
    """Bytes are sent as they are, text is a key."""
    assert list(BEYOND) == list(described()), "one for each"
    client.post(STUDIES, json=external())
    client.post(STUDIES, json=registered())
    for limit, cases in BEYOND.items():
        for address, body, field in cases:
            if body is None:
                response = client.get(address)
            elif isinstance(body, bytes):
                response = post_raw(client, address, body)
            elif isinstance(body, str):
                response = client.post(address, headers={"Idempotency-Key": body})
            else:
                response = client.post(address, json=body)
            assert response.status_code == (400 if limit == "DEEPEST" else 422), (limit, response.text)
            assert field in fields(response), (limit, response.text)
