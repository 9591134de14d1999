# The project's commands. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
STAMP := $(VENV)/.synced

# uv from the PATH, or our own.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# Without PYTHON=… uv looks for a Python that fits by itself.
UV_PYTHON := $(if $(filter command environment,$(firstword $(origin PYTHON))),--python $(PYTHON))
RUN := $(VENV)/bin/python -m
PYTEST = $(UV) run --locked --group lab pytest --numprocesses $(PROCESSES) --no-loadscope-reorder
# One process mostly waits for Airflow.
PROCESSES ?= 3

# What Compose is told: the commit in the images, and where tasks run (make compose-up WORKERS=2).
COMPOSE = PENGUINS_GIT_COMMIT=$$(git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || echo unknown) \
	$(if $(WORKERS),AIRFLOW_EXECUTOR=CeleryExecutor) docker compose
OPS := $(PYTHON) -m ops
IN_AIRFLOW = $(COMPOSE) exec -e COLUMNS=$${COLUMNS:-160} airflow-scheduler python -m penguins
# What a person wrote goes on in the environment as it is: make mustn't expand its $, nor a shell read its quotes.
override export VERSION := $(value VERSION)
override export REASON := $(value REASON)

# Set on some machines: every start would compile our code anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run up lab down status logs models promote rollback clean test test-fast test-browser lint format \
	bench-train bench-ingest bench-scale bench-dag bench-serve bench-tests drill env doctor compose-up compose-down compose-logs \
	compose-models compose-promote compose-rollback test-compose

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-17s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install everything into .venv, as locked in uv.lock

run: $(STAMP) ## Start the stack, train, register the model and predict with it
	@$(RUN) local run

up: $(STAMP) ## Start the stack and wait until it is ready
	@$(RUN) local up

lab: $(STAMP) ## Open JupyterLab on the stack, with the notebook that walks through the training
	@$(UV) run --locked --group lab python -m local lab

down: $(STAMP) ## Stop the stack; its data stays
	@$(RUN) local down

status: $(STAMP) ## Show what runs, where, and in how much memory
	@$(RUN) local status

logs: $(STAMP) ## Show the end of the logs; PROGRAM=mlflow for one, FOLLOW=1 to go on
	@$(RUN) local logs $(PROGRAM) $(if $(FOLLOW),--follow)

models: $(STAMP) ## Show the versions of the model, and who put them in Production
	@$(RUN) local penguins models

promote: $(STAMP) ## Put a version in Production: VERSION=2 REASON='why'
	@$(RUN) local penguins promote --reason="$$REASON" -- "$$VERSION"

rollback: $(STAMP) ## Put the version before in Production again: REASON='why'
	@$(RUN) local penguins rollback --reason="$$REASON"

clean: $(STAMP) ## Stop the stack and delete its data, after asking; YES=1 not to ask
	@$(RUN) local clean $(if $(YES),--yes)

test: $(STAMP) ## Run all tests; ARGS='-k gate' for some
	@$(PYTEST) $(ARGS)

test-fast: $(STAMP) ## Run the tests that start no program, in less than a minute
	@$(PYTEST) --fast $(ARGS)

lint: $(STAMP) ## Check style and types
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy

format: $(STAMP) ## Format the code
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

bench-train: $(STAMP) ## Measure the training against the usual way
	@PYTHONPATH=plugins $(RUN) benchmarks.train

bench-ingest: $(STAMP) ## Measure the ingest against the usual ways, and its memory
	@PYTHONPATH=plugins $(RUN) benchmarks.ingest

bench-scale: $(STAMP) ## Measure cost against rows and candidates, and plot it
	@PYTHONPATH=plugins $(RUN) benchmarks.scale

bench-dag: $(STAMP) ## Run the DAG and show where each second goes; ROWS=1000000 for synthetic rows
	@PYTHONPATH=plugins $(RUN) benchmarks.dag $(if $(ROWS),--rows $(ROWS)) $(if $(CONF),--conf $(CONF))

bench-serve: $(STAMP) ## Measure the service against the usual ways to serve
	@PYTHONPATH=plugins UV=$(UV) $(RUN) benchmarks.serve

bench-tests: $(STAMP) ## Run all tests side by side with those of another commit: AGAINST=d82a8fc
	@$(RUN) benchmarks.suite $(if $(AGAINST),--against $(AGAINST))

drill: $(STAMP) ## Kill what the service depends on, one after the other, and show what clients see
	@PYTHONPATH=plugins $(RUN) benchmarks.serve_drill

env: ## Write .env with random secrets for the containers; what it has is kept
	@$(OPS) env

doctor: ## Check what usually goes wrong with the containers, and say how to mend it
	@$(OPS) doctor

compose-up: env ## Build and start the stack in containers; WORKERS=2 for tasks on two Celery workers
	@$(COMPOSE) $(if $(WORKERS),--profile celery) up --detach --build --wait --remove-orphans \
		$(if $(WORKERS),--scale airflow-worker=$(WORKERS)) || { $(OPS) doctor; exit 1; }

compose-down: ## Stop the containers; their data stays
	@$(COMPOSE) --profile '*' down --remove-orphans

compose-logs: ## Show the containers' logs; SERVICE=mlflow for one, FOLLOW=1 to go on
	@$(COMPOSE) --profile '*' logs --tail 100 $(if $(FOLLOW),--follow) $(SERVICE)

compose-models: ## As models, in the containers
	@$(IN_AIRFLOW) models

compose-promote: ## As promote, in the containers
	@$(IN_AIRFLOW) promote --reason="$$REASON" --by="$$(id -un)" -- "$$VERSION"

compose-rollback: ## As rollback, in the containers
	@$(IN_AIRFLOW) rollback --reason="$$REASON" --by="$$(id -un)"

test-browser: $(STAMP) ## Run the tests that look at pages with chromium and chromedriver
	@$(PYTEST) -m browser $(ARGS)

test-compose: $(STAMP) ## Run the tests that build and start the containers
	@$(UV) run --locked pytest --timeout=1800 tests/compose $(ARGS)

$(STAMP): pyproject.toml uv.lock | $(UV)
	@$(UV) sync --locked $(UV_PYTHON) $(SYNC)
	@touch $@

# Reached only where the PATH has no uv.
.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed: install it, or name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
