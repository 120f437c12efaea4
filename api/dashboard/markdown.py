"""Notes in Markdown made into HTML that can do nothing: markup of users is text, and nothing is loaded.

CommonMark with tables. HTML is not passed on but shown, pictures are links to them, and links to what would run in the
page are none. Headings begin below those of the page.
"""

from markdown_it import MarkdownIt
from markupsafe import Markup

_PAGE_LEVELS = 2
"""Levels of headings that the page has around the notes."""

_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def markdown(text: str) -> Markup:
    """The text as HTML."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + _PAGE_LEVELS)}"
        token.attrs.pop("style", None)  # Of cells that are aligned; the page's policy is about styles too.
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "noreferrer nofollow")
    # The renderer escapes whatever is not its own.
    return Markup(_markdown.renderer.render(tokens, _markdown.options, {}))  # noqa: S704
