"""What a body is read as: what Python reads, where it is JSON that a database can hold; else, what of it is not."""

import json
from typing import Any

import pytest

from api.body import parse
from api.problems import Refused
from tuner.errors import InvalidInput
from tuner.limits import DEEPEST, LONGEST_INTEGER

RESULT = '{"number":%d,"attempt":1,"state":"complete","values":{"loss":0.1}}'
MANY = "[" + ",".join(RESULT % number for number in range(100)) + "]"


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    "text",
    [
        "null",
        ' {"a": [1, -0, 0.1, 1e308, 5e-324, 0.1e-400, true, "NaN", "\u00e9\u4e00", "\\u00e9", "\\ud83d\\ude00"]} ',
        f'{{"a": {"9" * LONGEST_INTEGER}, "a": 2}}',
        MANY,
        nested(DEEPEST),
        f"[{MANY}, {nested(DEEPEST - 1)}]",
        json.dumps("[" * 100),
    ],
    ids=["null", "every kind", "long", "many", "deep", "many and deep", "brackets in text"],
)
def test_json_is_read_as_python_reads_it(text: str) -> None:
    assert parse(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("1e999", "body"),
        ('{"values": {"loss": [0.1, -1e999]}}', "values.loss.1"),
        (f'{{"n": {"9" * (LONGEST_INTEGER + 1)}}}', "n"),
        ('{"a": [{"b": NaN}]}', "a.0.b"),
        ('{"a": -Infinity}', "a"),
        ('{"a": "half \\ud800"}', "a"),
        ('{"\\udfff": 1}', "body"),
    ],
)
def test_a_number_or_a_text_that_is_none_is_named(text: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text.encode())
    assert [error.field for error in refused.value.fields] == [field]


def test_everything_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(b'{"a": 1e999, "b": [NaN, 1, "\\udc00"]}')
    assert sorted(error.field for error in refused.value.fields) == ["a", "b.0", "b.2"]


@pytest.mark.parametrize("text", [nested(DEEPEST + 1), f"[{MANY}, {nested(DEEPEST)}]", nested(100_000)])
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="nested") as refused:
        parse(text.encode())
    assert refused.value.status_code == 400


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[1,]", b"01", b"\xef\xbb\xbf1", b'"\x01"'])
def test_what_is_no_json_is_refused(body: Any) -> None:
    with pytest.raises(Refused) as refused:
        parse(body)
    assert refused.value.status_code == 400
