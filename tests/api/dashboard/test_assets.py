"""Assets: kept for good under addresses that name their content, compressed for those who take it so."""

import gzip
import re

import httpx
import pytest

from api.dashboard.assets import FOR_GOOD, PLOTLY, asset

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.mark.parametrize("name", ["tuner.css", "live.js", PLOTLY])
def test_an_asset_is_sent_compressed_and_kept_for_good(client: httpx.Client, name: str) -> None:
    plain = client.get(asset(name), headers={"Accept-Encoding": "identity"})
    assert (plain.status_code, plain.headers["cache-control"]) == (200, FOR_GOOD)
    assert "content-encoding" not in plain.headers
    with client.stream("GET", asset(name), headers={"Accept-Encoding": "br;q=1.0, gzip;q=0.8"}) as response:
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["vary"] == "Accept-Encoding"
        raw = b"".join(response.iter_raw())
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < 0.5 * len(plain.content)


def test_what_refuses_gzip_gets_none(client: httpx.Client) -> None:
    response = client.get(asset("tuner.css"), headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in response.headers


def test_modules_find_one_another(client: httpx.Client) -> None:
    for name in re.findall(r'(?:from|import) "\./([\w.]+)"', client.get(asset("live.js")).text):
        assert asset(name).rsplit("/", 1)[0] == asset("live.js").rsplit("/", 1)[0]


def test_an_address_of_other_content_is_not_there(client: httpx.Client) -> None:
    assert client.get("/assets/0000000000000000/tuner.css").status_code == 404
