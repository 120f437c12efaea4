"""Studies that the tests of the dashboard look at."""

from typing import Any

import httpx

from tests.api.requests import external, registered
from tests.worker.running import eventually

__all__ = ["create", "external", "finished", "registered"]


def create(api: httpx.Client, document: dict[str, Any]) -> str:
    """Create a study; its name."""
    api.post("/v1/studies", json=document).raise_for_status()
    return str(document["name"])


def finished(api: httpx.Client, document: dict[str, Any]) -> str:
    """Create a study, and wait until the service's worker has finished it; its name."""
    name = create(api, document)
    eventually(lambda: api.get(f"/v1/studies/{name}").json()["state"] == "completed", within=60)
    return name
