"""The client is light: a training program that imports it loads no service and no number library."""

import json
import subprocess
import sys

HEAVY = {
    *("numpy", "scipy", "torch", "keras", "sklearn"),
    *("sqlalchemy", "alembic", "optuna", "pydantic", "fastapi", "starlette", "api", "migrations"),
}


def test_importing_the_client_loads_only_httpx_and_the_standard_library() -> None:
    code = "import json, sys, tuner.client, tuner.client.keeper; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(json.loads(said.stdout))
    assert {name.split(".")[0] for name in loaded}.isdisjoint(HEAVY)
    ours = {name for name in loaded if name.split(".")[0] == "tuner"}
    assert {name for name in ours if not name.startswith("tuner.client")} == {"tuner", "tuner.errors"}


def test_what_is_made_for_a_library_loads_nothing_before_it_is_used() -> None:
    code = (
        "import sys, tuner.client.pytorch, tuner.client.sklearn;"
        "print([name for name in ('numpy', 'torch', 'sklearn', 'keras') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_keeper_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1], run_name='keeper');"
        "print([name for name in sys.modules if name.split('.')[0] in ('tuner', 'httpx')])"
    )
    from tuner.client import keeper

    assert keeper.__file__ is not None
    command = [sys.executable, "-S", "-P", "-c", code, keeper.__file__]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "[]\n"
