# Two commands: `make demo` runs the main job, `make test` runs the tests. Each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOR ?=
REPORT ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint clean help
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(VENV)/.runtime: requirements.lock pyproject.toml
	@deploy/setup.sh "$(PYTHON)" "$(VENV)" requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml tests/timescale/package-lock.json
	@deploy/setup.sh "$(PYTHON)" "$(VENV)" requirements-dev.lock
	@deploy/setup-timescale.sh
	@touch $@ $(VENV)/.runtime

demo: $(VENV)/.runtime ## Run the whole system on embedded parts; FOR=60 stops by itself, REPORT=FILE writes what it found
	@exec $(BIN)/meterwarden demo $(if $(FOR),--for $(FOR)) $(if $(REPORT),--report $(REPORT))

test: $(VENV)/.dev ## Run all tests; parts that are not installed are skipped with a message
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean: ## Remove what the other targets made
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
