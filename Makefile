# Every task of the project is one word, here, in the README and in CI.
PYTHON ?= python3
VENV   ?= .venv
LOG    ?=
HRIS   ?=
ARGS   ?=
# Tests wait more than they work: two at a time even on two cores. 0: one after the other, in this process.
JOBS   ?= 2

BIN   := $(VENV)/bin
READY := $(VENV)/.ready
# Tests and the demo bring their own settings: what happens to be exported must not change them.
CLEAN_ENV = env $$(env | sed -n 's/^\(TIMEOFF_[A-Z0-9_]*\)=.*/\1/p' | grep -Ev '^TIMEOFF_(TEST_|CACHE$$)' | sed 's/^/-u /')
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-config --custom-compile-command "make lock" --quiet

.DEFAULT_GOAL := help
.PHONY: help venv demo test check crash compose-test bench docs genesys-files lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

venv: $(READY) ## create .venv with everything pinned and hashed

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …' >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo 'the venv module is needed (Debian: apt install python3-venv)' >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## play a working day and prove it (LOG=kafka, HRIS=leave, ARGS="--agents 50")
	@$(CLEAN_ENV) $(BIN)/timeoff-sync demo $(if $(LOG),--log $(LOG)) $(if $(HRIS),--hris $(HRIS)) $(ARGS)

test: $(READY) ## all tests, with real PostgreSQL and real Kafka (ARGS="-k lanes", JOBS=0)
	@$(CLEAN_ENV) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(or $(ARGS),tests)

check: $(READY) ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

crash: $(READY) ## only the tests that kill processes
	@$(CLEAN_ENV) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/crash $(ARGS)

compose-test: ## build and run the containers, see changes booked, take all down (needs Docker; ARGS=--keep)
	@$(PYTHON) -m tests.compose $(ARGS)

bench: $(READY) ## measure; prints the tables of docs/performance.md (ARGS="--only balance")
	@$(CLEAN_ENV) $(BIN)/python -m tests.bench $(ARGS)

docs: $(READY) ## write the generated reference pages
	@for page in metrics reasons settings; do \
		$(BIN)/python -m timeoff_cli.$${page}_page > docs/reference/$$page.md.new \
			&& mv docs/reference/$$page.md.new docs/reference/$$page.md || exit 1; \
	done

genesys-files: $(READY) ## write deploy/genesys from the contract (ARGS="--check")
	@$(BIN)/python -m deploy.genesys.generate $(ARGS)

lock: $(READY) ## pin dependencies again (LOCK="--upgrade")
	$(COMPILE) $(LOCK) --output-file requirements.lock
	$(COMPILE) $(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove what the targets above made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find services shared tests -name __pycache__ -type d -prune -exec rm -rf {} +
