"""What one client may take, under which names the service answers, and that the settings' guide says what is so."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.allowance import BURST_SECONDS, Allowance
from api.app import create_app
from tests.api.requests import external, problem
from tests.api.server import serving
from tests.api.streams import following
from tuner.service import tokens
from tuner.service.tokens import Scope
from tuner.settings import Settings
from tuner.storage.database import Database

GUIDE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Database, httpx.Client]]:
    database = Database(f"sqlite:///{tmp_path / 'tuner.db'}")
    settings = Settings(
        database_url=database.url,
        authentication=True,
        requests_per_second=5,
        event_streams_per_client=2,
        studies_per_token=1,
        open_trials_per_token=2,
    )
    with serving(create_app(settings, database)) as client:
        yield database, client
    database.close()


def test_a_token_that_floods_is_told_to_wait_and_others_are_not(guarded: tuple[Database, httpx.Client]) -> None:
    database, client = guarded
    flood, calm = (
        {"Authorization": f"Bearer {tokens.create(database, name, Scope.WRITE).text}"} for name in ("flood", "calm")
    )
    answers = [client.get("/v1/studies", headers=flood) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answers) - len(refused) >= 5 * BURST_SECONDS
    assert refused
    assert refused[0].json()["code"] == "too_many_requests"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert client.get("/v1/studies", headers=calm).status_code == 200


def test_an_allowance_fills_at_its_rate() -> None:
    now = 0.0
    allowance = Allowance(10, clock=lambda: now)
    assert [allowance.take("a") for _ in range(20)] == [0.0] * 20
    assert allowance.take("a") == pytest.approx(0.1)
    assert allowance.take("b") == 0
    now = 0.05
    assert allowance.take("a") == pytest.approx(0.05)
    now = 0.11
    assert allowance.take("a") == 0
    assert allowance.take("a") > 0
    now = 100.0
    assert [allowance.take("a") for _ in range(21)].count(0.0) == 20
    assert {Allowance(0).take("a") for _ in range(100)} == {0.0}


def test_a_client_has_so_many_event_streams(guarded: tuple[Database, httpx.Client]) -> None:
    database, client = guarded
    text = tokens.create(database, "me", Scope.WRITE).text
    client.headers["Authorization"] = f"Bearer {text}"
    client.post("/v1/studies", json=external())
    address = f"{client.base_url}/v1/studies/resnet/events"
    with (
        following(address, headers=client.headers) as first,
        following(address, headers=client.headers) as second,
    ):
        first.wait_for(1)
        second.wait_for(1)
        refused = client.get("/v1/studies/resnet/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
        assert "'me'" in refused.json()["detail"]


def test_a_token_has_so_many_studies_and_running_trials(guarded: tuple[Database, httpx.Client]) -> None:
    database, client = guarded
    mine, other = (
        {"Authorization": f"Bearer {tokens.create(database, name, Scope.WRITE).text}"} for name in ("mine", "other")
    )
    assert [client.post("/v1/studies", json=external(), headers=mine).status_code for _ in range(2)] == [201, 200]
    refused = client.post("/v1/studies", json=external("second"), headers=mine)
    assert (refused.status_code, problem(refused)["code"]) == (409, "too_many_studies")
    assert client.post("/v1/studies", json=external("second"), headers=other).status_code == 201

    ask = "/v1/studies/resnet/trials:ask"
    asked = client.post(ask, json={"count": 3}, headers=mine).json()["trials"]
    assert len(asked) == 2
    refused = client.post("/v1/studies/second/trials:ask", headers=mine)
    assert (refused.status_code, problem(refused)["code"]) == (429, "too_many_open_trials")
    assert refused.headers["retry-after"] == "1"
    assert len(client.post(ask, headers=other).json()["trials"]) == 1
    release = f"/v1/studies/resnet/trials/{asked[0]['number']}:release"
    assert client.post(release, json={"attempt": 1}, headers=mine).status_code == 200
    assert len(client.post(ask, headers=mine).json()["trials"]) == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_service_goes_by_its_own_names_only(client: httpx.Client) -> None:
    for host in ("localhost:8000", "127.0.0.1", "[::1]:80", "LOCALHOST"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200
    for host in ("elsewhere.example", "elsewhere.example:8000", "127.0.0.1.elsewhere.example", "localhost.", ""):
        response = client.get("/v1/studies", headers={"Host": host})
        assert (response.status_code, response.json()["code"]) == (421, "foreign_host"), host


def test_with_tokens_it_goes_by_any_name_unless_some_are_given(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    with serving(create_app(Settings(database_url=url, authentication=True))) as client:
        assert client.get("/healthz", headers={"Host": "tuner.example"}).status_code == 200
    given = Settings(database_url=url, authentication=True, hosts=["tuner.example"])
    with serving(create_app(given)) as client:
        assert client.get("/healthz", headers={"Host": "Tuner.example:443"}).status_code == 200
        assert client.get("/healthz", headers={"Host": "other.example"}).status_code == 421


def test_the_guide_lists_every_setting_with_its_default_and_meaning() -> None:
    rows = dict(re.findall(r"^\| `TUNER_(\w+)` (\|.*\|)$", GUIDE.read_text(), re.MULTILINE))
    expected = {
        name.upper(): f"| {f'`{field.default}`' if field.default not in (None, []) else ''} | {field.description} |"
        for name, field in Settings.model_fields.items()
    }
    assert {name: " ".join(row.split()) for name, row in rows.items()} == {
        name: " ".join(row.split()) for name, row in expected.items()
    }
