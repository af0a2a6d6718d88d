# Everything starts here: `make` alone lists the targets.
# ARGS is passed on, e.g. `make test ARGS="tests/stream -x"` or `make demo ARGS=--once`.

PYTHON ?= python3
ARGS ?=
PORT ?= 9092
SECONDS ?= 60

VENV := .venv
INSTALLED := $(VENV)/.installed
NODE := build/node/node_modules/.package-lock.json
TOOLS := chromium chromium-driver prometheus prometheus-alertmanager kcat faketime
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --no-build \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test check kafka bench bench-kafka bench-gateway exact sanitize fuzz faults train eval e2e tools lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "make %-11s %s\n", $$1, $$2 }'

install: $(INSTALLED)  ## create .venv with everything, at the versions and hashes of the lock file
	@echo "Ajil is in $(VENV): $(VENV)/bin/ajil --help"

# Without dependencies or an isolated build, the last step fetches nothing: all that is installed is in the lock file.
$(INSTALLED): requirements-dev.lock pyproject.toml $(wildcard setup.py models/native/*.[ch])
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

bench: $(INSTALLED)  ## what an article costs: scikit-learn, numpy, native, and all of `ajil classify`
	@$(VENV)/bin/python -m bench.scorer $(ARGS)

PEERS := build/bench-env
bench-kafka: $(INSTALLED) $(PEERS)/.installed  ## Ajil's worker on a real Kafka beside client loops and other frameworks, 20 minutes
	@$(VENV)/bin/python -m bench.endtoend --json bench/results/endtoend.json --plot docs/endtoend.svg $(ARGS)

# The peers in an environment of their own: what they need must not change what Ajil is tested with.
$(PEERS)/.installed: requirements.lock bench/requirements.txt
	@echo "Installing what Ajil is compared with into $(PEERS): 200 MB to download, once."
	@$(VENV)/bin/uv venv --quiet --clear --python $(VENV)/bin/python $(PEERS)
	@$(VENV)/bin/uv pip install --quiet --python $(PEERS) --require-hashes -r requirements.lock
	@$(VENV)/bin/uv pip install --quiet --python $(PEERS) -r bench/requirements.txt
	@touch $@

bench-gateway: $(INSTALLED)  ## thousands of alert streams on a real Kafka: ARGS=fanout, slow, reconnects or latency
	@$(VENV)/bin/python -m bench.gateway $(ARGS)

exact: $(INSTALLED)  ## hold both scorers to scikit-learn on whole corpora: make exact DATA="FILE_OR_FOLDER..."
	@test -n "$(DATA)" || { echo 'which articles? make exact DATA="FILE_OR_FOLDER..."' >&2; exit 2; }
	@$(VENV)/bin/python -m models.exact $(DATA) $(ARGS)

# In a copy of the tree, so that the kernel in use stays as it is. Any finding ends the run with an error.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
sanitize: $(INSTALLED)  ## fuzz the compiled kernel under AddressSanitizer and UBSan (SECONDS=60, DATA="FILE_OR_FOLDER...")
	@rm -rf build/sanitize && mkdir -p build/sanitize/tests
	@cp -R models setup.py build/sanitize && cp -R tests/__init__.py tests/models build/sanitize/tests
	@rm -f build/sanitize/models/native/kernel.*.so
	@cd build/sanitize && REQUIRE_NATIVE=1 CFLAGS="$(SANITIZE) -g -fno-omit-frame-pointer" LDFLAGS="$(SANITIZE)" \
		$(CURDIR)/$(VENV)/bin/python setup.py --quiet build_ext --inplace
	@cd build/sanitize && export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		OPENBLAS_NUM_THREADS=1 LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)"; \
		$(CURDIR)/$(VENV)/bin/python -m tests.models.fuzz_scorer $(SECONDS) $(ARGS) \
		$(if $(DATA),&& $(CURDIR)/$(VENV)/bin/python -m models.exact $(abspath $(DATA)))

# Atheris is no dependency of ours: it lives beside the environment, for as long as build/ does.
FUZZ := build/atheris
$(FUZZ): $(INSTALLED)
	@$(VENV)/bin/python -m pip install --quiet --upgrade --no-deps --only-binary :all: --target $@ atheris==3.0.0 || \
		{ echo "Atheris has no wheel for this Python and machine: it is there for Linux on x86-64, Python 3.11 to 3.13" >&2; exit 1; }
	@touch $@

fuzz: $(FUZZ)  ## feed the classify stage whatever breaks it (SECONDS=60, ARGS=FILE to run a find again)
	@PYTHONPATH=$(FUZZ) $(VENV)/bin/python -m tests.stream.fuzz_decode $(SECONDS) $(ARGS)

faults: $(INSTALLED)  ## break workers, brokers and networks, and count what is lost (ARGS="--scenario NAME")
	@$(VENV)/bin/python -m tests.broker.faults $(ARGS)

e2e: $(INSTALLED)  ## all tests with a browser, Prometheus and Alertmanager, those that take long too
	$(VENV)/bin/python -m pytest tests/e2e -m "long or not long" $(ARGS)

tools:  ## install the Debian packages that the browser and monitoring tests need, and packages from npm
	@missing=$$(for tool in $(TOOLS); do dpkg-query -W -f '$${db:Status-Status}' $$tool 2>/dev/null | grep -qx installed || echo $$tool; done; \
		command -v npm >/dev/null || echo npm); \
	test -n "$$missing" || { echo "All tools are installed: $(TOOLS)"; exit 0; }; \
	command -v apt-get >/dev/null || { echo "make tools knows Debian's apt-get only; install yourself:" $$missing >&2; exit 1; }; \
	root=$$(test "$$(id -u)" = 0 || echo sudo); \
	$$root apt-get update && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing
	@$(MAKE) --no-print-directory --silent $(NODE)

# npm holds them to the hashes in tests/e2e/package-lock.json; none of their scripts is run.
$(NODE): tests/e2e/package.json tests/e2e/package-lock.json
	@mkdir -p build/node
	@cp $^ build/node
	@npm ci --prefix build/node --ignore-scripts --no-audit --no-fund --silent
	@touch $@

lock: $(INSTALLED)  ## write the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) --output-file requirements.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra otel --constraints requirements.lock --output-file requirements-otel.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra otel --group dev --constraints requirements-otel.lock --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) $(ARGS) --group build --constraints requirements-dev.lock --output-file requirements-build.lock

clean:  ## remove .venv and everything built or cached
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
