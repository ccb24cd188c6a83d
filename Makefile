# Everything lives in .venv; what has been done is not done again. Any Python from 3.11 on will do.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install install-dev run check test coverage lint format migrations bench soak conformance \
        identity-provider screenshots constraints clean

help:                                  ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.model                ## make .venv and all that a start needs

install-dev: $(VENV)/.dev              ## and what tests and linters need

run: install                           ## start the server on http://127.0.0.1:8081
	@exec $(BIN)/python -m server

check: lint test                       ## all that must hold before a change lands, as in CI

test: install install-dev              ## the whole test suite, the migrations among it
	$(PYTEST)

coverage: install install-dev          ## the same, measured: fails where too little is tested
	$(PYTEST) --cov

lint: install-dev                      ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: install-dev                    ## put the style right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

migrations: install-dev                ## do the migrations give the models' tables, on SQLite and Postgres?
	$(BIN)/python -m pytest tests/test_migrations.py

bench: install install-dev            ## measure how well and how fast searches find
	$(BIN)/python -m bench

soak: install                          ## kill a server at work, ten times, and look what is left
	$(BIN)/python -m bench.soak

conformance: install install-dev       ## the official MCP conformance suite (needs npm)
	npm --prefix tests/conformance ci --no-audit --no-fund
	$(BIN)/python -m pytest tests/conformance

identity-provider:                     ## what the tests of signing in through a provider need (needs npm)
	npm --prefix tests/identity_provider ci --no-audit --no-fund

screenshots: install install-dev       ## a picture of every page (needs chromium)
	$(BIN)/python -m tests.dashboard.screenshots

constraints: install-dev               ## write the tested set down anew
	{ sed -n 1p constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints.new
	mv constraints.new constraints.txt

clean:                                 ## remove what was installed, never your data
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage*

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11: set PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }  # half a .venv would pass for a whole one

# torch first and by its exact version: asked for by another package, it could come as a newer and far larger build
$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing; the first time this takes some minutes."
	$(PIP) install "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.model: $(VENV)/.runtime
	$(BIN)/python -m server prepare-model
	@touch $@
