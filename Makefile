# The project's commands. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
# A target needs what the stack runs with, and some also one of these groups of pyproject.toml. Each has a stamp.
EXTRAS := lint test lab
INSTALLED := $(VENV)/.installed-

# uv from the PATH, or the one installed below.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# Without PYTHON=… uv searches for a suitable Python.
UV_PYTHON := $(if $(filter command environment,$(firstword $(origin PYTHON))),--python $(PYTHON))
RUN := $(VENV)/bin/python -m
PYTEST = $(RUN) pytest --numprocesses $(PROCESSES) --no-loadscope-reorder
# More processes than processors: one mostly waits for Airflow. The fast tests wait for nothing, and each process imports
# all tests first, which takes 13 s of a processor.
PROCESSES ?= $(if $(filter test-fast,$(MAKECMDGOALS)),2,3)
SYSTEM ?= $(shell uname -s)

COMMIT = PENGUINS_GIT_COMMIT=$$(git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || echo unknown)
# Compose gets the commit for the images, and the executor (make compose-up WORKERS=2).
COMPOSE = $(COMMIT) $(if $(WORKERS),AIRFLOW_EXECUTOR=CeleryExecutor) docker compose
OPS := $(PYTHON) -m ops
IN_AIRFLOW = $(COMPOSE) exec -e COLUMNS=$${COLUMNS:-160} airflow-scheduler python -m penguins
# The one that reaches the service.
IN_API_SERVER = $(COMPOSE) exec -e COLUMNS=$${COLUMNS:-160} airflow-api-server python -m penguins
# Texts from the user are passed in the environment: make must not expand their $, nor a shell read their quotes.
override export VERSION := $(value VERSION)
override export REASON := $(value REASON)
override export SOURCE := $(value SOURCE)
override export CONTRACT := $(value CONTRACT)
override export FILE := $(value FILE)
override export FROM := $(value FROM)
override export TO := $(value TO)
override export KEYS := $(value KEYS)
override export TABLE := $(value TABLE)
override export TARGET := $(value TARGET)
override export NAME := $(value NAME)
override export MODEL := $(value MODEL)
override export ID := $(value ID)
override export CLASS := $(value CLASS)
override export SINCE := $(value SINCE)
override export UNTIL := $(value UNTIL)
override export LIMIT := $(value LIMIT)
# The model that a command is about; by default that of the penguins.
OF = --contract="$$CONTRACT" --model="$$MODEL"
PREDICTIONS = predictions $(OF) --id="$$ID" --version="$$VERSION" --class="$$CLASS" --since="$$SINCE" --until="$$UNTIL" --limit="$$LIMIT"
VERDICTS = verdicts $(OF) --limit="$$LIMIT"
DRIFT = drift $(OF) --since="$$SINCE" --until="$$UNTIL"

# Some machines set this: every start would compile the code again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help linux setup run up lab down status logs models promote rollback predictions labels drift verdicts score check sign contract check-contract backup restore housekeeping clean test test-fast test-browser lint audit \
	format bench-train bench-ingest bench-scale bench-large bench-dag bench-contract bench-drift bench-log bench-backup bench-serve bench-models bench-tables bench-tests drill drill-drift drill-disaster fuzz release env doctor \
	compose-up compose-run compose-down compose-logs compose-models compose-promote compose-rollback compose-check \
	compose-backup compose-restore compose-predictions compose-labels compose-drift compose-verdicts compose-score compose-contract compose-sign compose-housekeeping test-compose

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-17s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ADD := $(EXTRAS)
setup: $(INSTALLED)run $(EXTRAS:%=$(INSTALLED)%) ## Install everything for development into .venv, as locked in uv.lock

run: linux $(INSTALLED)run ## Start the stack, train, register the model and predict with it; CONTRACT=wine for another table
	@$(RUN) local run --contract="$$CONTRACT"

up: linux $(INSTALLED)run ## Start the stack and wait until it is ready
	@$(RUN) local up

lab: linux $(INSTALLED)lab ## Open JupyterLab on the stack, with the notebook that walks through the training
	@$(RUN) local lab

down: linux $(INSTALLED)run ## Stop the stack; its data stays
	@$(RUN) local down

status: linux $(INSTALLED)run ## Show the programs, their addresses and their memory
	@$(RUN) local status

logs: linux $(INSTALLED)run ## Show the end of the logs; PROGRAM=mlflow for one, FOLLOW=1 to go on
	@$(RUN) local logs $(PROGRAM) $(if $(FOLLOW),--follow)

models: linux $(INSTALLED)run ## Show the versions of the model, and the last decisions; CONTRACT=wine or MODEL=name for another
	@$(RUN) local penguins models $(OF)

promote: linux $(INSTALLED)run ## Put a version in Production: VERSION=2 REASON='why'
	@$(RUN) local penguins promote $(OF) --reason="$$REASON" -- "$$VERSION"

rollback: linux $(INSTALLED)run ## Put the version before in Production again: REASON='why'
	@$(RUN) local penguins rollback $(OF) --reason="$$REASON"

predictions: linux $(INSTALLED)run ## Show the latest predictions: VERSION=2 CLASS=name SINCE=2026-03-01 LIMIT=50; ID=… for one
	@$(RUN) local penguins $(PREDICTIONS)

labels: linux $(INSTALLED)run ## Send the true classes of predictions in FROM=file.csv to the service; MISSING=1 lists those without one
	@$(RUN) local penguins labels $(OF) $(if $(MISSING),--missing) -- "$$FROM"

verdicts: linux $(INSTALLED)run ## Show the latest verdicts on the model at work, and the alarms: CONTRACT=wine LIMIT=50
	@$(RUN) local penguins $(VERDICTS)

drift: linux $(INSTALLED)run ## Judge whether predictions still look like the training rows: SINCE=2026-03-01 UNTIL=… CONTRACT=wine
	@$(RUN) local penguins $(DRIFT)

score: linux $(INSTALLED)run ## Predict the rows of FROM=file.csv or table:name into a table: CONTRACT=wine TABLE=name
	@$(RUN) local score --from="$$FROM" --contract="$$CONTRACT" --table="$$TABLE"

check: linux $(INSTALLED)run ## Tell what a run would do with SOURCE=data.csv, and compare it with Production; CONTRACT=wine
	@$(RUN) local penguins check $(OF) -- "$$SOURCE"

sign: linux $(INSTALLED)run ## Sign a version that isn't, after a look at it: VERSION=2; YES=1 not to ask
	@$(RUN) local penguins sign $(OF) $(if $(YES),--yes) -- "$$VERSION"

contract: $(INSTALLED)run ## Draft a contract: FROM=file.csv or table:name, TARGET=column; NAME=name, FORCE=1 to replace one
	@case "$$FROM" in table:*) module='local contracts' ;; *) module=penguins.contracts ;; esac; \
	PYTHONPATH=plugins $(RUN) $$module draft --from="$$FROM" --target="$$TARGET" --name="$$NAME" $(if $(FORCE),--force)

check-contract: $(INSTALLED)run ## Check the contract files: CONTRACT=name or FILE=path for one
	@PYTHONPATH=plugins $(RUN) penguins.contracts check --contract="$$CONTRACT" --file="$$FILE"

backup: linux $(INSTALLED)run ## Back up databases, models, log and contracts into one archive: TO=folder, KEYS=1 with the keys
	@$(RUN) local backup --to="$$TO" $(if $(KEYS),--keys)

restore: linux $(INSTALLED)run ## Restore a backup into an empty state: FROM=backups/….tar.gz; KEYS=credentials.json or KEYS=new
	@$(RUN) local restore --from="$$FROM" --keys="$$KEYS"

housekeeping: linux $(INSTALLED)run ## Show what is older than the settings say and named by nothing; DELETE=1 deletes it
	@$(RUN) local penguins housekeeping $(if $(DELETE),--delete)

clean: linux $(INSTALLED)run ## Stop the stack and delete its data, after asking; YES=1 not to ask
	@$(RUN) local clean $(if $(YES),--yes)

test: linux $(INSTALLED)test ## Run all tests; ARGS='-k gate' for some
	@$(PYTEST) $(ARGS)

test-fast: $(INSTALLED)test ## Run the tests that start no program, in about a minute
	@$(PYTEST) --fast $(ARGS)

lint: $(INSTALLED)lint ## Check style, spelling and types
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) codespell_lib
	@$(RUN) mypy

audit: | $(UV) ## Ask osv.dev for known vulnerabilities of the packages in uv.lock
	@$(UV) audit --locked --preview-features audit-command $(ARGS)

format: $(INSTALLED)lint ## Format the code
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

bench-train: linux $(INSTALLED)run ## Measure the training against the usual way
	@PYTHONPATH=plugins $(RUN) benchmarks.train

bench-ingest: linux $(INSTALLED)run ## Measure the ingest against the usual ways, and its memory
	@PYTHONPATH=plugins $(RUN) benchmarks.ingest

bench-scale: linux $(INSTALLED)run ## Measure cost against rows and candidates, and plot it
	@PYTHONPATH=plugins $(RUN) benchmarks.scale

bench-large: linux $(INSTALLED)run ## Measure the training on a million rows against forests: ROWS=100000
	@PYTHONPATH=plugins $(RUN) benchmarks.large $(if $(ROWS),--rows $(ROWS))

bench-dag: linux $(INSTALLED)run ## Run the DAG and show the time of each step; ROWS=1000000 for synthetic rows
	@PYTHONPATH=plugins $(RUN) benchmarks.dag $(if $(ROWS),--rows $(ROWS)) $(if $(CONF),--conf $(CONF))

bench-contract: linux $(INSTALLED)run ## Measure the time from a new table to an answer from Production, for three tables
	@PYTHONPATH=plugins $(RUN) benchmarks.contract $(if $(ROWS),--rows $(ROWS))

bench-drift: linux $(INSTALLED)run ## Measure how often drift is found, and how often it is cried for nothing: YEARS=20
	@PYTHONPATH=plugins UV=$(UV) $(RUN) benchmarks.drift $(if $(YEARS),--years $(YEARS))

bench-log: linux $(INSTALLED)run ## Measure the prediction log: its cost, its speed, and what outages lose; ROWS=2000000
	@PYTHONPATH=plugins $(RUN) benchmarks.log $(if $(ROWS),--rows $(ROWS))

bench-backup: linux $(INSTALLED)run ## Measure backup and restore, and what a backup costs a training beside it: VERSIONS=10 ROUNDS=0
	@PYTHONPATH=plugins $(RUN) benchmarks.backup $(if $(VERSIONS),--versions $(VERSIONS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-serve: linux $(INSTALLED)run ## Measure the service against the usual ways to serve
	@PYTHONPATH=plugins UV=$(UV) $(RUN) benchmarks.serve

bench-models: linux $(INSTALLED)run ## Measure the memory and the time of twenty models in one service
	@PYTHONPATH=plugins $(RUN) benchmarks.serve_models

bench-tables: linux $(INSTALLED)run ## Measure tables, and what they cost others: AGAINST=d82a8fc
	@PYTHONPATH=plugins $(RUN) benchmarks.serve_tables $(if $(AGAINST),--against $(AGAINST))

bench-tests: linux $(INSTALLED)run ## Run all tests side by side with those of another commit: AGAINST=d82a8fc
	@$(RUN) benchmarks.suite $(if $(AGAINST),--against $(AGAINST))

drill: linux $(INSTALLED)run ## Kill the services behind the prediction service one by one, and show the effect on clients
	@PYTHONPATH=plugins $(RUN) benchmarks.serve_drill

drill-drift: linux $(INSTALLED)run ## Let the traffic shift, and follow the alarm to a better version and back, with windows of 20 s
	@PYTHONPATH=plugins $(RUN) benchmarks.drill_drift

drill-disaster: linux $(INSTALLED)run ## Back up under load, kill everything, delete the state, restore, and compare
	@PYTHONPATH=plugins $(RUN) benchmarks.drill_disaster

fuzz: linux $(INSTALLED)run ## Send damaged tables to the service: SECONDS=600
	@PYTHONPATH=plugins $(RUN) benchmarks.fuzz $(if $(SECONDS),--seconds $(SECONDS))

release: | $(UV) ## Check whether VERSION=0.2.0 can be released, and print the next steps; changes nothing
	@$(UV) lock --check --quiet || { echo "uv.lock isn't current: run uv lock" >&2; exit 1; }
	@$(PYTHON) -m ops.release "$$VERSION"

env: ## Write .env with random secrets for the containers; existing values are kept
	@$(OPS) env

doctor: ## Check the usual problems of the containers, and name the remedies
	@$(OPS) doctor

compose-up: env ## Build and start the stack in containers; WORKERS=2 for two Celery workers, MONITORING=1 for Prometheus, EDGE=1 for TLS, BACKUPS=1 for one a day
	@$(COMPOSE) $(if $(WORKERS),--profile celery) $(if $(MONITORING),--profile monitoring) $(if $(EDGE),--profile edge) $(if $(BACKUPS),--profile backups) \
		up --detach --build --wait --remove-orphans \
		$(if $(WORKERS),--scale airflow-worker=$(WORKERS)) || { $(OPS) doctor; exit 1; }
	@$(OPS) upgraded
	@$(OPS) unsigned

compose-run: ## As run, in the containers that are up
	@$(OPS) run --contract="$$CONTRACT"

compose-down: ## Stop the containers; their data stays
	@$(COMPOSE) --profile '*' down --remove-orphans

compose-logs: ## Show the containers' logs; SERVICE=mlflow for one, FOLLOW=1 to go on
	@$(COMPOSE) --profile '*' logs --tail 100 $(if $(FOLLOW),--follow) $(SERVICE)

compose-models: ## As models, in the containers
	@$(IN_API_SERVER) models $(OF)

compose-promote: ## As promote, in the containers
	@$(IN_AIRFLOW) promote $(OF) --reason="$$REASON" --by="$$(id -un)" -- "$$VERSION"

compose-rollback: ## As rollback, in the containers
	@$(IN_AIRFLOW) rollback $(OF) --reason="$$REASON" --by="$$(id -un)"

compose-predictions: ## As predictions, in the containers
	@$(IN_AIRFLOW) $(PREDICTIONS)

compose-labels: ## As labels, in the containers
	@$(IN_API_SERVER) labels $(OF) $(if $(MISSING),--missing) -- "$$FROM"

compose-contract: ## As contract, from a table or a file that the containers see
	@$(OPS) contract --from="$$FROM" --target="$$TARGET" --name="$$NAME" $(if $(FORCE),--force)

compose-drift: ## As drift, in the containers
	@$(IN_AIRFLOW) $(DRIFT)

compose-verdicts: ## As verdicts, in the containers
	@$(IN_AIRFLOW) $(VERDICTS)

compose-score: ## As score, in the containers: FROM=/data/new.csv for a file in the folder data/
	@$(OPS) score --from="$$FROM" --contract="$$CONTRACT" --table="$$TABLE"

compose-check: ## As check, in the containers
	@$(IN_AIRFLOW) check $(OF) -- "$$SOURCE"

compose-housekeeping: ## As housekeeping, in the containers
	@$(IN_AIRFLOW) housekeeping $(if $(DELETE),--delete)

compose-backup: ## As backup, of the containers that are up
	@$(COMMIT) $(OPS) backup --to="$$TO" $(if $(KEYS),--keys)

compose-restore: env ## As restore, into containers without data: FROM=backups/….tar.gz; KEYS=file or KEYS=new
	@$(COMMIT) $(OPS) restore --from="$$FROM" --keys="$$KEYS"

compose-sign: ## As sign, in the containers
	@$(IN_AIRFLOW) sign $(OF) --by="$$(id -un)" $(if $(YES),--yes) -- "$$VERSION"

test-browser: linux $(INSTALLED)test ## Run the tests that look at pages with chromium and chromedriver
	@$(PYTEST) -m browser $(ARGS)

test-compose: $(INSTALLED)test ## Run the tests that build and start the containers
	@$(RUN) pytest --timeout=1800 tests/compose $(ARGS)

# The stack without Docker, checked before anything is installed.
linux:
	@[ '$(SYSTEM)' = Linux ] || { echo "The stack needs Linux to run without Docker, and this system is $(SYSTEM): \
	run it in containers instead, with: make compose-up" >&2; exit 1; }

# uv gets the groups of all stamps: the environment is what uv.lock says about them, and no target undoes another's.
$(INSTALLED)%: pyproject.toml uv.lock | $(UV)
	@groups='$(filter $(EXTRAS),$* $(ADD))'; \
	for group in $(EXTRAS); do [ ! -e $(INSTALLED)$$group ] || groups="$$groups $$group"; done; \
	$(UV) sync --locked $(UV_PYTHON) $$(for group in $$groups; do echo --group $$group; done) && \
	for group in run $$groups; do touch $(INSTALLED)$$group; done

# Reached only where the PATH has no uv.
.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed: install it, or name one with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
