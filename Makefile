# The commands of the repository; `make` alone lists them. A fresh machine needs make and Python 3.11 or newer.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
RUNS := $(VENV)/.runs
DEVELOPS := $(VENV)/.develops

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEVELOPS) ## Install everything into .venv (the others do it by themselves)

demo: $(RUNS) ## Start a node, speak Korean and English in all three modes, compare, leave the WAVs in demo-out/
	$(BIN)/orastream demo $(ARGS)

test: $(DEVELOPS) ## Run all tests; those that need Docker skip themselves where there is none
	$(BIN)/python -m pytest tests/unit tests/integration tests/e2e tests/chaos $(ARGS)

check: $(DEVELOPS) ## Format, lint, types, the import rules, file length
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tests/house/file_length.py

bench: $(DEVELOPS) ## Measure what the mechanisms cost: CPU per chunk, rates, latency
	$(BIN)/python -m tests.bench $(ARGS)

clean: ## Remove everything that these commands have made, .venv too
	rm -rf $(VENV) demo-out .orastream build dist *.egg-info shared/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find shared services tests -type d -name __pycache__ -prune -exec rm -rf {} +

# What runs the node, and on top of it what develops it. Made again when a pyproject.toml has changed; each stamp comes
# last, so that a set-up that was cut short is done again.
$(RUNS): pyproject.toml shared/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "cannot make $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PIP) -e './shared[cli,service]' -e '.[local]'
	@touch $@

$(DEVELOPS): $(RUNS)
	$(PIP) -e './shared[cli,service]' -e '.[dev]'
	@touch $@
