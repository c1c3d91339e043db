# `make demo` and `make test` need only Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Seconds for each of some 37 properties, on two cores at once: 30 make about ten minutes in all.
FUZZ ?= 30

.PHONY: demo test crash fuzz check run bench words lock clean

demo: $(VENV)/.run
	$(BIN)/python -m bot demo

run: $(VENV)/.run
	$(BIN)/python -m bot run

test: check
	$(BIN)/python -m pytest -q -n 2

# Every point of a clip's life, with every provider: some 600 points, half an hour or more on two cores.
crash: $(VENV)/.dev
	$(BIN)/python -m tests.crash.matrix

# The same properties as in `make test`, with new examples every time.
fuzz: $(VENV)/.dev
	CONCH_FUZZ=$(FUZZ) $(BIN)/python -m pytest -q -n 2 --timeout 600 tests/fuzz

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	@missed=; for one in storage engine forecast fit load; do \
	  $(BIN)/python -m benchmarks.$$one || missed="$$missed $$one"; done; \
	  if [ -n "$$missed" ]; then echo "a floor was missed:$$missed"; exit 1; fi

words: $(VENV)/.dev
	$(BIN)/python -m tools.words

lock: $(VENV)/.dev
	$(BIN)/uv pip compile pyproject.toml --extra sentry --universal --generate-hashes --no-emit-index-url --no-header -q \
	  --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header -q \
	  --upgrade -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) conch-demo

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || (echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1)
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/.run
