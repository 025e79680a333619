# `make demo` and `make test` set themselves up in .venv on a machine that has Python 3.11 or newer; `make install` does
# no more than that.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo install test

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/python run_search.py --model GRCN --dataset demo --trials 6 --max-epochs 20 --confirm-top 1 --confirm-seeds 3

test: $(VENV)/.installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 3 --dist worksteal

# torch comes first and by its exact version, so that no other package's wish for torch is met by another build.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	touch $@
