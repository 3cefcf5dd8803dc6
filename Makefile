# `make demo` and `make test` set everything up by themselves; they need Python 3.11+ and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all check format lint types layers tables clean

demo: $(VENV)/.installed
	$(BIN)/hyperadapters demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto

# Also what takes minutes, and what needs the real data in ../shared.
test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --slow

check: lint types layers

format: $(VENV)/.installed-dev
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

types: $(VENV)/.installed-dev
	$(BIN)/pyright

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

# The tables of README and docs, from the runs of benchmarks/perspectives.py (hours on two cores).
tables: $(VENV)/.installed
	$(BIN)/python benchmarks/perspectives.py --data ../shared/data/perspectives

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[dev]"
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) demo-run*
