# Every target sets itself up: python3 (3.11 or newer), make and git are all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEAR := metaxy_core/backends $(addprefix tests/,backends durability example cli config test_docs.py)

.PHONY: demo test check fuzz bench bench-stores bench-dagster ui clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,example,ui]'
	touch $@

demo: $(READY)  ## the story, headless, through Dagster
	$(BIN)/python -m example_project.demo

test: $(READY)  ## everything CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

check: $(READY)  ## under a minute, without databases; before every commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow" --engines=memory $(addprefix --ignore=,$(DEAR))

fuzz: $(READY)  ## the long profile of the property tests, and of load in Dagster
	METAXY_FUZZ=long $(BIN)/pytest -n 2 tests/properties tests/dagster/test_load.py

bench: $(READY)  ## measurements beside what they have to reach
	$(BIN)/python -m benchmarks

bench-stores: $(READY)  ## every store beside the same work by hand; some ten minutes
	$(BIN)/python -m benchmarks.stores

bench-dagster: $(READY)  ## what the integration costs in Dagster; some five minutes
	$(BIN)/python -m benchmarks.dagster

ui: $(READY)  ## Dagster's UI on the example project, http://127.0.0.1:3000
	$(BIN)/python -m example_project.ui

clean:
	rm -rf $(VENV) .demo .dagster_home
