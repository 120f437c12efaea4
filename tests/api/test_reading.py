"""Reading trials over HTTP: chosen fields, what changed since, attempts, exclusion, downloads."""

import csv
import io
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from tests.api.requests import external, fields, problem, strict

STUDY = "/v1/studies/resnet"


def study_with(client: httpx.Client, count: int) -> None:
    """A study with running trials."""
    client.post("/v1/studies", json=external())
    client.post(f"{STUDY}/trials:ask", json={"count": count, "worker": "a"})


def tell(client: httpx.Client, number: int, loss: Any = 0.5) -> dict[str, Any]:
    body = {"attempt": 1, "state": "complete", "values": {"loss": loss}}
    told: dict[str, Any] = strict(client.post(f"{STUDY}/trials/{number}:tell", json=body))
    return told


@pytest.mark.parametrize("query", ["fields=number,values", "fields=number&fields=values", "fields=values, number"])
def test_fields_are_chosen(client: httpx.Client, query: str) -> None:
    study_with(client, 2)
    tell(client, 1, "NaN")
    answered = strict(client.get(f"{STUDY}/trials?{query}"))["trials"]
    assert answered == [{"number": 0, "values": None}, {"number": 1, "values": {"loss": "NaN"}}]
    assert strict(client.get(f"{STUDY}/trials/1?{query}")) == answered[1]
    whole = strict(client.get(f"{STUDY}/trials"))["trials"][1]
    assert strict(client.get(f"{STUDY}/trials/1")) == whole
    assert "curves" not in whole


@pytest.mark.parametrize("query", ["fields=number,curves", "fields=", "fields=number&fields=system_attrs"])
@pytest.mark.parametrize("address", ["/trials", "/trials/0"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_fields_that_a_trial_does_not_have_are_named(client: httpx.Client, address: str, query: str) -> None:
    study_with(client, 1)
    response = client.get(f"{STUDY}{address}?{query}")
    assert (response.status_code, fields(response)) == (422, ["fields"])
    assert "no field of a trial" in problem(response)["errors"][0]["message"]


@pytest.mark.parametrize("moment", ["2026-01-02T03:04:05", "yesterday", "2026-01-02", ""])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_time_without_a_zone_is_refused(client: httpx.Client, moment: str) -> None:
    study_with(client, 1)
    response = client.get(f"{STUDY}/trials", params={"updated_after": moment})
    assert (response.status_code, fields(response)) == (422, ["updated_after"])


def test_who_polls_with_as_of_misses_nothing_that_changes_during_the_walk(client: httpx.Client) -> None:
    study_with(client, 10)

    def walk(since: str | None, between: list[int]) -> tuple[dict[int, str], str]:
        """One walk of small pages; ``between`` the pages, trials are told."""
        seen: dict[int, str] = {}
        params: dict[str, Any] = {"page_size": 3} | ({} if since is None else {"updated_after": since})
        as_of = None
        while True:
            page = strict(client.get(f"{STUDY}/trials", params=params))
            as_of = as_of or page["as_of"]
            assert page["as_of"].endswith("Z")
            seen |= {trial["number"]: trial["state"] for trial in page["trials"]}
            for number in between:
                tell(client, number)
            between = []
            if page["next_page_token"] is None:
                return seen, as_of
            params["page_token"] = page["next_page_token"]

    first, as_of = walk(None, [1, 9])
    assert (first[1], first[9]) == ("running", "complete"), "the one was passed already, the other came later"
    second, as_of = walk(as_of, [])
    assert second[1] == "complete"
    assert set(second) == {1, 9}
    assert walk(as_of, [])[0] == {}
    tell(client, 4)
    shifted = datetime.fromisoformat(as_of).astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    assert walk(shifted, [])[0] == {4: "complete"}
    assert strict(client.get(f"{STUDY}/trials", params={"updated_after": shifted, "state": "running"}))["trials"] == []


def test_attempts(client: httpx.Client) -> None:
    study_with(client, 1)
    client.post(f"{STUDY}/trials/0:release", json={"attempt": 1})
    client.post(f"{STUDY}/trials:ask", json={"worker": "b"})
    first, second = strict(client.get(f"{STUDY}/trials/0/attempts"))["attempts"]
    assert (first["attempt"], first["worker"], first["end"]) == (1, "a", "released")
    assert (second["attempt"], second["worker"], second["end"], second["ended_at"]) == (2, "b", None, None)
    assert first["started_at"] <= first["ended_at"] <= second["started_at"]
    assert problem(client.get(f"{STUDY}/trials/7/attempts"))["code"] == "trial_not_found"


def test_exclusion(client: httpx.Client) -> None:
    study_with(client, 3)
    tell(client, 0, 0.1)
    tell(client, 1, 0.2)
    etag = client.get(STUDY).headers["etag"]
    excluded = strict(client.post(f"{STUDY}/trials/0:exclude"))
    assert excluded["excluded"]
    assert strict(client.post(f"{STUDY}/trials/0:exclude", json={"excluded": True})) == excluded
    assert client.get(STUDY).headers["etag"] != etag
    assert strict(client.get(f"{STUDY}/best"))["number"] == strict(client.get(STUDY))["best"]["number"] == 1
    assert not strict(client.post(f"{STUDY}/trials/0:exclude", json={"excluded": False}))["excluded"]
    assert strict(client.get(f"{STUDY}/best"))["number"] == 0
    running = client.post(f"{STUDY}/trials/2:exclude")
    assert (running.status_code, problem(running)["code"]) == (409, "trial_state")
    for body in ({"excluded": 1}, {"excluded": None}, {"exclude": True}):
        response = client.post(f"{STUDY}/trials/0:exclude", json=body)
        assert (response.status_code, fields(response)) == (422, list(body))


def test_downloads(client: httpx.Client) -> None:
    study_with(client, 2)
    tell(client, 0, "Infinity")
    table = client.get(f"{STUDY}/trials.csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="resnet.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text, newline=""), strict=True))
    assert [(row["state"], row["values.loss"]) for row in rows] == [("complete", "Infinity"), ("running", "")]
    whole = client.get(f"{STUDY}/export")
    assert whole.headers["content-disposition"] == 'attachment; filename="resnet.json"'
    assert [trial["curves"] for trial in strict(whole)["trials"]] == [{}, {}]
    assert "curves" not in strict(client.get(f"{STUDY}/export?curves=false"))["trials"][0]
    assert fields(client.get(f"{STUDY}/export?curves=x")) == ["curves"]
    for address in ("trials.csv", "export"):
        assert problem(client.get(f"/v1/studies/none/{address}"))["code"] == "study_not_found"


def test_trials_come_in_a_chosen_order_and_by_more_than_their_state(client: httpx.Client) -> None:
    study_with(client, 5)
    for number, loss in enumerate([0.5, "NaN", 0.25, 0.75]):
        tell(client, number, loss)
    client.post(f"{STUDY}/trials/2:exclude")

    def numbers(query: str) -> list[int]:
        answered = strict(client.get(f"{STUDY}/trials?fields=number&{query}"))
        assert answered["total"] == len(answered["trials"])
        return [trial["number"] for trial in answered["trials"]]

    assert numbers("sort=value") == [2, 0, 3, 1, 4]
    assert numbers("sort=-value&excluded=false&state=complete") == [3, 0, 1]
    assert numbers("excluded=true") == [2]
    assert numbers("verdict=diverged&verdict=converged") == []
    rates = {
        trial["number"]: trial["parameters"]["learning_rate"]
        for trial in strict(client.get(f"{STUDY}/trials"))["trials"]
    }
    ascending = sorted(rates, key=rates.__getitem__)
    assert numbers("sort=parameters.learning_rate") == ascending
    low, high = rates[ascending[1]], rates[ascending[3]]
    assert numbers(f"learning_rate_from={low}&learning_rate_to={high}") == sorted(ascending[1:4])
    page = strict(client.get(f"{STUDY}/trials?sort=value&page_size=2&page_token=2"))
    assert [trial["number"] for trial in page["trials"]] == [3, 1]
    assert (page["next_page_token"], page["total"]) == ("4", 5)
    assert strict(client.get(f"{STUDY}/trials"))["total"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=nothing", "sort"),
        ("sort=", "sort"),
        ("sort=%00", "sort"),
        ("verdict=good", "verdict.0"),
        ("learning_rate_from=high", "learning_rate_from"),
        ("learning_rate_to=nan", "learning_rate_to"),
        ("excluded=perhaps", "excluded"),
        ("sort=value&page_token=x", "page_token"),
        ("sort=value&updated_after=2026-01-02T03:04:05Z", "updated_after"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_order_or_filter_that_there_is_not_is_refused_by_name(client: httpx.Client, query: str, field: str) -> None:
    study_with(client, 1)
    response = client.get(f"{STUDY}/trials?{query}")
    assert (response.status_code, fields(response)) == (422, [field])
