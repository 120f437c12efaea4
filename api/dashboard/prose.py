"""Docstrings as people read them: paragraphs, code, and formulas with their sub- and superscripts.

What is understood is what docstrings of objectives use of reStructuredText: blank lines between paragraphs, code in
double backquotes, formulas indented after a ``::``. Anything else stays as it is written. Templates do the escaping.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "code", "sub", "sup"]

MINUS = "\N{MINUS SIGN}"

_CODE = re.compile(r"``(.+?)``", re.DOTALL)
_SCRIPT = re.compile(
    r"(?P<mark>[_^])(?:\{(?P<braces>[^{}]*)\}|\((?P<brackets>[^()]*)\)|(?P<one>[A-Za-z0-9])(?![A-Za-z0-9_]))"
)
_APART = re.compile(r" {3,}")


@dataclass(frozen=True)
class Piece:
    """A few words of one kind."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Block:
    """A paragraph, one line of pieces; or formulas, one a line."""

    formula: bool
    lines: list[list[Piece]]


def blocks(docstring: str) -> Iterator[Block]:
    """The blocks of a docstring after its first line, which is its summary."""
    _, _, rest = docstring.partition("\n")
    for part in re.split(r"\n\s*\n", rest.strip("\n")):
        if part.startswith((" ", "\t")):
            lines = [line.strip() for line in textwrap.dedent(part).splitlines()]
            yield Block(True, [list(_formula(one)) for line in lines for one in _APART.split(line)])
        elif words := part.strip().removesuffix("::").strip():
            ended = part.rstrip().endswith("::")
            yield Block(False, [list(_text(" ".join(words.split()) + (":" if ended else "")))])


def _text(words: str) -> Iterator[Piece]:
    for place, part in enumerate(_CODE.split(words)):
        if part:
            yield Piece("code", part) if place % 2 else Piece("text", re.sub(r"(?<=[( ])-(?=\d)", MINUS, part))


def _formula(written: str) -> Iterator[Piece]:
    # A hyphen between blanks, or before a digit after a bracket, is a minus.
    written = re.sub(r"(?<= )-(?= )|(?<=[(= ])-(?=[\dA-Za-z(])", MINUS, written)
    end = 0
    for found in _SCRIPT.finditer(written):
        # f_(x) is a function's name, and e^(x) a power.
        if found["mark"] == "_" and found["brackets"] is not None:
            continue
        if found.start() > end:
            yield Piece("text", written[end : found.start()])
        inside = next(text for text in (found["braces"], found["brackets"], found["one"]) if text is not None)
        yield Piece("sub" if found["mark"] == "_" else "sup", inside)
        end = found.end()
    if end < len(written):
        yield Piece("text", written[end:])
