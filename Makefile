# Everything a developer or a curious stranger runs. `make demo` and `make test` make their own environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Real data for tests and benchmarks, where a folder of it lies beside the checkout; else as the environment says.
ifneq ($(wildcard ../shared/data),)
export DOTBIAS_DATA ?= $(abspath ../shared/data)
endif

# The lesson's edition where it is at hand, else its publisher's latest.
APP_DATA := $(if $(wildcard $(DOTBIAS_DATA)/ml-latest-small-2016),ml-latest-small-2016,ml-latest-small)

.PHONY: app demo test fast lint types unit bench docs clean

demo: $(VENV)/.demo
	$(BIN)/dotbias demo

app: $(VENV)/.web # a model of MovieLens small, and the app; the address is printed
	test -f app/model/manifest.json || $(BIN)/dotbias fit $(APP_DATA) --fitter gibbs -o app/model
	$(BIN)/dotbias serve app/model

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

$(VENV)/.web: pyproject.toml constraints.txt
	@echo "Making an environment in $(VENV), and installing dotbias with fastapi: a minute or so, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[web]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo $(VENV)/.web

$(VENV)/.docs: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) app demo site .pytest_cache .ruff_cache
