# Everything a contributor runs. Each target makes what it needs; `make` alone lists them.

PYTHON ?= python3
PORT ?= 8000
ONCE ?=
ONLY ?=
# Test processes: three for two cores, since many tests wait for processes and leases of theirs.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(max(2, 3 * len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count()))(0)) // 2))')

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# A process of Tuner starts in two thirds of the time where what it is compiled to is kept; tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test test-faults check image-test format bench bench-search lock openapi pictures screenshots clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## make .venv with all that run, test and bench need

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tuner needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=python3.12 (or the like)." >&2; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY)  ## start the service and run three studies over HTTP (ONCE=1: exit after the results; PORT=8000)
	@$(BIN)/python examples/three_studies.py --port $(PORT) $(if $(ONCE),--once)

test: $(READY)  ## all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-faults: $(READY)  ## the long version of tests/faults: many more crashes, kills, lost answers
	FAULTS=long $(BIN)/python -m pytest tests/faults -n $(JOBS) --dist worksteal --timeout 3600

check: $(READY)  ## lint and types; the Dockerfile and the compose file, too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile

image-test:  ## build the image and run it read-only (needs buildah; podman where it can run)
	tests/deployment/image.sh

format: $(READY)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## measure the speed, print the table of benchmarks/README.md
	$(BIN)/python -m benchmarks

bench-search: $(READY)  ## measure the search beside Optuna's (ONLY=ours: ours alone, a minute; all of it: hours)
	$(BIN)/python -m benchmarks.search $(if $(ONLY),--only $(ONLY))

openapi: $(READY)  ## write the HTTP contract, docs/openapi.json, which a test compares
	$(BIN)/python -m tests.api.openapi_snapshot

pictures: $(READY)  ## draw the pictures of the guides anew
	@$(BIN)/python -m docs.pictures.rates
	@$(BIN)/python -m docs.pictures.goals
	@$(BIN)/python -m docs.pictures.verdicts
	@$(BIN)/python -m docs.pictures.trajectories

screenshots: $(READY)  ## take the pictures of the dashboard anew, of the running service (needs Chromium)
	@$(BIN)/python -m docs.pictures.dashboard

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra data --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --upgrade --output-file requirements.lock
	uv pip compile pyproject.toml --extra data --extra plot --group dev --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --constraint requirements.lock --upgrade --output-file requirements-dev.lock

clean:  ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
