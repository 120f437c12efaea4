"""Numbers read the same whether the server or a page's script writes them."""

from playwright.sync_api import Page

from api.dashboard.format import number

WRITTEN_BY_A_SCRIPT = """
async (values) => {
  const style = document.querySelector("link[rel=stylesheet]").href;
  const { number } = await import(style.replace("tuner.css", "format.js"));
  return values.map(number);
}
"""

VALUES: list[float | int | None] = [
    *(None, 0, 1, -1, 12, 999, 1000, 12345, -12345, 1234567, 10**12),
    *(0.5, 0.1 + 0.2, -0.25, 0.0731, 0.00012344, 0.000123456, 1.2e-5, -1.2e-5, 1e-7, 5e-324, 1 / 3, 2 / 3),
    *(0.99996, 0.099999, 0.00099999, 0.000099999, 0.1234567, 100.5, 999.94, 999.96),
    *(3.14159265, 12.3456, 1234.4, 1234.6, 9999.4, 9999.6, 12345.6, -12345.6, 123456.7, 1.7976931348623157e308),
    # In the middle between two of four digits, and whole though they are floats.
    *(1234.5, -1234.5, 1235.5, 10.125, -10.125, 10.375, 100.25, 0.00048828125, 1.00048828125, 2.0**-12, 2.0**-20),
    *(-0.0, 100.0, 1000.0, 10_000.0, 12345.0, -12345.0, 999_999_999.0, 1e9, 1234500000, 1.2345e9, -1e12, 1e15, 1e21),
    *(float("nan"), float("inf"), float("-inf")),
]


def test_a_script_writes_numbers_as_the_server_does(page: Page) -> None:
    page.goto("/about")
    assert page.evaluate(WRITTEN_BY_A_SCRIPT, VALUES) == [number(value) for value in VALUES]
