"""Notes: what Markdown means is shown, what could do anything is text."""

import re
from html.parser import HTMLParser

import pytest

from api.dashboard.markdown import markdown

ALLOWED = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}


class Elements(HTMLParser):
    """The elements of a fragment, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_what_it_means_is_shown() -> None:
    shown = markdown(
        "# One\n\n*two* **three** `four`\n\n- five\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n[six](https://e.example/)"
    )
    for part in (
        "<h3>One</h3>",
        "<em>two</em>",
        "<strong>three</strong>",
        "<code>four</code>",
        "<li>five</li>",
        "<th>a</th>",
    ):
        assert part in shown
    assert '<a href="https://e.example/" rel="noreferrer nofollow">six</a>' in shown


def test_headings_begin_below_those_of_the_page() -> None:
    shown = markdown("\n".join(f"{'#' * level} {level}" for level in range(1, 7)))
    assert re.findall(r"<h(\d)>(\d)</h\d>", shown) == [
        ("3", "1"),
        ("4", "2"),
        ("5", "3"),
        ("6", "4"),
        ("6", "5"),
        ("6", "6"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick=alert(1)>b</b>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#x6A;avascript:alert(1))",
        "[x](java\tscript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "![x](javascript:alert(1))",
        "![x](https://elsewhere.example/spy.png)",
        "<javascript:alert(1)>",
        '[x](https://e.example/"onmouseover="alert(1))',
        '[x](https://e.example/ "title\\" onmouseover=\\"alert(1)")',
        '```"><script>alert(1)</script>\nx\n```',
        "|<script>|\n|---|\n|<img src=x>|",
        "[x]: javascript:alert(1)\n\n[x]",
        "<!-- --><iframe src=//e.example>",
        "<style>*{display:none}</style>",
    ],
)
def test_what_could_do_anything_is_text(text: str) -> None:
    for tag, attributes in Elements(markdown(text)).found:
        assert tag in ALLOWED
        assert attributes.keys() <= {"href", "rel", "title", "class", "start"}
        assert re.match(r"https?://|mailto:|[/#]|$", attributes.get("href") or ""), attributes
        assert "onmouseover" not in attributes
