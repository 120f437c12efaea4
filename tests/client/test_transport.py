"""Requests that fail are made again, the same; refusals are not."""

import socket
import time

import pytest

from tests.client.faulty import LOST_ANSWER, LOST_REQUEST, Fault, Faulty
from tuner import errors
from tuner.client import Client, ServiceUnreachable, UnexpectedAnswer

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

UNAVAILABLE = [Fault(status) for status in (502, 503, 504, 429)]


def join(client: Client, *, trials: int | None = None) -> None:
    client.study("s", learning_rate=(1e-4, 1.0), steps=(1, 10), sampler="random", trials=trials)


@pytest.mark.parametrize("fault", [LOST_REQUEST, *UNAVAILABLE], ids=lambda fault: str(fault.status))
def test_a_request_is_made_again_as_it_was(faulty: Faulty, fault: Fault) -> None:
    with Client(faulty.url, patience=20) as client:
        join(client)
        faulty.next_faults += [fault, fault]
        [trial] = client.study("s").ask()
        trial.release()
    asks = faulty.calls(":ask")
    # One of the faults met the reading of the study.
    assert [seen.fault for seen in faulty.seen][1:3] == [fault, fault]
    assert len({seen.body for seen in asks}) == len({seen.key for seen in asks}) == 1


def test_every_write_has_a_key_of_its_own(faulty: Faulty) -> None:
    with Client(faulty.url, patience=20) as client:
        join(client)
        study = client.study("s")
        for trial in study.ask(3):
            trial.tell(loss=1.0)
        study.enqueue(learning_rate=0.1, steps=3)
    writes = [seen for seen in faulty.seen if seen.method == "POST"]
    assert len(writes) == len({seen.key for seen in writes}) == 6


def test_a_service_may_say_when_to_come_again(faulty: Faulty) -> None:
    with Client(faulty.url, patience=20) as client:
        faulty.next_faults.append(Fault(503, (("Retry-After", "1"),)))
        before = time.monotonic()
        join(client)
        assert time.monotonic() - before >= 1
        faulty.next_faults.append(Fault(503, (("Retry-After", "3600"),)))
        before = time.monotonic()
        with pytest.raises(ServiceUnreachable, match="503"):
            client.study("s")
        assert time.monotonic() - before < 10


def test_patience_ends(url: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with Client(address, patience=0.5) as client, pytest.raises(ServiceUnreachable, match=address) as failed:
        client.study("s")
    assert isinstance(failed.value, errors.TunerError)
    assert failed.value.code == "service_unreachable"


def test_a_service_that_dawdles_is_asked_again(url: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with (
            Client(f"http://127.0.0.1:{silent.getsockname()[1]}", patience=0.5, timeout=0.1) as client,
            pytest.raises(ServiceUnreachable, match="ReadTimeout"),
        ):
            client.study("s")


def test_refusals_are_the_services_own_errors(client: Client) -> None:
    with pytest.raises(errors.StudyNotFound, match="there is no study"):
        client.study("nowhere")
    with pytest.raises(errors.InvalidInput) as refused:
        client.study("s", learning_rate=(1.0, 0.1), steps=(1, 10), sampler="random")
    assert [error.field for error in refused.value.fields] == ["search_space.learning_rate.low"]
    join(client)
    with pytest.raises(errors.NoResult):
        _ = client.study("s").best
    with pytest.raises(errors.InvalidInput, match=r"parameters\.steps"):
        client.study("s").enqueue(learning_rate=0.1, steps=1.5)


def test_a_name_is_one_segment_of_a_path(client: Client) -> None:
    for name in ("a/b", "../s", "s?x=1", "s#x", "ä", ""):
        with pytest.raises(errors.NotFound):
            client.study(name)


def test_refusals_are_not_made_again(faulty: Faulty) -> None:
    with Client(faulty.url, patience=20) as client:
        for fault in (Fault(500), Fault(200, body=b"<html>"), Fault(404, body=b"nginx"), Fault(301)):
            faulty.seen.clear()
            faulty.next_faults.append(fault)
            with pytest.raises(UnexpectedAnswer):
                client.study("s")
            assert len(faulty.seen) == 1
        body = b'{"code": "new_code", "title": "T", "status": 409, "detail": "as yet unknown", "errors": []}'
        faulty.next_faults.append(Fault(409, (("Content-Type", "application/problem+json"),), body))
        with pytest.raises(errors.Conflict, match="as yet unknown"):
            client.study("s")


def test_headers_go_with_every_request(faulty: Faulty) -> None:
    with Client(faulty.url, headers={"Authorization": "Bearer t"}, patience=5, lease_seconds=1) as client:
        join(client)
        [trial] = client.study("s").ask()
        deadline = time.monotonic() + 10
        while not faulty.calls(":heartbeat"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        trial.release()
    assert {seen.headers.get("authorization") for seen in faulty.seen} == {"Bearer t"}


def test_a_lost_answer_creates_no_second_trial(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.client.transport.FIRST_PAUSE", 0.02)
    with Client(faulty.url, patience=20) as client:
        join(client, trials=20)
        study = client.study("s")
        for _ in range(20):
            faulty.next_faults.append(LOST_ANSWER)
            [trial] = study.ask()
            faulty.next_faults.append(LOST_ANSWER)
            trial.tell(loss=trial.learning_rate)
        found = study.trials()
        assert [trial.number for trial in found] == list(range(20))
        assert {trial.state for trial in found} == {"complete"}
        assert study.state == "completed"
