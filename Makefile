# A fresh machine needs Python 3.11 or newer and make, nothing else. Works from any directory:
# make -C PATH, or make -f PATH/Makefile.

ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd -P)
TARGETS := help run test coverage mutants lint format bench profile constraints clean

.DEFAULT_GOAL := help
.PHONY: $(TARGETS)

ifneq ($(CURDIR),$(ROOT))

# Started from elsewhere. Going there lets every path below be relative, and so hold spaces.
$(TARGETS):
	@"$(MAKE)" --no-print-directory -C "$(ROOT)" $@

else

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
# What is compiled is compiled for the very version of asyncpg that is installed (before pip 25.3 the
# first variable says so to the environment of a build, since then the second).
BUILD_AS_PINNED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
# Twice quiet: errors still show.
PIP_INSTALL := $(BUILD_AS_PINNED) "$(BIN)/python" -m pip --disable-pip-version-check -qq install \
	-c constraints.txt
# What is compiled, where there is a C compiler, is compiled again when it changes.
COMPILED := setup.py $(shell find src -name '*.pyx' -o -name '*.pxd')
INPUTS := pyproject.toml constraints.txt $(COMPILED)
# What DB_URL, where it is set, needs beside the core.
EXTRAS ?= $(if $(filter postgres%,$(DB_URL)),postgres)$(if $(filter mysql% mariadb%,$(DB_URL)),mysql)
RUN_STAMP := $(VENV)/.run$(EXTRAS:%=-%)
TELL_IF_PURE = "$(BIN)/sanic-ms" --version | grep -q 'compiled)' || echo 'note: nothing was compiled, \
for want of a C compiler or of the headers of Python; requests cost more than twice as much'
# The benchmarks' peers have an environment of their own, and Robyn one inside of it.
BENCH := .venv-bench
BENCH_INPUTS := benchmarks/requirements.txt benchmarks/requirements-robyn.txt pyproject.toml $(COMPILED)
# CASE=json,path is handed on as --case "json,path"; what is not given keeps its default.
option = $(if $($(1)),$(2) "$($(1))")
BENCH_OPTIONS = $(call option,CASE,--case) $(call option,SECONDS,--seconds)

.DELETE_ON_ERROR:

help:
	@echo 'make run          install, migrate and start the example services'
	@echo 'make test         install and run the tests; make test ARGS="-k pool" chooses'
	@echo 'make coverage     the same with coverage, in lines and in reports/coverage'
	@echo 'make mutants      make small mutations of modules and list those that survive the tests:'
	@echo '                  make mutants PATHS=src/sanic_ms/shapes N=50 MINUTES=30'
	@echo 'make lint         check style, formatting and types'
	@echo 'make format       bring the code into its one format'
	@echo 'make bench        compare the speed with other frameworks; it takes most of an hour. To choose:'
	@echo '                  make bench CASE=json,path PEERS=sanic,fastapi ROUNDS=5 SECONDS=3'
	@echo 'make profile      show where the time of one case goes; make profile CASE=json'
	@echo 'make constraints  resolve and pin every dependency anew'
	@echo 'make clean        remove the virtual environment and everything generated'
	@echo
	@echo 'PYTHON=python3.12 chooses the interpreter, VENV=path the virtual environment.'

run: $(RUN_STAMP)
	@exec "$(BIN)/sanic-ms" up examples/users --migrate

# The packages with compiled modules are tested once more without them.
PURE_TESTS := tests/http tests/server/process/test_shutdown.py tests/service tests/telemetry \
	tests/native/test_compiled.py tests/test_loggers.py tests/wire

# The type checker of many editors; where it is not installed, its test is skipped.
PYRIGHT := 1.1.414
$(VENV)/.pyright-$(PYRIGHT): | $(BIN)/python
	@command -v npm >/dev/null || { echo 'note: there is no npm; the test with pyright is skipped'; exit 0; }; \
		mkdir -p "$(VENV)/pyright" && npm install --silent --no-audit --no-fund \
		--prefix "$(VENV)/pyright" pyright@$(PYRIGHT) && touch "$@" || \
		echo 'note: npm could not install pyright; the test with it is skipped'

# The tests start some hundreds of processes; each would compile all of the source where an image
# forbids bytecode.
test: $(VENV)/.dev $(VENV)/.pyright-$(PYRIGHT)
	@"$(BIN)/python" -m compileall -q src  # once, and not by each of the processes that tests start
	@"$(BIN)/python" -m pytest -n auto --dist worksteal $(ARGS)
	@$(if $(ARGS),,SANIC_MS_PURE=1 "$(BIN)/python" -m pytest -n auto --dist worksteal -q $(PURE_TESTS))

# Apart from test, because measuring takes nearly as long again (on Python 3.11).
coverage: override ARGS += --cov --cov-report=term --cov-report=html:reports/coverage
coverage: test

# In a copy of the project. PATHS and TESTS may be several, with spaces between.
mutants: $(VENV)/.dev
	@$(if $(PATHS),,echo 'error: say which modules: make mutants PATHS=src/sanic_ms/shapes' >&2; exit 2;) \
		"$(BIN)/python" .ci/mutants.py $(PATHS) $(call option,N,--number) \
		$(call option,MINUTES,--minutes) $(call option,SEED,--seed) $(if $(TESTS),--tests $(TESTS))

lint: $(VENV)/.dev
	@"$(BIN)/python" -m ruff check .
	@"$(BIN)/python" -m ruff format --check .
	@"$(BIN)/python" -m mypy

format: $(VENV)/.dev
	@"$(BIN)/python" -m ruff check --fix .
	@"$(BIN)/python" -m ruff format .

bench: $(BENCH)/.ready
	@"$(BENCH)/bin/python" -m benchmarks $(BENCH_OPTIONS) $(call option,PEERS,--peers) \
		$(call option,ROUNDS,--rounds) $(call option,POSTGRES,--postgres) \
		$(call option,OUT,--out) $(if $(ANYWAY),--anyway) $(ARGS)

profile: $(BENCH)/.ready
	@"$(BENCH)/bin/python" -m benchmarks.profiling $(BENCH_OPTIONS) \
		$(call option,POSTGRES,--postgres) $(ARGS)

constraints:
	@"$(PYTHON)" .ci/constraints.py

clean:
	@rm -rf "$(VENV)" "$(BENCH)" build dist reports .coverage .coverage.* src/*.egg-info
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find src -name '*.so' -delete
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One line says what is missing, before anything is made.
$(BIN)/python $(BENCH)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo 'error: there is no $(PYTHON): install Python 3.11 or newer, or say make PYTHON=path' >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $(PYTHON) is $$("$(PYTHON)" -V 2>&1): 3.11 or newer is needed, say make PYTHON=path" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'error: $(PYTHON) has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)' >&2; \
		exit 1; }
	@echo 'making $(@:/bin/python=)'
	@"$(PYTHON)" -m venv "$(@:/bin/python=)"

$(RUN_STAMP): $(BIN)/python $(INPUTS)
	@echo 'installing sanic-ms'
	@$(PIP_INSTALL) -e '.$(EXTRAS:%=[%])'
	@$(TELL_IF_PURE)
	@touch "$@"

# The other files too: this installs all that they do.
$(VENV)/.dev: $(BIN)/python $(INPUTS)
	@echo 'installing sanic-ms and what its checks need'
	@$(PIP_INSTALL) -e '.[dev]'
	@$(TELL_IF_PURE)
	@touch "$@" "$(VENV)/.run" "$(VENV)/.run-postgres" "$(VENV)/.run-mysql"

BENCH_PIP := -m pip --disable-pip-version-check -qq install
$(BENCH)/.ready: $(BENCH)/bin/python $(BENCH_INPUTS)
	@echo 'installing the peers of the benchmarks'
	@"$(BENCH)/bin/python" $(BENCH_PIP) -r benchmarks/requirements.txt
	@$(BUILD_AS_PINNED) "$(BENCH)/bin/python" $(BENCH_PIP) --no-deps -e .
	@"$(BENCH)/bin/python" -m venv "$(BENCH)/robyn"
	@"$(BENCH)/robyn/bin/python" $(BENCH_PIP) -r benchmarks/requirements-robyn.txt
	@command -v wrk >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo 'installing wrk' && \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends wrk >/dev/null; } || { \
		echo 'error: there is no wrk: install it (Debian, Ubuntu: apt-get install wrk)' >&2; exit 1; }
	@touch "$@"

endif
