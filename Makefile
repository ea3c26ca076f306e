# Each target does all its own set-up. A machine needs Python 3.11 or newer with venv, and make; nothing else.
#
#   make test PYTHON=python3.12                       another Python
#   make demo ARGS="--seconds 60 --headless"          options for the command behind a target

PYTHON ?= python3
ARGS   ?=
VENV   := .venv
BIN    := $(VENV)/bin

SERVICES := analytics risk limits recorder gateway migrate
LOCK     := $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --generate-hashes --no-annotate \
            --python-version 3.11 --custom-compile-command "make lock" --no-emit-package tailstream
UV       := uv==0.13.9

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check generate tables lock bench FORCE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/ready ## Run the whole system on real prices; ARGS="--seconds 60 --headless" for options
	@$(BIN)/tailstream demo $(ARGS)

test: $(VENV)/ready ## Run the tests, on a real Kafka, PostgreSQL and Redis that they start themselves
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-all: test ## Run the tests, then the slow ones: kills, faults and long runs
	$(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/ready ## Lint, check formatting, types, import rules and generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m contracts.generate --check

generate: $(VENV)/ready ## Write what is derived from contracts/: JSON Schemas and AsyncAPI
	$(BIN)/python -m contracts.generate

tables: $(VENV)/ready ## Write the tables of docs/models from the shipped data; ARGS="historical" for some pages
	$(BIN)/python -m docs.tables $(ARGS)

lock: $(VENV)/ready ## Pin the newest dependencies that pyproject.toml allows, with their hashes
	$(BIN)/pip install --quiet $(UV)
	$(LOCK) --upgrade --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	for service in $(SERVICES); do \
	    $(LOCK) --constraint requirements/dev.txt --extra $$service pyproject.toml \
	        -o requirements/$$service.txt || exit 1; \
	done

bench: $(VENV)/ready ## Measure against peers side by side; prints ratios
	@for benchmark in benchmarks/*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark $(ARGS) || exit 1; done

# Installed again when a lock or pyproject.toml changes, or when PYTHON is another version.
$(VENV)/ready: FORCE
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh requirements/install.sh
