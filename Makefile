# Two commands: `make demo` runs the main job, `make test` runs the tests. Each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOR ?=
REPORT ?=
PEERS ?=
PEERS_VENV := .local/bench-peers
ANALYTICS_PEERS_VENV := .local/bench-analytics-peers
N ?= 200000
RUNS ?=
SEED ?=
BACKLOG ?=
MQTT ?= 5
METERS ?=
DAYS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint fuzz bench-ingest bench-analytics bench-engine faults score clean help
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

test: JOBS = auto
test: $(VENV)/.dev ## Run all tests, one process a core or JOBS=4; parts that are not installed are skipped with a message
	@$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal $(ARGS)

lint: $(VENV)/.dev ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

fuzz: N = 100000
fuzz: $(VENV)/.dev ## Throw N=100000 batches of broken messages at the decoders, and new histories at the checks; SEED=7 tries others
	@METERWARDEN_FUZZ_CASES=$(N) METERWARDEN_FUZZ_SEED=$(or $(SEED),0) $(BIN)/python -m pytest -s tests/property/test_payload_fuzz.py
	@$(BIN)/python -m pytest tests/property $(if $(SEED),--hypothesis-seed=$(SEED)) --hypothesis-profile=search \
		--deselect tests/property/test_payload_fuzz.py

$(PEERS_VENV)/.done: bench/ingest/requirements-peers.txt
	@echo "installing the peers into $(PEERS_VENV) (a few minutes the first time)"
	@"$(PYTHON)" -m venv "$(PEERS_VENV)"
	@"$(PEERS_VENV)/bin/pip" install --quiet -r bench/ingest/requirements-peers.txt
	@touch $@

bench-ingest: $(VENV)/.dev $(if $(filter-out 0,$(PEERS)),$(PEERS_VENV)/.done) ## Measure ingest; N=200000 RUNS=3 MQTT=5 BACKLOG=1000000 PEERS=1 REPORT=FILE
	@exec $(BIN)/python -m bench.ingest --n $(N) $(if $(RUNS),--runs $(RUNS)) --mqtt $(MQTT) $(if $(BACKLOG),--backlog $(BACKLOG)) \
		$(if $(filter-out 0,$(PEERS)),--peers "$(PEERS_VENV)/bin/python") $(if $(REPORT),--report "$(REPORT)")

$(ANALYTICS_PEERS_VENV)/.done: bench/analytics/requirements-peers.txt
	@echo "installing the peers into $(ANALYTICS_PEERS_VENV) (a minute the first time)"
	@"$(PYTHON)" -m venv "$(ANALYTICS_PEERS_VENV)"
	@"$(ANALYTICS_PEERS_VENV)/bin/pip" install --quiet -r bench/analytics/requirements-peers.txt
	@touch $@

bench-analytics: N = 10000000
bench-analytics: $(VENV)/.dev $(ANALYTICS_PEERS_VENV)/.done ## Measure the checks beside Polars, DuckDB, pandas and ioos_qc; N=10000000 RUNS=3 REPORT=FILE
	@exec $(BIN)/python -m bench.analytics --n $(N) $(if $(RUNS),--runs $(RUNS)) --peers "$(ANALYTICS_PEERS_VENV)/bin/python" $(if $(REPORT),--report "$(REPORT)")

bench-engine: $(VENV)/.dev ## Measure the engine on a database; REPORT=FILE
	@exec $(BIN)/python -m bench.engine $(if $(REPORT),--report "$(REPORT)")

faults: $(VENV)/.dev ## Break every part in turn and see that nothing is lost; RUNS=1 SEED=7 REPORT=FILE
	@exec $(BIN)/python -m bench.faults $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--report "$(REPORT)")

score: $(VENV)/.dev ## Hold every check against simulated truth: precision, recall, delay; SEED=1 METERS=1200 DAYS=63 REPORT=FILE
	@exec $(BIN)/python -m bench.score $(if $(SEED),--seed $(SEED)) $(if $(METERS),--meters $(METERS)) $(if $(DAYS),--days $(DAYS)) \
		$(if $(REPORT),--report "$(REPORT)")

clean: ## Remove what the other targets made
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
