"""A trial's page and trials side by side: what came of them and why, and who ran them."""

import re
from pathlib import Path

import httpx
import pytest

from api.dashboard.evidence import NAMED, in_words
from tests.api.dashboard.test_pages import page
from tests.api.requests import external, registered, strict
from tests.worker.running import work_off
from tuner.service import trials
from tuner.storage.database import Database

STUDY = "/studies/resnet"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"

DIVERGING = [2.0**step for step in range(30)]


def report(client: httpx.Client, number: int, losses: list[float]) -> None:
    body = {"attempt": 1, "steps": list(range(len(losses))), "values": {"loss": losses}}
    assert client.post(f"/v1{STUDY}/trials/{number}:report", json=body).status_code == 200


def test_a_verdict_stands_with_its_evidence_in_words(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    client.post(f"/v1{STUDY}/trials:ask", json={"worker": "gpu-1"})
    report(client, 0, DIVERGING)
    trial = strict(client.get(f"/v1{STUDY}/trials/0"))
    assert trial["verdict"] == "diverged"
    text = page(client, f"{STUDY}/trials/0")
    assert trial["advice"] in text
    assert "Diverging since step 0" in text
    assert f"The rise of the loss grows with every step {trial['evidence']['growth_per_step']:.4g}×" in text
    assert "Highest value 536 870 912" in text


def test_every_piece_of_evidence_has_its_words() -> None:
    document = (Path(__file__).parents[3] / "docs/verdicts.md").read_text()
    named = set(re.findall(r"^\| `(\w+)` \|", document, re.MULTILINE)) | {"swing", "to_come", "settled_at", "noise"}
    assert named <= NAMED.keys()
    assert in_words({"swing": 0.25, "something_new": 1.5}) == [
        ("the last losses lie apart, of the fall", ["25 %"]),
        ("something new", ["1.5"]),
    ]
    assert in_words({"growth_per_step": 2.1e49}) == [
        ("the rise of the loss grows with every step", ["more than a million times"])
    ]
    assert in_words({"points": 7.0}, None) == [("values that were judged", ["7", "\N{EN DASH}"])]


def test_the_attempts_say_who_when_and_how(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    for worker in ("first", HOSTILE):
        client.post(f"/v1{STUDY}/trials:ask", json={"worker": worker})
        if worker == "first":
            client.post(f"/v1{STUDY}/trials/0:release", json={"attempt": 1})
            assert "It waits for its next attempt." in page(client, f"{STUDY}/trials/0")
    text = page(client, f"{STUDY}/trials/0")
    assert re.search(r"1 first .* given back .* 2 <script>", text)
    assert "running" in text
    assert "<script>alert" not in client.get(f"{STUDY}/trials/0").text
    told = {"attempt": 2, "state": "failed", "reason": HOSTILE}
    client.post(f"/v1{STUDY}/trials/0:tell", json=told)
    assert f"Why it failed: {HOSTILE}" in page(client, f"{STUDY}/trials/0")


def test_a_trial_is_followed_until_it_has_finished(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    client.post(f"/v1{STUDY}/trials:ask")
    text = client.get(f"{STUDY}/trials/0").text
    assert 'data-events="/v1/studies/resnet/events?only=study"' in text
    live = re.search(r'data-live="([^"]+)"', text)
    assert live is not None
    assert (
        re.findall(r'data-region="(\w+)"', client.get(live[1]).text) == re.findall(r'data-region="(\w+)"', text) != []
    )
    assert "data-exclude" not in text
    client.post(f"/v1{STUDY}/trials/0:tell", json={"attempt": 1, "state": "complete", "values": {"loss": 0.5}})
    text = client.get(f"{STUDY}/trials/0").text
    assert "data-events" not in text
    assert 'data-exclude="true"' in text
    client.post(f"/v1{STUDY}/trials/0:exclude")
    assert 'data-exclude="false"' in client.get(f"{STUDY}/trials/0").text
    assert "Excluded: it is never the best" in page(client, f"{STUDY}/trials/0")


def test_trials_lead_to_their_neighbours(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external())
    client.post(f"/v1{STUDY}/trials:ask", json={"count": 3})

    def neighbours(number: int) -> dict[str, str]:
        found = re.findall(
            r'href="/studies/resnet/trials/(\d+)" rel="(\w+)"', client.get(f"{STUDY}/trials/{number}").text
        )
        return {rel: to for to, rel in found}

    assert [neighbours(number) for number in range(3)] == [{"next": "1"}, {"prev": "0", "next": "2"}, {"prev": "1"}]


def test_a_trial_that_nobody_ran_says_so(client: httpx.Client, database: Database) -> None:
    client.post("/v1/studies", json=external())
    client.post(f"/v1{STUDY}/trials", json={"parameters": {"learning_rate": 0.1, "steps": 3}})
    text = page(client, f"{STUDY}/trials/0")
    assert "It waits to be given out." in text
    assert "It has not been given out yet." in text
    client.post("/v1/studies", json=registered(budget={"trials": 2}))
    for steps in (100, 50):
        trials.enqueue(database, "line-fit", {"learning_rate": 0.1, "steps": steps})
    work_off(database, "line-fit")
    page(client, "/studies/line-fit/trials/1")


def test_what_differs_between_trials_stands_out(client: httpx.Client) -> None:
    space = {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
        "kind": {"type": "categorical", "choices": [HOSTILE]},
    }
    client.post("/v1/studies", json=external(search_space=space))
    client.post(f"/v1{STUDY}/trials:ask", json={"count": 3})
    report(client, 0, DIVERGING)
    report(client, 2, [0.9**step for step in range(30)])
    for address in (
        f"{STUDY}/compare?trials=2,0",
        f"{STUDY}/compare?trials=2&trials=0",
        f"{STUDY}/compare?trials=2,+0,2",
    ):
        text = page(client, address)
        assert "2 trials side by side" in text
        assert text.index("Trial 2") < text.index("Trial 0")
    source = client.get(f"{STUDY}/compare?trials=2,0").text
    assert "<script>alert" not in source
    found = re.findall(r'<tr( class="same")?><th scope="row">(.*?)</th>(.*?)</tr>', source, re.DOTALL)
    same = {label: bool(marked) for marked, label, _ in found}
    assert same["Kind"]
    assert not same["Learning rate"]
    verdicts = next(re.findall(r"<td[^>]*>(.*?)</td>", cells) for _, label, cells in found if label == "Verdict")
    assert verdicts[1] == "▲ diverged"
    assert 'src="/studies/resnet/charts/loss-curves?trials=2,0"' in source
    assert client.get(f"{STUDY}/charts/loss-curves?trials=2,0").status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("trials=1", 422),
        ("trials=0,0", 422),
        ("trials=0,1,2,3,4,5", 422),
        ("trials=0,x", 422),
        ("trials=0,-1", 422),
        ("trials=0,99999999999", 422),
        ("trials=0,7", 404),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_cannot_be_compared_is_refused(client: httpx.Client, query: str, status: int) -> None:
    client.post("/v1/studies", json=external())
    client.post(f"/v1{STUDY}/trials:ask", json={"count": 6})
    page(client, f"{STUDY}/compare?{query}", status)
