"""The HTTP door's routes: parse, call one use case, return.

In their paths ``{study:segment}`` is a part without a colon: a colon begins a verb, and ``GET /v1/studies/a:pause`` is
not the study ``a:pause``.
"""

from starlette.convertors import StringConvertor, register_url_convertor


class Segment(StringConvertor):
    """A part of a path up to the next slash or colon."""

    regex = "[^/:]+"


register_url_convertor("segment", Segment())
