# `make demo` and `make test` set everything up by themselves; they need Python 3.11+ and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo serve pictures test test-all test-oldest families bench bench-quick check format lint types layers tables clean

demo: $(VENV)/.installed
	$(BIN)/hyperadapters demo
	@echo "(The command is in $(BIN); '. $(BIN)/activate' puts it on the path of this shell.)"

# The demo's run as a web page.
serve: $(VENV)/.installed
	$(PIP) -e ".[serve]"
	test -d demo-run || $(BIN)/hyperadapters demo --output demo-run
	$(BIN)/hyperadapters serve demo-run/hyperlora

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal

# Also what takes minutes, and what needs the real data in ../shared.
test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal --slow

# The same tests on the oldest PEFT and Transformers that are supported, in an environment beside.
test-oldest: $(VENV)-oldest/.installed
	$(VENV)-oldest/bin/python -m pytest -n auto --dist worksteal

# The table of families in docs, made by the tests that it tells of.
families: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --slow tests/families --families-table docs/tables/families.md

# How fast it is beside what one would use instead: ratios, in docs/tables/speed.md (hours). Quick
# is minutes, and prints them only. By hand also `--only CASE`, `--threads N`, `--device cuda`.
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.speed

bench-quick: $(VENV)/.installed
	$(BIN)/python -m benchmarks.speed --quick

check: lint types layers

format: $(VENV)/.installed-dev
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples

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

$(VENV)-oldest/.installed: pyproject.toml constraints.txt constraints-oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	grep -v -E "^(huggingface_hub|peft|tokenizers|transformers)==" constraints.txt \
		| cat - constraints-oldest.txt > $(VENV)-oldest/constraints.txt
	$(VENV)-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(VENV)-oldest/constraints.txt -e ".[dev]"
	touch $@

# The pictures of README and docs, of the demo's run; needs a Chromium.
pictures: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/pictures.py

clean:
	rm -rf $(VENV) $(VENV)-oldest demo-run*
