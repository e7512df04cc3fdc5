# `make test` and `make demo` are all that a fresh machine needs: each sets up .venv first.
# PYTHON chooses the interpreter that .venv is made with; OMP_NUM_THREADS is 1 in tests because
# they already run one process a core.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-full pytest lint typecheck bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
CODE := absint domains frontends proofs
SCRIPTS := examples benchmarks
TYPECHECK := out/typecheck
# Without its dependencies, which pin a PyTorch of long ago.
LIRPA := 0.3
MYPY := $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(READY) ## prove, refute, re-check and explain: a controller, then a network that decodes
	PATH="$(BIN):$$PATH" examples/advisory/demo.sh out/demo
	PATH="$(BIN):$$PATH" examples/monitor/demo.sh out/demo

test: lint pytest ## format, lint, types and tests: what CI runs

test-full: $(READY) ## the counts that a release states, logged in benchmarks/results/
	mkdir -p benchmarks/results
	{ $(BIN)/python -c "from benchmarks.measure import conditions as c; print(*c('make test-full'), sep='\n')"; \
	  OMP_NUM_THREADS=1 $(BIN)/pytest -m full -n auto -v -rA --durations=0 --no-header; } \
	  | tee benchmarks/results/test-full.log

pytest: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto

lint: $(READY) typecheck ## ruff (lint and formatting) and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# mypy follows neither the editable install's import hook nor `__path__`, so it would miss the
# folders that lie beside absint/. A strict editable install would show them, but as a copy of the
# file list made when it was installed: a file added later would go unchecked, silently. This tree
# of links has the installed shape, is made anew each time, and links folders, not files. Scripts
# are no package, so mypy gets them as files.
typecheck: $(READY)
	rm -rf $(TYPECHECK)
	mkdir -p $(TYPECHECK)/absint
	ln -s $(CURDIR)/absint/* $(addprefix $(CURDIR)/,$(filter-out absint,$(CODE))) $(TYPECHECK)/absint
	ln -s $(addprefix $(CURDIR)/,$(SCRIPTS)) $(TYPECHECK)
	cd $(TYPECHECK) && $(MYPY) -p absint
	cd $(TYPECHECK) && for folder in examples/*/ benchmarks/; do \
	  (cd $$folder && MYPYPATH=$(CURDIR)/$(TYPECHECK):$(CURDIR)/examples:$(CURDIR)/examples/monitor $(MYPY) *.py) \
	  || exit 1; done

bench: $(READY) ## run the benchmarks (long); results go to benchmarks/results/
	$(BIN)/python benchmarks/run.py

# Made whole or not at all: the stamp is written last, and a change of any input starts afresh.
# setuptools goes first and isolation is off, so that the build, too, is the pinned one.
$(READY): constraints.txt requirements-dev.txt pyproject.toml
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt setuptools
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation \
	  -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps auto_LiRPA==$(LIRPA)
	touch $@

clean: ## remove .venv and everything that was generated
	rm -rf $(VENV) build dist out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
