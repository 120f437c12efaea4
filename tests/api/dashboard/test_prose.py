"""Docstrings as people read them."""

import pytest

from api.dashboard.prose import Block, blocks
from tuner import objectives


def written(block: Block) -> list[str]:
    marks = {"text": "{}", "code": "`{}`", "sub": "[{}]", "sup": "<{}>"}
    return ["".join(marks[piece.kind].format(piece.text) for piece in line) for line in block.lines]


def test_paragraphs_and_formulas_are_told_apart() -> None:
    text = "Summary.\n\nOne\nand ``two(3)``.\n\nWith::\n\n    f = x - 1     g = -y\n    h = 2\n\nThe end at -1."
    assert [(block.formula, written(block)) for block in blocks(text)] == [
        (False, ["One and `two(3)`."]),
        (False, ["With:"]),
        (True, ["f = x − 1", "g = −y", "h = 2"]),  # noqa: RUF001
        (False, ["The end at −1."]),  # noqa: RUF001
    ]


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("x_{i+1} - x_i²", "x[i+1] − x[i]²"),  # noqa: RUF001
        ("Σ_{i<D} e^(Zₖ) - Z_y", "Σ[i<D] e<Zₖ> − Z[y]"),  # noqa: RUF001
        ("my_valley and f_(x)", "my_valley and f_(x)"),
        ("a^2_1", "a^2[1]"),
    ],
)
def test_scripts_of_formulas(formula: str, shown: str) -> None:
    [block] = blocks(f"Summary.\n\n    {formula}")
    assert written(block) == [shown]


@pytest.mark.parametrize("text", ["", "Summary.", "Summary.\n", "Summary.\n\n::\n"])
def test_where_there_is_no_more_than_a_summary_there_is_nothing(text: str) -> None:
    assert list(blocks(text)) == []


def test_every_objective_of_ours_has_a_formula() -> None:
    for name, kind in objectives.registered().items():
        if kind.factory.__module__.startswith("tuner.objectives."):
            shown = list(blocks(kind.description))
            assert any(block.formula for block in shown), name
            assert not any("``" in line or "::" in line for block in shown for line in written(block)), name
