# Everything starts here: `make` alone lists the targets.
# ARGS is passed on, e.g. `make test ARGS="tests/stream -x"` or `make demo ARGS=--once`.

PYTHON ?= python3
ARGS ?=
PORT ?= 9092

VENV := .venv
INSTALLED := $(VENV)/.installed
TOOLS := chromium chromium-driver prometheus prometheus-alertmanager kcat faketime
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --no-build \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test check kafka bench exact faults train eval tools lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "make %-9s %s\n", $$1, $$2 }'

install: $(INSTALLED)  ## create .venv with everything, at the versions and hashes of the lock file
	@echo "Ajil is in $(VENV): $(VENV)/bin/ajil --help"

# Without dependencies or an isolated build, the last step fetches nothing: all that is installed is in the lock file.
$(INSTALLED): requirements-dev.lock pyproject.toml $(wildcard setup.py models/native/*.c)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Ajil needs Python 3.11 or newer, and '$(PYTHON)' is not: name one with make $(or $(MAKECMDGOALS),install) PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "'$(PYTHON)' cannot create virtual environments: install its venv package (Debian and Ubuntu: python3-venv)" >&2; exit 1; }
	@echo "Installing Ajil and its development tools into $(VENV): 170 MB to download, once."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements-dev.lock
	@$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED)  ## classify articles live, on a Kafka that lives in the process
	@$(VENV)/bin/ajil demo $(ARGS)

test: $(INSTALLED)  ## run all tests, real Kafka included
	$(VENV)/bin/python -m pytest $(ARGS)

check: $(INSTALLED)  ## formatting, lint, types, import rule
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -qq tests/test_imports.py

kafka: $(INSTALLED)  ## run the tests' Kafka broker in the foreground on 127.0.0.1:9092 (PORT=...)
	@$(VENV)/bin/python -m tests.kafka_server --port $(PORT) $(ARGS)

train: $(INSTALLED)  ## train a bundle: make train DATA="FILE_OR_FOLDER..." OUT=FOLDER
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo 'which articles, and where to? make train DATA="FILE_OR_FOLDER..." OUT=FOLDER' >&2; exit 2; }
	@$(VENV)/bin/ajil train $(DATA) --out $(OUT) $(ARGS)

eval: $(INSTALLED)  ## ablation table, model card and plots: make eval DATA="FILE_OR_FOLDER..."
	@test -n "$(DATA)" || { echo 'which articles? make eval DATA="FILE_OR_FOLDER..."' >&2; exit 2; }
	@$(VENV)/bin/python -m models.report $(DATA) --bundle models/artifacts $(ARGS)

bench: $(INSTALLED)  ## what scoring an article costs: scikit-learn, numpy, native
	@$(VENV)/bin/python -m bench.scorer $(ARGS)

exact: $(INSTALLED)  ## hold both scorers to scikit-learn on whole corpora: make exact DATA="FILE_OR_FOLDER..."
	@test -n "$(DATA)" || { echo 'which articles? make exact DATA="FILE_OR_FOLDER..."' >&2; exit 2; }
	@$(VENV)/bin/python -m models.exact $(DATA) $(ARGS)

faults: $(INSTALLED)  ## break workers, brokers and networks, and count what is lost (ARGS="--scenario NAME")
	@$(VENV)/bin/python -m tests.broker.faults $(ARGS)

tools:  ## install the Debian packages that the browser and monitoring tests need
	@missing=$$(for tool in $(TOOLS); do dpkg-query -W -f '$${db:Status-Status}' $$tool 2>/dev/null | grep -qx installed || echo $$tool; done); \
	test -n "$$missing" || { echo "All tools are installed: $(TOOLS)"; exit 0; }; \
	command -v apt-get >/dev/null || { echo "make tools knows Debian's apt-get only; install yourself:" $$missing >&2; exit 1; }; \
	root=$$(test "$$(id -u)" = 0 || echo sudo); \
	$$root apt-get update && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing

lock: $(INSTALLED)  ## write the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) --output-file requirements.lock pyproject.toml
	$(COMPILE) $(ARGS) --group dev --constraints requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) $(ARGS) --group build --constraints requirements-dev.lock --output-file requirements-build.lock

clean:  ## remove .venv and everything built or cached
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
