# Every target does the set-up it needs; a machine with Python >= 3.11 and make is enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; \
	done; echo python3)
WORKERS ?= 2
BIN := .venv/bin
READY := $(BIN)/.spanlore-ready
BENCH_READY := $(BIN)/.spanlore-bench-ready
FUZZ_READY := $(BIN)/.spanlore-fuzz-ready
RUNS ?= 1000000
UV := UV_NO_CONFIG=1 $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

.PHONY: setup demo test check types shape test-slow bench fuzz lock clean

setup: $(READY)

# Redone only when what is installed has changed; the stamp is newer than both files then.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "spanlore needs Python 3.11 or newer, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." >&2; \
	echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 3; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH_READY): $(READY) benchmarks/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r benchmarks/requirements.lock
	@touch $@

$(FUZZ_READY): $(READY) tests/fuzz/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r tests/fuzz/requirements.lock
	@touch $@

demo: $(READY)
	$(BIN)/spanlore demo

# Side by side: the types take as long as all the rest.
check: $(READY)
	@$(MAKE) --no-print-directory --jobs 2 types shape

types: $(READY)
	$(BIN)/mypy

shape: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/pytest --quiet tests/test_tidy.py

# What `check` has run is left out: each worker would read every file of the project for it.
test: check
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --ignore tests/test_tidy.py

test-slow: $(READY)
	$(BIN)/pytest -m slow --timeout 3600 --capture no

bench: $(READY) $(BENCH_READY)
	@set -e; for script in benchmarks/bench_*.py; do echo "$$script"; $(BIN)/python "$$script"; done

# What was found lies in build/fuzz, and the next run goes on from there.
fuzz: $(READY) $(FUZZ_READY)
	$(BIN)/python -m tests.fuzz -runs=$(RUNS)

lock: $(READY)
	$(UV) --upgrade --all-extras --group dev pyproject.toml --output-file requirements.lock
	$(UV) --upgrade --group bench --output-file benchmarks/requirements.lock
	$(UV) --upgrade --group fuzz --output-file tests/fuzz/requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build
