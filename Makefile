# `make demo` and `make test` are all one needs; both set up what they lack.
#
#   make demo [PROFILE=cpu|gpu-32gb]   from nothing to three answered questions
#   make test                          all tests, on real engines, a real PostgreSQL, real files
#   make check                         lint, types, Dagster's own validation (part of `make test`)
#   make audit                         known vulnerabilities of what the locks pin
#   make lock                          resolve requirements-*.lock anew (for maintainers)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PROFILE ?= cpu
PYTHON ?= python3
VENV := .venv
ENGINE := $(if $(findstring gpu,$(PROFILE)),gpu,cpu)
LOCKS := rag_assets/installation
READY := $(VENV)/ready-$(ENGINE)
BIN := $(VENV)/bin

export RAG_PROFILE := $(PROFILE)

.PHONY: demo test check browser models audit lock clean

demo: $(READY)
	@$(BIN)/rag demo

# Types take one core for a minute; the browser and the models are fetched meanwhile.
test: $(READY)
	@$(MAKE) --no-print-directory -j2 check browser models
	$(BIN)/python -m pytest -m 'not engines' -n auto --maxprocesses 4 --dist loadscope \
	  --no-loadscope-reorder
	$(BIN)/python -m pytest -m engines

models: $(READY)
	$(BIN)/rag models pull

# The page is tested in a real browser. Where there is none, and nobody may install one, these tests
# are skipped and say so.
browser:
	@command -v chromium > /dev/null || test "$$(id -u)" != 0 \
	  || { apt-get -qq update && apt-get -qq install -y chromium; } > /dev/null 2>&1 \
	  || echo "Chromium could not be installed: the tests of the page are skipped"

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/dagster definitions validate -w workspace.yaml

# A package of which nothing is known fails it, too. What is let pass, and why, stands in
# .ci/audit-allowed.txt.
audit:
	$(PYTHON) -m venv .cache/audit && .cache/audit/bin/python -m pip install -q pip-audit==2.10.1
	@status=0; for lock in $(LOCKS)/cpu.lock $(LOCKS)/gpu.lock requirements-dev.lock; do \
	  echo "==> $$lock"; \
	  .cache/audit/bin/pip-audit --strict --disable-pip --require-hashes -r $$lock \
	    $$(sed -n 's/^\([A-Z][A-Za-z0-9-]*\):.*/--ignore-vuln \1/p' .ci/audit-allowed.txt) || status=1; \
	done; exit $$status

$(READY): $(LOCKS)/$(ENGINE).lock requirements-dev.lock pyproject.toml
	@echo "==> Environment in $(VENV) (4 GB, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian: apt install python3-venv"; \
	  exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "expected Python 3.11, got $$($(BIN)/python -V); name another: make PYTHON=python3.11"; \
	  rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m rag_assets.installation.engines $(ENGINE) requirements-dev.lock
	@$(BIN)/python -m pip --disable-pip-version-check --no-input \
	  install -q --no-deps --no-build-isolation -e .
	@touch $@

# requirements-dev.lock holds what the extra dev adds to either of the others.
RESOLVE := .cache/lock/bin/uv pip compile pyproject.toml -q --python-version 3.11 --generate-hashes \
  --no-annotate --no-emit-index-url --no-emit-find-links \
  --custom-compile-command "make lock (Linux x86_64, Python 3.11; hashes of every wheel)"
CPU := --extra cpu --override $(LOCKS)/overrides-cpu.txt --no-emit-package torch \
  $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS))
TORCH_INDEX := https://download.pytorch.org/whl/cpu
lock:
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip install -q uv==0.13.9
	$(RESOLVE) $(CPU) > $(LOCKS)/cpu.lock
	$(RESOLVE) --extra gpu > $(LOCKS)/gpu.lock
	echo 'torch==2.13.0+cpu' | .cache/lock/bin/uv pip compile - -q --no-deps --python-version 3.11 \
	  --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	  $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--index-url $(TORCH_INDEX)) \
	  --custom-compile-command "make lock (the CPU build of PyTorch)" > $(LOCKS)/torch-cpu.lock
	$(RESOLVE) $(CPU) --extra dev -c $(LOCKS)/cpu.lock \
	  --no-emit-package playwright --no-emit-package pyee \
	  $$(sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' $(LOCKS)/cpu.lock) \
	  > requirements-dev.lock

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis data/lake data/dagster data/run data/evaluations data/bench
