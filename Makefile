# Every target sets itself up: python3 (3.11 or newer), make and git are all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEER := .venv-peer
DEAR := metaxy_core/backends $(addprefix tests/,backends durability example cli config test_docs.py)

.PHONY: demo test check fuzz bench bench-large bench-peer bench-stores bench-dagster ui clean

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

bench: $(READY)  ## measurements up to 1 M samples, beside what they have to reach; some ten minutes
	$(BIN)/python -m benchmarks

bench-large: $(READY)  ## the same up to 10 M samples; an hour, 20 GB of disk for as long
	$(BIN)/python -m benchmarks --samples 10000000 --name bench-large

$(PEER)/.ready: benchmarks/peer/requirements.txt
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

bench-peer: $(READY) $(PEER)/.ready  ## beside metaxy 0.1.11 and hand-written SQL, in turns; some five minutes
	$(BIN)/python -m benchmarks.peer

bench-stores: $(READY)  ## every store beside the same work by hand; some ten minutes
	$(BIN)/python -m benchmarks.stores

bench-dagster: $(READY)  ## what the integration costs in Dagster; some five minutes
	$(BIN)/python -m benchmarks.dagster

ui: $(READY)  ## Dagster's UI on the example project, http://127.0.0.1:3000
	$(BIN)/python -m example_project.ui

clean:
	rm -rf $(VENV) $(PEER) .benchmarks .demo .dagster_home
