# `make help` lists every task. Two are enough to begin with: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
SOURCES := plugins spark_jobs local_stack bench dags tests
export PYTHONPATH := $(CURDIR)/plugins:$(CURDIR)/spark_jobs:$(CURDIR)
# uv brings its own certificate roots; this makes it trust the machine's, as pip and curl do.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

# The first of these that is there creates the environment.
SYSTEM_PYTHON := $(firstword $(foreach name,python3.11 python3,$(shell command -v $(name))))

.PHONY: help
help: ## list every task
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1 — \2/' | column -t -s '—' 2>/dev/null \
	  || grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /: /'

.PHONY: setup
setup: $(VENV)/.installed ## create .venv, download the jars, make the class-data archive (nothing to do when current)
	@$(PYTHON) -m local_stack setup

$(VENV)/.installed: requirements.lock
	@test -n "$(SYSTEM_PYTHON)" || { echo "error: there is no python3; install Python 3.11" >&2; exit 1; }
	@$(SYSTEM_PYTHON) -m local_stack preflight
	@test -x $(PYTHON) || $(SYSTEM_PYTHON) -m venv $(VENV)
	@test -x $(VENV)/bin/uv || $(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) -r requirements.lock
	@touch $@

.PHONY: demo
demo: setup ## run the demo on real data; leaves the services up
	@$(PYTHON) -m local_stack demo

.PHONY: start
start: setup ## start the demo's services only
	@$(PYTHON) -m local_stack start

.PHONY: stop
stop: ## end the demo's services and free their memory
	@test ! -x $(PYTHON) || $(PYTHON) -m local_stack stop

.PHONY: status
status: ## show which of the demo's services run
	@$(PYTHON) -m local_stack status

.PHONY: test
test: setup ## run all tests but the long ones
	$(PYTHON) -m pytest

.PHONY: test-unit
test-unit: setup ## run the tests that start nothing
	$(PYTHON) -m pytest tests/unit tests/dags

.PHONY: lint
lint: setup ## run the linter and the type checker
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/mypy plugins spark_jobs local_stack bench

.PHONY: format
format: setup ## format the code
	$(VENV)/bin/ruff check --fix-only --quiet $(SOURCES)
	$(VENV)/bin/ruff format $(SOURCES)

.PHONY: bench
bench: setup ## measure against plain Spark, connectorx and COPY; writes docs/
	$(PYTHON) -m bench

.PHONY: lock
lock: $(VENV)/.installed ## resolve the Python packages and the jars anew
	$(VENV)/bin/uv pip compile --quiet --python $(PYTHON) --no-header --no-annotate --output-file requirements.lock requirements-dev.txt
	$(PYTHON) -m local_stack lock-jars

.PHONY: schema
schema: setup ## write the manifest's JSON Schema
	$(PYTHON) -m logical_warehouse schema

.PHONY: clean
clean: stop ## end the services; remove their state and the environment
	rm -rf .local $(VENV) .pytest_cache .mypy_cache .ruff_cache
