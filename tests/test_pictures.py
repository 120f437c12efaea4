"""The guides' pictures are drawn by the script that stands beside them."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs.pictures import dashboard

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="the extra plot is not installed")
def test_every_picture_of_the_guides_is_drawn(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-W", "error", str(FOLDER / "rates.py"), str(tmp_path)], check=True, timeout=200)
    drawn = {path.name for path in FOLDER.glob("*.png") if not path.name.startswith("dashboard-")}
    assert {path.name for path in tmp_path.iterdir()} == drawn
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_every_picture_of_the_dashboard_is_there_and_small() -> None:
    taken = {path.stem: path.stat().st_size for path in FOLDER.glob("dashboard-*.png")}
    assert set(taken) == {picture.name for picture in dashboard.PICTURES}
    assert max(taken.values()) <= dashboard.LARGEST
