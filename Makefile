# `make demo` needs Python 3.11 or later and make, nothing else. `make test` needs Chromium as well, and
# installs it with apt where there is none.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= runs/demo

# The browser that the explorer is tested in: a command, or a path.
CHROMIUM ?= chromium
export CHROMIUM
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo)

# Each file of tests stays on one worker, so that its fixtures are made once.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Settings that imitate another machine: older processors, a single core, no compiler.
MACHINES := ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 \
	OMP_NUM_THREADS=1 CXX=/nonexistent

# Tests that compare numbers. Continuous integration repeats them, with several settings at once.
NUMERIC := tests/model tests/training tests/infer tests/evaluation tests/runs/test_golden_runs.py \
	--ignore tests/infer/test_hmc_numpyro.py
LEAST_MACHINE := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 \
	CXX=/nonexistent

.PHONY: demo docs docs-links docs-pages test test-full test-portable test-numeric chromium install-chromium lint format types check \
	benchmarks dist clean

demo: $(VENV)/installed
	rm -rf $(DEMO)
	$(BIN)/elboroom train --preset reference --out $(DEMO)
	$(BIN)/elboroom report $(DEMO)

test: $(VENV)/installed-dev chromium
	$(PYTEST)

test-full: $(VENV)/installed-dev chromium
	$(PYTEST) -m ""

test-portable: $(VENV)/installed-dev chromium
	set -e; for setting in $(MACHINES); do \
		echo "make test with $$setting"; env $$setting $(PYTEST); \
	done

test-numeric: $(VENV)/installed-dev
	env $(LEAST_MACHINE) $(PYTEST) $(NUMERIC)

chromium:
	@command -v "$(CHROMIUM)" >/dev/null || $(MAKE) --no-print-directory install-chromium

install-chromium:
	@command -v apt-get >/dev/null || { \
		echo "There is no $(CHROMIUM), in which the explorer is tested. Install Chromium or Chrome, and"; \
		echo "name its command: make test CHROMIUM=google-chrome"; exit 1; }
	$(AS_ROOT) apt-get update
	$(AS_ROOT) apt-get install --yes --no-install-recommends chromium

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .

format: $(VENV)/installed-dev
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint format types test

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going \
		--doctree-dir build/docs/doctrees docs build/docs/html

# Asks the servers of all links to other places; needs the network.
docs-links: $(VENV)/installed-docs
	$(BIN)/python -m sphinx --builder linkcheck --fail-on-warning --keep-going \
		--doctree-dir build/docs/doctrees docs build/docs/links

# Runs the tutorials and the gallery, and writes what they print and draw; takes ten minutes.
docs-pages: $(VENV)/installed-dev chromium
	$(BIN)/python -m tests.support.written_pages

benchmarks: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks reference

# What a release uploads, and elboroom-VERSION.cdx.json: the versions and licences of its dependencies.
dist: $(VENV)/installed-release
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	bash .github/try-wheel $(BIN)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs,sklearn]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

$(VENV)/installed-release: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[release]"
	touch $@

clean:
	rm -rf $(VENV) build dist docs/api/generated .pytest_cache .ruff_cache .hypothesis
