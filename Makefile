# Everything a developer or a curious stranger runs. `make demo` and `make test` make their own environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Real data for tests and benchmarks, where a folder of it lies beside the checkout; else as the environment says.
ifneq ($(wildcard ../shared/data),)
export DOTBIAS_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test fast lint types unit bench docs clean

demo: $(VENV)/.demo
	$(BIN)/dotbias demo

test: lint types unit

fast: $(VENV)/.dev # under a minute, once the kernels are compiled
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not data"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

bench: $(VENV)/.dev # some hours; on a quiet machine
	for name in accuracy calibration coverage everybody implicit kernels lesson peers ranking ratios scale served speed readme; do \
		$(BIN)/python -m bench $$name || exit 1; \
	done

docs: $(VENV)/.docs
	$(BIN)/python docs/build.py

$(VENV)/.demo: pyproject.toml constraints.txt
	@echo "Making an environment in $(VENV), and installing dotbias with torch and matplotlib: a minute or so, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[torch,plot]'
	@echo "Installed. Now the main job, on real data:"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) demo site .pytest_cache .ruff_cache
