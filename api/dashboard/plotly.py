"""plotly.js out of its package, as pages get it: the same script, compiled once by those who would compile it twice.

All of it is one function, handed to another one that calls it. Browsers take a function for one that is not called yet,
look it over, and compile it when it is called after all: of five megabytes a fifth of a second more, in which the page
stands still. Where a function is in brackets they know that it will be called (V8 does, and nobody minds).
"""

from importlib import resources

NAME = "plotly.min.js"

_OPENING, _END = b" : this, () => {\n", b"}));"


def script() -> bytes:
    """The script."""
    # Read as a file: importing the package would load all of it.
    return bracketed(resources.files("plotly").joinpath("package_data", NAME).read_bytes())


def bracketed(script: bytes) -> bytes:
    """The script with its one function in brackets; as it is, where it is not of that form."""
    head, opening, body = script.partition(_OPENING)
    if not opening or b"function(root, factory)" not in head or not body.endswith(_END):
        return script
    return head + _OPENING.replace(b"()", b"(()") + body.removesuffix(_END) + b"})));"
