"""Event streams: begun, resumed, ended; nothing is missed, and nobody is left behind in the service."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api import streams as streams_module
from api.serving import Service
from api.streams import Streams
from tests.api.requests import external, fields, problem, strict
from tests.api.streams import Reader, following
from tests.worker.running import eventually
from tuner.settings import Settings
from tuner.storage.database import Database

STUDY = "/v1/studies/resnet"


@pytest.fixture
def streams(served: tuple[FastAPI, httpx.Client], client: httpx.Client) -> Iterator[Streams]:
    """The streams of the served application; nobody follows any more when a test ends."""
    found: Streams = served[0].state.service.streams
    yield found
    eventually(lambda: found.open == 0)


def url(client: httpx.Client, path: str) -> httpx.URL:
    return client.base_url.join(path)


def ask(client: httpx.Client, count: int = 1) -> list[int]:
    return [lease["number"] for lease in client.post(f"{STUDY}/trials:ask", json={"count": count}).json()["trials"]]


def tell(client: httpx.Client, number: int, loss: Any = 0.5) -> None:
    body = {"attempt": 1, "state": "complete", "values": {"loss": loss}}
    assert client.post(f"{STUDY}/trials/{number}:tell", json=body).status_code == 200


def test_a_stream_begins_from_now_with_the_study_and_tells_what_changes(client: httpx.Client, streams: Streams) -> None:
    client.post("/v1/studies", json=external())
    ask(client)
    with following(url(client, f"{STUDY}/events")) as reader:
        reader.wait_for(1)
        assert reader.headers["content-type"].startswith("text/event-stream")
        [study] = reader.of("study")
        assert (study["state"], study["trials"]["running"], study["best"]) == ("active", 1, None)
        assert reader.of("trial") == []
        tell(client, 0, "Infinity")
        eventually(lambda: len(reader.of("study")) == 2)
        [trial] = reader.of("trial")
        assert (trial["number"], trial["state"], trial["values"]) == (0, "complete", {"loss": "Infinity"})
        assert trial["parameters"] == strict(client.get(f"{STUDY}/trials/0"))["parameters"]
        ask(client)
        tell(client, 1)
        eventually(lambda: reader.of("study")[-1]["best"] == {"number": 1, "value": 0.5})
        client.post(f"{STUDY}:pause")
        eventually(lambda: reader.of("study")[-1]["state"] == "paused")


def test_a_resumed_stream_tells_what_has_changed_since(client: httpx.Client, streams: Streams) -> None:
    client.post("/v1/studies", json=external())
    ask(client, 3)
    with following(url(client, f"{STUDY}/events")) as reader:
        reader.wait_for(1)
    tell(client, 1)
    ask(client)
    with following(url(client, f"{STUDY}/events"), reader.last_event_id) as again:
        again.wait_for(3)
        assert [(trial["number"], trial["state"]) for trial in again.of("trial")] == [(1, "complete"), (3, "running")]
        assert again.of("study")[0]["trials"]["complete"] == 1
    with following(url(client, f"{STUDY}/events?last_event_id={again.last_event_id}")) as nothing_new:
        nothing_new.wait_for(1)
        assert nothing_new.of("trial") == []
    with following(url(client, f"{STUDY}/events"), reader.last_event_id.split("-")[0] + "-999999") as restored:
        restored.wait_for(5)
        assert [trial["number"] for trial in restored.of("trial")] == [0, 2, 1, 3]


def test_trials_that_were_written_at_once_are_resumed_from_as_one(
    client: httpx.Client, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.service.events.AT_ONCE", 3)
    client.post("/v1/studies", json=external())
    with following(url(client, f"{STUDY}/events")) as reader:
        reader.wait_for(1)
        before = reader.last_event_id
        ask(client, 8)
        eventually(lambda: len(reader.of("study")) == 2)
        assert [trial["number"] for trial in reader.of("trial")] == list(range(8))
    with following(url(client, f"{STUDY}/events"), before) as again:
        again.wait_for(9)
        assert [trial["number"] for trial in again.of("trial")] == list(range(8))
        assert again.last_event_id == reader.last_event_id


def replayed(readers: list[Reader]) -> dict[int, dict[str, Any]]:
    """What somebody knows who has read these one after the other."""
    return {trial["number"]: trial for reader in readers for trial in reader.of("trial")}


def test_whoever_follows_and_resumes_knows_in_the_end_what_the_list_says(
    client: httpx.Client, streams: Streams
) -> None:
    client.post("/v1/studies", json=external(budget={"trials": 120}))

    def train(seed: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            while numbers := ask(own, 1 + seed % 3):
                for number in numbers:
                    tell(own, number, "NaN" if number % 7 == 0 else number)

    threads = [threading.Thread(target=train, args=(seed,)) for seed in range(6)]
    readers: list[Reader] = []
    last = ""
    with following(url(client, f"{STUDY}/events")) as steady:
        steady.wait_for(1)
        last = steady.last_event_id
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            with following(url(client, f"{STUDY}/events"), last) as reader:
                time.sleep(0.3)  # cut off wherever it happens to be
            readers.append(reader)
            last = reader.last_event_id
        with following(url(client, f"{STUDY}/events"), last) as reader:
            eventually(lambda: "completed" in {study["state"] for study in reader.of("study")})
        readers.append(reader)
        eventually(lambda: steady.of("study")[-1]["state"] == "completed")
        listed = {trial["number"]: trial for trial in strict(client.get(f"{STUDY}/trials?page_size=1000"))["trials"]}
        assert len(listed) == 120
        for known in (replayed(readers), replayed([steady])):
            shared = set(known[0]) & set(listed[0])
            assert {"state", "values", "parameters", "attempt", "updated_at"} <= shared
            assert {n: {k: t[k] for k in shared} for n, t in known.items()} == {
                n: {k: t[k] for k in shared} for n, t in listed.items()
            }


def test_a_study_that_goes_ends_its_stream_and_another_of_its_name_is_begun_anew(
    client: httpx.Client, streams: Streams
) -> None:
    client.post("/v1/studies", json=external())
    ask(client, 2)
    with following(url(client, f"{STUDY}/events")) as reader:
        reader.wait_for(1)
        old = reader.last_event_id
        client.delete(STUDY)
        eventually(lambda: reader.ended)
        assert reader.of("deleted") == [{"name": "resnet", "address": "resnet"}]
        assert reader.last_event_id == "", "a reader who comes back is a new one"
    assert problem(client.get(f"{STUDY}/events", headers={"Last-Event-ID": old}))["code"] == "study_not_found"
    client.post("/v1/studies", json=external())
    with following(url(client, f"{STUDY}/events"), old) as stale:
        eventually(lambda: stale.ended)
        assert [event.kind for event in stale.events] == ["deleted"]
        assert stale.last_event_id == ""


def test_all_studies_are_followed_and_resumed(client: httpx.Client, streams: Streams) -> None:
    client.post("/v1/studies", json=external("before"))
    with following(url(client, "/v1/events")) as reader:
        eventually(lambda: reader.last_event_id != "")
        start = reader.last_event_id
        client.post("/v1/studies", json=external())
        eventually(lambda: [study["name"] for study in reader.of("study")] == ["resnet"])
        ask(client, 2)
        eventually(lambda: reader.of("study")[-1]["trials"]["running"] == 2)
        middle = reader.last_event_id
        client.post("/v1/studies/before:stop")
        eventually(lambda: reader.of("study")[-1]["state"] == "stopped")
        client.delete(STUDY)
        eventually(lambda: reader.of("deleted") == [{"name": "resnet", "address": "resnet"}])
        time.sleep(1.1)
        assert len(reader.of("deleted")) == 1, "what was told is not told again and again"
    for since in (start, middle, "999999999999999999"):
        with following(url(client, "/v1/events"), since) as again:
            eventually(lambda again=again: len(again.events) >= 2)  # type: ignore[misc]
            known = {event.data["name"]: event.data.get("state", "deleted") for event in again.events}
            assert known == {"before": "stopped", "resnet": "deleted"}


def test_studies_that_change_in_transactions_that_overlap_are_not_missed(
    client: httpx.Client, streams: Streams, database: Database
) -> None:
    names = [f"study-{index}" for index in range(8)]
    for name in names:
        client.post("/v1/studies", json=external(name, budget={"trials": None}))

    def work(name: str) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            for _ in range(12):
                assert own.post(f"/v1/studies/{name}/trials:ask", json={}).status_code == 200

    known: dict[str, dict[str, Any]] = {}
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    last: str | None = None
    for thread in threads:
        thread.start()
    alive = True
    while alive:
        alive = any(thread.is_alive() for thread in threads)
        with following(url(client, "/v1/events"), last or "0") as reader:
            time.sleep(0.3 if alive else 1.5)
        last = reader.last_event_id or last
        known |= {study["name"]: study for study in reader.of("study")}
    assert {name: known[name]["trials"]["running"] for name in names} == dict.fromkeys(names, 12)


@pytest.mark.parametrize("path", ["/v1/events", f"{STUDY}/events"])
@pytest.mark.parametrize("last_event_id", ["x", "-1", "1.5", "1-2-3", "9" * 30, "1-", "٣"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_id_that_no_stream_gave_out_is_refused(client: httpx.Client, path: str, last_event_id: str) -> None:
    client.post("/v1/studies", json=external())
    response = client.get(path, params={"last_event_id": last_event_id})
    assert (response.status_code, fields(response)) == (422, ["Last-Event-ID"])


def test_an_unknown_study_is_not_followed(client: httpx.Client, streams: Streams) -> None:
    assert problem(client.get("/v1/studies/none/events"))["code"] == "study_not_found"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_many_streams_are_served_by_one_look_and_none_by_none(
    client: httpx.Client, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = Streams._look

    def counted(self: Streams, *arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return look(self, *arguments)

    monkeypatch.setattr(Streams, "_look", counted)
    monkeypatch.setattr(streams_module, "LOOK_EVERY", 0.05)
    client.post("/v1/studies", json=external())
    with following(url(client, f"{STUDY}/events")) as first, following(url(client, "/v1/events")) as second:
        others = [following(url(client, f"{STUDY}/events")) for _ in range(10)]
        readers = [other.__enter__() for other in others]
        eventually(lambda: streams.open == 12)
        ask(client)
        for reader in [first, *readers]:
            eventually(lambda reader=reader: len(reader.of("trial")) == 1)  # type: ignore[misc]
        eventually(lambda: len(second.of("study")) >= 1)
        before, began = looks, time.monotonic()
        time.sleep(0.5)
        # However many follow, the pauses between looks bound their number.
        assert 1 <= looks - before <= (time.monotonic() - began) / 0.05 + 1
        for other in others:
            other.__exit__(None, None, None)
        eventually(lambda: streams.open == 2)
    eventually(lambda: streams.open == 0)
    before = looks
    time.sleep(0.3)
    assert looks <= before + 1, "one look may have been under way"
    before = looks
    time.sleep(0.3)
    assert looks == before


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_silent_stream_is_kept_alive(client: httpx.Client, streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "HEARTBEAT", 0.1)
    client.post("/v1/studies", json=external())
    with following(url(client, f"{STUDY}/events")) as reader, following(url(client, "/v1/events")) as other:
        eventually(lambda: reader.heartbeats >= 2 and other.heartbeats >= 2)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_reader_who_does_not_keep_up_is_let_go(
    client: httpx.Client, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(streams_module, "QUEUED", 4)
    client.post("/v1/studies", json=external(budget={"trials": None}))
    with httpx.Client(timeout=60) as lazy, lazy.stream("GET", url(client, f"{STUDY}/events")) as response:
        assert response.status_code == 200
        eventually(lambda: streams.open == 1)

        def write() -> bool:
            # Enough to fill every buffer between the service and a reader who does not read.
            client.post(f"{STUDY}/trials:ask", json={"count": 1000})
            return streams.open == 0

        eventually(write, within=60)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_more_streams_than_a_process_may_serve_are_refused(
    served: tuple[FastAPI, httpx.Client], client: httpx.Client, database: Database
) -> None:
    service = Service(database, Settings(database_url=database.url, event_streams=1))
    served[0].state.service.commits.close()
    served[0].state.service = service
    client.post("/v1/studies", json=external())
    with following(url(client, f"{STUDY}/events")) as reader:
        reader.wait_for(1)
        for path in (f"{STUDY}/events", "/v1/events"):
            refused = client.get(path)
            assert (refused.status_code, problem(refused)["code"]) == (503, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
    eventually(lambda: service.streams.open == 0)
    with following(url(client, "/v1/events")) as reader:
        assert reader.status == 200
    service.commits.close()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_process_that_is_about_to_stop_ends_its_streams(
    served: tuple[FastAPI, httpx.Client], client: httpx.Client, streams: Streams
) -> None:
    client.post("/v1/studies", json=external())
    with following(url(client, f"{STUDY}/events")) as reader, following(url(client, "/v1/events")) as other:
        reader.wait_for(1)
        served[0].state.service.draining.set()
        eventually(lambda: reader.ended and other.ended)
        refused = client.get("/v1/events")
        assert (refused.status_code, problem(refused)["code"]) == (503, "draining")
