"""What the pages of `docs` say is so: HTTP and its reference, verdicts, objectives; and every link leads somewhere."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from api.access import needed
from api.problems import kinds
from docs.pictures import verdicts as pictures
from docs.pictures.line_chart import draw
from tests.api.openapi_snapshot import current
from tests.cli.commands import service, strict_json
from tuner.objectives import KnownMinimum, Stochastic, Validated, create, registered
from tuner.objectives.datasets import TARGETS, load

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "http-api.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
NEXT = "-- next block --"


def shape(document: Any) -> Any:
    """A document's fields, without what stands in them."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    return [shape(item) for item in document] if isinstance(document, list) else None


def within(part: Any, whole: Any) -> bool:
    """Whether every field of a document is one of another's."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and within(part[key], whole[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and all(within(one, other) for one, other in zip(part, whole, strict=True))
    return True


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="there is no curl or bash")
def test_every_command_of_the_walk_through_does_what_the_page_says(tmp_path: Path) -> None:
    assert BLOCKS[0][1].startswith("tuner serve")
    commands = [text for language, text in BLOCKS[1:] if language == "sh"]
    with service(tmp_path, "--workers", "0") as (url, _):
        script = f"echo; echo '{NEXT}'\n".join(["set -eu\n", *commands]).replace("http://127.0.0.1:8000", url)
        ran = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answers = iter(ran.stdout.split(NEXT)[1:])
    answer = ""
    said: dict[str, str] = {}
    for language, text in BLOCKS[1:]:
        if language == "sh":
            answer = next(answers)
            said[text] = answer
        elif language == "json":
            assert within(shape(json.loads(text)), shape(strict_json(answer))), answer
    [followed] = [answer for command, answer in said.items() if "/events" in command]
    assert "event: study\n" in followed
    assert "id: 1-" in followed
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines(), strict=True))
    assert [(row["number"], row["values.loss"], row["values.accuracy"]) for row in rows] == [("0", "0.42", "0.87")]
    [trial] = strict_json((tmp_path / "resnet.json").read_text())["trials"]
    assert trial["curves"] == {
        "accuracy": {"steps": [2], "values": [0.31]},
        "loss": {"steps": [0, 1, 2], "values": [2.31, 1.9, 1.72]},
    }


def test_the_reference_has_every_call_and_every_error() -> None:
    calls = {
        f"{method.upper()} {path}": (needed(method.upper(), path) or "", '"Idempotency-Key"' in json.dumps(operation))
        for path, operations in current()["paths"].items()
        for method, operation in operations.items()
    }
    rows = re.findall(r"^\| `([A-Z]+ /\S+)` \| .* \| (\w*) ?\| (?:(yes) )?\|$", PAGE.read_text(), flags=re.MULTILINE)
    assert {call: (scope, key == "yes") for call, scope, key in rows} == calls
    assert len(rows) == len(calls)

    text = PAGE.read_text()
    reference = text[text.index("## Every error") :]
    said = re.findall(r"^\| `(\w+)` \| (\d+)[ ,]", reference, flags=re.MULTILINE)
    unused = re.findall(r"`(\w+)`", reference[reference.index("A code that is not in the table") :])
    assert {code: int(status) for code, status in said} == {
        code: status for code, (status, _) in kinds().items() if code not in unused
    }
    assert {"error", "conflict"} <= set(unused)


def test_the_page_of_verdicts_says_what_the_judge_says() -> None:
    page = (PAGE.parent / "verdicts.md").read_text()
    for rate in pictures.TUTORIAL:
        verdict, _ = pictures.run(pictures.Example("line_fit", rate, 200))
        assert f"| {rate:g} | `{verdict.name}` | {verdict.advice} |" in page
    for name, example in pictures.EXAMPLES.items():
        verdict, curves = pictures.run(example)
        assert verdict.name == name
        chart = draw(curves)
        assert chart is not None
        ElementTree.fromstring(pictures.svg(chart))
        assert f"](pictures/verdict-{name}.svg)" in page
        assert (PAGE.parent / "pictures" / f"verdict-{name}.svg").exists()


def test_the_page_of_objectives_says_what_is_known_of_each() -> None:
    page = (PAGE.parent / "objectives.md").read_text()
    ours = [kind for kind in registered().values() if kind.factory.__module__.startswith("tuner.objectives.")]
    known = {kind.name: create(kind.name, {}) for kind in ours}
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d+) \| (\S+|not known) \| (.*?) ?\|$", page, flags=re.MULTILINE)
    assert {name: row for name, *row in rows} == {
        kind.name: [
            str(known[kind.name].dimension),
            f"{one.minimum:.4g}" if isinstance(one := known[kind.name], KnownMinimum) else "not known",
            ", ".join(f"`{setting}`" for setting in kind.settings.model_fields),
        ]
        for kind in ours
    }
    on_data = page[page.index("**On data.**") :]
    learning = {name for name, one in known.items() if isinstance(one, Validated) and isinstance(one, Stochastic)}
    assert {name for name in known if f"| `{name}` |" in on_data} == learning

    shapes = {}
    for name, targets in TARGETS.items():
        split = load(name, min(targets), 0, 0.75)
        samples = len(split.targets) + len(split.validation_targets)
        shapes[name] = f"{samples} × {split.features.shape[1]}"
    assert dict(re.findall(r"^\| `(\w+)` \| (\d+ × \d+) \|", page, flags=re.MULTILINE)) == shapes


def anchors(page: str) -> set[str]:
    """What a heading is called in a link to it."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_of_a_page_leads_somewhere() -> None:
    pages = [
        page for place in ("*.md", "docs/**/*.md", "examples/*.md", "benchmarks/*.md") for page in ROOT.glob(place)
    ]
    dead = []
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            address, _, anchor = link.partition("#")
            if re.match("https?:", address):
                continue
            target = page.parent / address if address else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
                dead.append(f"{page.relative_to(ROOT)}: {link}")
    assert not dead
