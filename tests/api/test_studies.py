"""Studies over HTTP: created once, found again, changed by version, steered, deleted."""

import httpx
import pytest

from tests.api.requests import external, fields, problem, registered, strict


def test_creating_twice_is_creating_once(client: httpx.Client) -> None:
    first = client.post("/v1/studies", json=registered())
    assert (first.status_code, first.headers["location"]) == (201, "/v1/studies/line-fit")
    again = client.post("/v1/studies", json=registered(budget={"trials": 100}, notes=""))
    assert again.status_code == 200, "the same with defaults written out is the same"
    assert strict(again) == strict(first)
    assert len(strict(client.get("/v1/studies"))["studies"]) == 1


def test_the_answer_is_the_resolved_definition(client: httpx.Client) -> None:
    study = strict(client.post("/v1/studies", json={**registered(), "sampler": {"name": "tpe"}}))
    assert study["state"] == "active"
    assert study["definition"]["sampler"]["settings"]["n_startup_trials"] == 10
    assert study["definition"]["goal"] == {"minimize": "loss"}
    assert study["definition"]["pruner"] is None
    assert strict(client.get("/v1/studies/line-fit")) == study


def test_another_definition_of_the_same_name_is_409_and_says_what_differs(client: httpx.Client) -> None:
    client.post("/v1/studies", json=registered())
    response = client.post("/v1/studies", json=registered(notes="mine", sampler={"name": "tpe"}))
    assert (response.status_code, problem(response)["code"]) == (409, "study_exists")
    assert "notes, sampler differ" in problem(response)["detail"]


def test_a_name_with_dots_takes_verbs(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external("a.b-c_1.0"))
    for verb, state in [("pause", "paused"), ("resume", "active"), ("stop", "stopped"), ("resume", "active")]:
        response = client.post(f"/v1/studies/a.b-c_1.0:{verb}")
        assert (response.status_code, strict(response)["state"]) == (200, state)


def test_a_paused_study_gives_nothing_and_says_why(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    client.post("/v1/studies/resnet:pause")
    asked = strict(client.post("/v1/studies/resnet/trials:ask"))
    assert asked == {"trials": [], "study_state": "paused", "retry_after_seconds": None}


def test_a_completed_study_cannot_be_paused_and_goes_on_with_a_larger_budget(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external(budget={"trials": 1}))
    client.post("/v1/studies/resnet/trials:ask")
    client.post("/v1/studies/resnet/trials/0:tell", json={"attempt": 1, "state": "failed", "reason": "out of memory"})
    response = client.post("/v1/studies/resnet:pause")
    assert (response.status_code, problem(response)["code"]) == (409, "study_state")
    raised = strict(client.patch("/v1/studies/resnet", json={"budget": {"trials": 2}}))
    assert (raised["state"], raised["spent"]["trials"], raised["spent"]["failed_trials"]) == ("active", 1, 1)
    assert len(strict(client.post("/v1/studies/resnet/trials:ask"))["trials"]) == 1


def test_a_change_is_for_the_version_it_names(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    seen = client.get("/v1/studies/resnet").headers["etag"]
    changed = client.patch("/v1/studies/resnet", json={"notes": "mine"}, headers={"If-Match": seen})
    assert (changed.status_code, strict(changed)["definition"]["notes"]) == (200, "mine")
    late = client.patch("/v1/studies/resnet", json={"notes": "theirs"}, headers={"If-Match": seen})
    assert (late.status_code, problem(late)["code"]) == (412, "study_changed")
    assert strict(client.get("/v1/studies/resnet"))["definition"]["notes"] == "mine"
    assert changed.headers["etag"] == client.get("/v1/studies/resnet").headers["etag"] != seen


@pytest.mark.parametrize("given", ["*", 'W/"1"', '"7", "1"'])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_way_to_name_the_version_is_understood(client: httpx.Client, given: str) -> None:
    client.post("/v1/studies", json=external())
    response = client.patch("/v1/studies/resnet", json={"tags": ["a"]}, headers={"If-Match": given})
    assert (response.status_code, strict(response)["definition"]["tags"]) == (200, ["a"])


@pytest.mark.parametrize("given", ["1", '""', '"x"', '"-1"', "nonsense", '"99999999999999999999"'])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_no_version_of_it_changes_nothing(client: httpx.Client, given: str) -> None:
    client.post("/v1/studies", json=external())
    assert client.patch("/v1/studies/resnet", json={"notes": "x"}, headers={"If-Match": given}).status_code == 412


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_only_notes_tags_and_budget_change(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    response = client.patch("/v1/studies/resnet", json={"name": "other", "budget": {"trials": 0}, "notes": None})
    assert response.status_code == 422
    assert sorted(fields(response)) == ["budget.trials", "name", "notes"]


def test_pages_walk_every_study_once_newest_first(client: httpx.Client) -> None:
    names = [f"study-{number}" for number in range(7)]
    for name in names:
        client.post("/v1/studies", json=external(name))
    seen: list[str] = []
    token = None
    while True:
        page = strict(client.get("/v1/studies", params={"page_size": 3, **({"page_token": token} if token else {})}))
        seen += [study["name"] for study in page["studies"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == names[::-1]


def test_studies_are_found_by_state_and_by_a_part_of_their_name(client: httpx.Client) -> None:
    for name in ("resnet-18", "resnet-50", "vgg_16"):
        client.post("/v1/studies", json=external(name))
    client.post("/v1/studies/resnet-50:stop")

    def names(**query: str) -> list[str]:
        return [study["name"] for study in strict(client.get("/v1/studies", params=query))["studies"]]

    assert names(text="resnet") == ["resnet-50", "resnet-18"]
    assert names(text="resnet", state="active") == ["resnet-18"]
    assert names(text="_") == ["vgg_16"], "a pattern's sign is a sign like any other"
    assert names(text="%") == []
    client.patch("/v1/studies/vgg_16", json={"tags": ["old"]})
    assert names(tag="old") == ["vgg_16"]
    assert names(sort="name") == ["resnet-18", "resnet-50", "vgg_16"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_size=0", "page_size"),
        ("page_size=1001", "page_size"),
        ("page_size=x", "page_size"),
        ("page_token=x", "page_token"),
        ("page_token=9999999999", "page_token"),
        ("page_token=%00", "page_token"),
        ("state=asleep", "state"),
        ("text=%00", "text"),
        ("tag=%00", "tag"),
        ("sort=loss", "sort"),
        ("pagesize=3", "pagesize"),
    ],
)
def test_a_bad_query_names_its_parameter(client: httpx.Client, query: str, field: str) -> None:
    response = client.get(f"/v1/studies?{query}")
    assert (response.status_code, fields(response)) == (422, [field])


def test_a_deleted_study_is_gone_with_its_trials(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    client.post("/v1/studies/resnet/trials:ask", json={"count": 3})
    assert client.delete("/v1/studies/resnet").status_code == 204
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/trials"),
        ("GET", "/trials/0"),
        ("POST", "/trials:ask"),
    ]:
        response = client.request(method, f"/v1/studies/resnet{path}")
        assert (response.status_code, problem(response)["code"]) == (404, "study_not_found")
    assert client.post("/v1/studies", json=external()).status_code == 201


@pytest.mark.parametrize(
    "name", ["%00", "Resnet", "~", "~x", "~99999999999999999999", "-a", "a" * 101, "%F0%9F%98%80", "a%0A"]
)
def test_what_names_no_study_is_404(client: httpx.Client, name: str) -> None:
    for method, path in [("GET", ""), ("PATCH", ""), ("POST", ":pause"), ("GET", "/best"), ("GET", "/trials/0/curve")]:
        response = client.request(method, f"/v1/studies/{name}{path}", json={} if method == "PATCH" else None)
        assert (response.status_code, problem(response)["code"]) == (404, "study_not_found"), (method, path)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_study_can_be_validated_first(client: httpx.Client) -> None:
    valid = strict(client.post("/v1/studies:validate", json=registered()))
    assert (valid["exists"], valid["definition"]["budget"]["trials"]) == (False, 100)
    assert client.get("/v1/studies/line-fit").status_code == 404
    wrong = client.post("/v1/studies:validate", json=registered(budget={"trials": 0}))
    assert (wrong.status_code, fields(wrong)) == (422, ["budget.trials"])
    client.post("/v1/studies", json=registered())
    taken = client.post("/v1/studies:validate", json=registered(budget={"trials": 5}))
    assert (taken.status_code, problem(taken)["code"]) == (409, "study_exists")
