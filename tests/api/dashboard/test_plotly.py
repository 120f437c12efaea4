"""Plotly's script: that of its package, its one function in brackets."""

from importlib import resources

from api.dashboard import plotly


def test_the_function_of_the_packages_script_is_in_brackets() -> None:
    whole = resources.files("plotly").joinpath("package_data", plotly.NAME).read_bytes()
    sent = plotly.script()
    assert len(sent) == len(whole) + 2, "Plotly is wrapped otherwise than it was"
    assert sent.startswith(whole[:100])
    assert sent.replace(b": this, (() => {", b": this, () => {", 1).replace(b"\n})));", b"\n}));") == whole


def test_a_script_of_another_form_is_sent_as_it_is() -> None:
    opening = b"(function(root, factory) {} (self ? self : this, () => {\n"
    for script in (b"", b"window.Plotly = {};", opening + b"}", opening.replace(b"root", b"top") + b"}));"):
        assert plotly.bracketed(script) == script
