# The verbs of this checkout. Everything they make lies in .venv/, .demo/ and bench/results/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(BIN)/uv
# The slowest first, so that at the end no process is left alone with a long file.
TESTS := tests/acceptance tests/integration tests/contract tests/unit tests/docs
# Guests bring pins that exclude ours; each is a folder with a `run` of its own.
GUESTS := $(sort $(wildcard tests/guests/*/run))

# Three at a time on two cores, as a story mostly waits; the tests of a file in one process, as they share their yards.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile

.PHONY: help setup check format test test-long test-all demo bench lock clean reference

help:
	@echo "make setup     .venv with everything, from locks/dev.txt"
	@echo "make check     format, lint, types, floors"
	@echo "make test      setup, then the tests (under 10 minutes)"
	@echo "make test-long the stories that take over 15 seconds each"
	@echo "make test-all  both, then the guests"
	@echo "make demo      setup, then: train, deploy, predict; leaves a yard running"
	@echo "make bench     the benchmarks: serving beside its peers, then stories (wants wrk)"
	@echo "make format    what check would refuse, mended where a tool can"
	@echo "make reference the generated pages of docs/reference anew, from the code"
	@echo "make lock      locks/ anew, from pyproject.toml"
	@echo "make clean     .venv, caches and results away (a demo yard is stopped first)"

setup: $(READY)

$(READY): locks/dev.txt locks/uv.txt pyproject.toml modelyard-worker/pyproject.toml locks/find_python.sh
	@python=$$(sh locks/find_python.sh); \
	if [ ! -x $(BIN)/python ]; then echo "setup: .venv with $$($$python --version)"; $$python -m venv $(VENV); fi
	@if [ ! -x $(UV) ]; then \
		echo "setup: uv"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt; \
	fi
	@echo "setup: packages of locks/dev.txt"
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --require-hashes locks/dev.txt
	@echo "setup: modelyard and its worker, from this checkout"
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation -e modelyard-worker -e .
	@touch $@

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup
	$(PYTEST) -m "not long" $(wildcard $(TESTS))

# Exit code 5: no test bears the mark.
test-long: setup
	$(PYTEST) -m long $(wildcard $(TESTS)) || [ $$? = 5 ]

test-all: test test-long
	@for guest in $(GUESTS); do echo "guest: $$guest"; "$$guest"; done

demo: setup
	@$(BIN)/python examples/01-train-and-deploy/demo.py

bench: setup
	@$(BIN)/python -m bench.serving
	@$(BIN)/python -m bench.stories

lock: setup
	cd locks && ../$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-package modelyard-worker --group ../pyproject.toml:dev ../pyproject.toml -o dev.txt
	grep '^uv==' locks/dev.txt | tr -d '\\' | $(UV) pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate - -o locks/uv.txt
	cd src/modelyard/packaging/locks && ../../../../$(UV) pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate mlflow.in -o mlflow.txt

reference: setup
	$(BIN)/python -m contributing.reference

clean:
	@if [ -f .demo/yard.json ] && [ -x $(BIN)/modelyard ]; then MODELYARD_HOME=.demo $(BIN)/modelyard down; fi
	rm -rf $(VENV) .demo bench/results .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
