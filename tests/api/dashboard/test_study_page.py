"""A study's page: the answer and why, its trials as the address asks for them, and what may be done."""

import html
import json
import re
from typing import Any

import httpx
import optuna
import pytest

from tests.api.dashboard.test_pages import page
from tests.api.requests import SPACE, external, registered, strict
from tests.worker.running import work_off
from tuner.analysis.verdict import Name
from tuner.service import stability, studies, workers
from tuner.service.stability import StabilityEffort
from tuner.storage import TunerStorage
from tuner.storage.database import Database

STUDY = "/studies/resnet"


def told(client: httpx.Client, losses: list[Any], **changes: Any) -> None:
    """An external study whose trials were told these losses; None runs on."""
    client.post("/v1/studies", json=external(**changes))
    for loss in losses:
        [lease] = strict(client.post(f"/v1{STUDY}/trials:ask", json={"worker": "gpu-1"}))["trials"]
        if loss is not None:
            body = {"attempt": 1, "state": "complete", "values": {"loss": loss}}
            client.post(f"/v1{STUDY}/trials/{lease['number']}:tell", json=body)


def rows(text: str) -> list[int]:
    """The trials that a page's table has, in order."""
    return [int(number) for number in re.findall(r'<tr data-trial="(\d+)"', text)]


def links(text: str, label: str) -> list[str]:
    """The addresses of the links of that text."""
    return [
        html.unescape(address) for address in re.findall(rf'<a href="([^"]+)"[^>]*>\s*{re.escape(label)}\s*</a>', text)
    ]


def test_the_answer_says_why_and_can_be_taken_away(client: httpx.Client, database: Database) -> None:
    client.post("/v1/studies", json=registered(budget={"trials": 10}))
    work_off(database, "line-fit")
    stability.measure(database, "line-fit", StabilityEffort())
    best = studies.best(database, "line-fit")
    text = page(client, "/studies/line-fit")
    rate, steps = best.parameters["learning_rate"], best.parameters["steps"]
    assert isinstance(rate, float)
    assert f"learning_rate, steps = {rate!r}, {steps}" in text
    assert json.dumps(best.parameters) in text
    assert best.advice is not None
    assert best.advice in text
    assert re.search(r"The rate [\d.]+ is 0\.\d+ of the stability limit 0\.775, measured at the start\.", text)
    spent = studies.get(database, "line-fit")[0].spent.gradient_evaluations
    assert re.search(rf"10 trials, {spent:,} gradient".replace(",", ",? ?"), text)


def test_the_chart_at_the_top_is_asked_for_at_once_where_there_is_one(client: httpx.Client) -> None:
    told(client, [])
    assert not re.search('rel="preload"|<script async|<tuner-chart[^>]* eager', client.get(STUDY).text)
    told(client, [0.5])
    text = client.get(STUDY).text
    assert re.findall('<tuner-chart src="([^"]+)"[^>]* eager>', text) == [f"{STUDY}/charts/rate-loss"]
    [plotly] = re.findall('<script async fetchpriority="high" src="([^"]+)"></script>', text)
    assert f'<meta name="plotly" content="{plotly}">' in text
    # As the chart itself asks for it, by the first choices of its form.
    assert preloaded(text) == [f"{STUDY}/charts/rate-loss?color=verdict"]
    assert re.search('<select name="color"><option value="verdict">', text)


def test_of_a_trade_off_it_is_the_front(client: httpx.Client) -> None:
    told(client, [0.5], goal={"minimize": ["loss", "steps"]})
    text = client.get(STUDY).text
    assert re.findall('<tuner-chart src="([^"]+)"[^>]* eager>', text) == preloaded(text) == [f"{STUDY}/charts/front"]


def preloaded(text: str) -> list[str]:
    """The addresses of data that the page asks for before its scripts do."""
    return re.findall('<link rel="preload" href="([^"]+)" as="fetch" crossorigin>', text)


def test_every_module_is_asked_for_at_once(client: httpx.Client) -> None:
    """None is found out about by another one, which has to be there for that."""
    told(client, [0.5])
    text = client.get(STUDY).text
    named = set(re.findall(r'<(?:script type="module" src|link rel="modulepreload" href)="([^"]+)"', text))
    imported = {
        f"{address.rpartition('/')[0]}/{name}"
        for address in named
        for name in re.findall(r'^import .* from "\./([\w.]+)"', client.get(address).text, re.MULTILINE)
    }
    assert imported <= named


def test_the_table_is_sorted_filtered_and_paged_by_its_address(client: httpx.Client) -> None:
    told(client, [0.5, "NaN", 0.25, 0.75, None])
    client.post(f"/v1{STUDY}/trials/2:exclude")
    assert rows(client.get(STUDY).text) == [4, 3, 2, 1, 0]
    assert rows(client.get(f"{STUDY}?sort=value").text) == [2, 0, 3, 1, 4]
    assert rows(client.get(f"{STUDY}?sort=-value&state=complete&excluded=false").text) == [3, 0, 1]
    assert rows(client.get(f"{STUDY}?state=&verdict=&excluded=&learning_rate_from=&learning_rate_to=").text) == [
        4,
        3,
        2,
        1,
        0,
    ]
    assert "No trial fits." in page(client, f"{STUDY}?learning_rate_from=2")
    assert links(client.get(f"{STUDY}?state=pruned&sort=value").text, "Show all") == [f"{STUDY}?sort=value#trials"]
    assert 'aria-sort="ascending"' in client.get(f"{STUDY}?sort=value").text
    text = client.get(f"{STUDY}?columns=worker&columns=steps_run").text
    assert re.findall(r"<th[^>]*>(?:<a[^>]*>)?(?:<span[^>]*>)?([\w ]+)", text.split('class="trials"')[1]) == [
        "Choose",
        "Trial",
        "Steps run",
        "Worker",
    ]


def test_the_links_of_the_table_lead_to_its_other_pages_and_orders(client: httpx.Client) -> None:
    client.post("/v1/studies", json=external(budget={"trials": 120}))
    client.post(f"/v1{STUDY}/trials:ask", json={"count": 120})
    text = client.get(STUDY).text
    assert "1\N{EN DASH}50 of 120" in page(client, STUDY)
    [onward] = links(text, "Next")
    assert rows(client.get(onward).text) == list(range(69, 19, -1))
    assert rows(client.get(links(client.get(onward).text, "Next")[0]).text) == list(range(19, -1, -1))
    assert links(client.get(onward).text, "Previous") == [f"{STUDY}#trials"]
    [by_rate] = links(text, "Learning rate")
    rates = {
        trial["number"]: trial["parameters"]["learning_rate"]
        for trial in strict(client.get(f"/v1{STUDY}/trials?page_size=200"))["trials"]
    }
    assert rows(client.get(by_rate).text) == sorted(rates, key=rates.__getitem__)[:50]
    [back] = links(client.get(by_rate).text, "Learning rate")
    assert rows(client.get(back).text) == sorted(rates, key=rates.__getitem__, reverse=True)[:50]


def test_the_fragment_is_the_pages_own_table(client: httpx.Client) -> None:
    told(client, [0.5, "NaN", None])
    for query in ("", "?sort=value&columns=worker", "?state=failed"):
        fragment = client.get(f"{STUDY}/trials{query}").text
        assert fragment.strip() in client.get(f"{STUDY}{query}").text
        assert "<html" not in fragment


@pytest.mark.parametrize(
    "query",
    [
        "sort=nothing",
        "sort=parameters.nothing",
        "state=x",
        "verdict=x",
        "learning_rate_from=x",
        "page_token=x",
        "excluded=x",
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_table_that_there_is_not_is_a_page_that_says_so(client: httpx.Client, query: str) -> None:
    told(client, [])
    page(client, f"{STUDY}?{query}", 422)
    page(client, f"{STUDY}/trials?{query}", 422)


def test_before_the_first_trial_it_says_what_brings_one(client: httpx.Client, database: Database) -> None:
    told(client, [])
    text = page(client, STUDY)
    assert 'Client("http://127.0.0.1:' in text
    assert '.study("resnet")' in text
    command = re.search(r"curl -X POST (\S+) \\ -H '(\S+): (\S+)' -d '(\{.*?\})'", text)
    assert command is not None
    assert client.post(command[1], headers={command[2]: command[3]}, content=command[4]).json()["trials"]
    client.post("/v1/studies", json=registered())
    assert "no worker is alive" in page(client, "/studies/line-fit")
    worker = workers.enlist(database)
    assert "a worker takes the study up" in page(client, "/studies/line-fit")
    workers.dismiss(database, worker)
    client.post("/v1/studies/line-fit:pause")
    assert "none is given out while the study is paused" in page(client, "/studies/line-fit")


def test_without_an_answer_it_says_why(client: httpx.Client) -> None:
    told(client, [None])
    assert "the first trial runs" in page(client, STUDY)
    client.post(f"/v1{STUDY}/trials/0:tell", json={"attempt": 1, "state": "failed", "reason": "out of memory"})
    text = page(client, STUDY)
    assert "the one trial that ended has failed" in text
    assert links(client.get(STUDY).text, "Their reasons") == [f"{STUDY}?state=failed#trials"]
    assert "out of memory" in page(client, f"{STUDY}?state=failed")
    told(client, ["NaN", "Infinity"])
    assert "none of the 2 complete trials has a finite value" in page(client, STUDY)
    client.post("/v1/studies", json=external("until", goal={"minimize": "steps", "until": {"loss": 0.01}}))
    client.post("/v1/studies/until/trials:ask")
    client.post("/v1/studies/until/trials/0:tell", json={"attempt": 1, "state": "complete", "values": {"loss": 1.0}})
    assert "no complete trial has got to loss 0.01" in page(client, "/studies/until")


def test_where_all_diverged_it_says_below_which_rate_to_search(client: httpx.Client, database: Database) -> None:
    rates = {"type": "float", "low": 2.0, "high": 10.0, "scale": "log"}
    steps = {"type": "int", "low": 200, "high": 200}
    space = {"learning_rate": rates, "steps": steps}
    client.post("/v1/studies", json=registered(search_space=space, budget={"trials": 3}))
    work_off(database, "line-fit")
    text = page(client, "/studies/line-fit")
    assert "none of the 3 complete trials has a finite value" in text
    assert re.search(r"The stability limit is 0\.77\d*, told by how trial \d diverged: search below it\.", text)


def test_a_trade_off_shows_its_front_first(client: httpx.Client) -> None:
    space = {**SPACE, "steps": {"type": "int", "low": 9, "high": 9}}
    told(client, [0.5], goal={"minimize": ["loss", "steps"]}, search_space=space)
    assert "A trade-off has no single answer" in page(client, STUDY)
    charts = re.findall(r'src="/studies/resnet/charts/([\w-]+)"', client.get(STUDY).text)
    assert charts[0] == "front"
    # Losses over steps at two rates: the front is of both, and bends at step 4.
    for number, losses in [(1, [0.9, 0.4, 0.3, 0.29]), (2, [0.95, 0.5, 0.1, 0.09])]:
        [lease] = strict(client.post(f"/v1{STUDY}/trials:ask"))["trials"]
        assert lease["number"] == number
        report = {"attempt": 1, "steps": [1, 2, 4, 9], "values": {"loss": losses}}
        client.post(f"/v1{STUDY}/trials/{number}:report", json=report).raise_for_status()
        result = {"attempt": 1, "state": "complete", "values": {"loss": losses[-1]}}
        client.post(f"/v1{STUDY}/trials/{number}:tell", json=result).raise_for_status()
    text = page(client, STUDY)
    assert "Of the 4 on it, these tell most" in text
    [table] = re.findall(r'<table aria-label="Runs on the front">(.*?)</table>', client.get(STUDY).text, re.DOTALL)
    named = re.findall(r'row">([^<]+)</th><td>(\d+)</td><td>([^<]+)</td>.*?trials/(\d+)"', table)
    assert named == [
        ("Fewest steps", "1", "0.9", "1"),
        ("At the bend", "4", "0.1", "2"),
        ("Best value", "9", "0.09", "2"),
    ]
    client.post("/v1/studies", json=external("plain"))
    assert "front" not in re.findall(r'src="/studies/plain/charts/([\w-]+)"', client.get("/studies/plain").text)


def test_every_chart_of_the_page_is_there(client: httpx.Client) -> None:
    space = {**SPACE, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    told(client, [1.0 / (number + 1) for number in range(12)], search_space=space)
    charts = re.findall(r'src="(/studies/resnet/charts/[^"]+)"', client.get(STUDY).text)
    assert {"rate-loss", "loss-curves", "history", "rate-steps", "range-test", "importance"} == {
        chart.split("/")[-1] for chart in charts
    }
    for chart in charts:
        assert client.get(chart).status_code == 200, chart
    form = re.findall(r'<select name="(color|scale|align|by)">(.*?)</select>', client.get(STUDY).text)
    values = {name: re.findall(r'<option value="(\w+)"', options) for name, options in form}
    for name, chart in [("color", "rate-loss"), ("scale", "loss-curves"), ("align", "loss-curves"), ("by", "history")]:
        for value in values[name]:
            assert client.get(f"{STUDY}/charts/{chart}?{name}={value}").status_code == 200


def test_the_page_of_an_optuna_programs_study_changes_nothing(client: httpx.Client, database: Database) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=TunerStorage(database), study_name="<b>Theirs</b>", direction="maximize")
    study.optimize(
        lambda trial: trial.suggest_float("x", -1, 1) + len(trial.suggest_categorical("kind", ["a", "bb"])), n_trials=4
    )
    optuna.logging.set_verbosity(before)
    [found] = studies.page(database).studies
    address = f"/studies/{found.address}"
    text = client.get(address).text
    assert "<b>" not in text
    assert "An Optuna program" in page(client, "/") or "an Optuna program" in page(client, "/")
    for control in (
        "data-act",
        "data-exclude",
        "data-open",
        "data-edit",
        'name="verdict"',
        'name="learning_rate_from"',
    ):
        assert control not in text, control
    assert rows(client.get(f"{address}?sort=parameters.x").text) == [
        trial.number for trial in sorted(study.trials, key=lambda trial: trial.params["x"])
    ]
    assert "data-exclude" not in client.get(f"{address}/trials/1").text
    page(client, f"{address}/trials/1")
    page(client, f"{address}/compare?trials=0,1")


def test_what_may_be_done_follows_the_state(client: httpx.Client) -> None:
    told(client, [])

    def shown() -> list[str]:
        buttons = re.findall(r'data-act="(\w+)"( hidden)?', client.get(STUDY).text)
        return [verb for verb, hidden in buttons if not hidden]

    assert shown() == ["pause", "stop", "delete"]
    client.post(f"/v1{STUDY}:pause")
    assert shown() == ["resume", "stop", "delete"]
    client.post(f"/v1{STUDY}:stop")
    assert shown() == ["resume", "delete"]


def test_the_form_for_a_point_is_that_of_the_search_space(client: httpx.Client) -> None:
    hostile = "\"'><script>x</script>"
    space = {
        **SPACE,
        "kind": {"type": "categorical", "choices": [hostile, 1, 2.5, False]},
        "width": {"type": "int", "low": 8, "high": 8},
    }
    told(client, [], search_space=space)
    text = client.get(STUDY).text
    assert "<script>x" not in text
    fields = dict(re.findall(r'<input name="(\w+)" type="number" ([^>]+)>', text))
    assert fields.keys() == {"learning_rate", "steps", "width"}
    assert 'min="0.0001" max="1.0"' in fields["learning_rate"]
    assert 'step="1"' in fields["steps"]
    assert 'value="8"' in fields["width"]
    [options] = re.findall(r'<select name="kind" data-type="json">(.*?)</select>', text, re.DOTALL)
    values = [json.loads(html.unescape(value)) for value in re.findall(r'<option value="([^"]*)"', options)]
    assert values == [hostile, 1, 2.5, False]
    for value in values:
        point = {"learning_rate": 0.1, "steps": 3, "width": 8, "kind": value}
        assert client.post(f"/v1{STUDY}/trials", json={"parameters": point}).status_code == 201


def test_notes_are_markdown_that_can_do_nothing(client: httpx.Client) -> None:
    told(client, [], notes="# Plan\n\n**bold** <script>alert(1)</script> ![x](https://e.example/x.png)", tags=["a<b>"])
    text = client.get(STUDY).text
    assert "<h3>Plan</h3>" in text
    assert "<strong>bold</strong>" in text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "a&lt;b&gt;" in text
    assert "<strong>bold</strong>" in client.get(f"{STUDY}/live").text


def test_descents_are_played_where_the_service_runs_them(client: httpx.Client, database: Database) -> None:
    client.post("/v1/studies", json=registered(budget={"trials": 3}))
    work_off(database, "line-fit")
    for address in ("/studies/line-fit", "/studies/line-fit/trials/1"):
        text = client.get(address).text
        [source] = re.findall(r'<tuner-descent src="([^"]+)"', text)
        assert client.get(source).json()["panels"]
        assert "/descent.js" in text
    told(client, [0.5])
    for address in (STUDY, f"{STUDY}/trials/0"):
        assert "descent" not in client.get(address).text


def test_a_very_long_studys_page_leaves_for_later_what_takes_long(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(client, [0.5])
    assert "data-renew" not in client.get(STUDY).text
    monkeypatch.setattr("api.dashboard.pages.study.READ_AT_ONCE", 0)
    assert "data-renew" in client.get(STUDY).text


def test_pages_are_compressed_for_who_takes_them_so(client: httpx.Client) -> None:
    told(client, [0.5])
    client.post(f"/v1{STUDY}:stop")
    for address in (STUDY, f"{STUDY}/trials"):
        small = client.get(address, headers={"Accept-Encoding": "gzip"})
        plain = client.get(address, headers={"Accept-Encoding": "identity"})
        assert small.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert small.text == plain.text
        assert small.headers["content-security-policy"] == plain.headers["content-security-policy"]


@pytest.mark.parametrize("verdict", Name)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_verdict_can_be_filtered_by(client: httpx.Client, verdict: Name) -> None:
    told(client, [0.5])
    assert f'<option value="{verdict.value}" selected>' in client.get(f"{STUDY}?verdict={verdict.value}").text
