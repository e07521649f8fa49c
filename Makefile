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
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1 — \2/' | column -t -s '—' 2>/dev/null \
	  || grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /: /'

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
test: setup test-unit test-spark test-e2e ## run the tests, without the longer ones below

.PHONY: test-unit
test-unit: setup ## run the tests that start no service
	$(PYTHON) -m pytest tests/unit tests/dags

.PHONY: test-spark
test-spark: setup ## run the Spark jobs' tests on PostgreSQL, Alluxio and tmpfs
	$(PYTHON) -m pytest tests/spark

.PHONY: test-e2e
test-e2e: setup ## run the tests against a running Airflow, its scheduler and all services
	$(PYTHON) -m pytest tests/e2e

.PHONY: test-faults
test-faults: setup ## kill everything at every point, and print what became of it (takes 30 minutes)
	$(PYTHON) -m pytest tests/faults

.PHONY: test-canary
test-canary: setup ## run the whole chain on values that nobody else could write, and search every disk for them (takes minutes)
	$(PYTHON) -m pytest tests/canary
	$(PYTHON) -m pytest -m "long or not long" tests/spark/test_disk_controls.py

.PHONY: test-long
test-long: setup ## run the long versions of the tests
	$(PYTHON) -m pytest -m long tests/spark
	$(PYTHON) -m pytest -m long tests/e2e

.PHONY: test-compose
test-compose: setup ## build docker-compose.yaml's images, run its stack, kill its members (needs Docker; under 30 minutes)
	$(PYTHON) -m pytest -s tests/compose

.PHONY: lint
lint: setup lint-style lint-types lint-imports lint-schema lint-compose ## run every check of the sources

.PHONY: lint-style
lint-style: ## check rules and format (ruff)
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)

.PHONY: lint-types
lint-types: ## check types (mypy)
	$(VENV)/bin/mypy plugins spark_jobs local_stack bench tests

.PHONY: lint-imports
lint-imports: ## check that imports point one way
	$(VENV)/bin/lint-imports --no-cache

.PHONY: lint-schema
lint-schema: ## check the manifest, and that its schema and reference are current
	$(PYTHON) -m logical_warehouse schema --check
	$(PYTHON) -m logical_warehouse lint

.PHONY: lint-compose
lint-compose: ## check Dockerfile and docker-compose.yaml
	$(VENV)/bin/hadolint Dockerfile
	$(VENV)/bin/compose-lint check --quiet --no-env --fail-on low docker-compose.yaml

.PHONY: format
format: setup ## format the code
	$(VENV)/bin/ruff check --fix-only --quiet $(SOURCES)
	$(VENV)/bin/ruff format $(SOURCES)

.PHONY: compose-init
compose-init: ## write the secrets and the .env of docker-compose.yaml
	@$(SYSTEM_PYTHON) -m local_stack compose-init

.PHONY: shell
shell: ## open a Python with a Spark session on the demo's store
	@$(PYTHON) -i -m local_stack.shell

.PHONY: airflow
airflow: ## run an airflow command in the demo: make airflow ARGS="dags list"
	@$(PYTHON) -m local_stack airflow $(ARGS)

.PHONY: warehouse
warehouse: ## run a command of this package in the demo: make warehouse ARGS="trainings pending late_departures"
	@$(PYTHON) -m local_stack logical_warehouse $(ARGS)

.PHONY: clean-store
clean-store: ## list what killed runs left in the demo's store; make clean-store ARGS=--yes frees that memory
	@$(PYTHON) -m local_stack logical_warehouse clean-store $(ARGS)

.PHONY: bench
bench: setup ## measure against plain Spark, connectorx and COPY; writes docs/
	$(PYTHON) -m bench

.PHONY: lock
lock: $(VENV)/.installed ## resolve the Python packages and the jars anew
	$(VENV)/bin/uv pip compile --quiet --python $(PYTHON) --no-header --no-annotate --output-file requirements.lock requirements-dev.txt
	$(VENV)/bin/uv pip compile --quiet --python $(PYTHON) --no-header --no-annotate --python-version 3.11.2 --constraint requirements.lock --output-file requirements-compose.lock requirements-compose.txt
	$(PYTHON) -m local_stack lock-jars

.PHONY: schema
schema: setup ## write the manifest's JSON Schema
	$(PYTHON) -m logical_warehouse schema

.PHONY: clean
clean: stop ## end the services; remove their state and the environment
	rm -rf .local $(VENV) .pytest_cache .mypy_cache .ruff_cache
