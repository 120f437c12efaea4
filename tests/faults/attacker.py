"""Who sends an operation what it should refuse: the ground to spoil, and the judgement of what is answered."""

from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx

from tests.api.requests import strict
from tests.cli.commands import strict_json
from tests.faults.contract import STREAM, Operation, example
from tests.faults.records import document
from tuner.definition import StudyDefinition
from tuner.service import studies, trials
from tuner.service.ask import ask
from tuner.storage.database import Database


@dataclass(frozen=True)
class Ground:
    """A study with a trial that runs, for one request that is taken to spoil."""

    study: str
    number: int

    def path(self, operation: Operation, **given: str) -> str:
        """The address, with what is given in place of what is there."""
        there = {"study": self.study, "number": str(self.number), "name": "line_fit", **given}
        parts = {name: quote(there.get(name, "a"), safe="") for name in operation.named("path")}
        return operation.path.format(**parts)

    def bodies(self, operation: Operation) -> list[dict[str, Any]]:
        """Good documents: the one that the contract's schema makes, and one that is taken, where that is known."""
        if operation.body is None:
            return []
        known = self.known().get(operation.id)
        return [example(operation.body), *([] if known is None else [known])]

    def known(self) -> dict[str, dict[str, Any]]:
        """Bodies that are taken, by operation: what is more than the schema says is right in them, too."""
        result = {"attempt": 1, "state": "complete", "values": {"loss": 0.5, "accuracy": "NaN"}, "reason": "r"}
        return {
            "create_study": {
                **document(f"{self.study}-created"),
                "objective": {"name": "line_fit", "settings": {"seed": 5}, "initial_seed": 1},
                "search_space": {
                    **document()["search_space"],
                    "update_rule": {"type": "categorical", "choices": ["adam", "gradient_descent"]},
                },
                "goal": {"minimize": "loss"},
                "sampler": {"name": "tpe", "seed": 0, "settings": {"n_startup_trials": 3}, "batch_size": 2},
                "budget": {
                    "trials": 3, "gradient_evaluations": 1000, "seconds": 5.0, "parallel_trials": 2, "failed_trials": 2,
                },
                "notes": "n",
                "tags": ["a"],
            },
            "change_study": {"notes": "n", "tags": ["a"], "budget": {"trials": 5, "seconds": 3.0}},
            "enqueue_trial": {"parameters": {"learning_rate": 0.1, "steps": 3}},
            "ask_trials": {"count": 1, "worker": "w", "lease_seconds": 60},
            "tell_trial": result,
            "tell_trials": {"results": [{"number": self.number, **result}]},
            "report_trial": {"attempt": 1, "steps": [1, 2], "values": {"loss": [0.5, "NaN"], "accuracy": [None, 0.5]}},
            "renew_trial": {"attempt": 1},
            "release_trial": {"attempt": 1},
        }  # fmt: skip


class Attacker:
    """Sends one operation's requests, each to ground that no request before it has spoilt."""

    def __init__(self, client: httpx.Client, database: Database, operation: Operation) -> None:
        self._client = client
        self._database = database
        self.operation = operation
        self._names = (f"resnet-{number}" for number in count())
        self.ground = self._lay()

    def _lay(self) -> Ground:
        name = next(self._names)
        studies.create(self._database, StudyDefinition.model_validate(document(name)))
        trials.enqueue(self._database, name, {"learning_rate": 0.1, "steps": 3})
        [lease] = ask(self._database, name, lease_seconds=3600).trials
        return Ground(name, lease.number)

    def send(self, path: str, what: str, **request: Any) -> None:
        """Send a request and judge the answer."""
        with self._client.stream(self.operation.method, path, **request) as response:
            kind = response.headers.get("content-type", "").partition(";")[0]
            body = b"" if kind == STREAM else response.read()
        self.judge(what, response.status_code, kind, body)

    def send_raw(self, path: str, what: str, headers: dict[str, str] | None = None) -> None:
        """Send a request that Python's better clients refuse to send."""
        connection = HTTPConnection(self._client.base_url.host, self._client.base_url.port, timeout=30)
        with closing(connection):
            connection.request(self.operation.method, path, headers=headers or {})
            response = connection.getresponse()
            kind = response.headers.get_content_type() if response.headers["content-type"] else ""
            body = b"" if kind == STREAM else response.read()
        if (response.status, kind) == (400, "text/plain"):
            # By the server, which reads HTTP: this was none.
            assert body == b"Invalid HTTP request received."
            return
        self.judge(what, response.status, kind, body)

    def judge(self, what: str, status: int, kind: str, body: bytes) -> None:
        """Hold an answer against the contract."""
        answers = self.operation.answers
        assert status < 500, (what, body[:1000])
        assert str(status) in answers, (what, status, "is not documented")
        assert kind in answers[str(status)].get("content", {"": None}), (what, kind, "is not documented")
        if kind.endswith("json"):
            strict_json(body.decode())
        if status >= 400:
            assert kind == "application/problem+json"
        elif self.operation.writes:
            self.ground = self._lay()

    def all_goes_on(self) -> None:
        """Whatever was taken can be read, on every page, and worked on."""
        get = self._client.get
        for path in ("/v1/workers", "/v1/objectives"):
            strict(get(path).raise_for_status())
        assert get("/").status_code == 200
        for study in strict(get("/v1/studies?page_size=1000").raise_for_status())["studies"]:
            address = f"/v1/studies/{study['address']}"
            asked = self._client.post(f"{address}/trials:ask", json={"count": 2})
            assert asked.status_code == 200, (study, asked.text)
            strict(asked)
            for path in ("", "/best", "/trials?page_size=1000", "/trials/0", "/trials/0/curve"):
                answer = get(f"{address}{path}")
                assert answer.status_code in {200, 404}, (study, answer.text)
                strict(answer)
            for page in ("", "/trials/0"):
                assert get(f"/studies/{study['address']}{page}").status_code in {200, 404}, study
