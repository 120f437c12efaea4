"""Bodies that the tests of the HTTP door start from, and what they read of answers."""

import json
from typing import Any, NoReturn

import httpx

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "steps": {"type": "int", "low": 1, "high": 200},
}


def registered(name: str = "line-fit", **changes: Any) -> dict[str, Any]:
    """The tutorial study."""
    return {
        "name": name,
        "objective": {"name": "line_fit", "settings": {"seed": 5}},
        "search_space": SPACE,
        "sampler": {"name": "random"},
        **changes,
    }


def external(name: str = "resnet", **changes: Any) -> dict[str, Any]:
    """A training client's study."""
    return {"name": name, "search_space": SPACE, "sampler": {"name": "random"}, **changes}


def post_raw(client: httpx.Client, path: str, body: bytes | str) -> httpx.Response:
    """Post bytes as JSON, whether or not they are."""
    return client.post(path, content=body, headers={"Content-Type": "application/json"})


def strict(response: httpx.Response) -> Any:
    """The answer's document, which must be JSON by the letter: no NaN, no Infinity."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(response.content.decode(), parse_constant=refuse)


def fields(response: httpx.Response) -> list[str]:
    """The fields that a problem names."""
    return [error["field"] for error in problem(response)["errors"]]


def problem(response: httpx.Response) -> dict[str, Any]:
    """The answer as a problem document; every refusal has this one shape."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document = strict(response)
    assert set(document) == {"type", "title", "status", "detail", "code", "errors"}
    assert document["status"] == response.status_code
    assert document["type"] == f"/problems/{document['code']}"
    assert document["title"]
    assert document["detail"]
    assert all(set(error) == {"field", "message"} for error in document["errors"])
    return dict(document)
