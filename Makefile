# What a developer does here; `make` alone lists it. The virtual environment is .venv at the top.

PYTHON ?= python3
IMAGE ?= csr-operator:latest
# Further arguments: ARGS for run, test, coverage, bench and demo, RUNS for test-busy, IMAGE_ARGS for the image's builder.
ARGS ?=
IMAGE_ARGS ?=
RUNS ?= 5
VERSION = $(shell sh .ci/version)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BUILDER ?= $(shell docker info >/dev/null 2>&1 && echo docker || echo buildah)

BIN := .venv/bin
# Files of tests are shared out as tests/conftest.py puts them in order: the long ones first.
SHARED := -n 4 --dist loadfile --no-loadscope-reorder
DEMO_TOOLS := nginx:nginx-light openssl /etc/ssl/certs/ca-certificates.crt:ca-certificates
TEST_TOOLS := $(DEMO_TOOLS) apache2:apache2-bin git buildah debootstrap keytool:default-jre-headless \
	named:bind9 pdns_server:pdns-server \
	/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql:pdns-backend-sqlite3 \
	/usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream

# Debian keeps nginx and debootstrap where only root's PATH looks.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.PHONY: help setup tools lint lock audit crds test test-quick coverage test-busy test-vendor fuzz soak demo demo-acme shell run bench image clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.developer  ## create .venv with the operator (editable) and the tools for its development

# Enough to run it. The tools for its development are several times as large.
.venv/.operator: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or \
	newer is needed and $(PYTHON) is " + v + "; name another one: make setup PYTHON=python3.13")'
	@echo 'Installing the operator and what it needs into .venv: 220 MB, a minute or more'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --editable '.[lexicon]'
	@touch $@

.venv/.developer: .venv/.operator
	@echo 'Installing the tools for its development into .venv: 260 MB, a minute or more'
	@$(BIN)/python -m pip install --quiet 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

tools:  ## install with apt-get, as root or by sudo, what the tests need and is missing
	@sh .ci/tools $(TEST_TOOLS)

lint: setup  ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Whatever Python and processor the image's base has: each version stands there with the hashes of all its files.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' $(ARGS) --output-file
BUILD_REQUIRES = import pathlib, tomllib; \
	print(*tomllib.loads(pathlib.Path("pyproject.toml").read_text())["build-system"]["requires"], sep="\n")

lock: setup  ## deploy/requirements/, which the image is built from; ARGS=--upgrade for the latest that pyproject.toml allows
	@$(BIN)/python -m pip install --quiet --group lock
	$(LOCK) deploy/requirements/operator.txt pyproject.toml
	$(LOCK) deploy/requirements/lexicon.txt --group image-lexicon
	@$(BIN)/python -c '$(BUILD_REQUIRES)' | $(LOCK) deploy/requirements/build.txt -

audit: setup  ## look up what is known of vulnerabilities in what the image is built from
	@$(BIN)/python -m pip install --quiet --group audit
	@status=0; for lock in deploy/requirements/*.txt; do \
	echo "$$lock"; $(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement $$lock $(ARGS) || status=1; \
	done; exit $$status

crds: .venv/.operator  ## the definitions of Issuer and ClusterIssuer, from crds/parts and the schemas beside the code of CAs
	$(BIN)/python -m crds.generate

test: setup tools  ## all tests, or those of ARGS; the first time builds the control plane for minutes
	$(BIN)/python -m devcluster build
	$(BIN)/python -m pytest $(SHARED) $(ARGS)

test-quick: setup  ## tests that neither need a control plane nor build or start servers; beside .venv they need openssl
	$(BIN)/python -m pytest -m "not cluster and not slow" -n 2 $(ARGS)

coverage: setup tools  ## the same as test, and then which lines and branches of the operator ran, in whatever process
	$(BIN)/python -m devcluster build
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SHARED) $(ARGS); status=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$status

test-busy: setup tools  ## the same as test, RUNS times beside three loops that always compute: none may fail
	$(BIN)/python -m devcluster build
	for run in $$(seq $(RUNS)); do \
	.ci/busy $(BIN)/python -m pytest $(SHARED) $(ARGS) || exit; done

test-vendor: setup  ## orders from the accounts at CA vendors that environment variables name: see tests/live_accounts
	CSR_OPERATOR_VENDOR_TESTS=1 $(BIN)/python -m pytest tests/live_accounts $(ARGS)

fuzz: setup  ## Atheris for all parsers, a minute each, or as ARGS say: ARGS="csr --seconds 600"; needs an x86-64 processor
	@$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python -m fuzz $(ARGS)

soak: setup tools  ## all upgrades, hours of fuzzing, faults and churn (FUZZ_SEED, FAULTS_SEED repeat a run), kill -9 at each point
	$(BIN)/python -m devcluster build
	UPGRADE_FROM=all $(BIN)/python -m pytest tests/upgrade
	FUZZ_SECONDS=$${FUZZ_SECONDS:-900} $(BIN)/python -m pytest tests/security/test_fuzz.py $(ARGS)
	@$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python -m fuzz --seed $${FUZZ_SEED:-1}
	FAULTS_SECONDS=$${FAULTS_SECONDS:-3600} $(BIN)/python -m pytest tests/resilience/test_machine.py $(ARGS)
	CRASH_MATRIX=all $(BIN)/python -m pytest tests/crashes $(ARGS)
	REPLICA_ORDERS=200 $(BIN)/python -m pytest tests/replicas/test_acme_orders.py tests/resilience/test_replicas.py $(ARGS)
	LEAK_HOURS=24 $(BIN)/python -m pytest tests/leaks -s $(ARGS)

demo: .venv/.operator  ## from a self-signed root to a Secret that Nginx serves, on a control plane of its own
	@sh .ci/tools $(DEMO_TOOLS)
	$(BIN)/python -m devcluster run -- $(BIN)/python -m demo $(ARGS)

demo-acme: .venv/.operator  ## account, challenge and certificate of an ACME CA: Pebble, which is built the first time
	@sh .ci/tools openssl
	$(BIN)/python -m devcluster run -- $(BIN)/python -m demo acme $(ARGS)

shell: .venv/.operator  ## a shell with an empty control plane of its own, which ends with it; and kubectl with the plug-in
	@echo 'Here kubectl and "kubectl csr" talk to a control plane of its own. It ends with this shell: exit.'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m devcluster run -- bash

run: .venv/.operator  ## the operator against the cluster of the current kubeconfig
	$(BIN)/csr-operator run $(ARGS)

bench: setup  ## throughput, latency, memory and writes per certificate, against the limit without an operator
	$(BIN)/python -m benchmarks $(ARGS)

image:  ## build IMAGE with docker, or without its daemon with buildah
	@command -v $(BUILDER) >/dev/null || { echo 'An image needs Docker with its daemon running, or buildah.' >&2; exit 1; }
	$(BUILDER) build --tag $(IMAGE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) $(IMAGE_ARGS) .

clean:  ## remove .venv and what the tools left here; the cache under ~/.cache/csr-operator stays
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -prune -exec rm -rf {} +
