# Two commands on a fresh machine: `make check` and `make test`. Both make .venv by themselves and are quick when run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
GROUPS := $(BIN)/python -m dependency_groups
JOBS ?= auto

.PHONY: check test test-slow lint bench fuzz docs clean

check: $(VENV)/.package
	$(BIN)/mmdoctor check

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow and not real"

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS) -m "slow or real"

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test
	for program in benchmarks/[a-z]*.py; do echo "== $$program"; $(BIN)/python $$program || exit 1; done

docs: $(VENV)/.package
	$(BIN)/python -m mmdoctor.docs

clean:
	rm -rf $(VENV) .cache build dist

# pip installs groups by name from 25.1 on; `dependency-groups` reads them for every pip.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) "dependency-groups>=1.3"

# Compiled ahead, since some machines (PYTHONDONTWRITEBYTECODE) would compile it at every start.
COMPILE := $(BIN)/python -m compileall -q mmdoctor checks

$(VENV)/.package: $(VENV)/bin/python pyproject.toml
	$(PIP) --editable .
	$(COMPILE)
	touch $@

# The test group pins torch, so it goes first: one torch is installed, not two.
$(VENV)/.test: $(VENV)/bin/python pyproject.toml
	$(GROUPS) test > $(VENV)/test.txt
	$(PIP) --requirement $(VENV)/test.txt
	$(PIP) --editable .
	$(COMPILE)
	touch $(VENV)/.package $@

$(VENV)/.lint: $(VENV)/.package
	$(GROUPS) lint > $(VENV)/lint.txt
	$(PIP) --requirement $(VENV)/lint.txt
	touch $@
