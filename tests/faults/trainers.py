"""What the clients of the fault tests do, each in a process of its own. They keep to the contract, and write down what
they were answered."""

import random
import time
from itertools import count
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import scipy.stats  # noqa: F401 (here, and not under the database's lock when the first point is chosen)

from tests.faults.clients import Client, Log
from tuner.service.ask import ask
from tuner.storage.database import Database

SHORT_LEASE = 1
"""Seconds: the shortest lease that can be asked for."""

LEASE = 3600
"""Seconds: these leases outlast any test."""


def tell_on(log_path: Path, client_number: int, url: str, study: str, stop: Event) -> None:
    """Ask for trials and tell their results until told to stop; every other client tells several results at once.

    Every write has a key of its own, under which it is sent again until it is answered.
    """
    log, client = Log(log_path), Client(url)
    chance = random.Random(client_number)
    keys = (f"client-{client_number}-write-{number}" for number in count())
    address = f"/v1/studies/{study}/trials"
    terms = {"count": 10, "worker": f"client {client_number}", "lease_seconds": LEASE}
    while not stop.is_set():
        asked = client.post(f"{address}:ask", terms, next(keys))
        assert asked.status_code == 200, asked.text
        leases = asked.json()["trials"]
        log.write(leased=leases)
        results = [
            {"attempt": lease["attempt"], "state": "complete", "values": {"loss": chance.random()}} for lease in leases
        ]
        numbers = [lease["number"] for lease in leases]
        if client_number % 2:
            for number, result in zip(numbers, results, strict=True):
                answer = client.post(f"{address}/{number}:tell", result, next(keys))
                log.write(told=[_told(number, result, answer.status_code)])
            continue
        for part in (slice(0, 5), slice(5, None)):
            sent = [{"number": number, **result} for number, result in zip(numbers, results, strict=True)][part]
            judged = client.post(f"{address}:tell", {"results": sent}, next(keys))
            assert judged.status_code == 200, judged.text
            statuses = {each["number"]: each["status"] for each in judged.json()["results"]}
            log.write(told=[_told(each["number"], each, statuses[each["number"]]) for each in sent])


def _told(number: int, result: dict[str, Any], status: int) -> dict[str, Any]:
    return {"number": number, "attempt": result["attempt"], "loss": result["values"]["loss"], "status": status}


def claim(log_path: Path, client_number: int, url: str, study: str, together: Barrier) -> None:
    """Claim trials, one or a few at a time, until the study has no more."""
    log, client = Log(log_path), Client(url)
    together.wait(timeout=60)
    while True:
        asked = client.post(f"/v1/studies/{study}/trials:ask", {"count": 1 + client_number % 7, "lease_seconds": LEASE})
        assert asked.status_code == 200, asked.text
        if not asked.json()["trials"]:
            return
        log.write(leased=asked.json()["trials"])


def claim_in_process(log_path: Path, client_number: int, database_url: str, study: str, together: Barrier) -> None:
    """The same beside the service: on a connection of one's own to the database."""
    log, database = Log(log_path), Database(database_url)
    together.wait(timeout=60)
    while asked := ask(database, study, count=1 + client_number % 7, lease_seconds=LEASE).trials:
        log.write(leased=[lease.model_dump(mode="json") for lease in asked])
        # SQLite lets whoever comes at the right moment write next: without a pause that is the one who wrote last.
        time.sleep(0.005)
    database.close()


def tell_the_same(log_path: Path, client_number: int, url: str, trials: int, together: Barrier) -> None:
    """Tell the trials 0, 1, … of the study, each at the same moment as all the others.

    Of the even trials everybody tells the same result, of the odd ones a result of his own. Every fourth client tells
    by way of the call that takes several results.
    """
    log, client = Log(log_path), Client(url)
    address = "/v1/studies/resnet/trials"
    for number in range(trials):
        loss = 0.25 if number % 2 == 0 else float(client_number)
        result = {"attempt": 1, "state": "complete", "values": {"loss": loss}}
        together.wait(timeout=60)
        if client_number % 4 == 3:
            answer = client.post(f"{address}:tell", {"results": [{"number": number, **result}]})
            assert answer.status_code == 200, answer.text
            [judged] = answer.json()["results"]
            log.write(number=number, loss=loss, status=judged["status"], code=judged["code"])
        else:
            answer = client.post(f"{address}/{number}:tell", result)
            log.write(number=number, loss=loss, status=answer.status_code, code=answer.json().get("code"))


def hold(log_path: Path, client_number: int, url: str, study: str) -> None:
    """Take one trial on a short lease and keep it, until a renewal is refused; then try to write all the same, in every
    way there is."""
    log, client = Log(log_path), Client(url)
    address = f"/v1/studies/{study}/trials"
    asked = client.post(f"{address}:ask", {"worker": f"client {client_number}", "lease_seconds": SHORT_LEASE})
    [lease] = asked.json()["trials"]
    log.write(leased=[lease])
    trial, held = f"{address}/{lease['number']}", {"attempt": lease["attempt"]}
    while (renewed := client.post(f"{trial}:heartbeat", held)).status_code == 200:
        log.write(renewed=renewed.json()["lease_expires_at"])
        time.sleep(SHORT_LEASE / 10)
    write_late(log, client, address, lease)


def write_late(log: Log, client: Client, address: str, lease: dict[str, Any]) -> None:
    """Every write that names an attempt, for an attempt that is over."""
    trial, held = f"{address}/{lease['number']}", {"attempt": lease["attempt"]}
    result = {**held, "state": "complete", "values": {"loss": -1.0}}
    for verb, body in (
        ("heartbeat", held),
        ("report", {**held, "steps": [1, 2], "values": {"loss": [-1.0, -1.0]}}),
        ("release", held),
        ("tell", result),
        ("tell", {**held, "state": "failed", "reason": "late"}),
        ("tell", {**held, "state": "pruned", "values": {"loss": -1.0}}),
    ):
        answer = client.post(f"{trial}:{verb}", body)
        log.write(late=verb, status=answer.status_code, code=answer.json().get("code"))
    judged = client.post(f"{address}:tell", {"results": [{"number": lease["number"], **result}]}).json()
    log.write(late="tell several", status=judged["results"][0]["status"], code=judged["results"][0]["code"])


def ask_with_keys(log_path: Path, client_number: int, url: str, study: str, trials: int) -> None:
    """Ask for so many trials one by one, each ask under a key of its own, sent again until it is answered."""
    with Client(url) as client:
        log = Log(log_path)
        for ask_number in range(trials):
            key = f"client-{client_number}-ask-{ask_number}"
            body = {"worker": f"client {client_number}", "lease_seconds": LEASE}
            asked = client.post(f"/v1/studies/{study}/trials:ask", body, key=key)
            assert asked.status_code == 200, asked.text
            log.write(leased=asked.json()["trials"])


def write_with_keys(log_path: Path, client_number: int, url: str, study: str, trials: int) -> None:
    """Run trials of chosen points from the enqueuing to the result, every write under a key of its own."""
    with Client(url) as client:
        log = Log(log_path)
        address = f"/v1/studies/{study}/trials"
        for run in range(trials):
            key = f"client-{client_number}-run-{run}"
            point = {"learning_rate": 0.1 + 0.01 * client_number + 0.0001 * run, "steps": 3}
            enqueued = client.post(address, {"parameters": point}, key=f"{key}-enqueue")
            assert enqueued.status_code == 201, enqueued.text
            log.write(enqueued=enqueued.json()["number"], point=point)
            [lease] = client.post(f"{address}:ask", {"lease_seconds": LEASE}, key=f"{key}-ask").json()["trials"]
            log.write(leased=[lease])
            held = {"attempt": lease["attempt"]}
            reported = {**held, "steps": [0, 1, 2], "values": {"loss": [3.0, 2.0, 1.0]}}
            report = client.post(f"{address}/{lease['number']}:report", reported, key=f"{key}-report")
            assert report.status_code == 200, report.text
            result = {**held, "state": "complete", "values": {"loss": 0.5 + run}}
            told = client.post(f"{address}/{lease['number']}:tell", result, key=f"{key}-tell")
            log.write(told=[_told(lease["number"], result, told.status_code)])


def run_bowls(log_path: Path, client_number: int, url: str, study: str) -> None:
    """Run trials of x² from x = 1 as a training client does, until the study has ended."""
    log, client = Log(log_path), Client(url)
    address = f"/v1/studies/{study}/trials"
    state = "active"
    while state == "active":
        asked = client.post(f"{address}:ask", {"worker": f"client {client_number}", "lease_seconds": LEASE}).json()
        state = asked["study_state"]
        if not asked["trials"]:
            time.sleep(0.05)
            continue
        log.write(leased=asked["trials"])
        [lease] = asked["trials"]
        x = (1 - 2 * lease["parameters"]["learning_rate"]) ** lease["parameters"]["steps"]
        result = {"attempt": lease["attempt"], "state": "complete", "values": {"loss": x**2}}
        told = client.post(f"{address}/{lease['number']}:tell", result)
        log.write(told=[_told(lease["number"], result, told.status_code)])
