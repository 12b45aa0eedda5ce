# Two commands for a new user: `make quickstart` and `make test`. Both set the environment up first.
#
#   PYTHON=...   use this interpreter, with everything installed, instead of the project's own environment
#   DATA=...     folder with the sample data sets, for `make bench`
#   PYTEST_ARGS=...  further arguments of pytest
#   WORKERS=...  processes that the tests are spread over, file by file (default 2)
#   THREADS=...  threads of the numerical libraries in tests and benchmarks (default 1: same sums on every machine)

VENV := .venv
PYTHON ?= $(VENV)/bin/python
BASE_PYTHON ?= python3
THREADS ?= 1
WORKERS ?= 2
DATA ?= $(or $(CDTG_SHARED),../shared)/data
BUNDLE := bundle
MODEL := $(BUNDLE)/models/model.pt

SINGLE := OMP_NUM_THREADS=$(THREADS) MKL_NUM_THREADS=$(THREADS)
# The processes must collect the same tests, so sets have one order in all of them.
SAME_ORDER := PYTHONHASHSEED=0
SPREAD := -n $(WORKERS) --dist loadfile
STAMP := $(VENV)/.installed

.PHONY: help setup model quickstart test test-all test-oldest coverage lint bench docs notebooks clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

ifeq ($(PYTHON),$(VENV)/bin/python)
setup: $(STAMP) $(MODEL)  ## make the environment and the default model
$(STAMP): pyproject.toml setup.py
	$(BASE_PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[all,dev]"
	@touch $(STAMP)
$(MODEL): $(STAMP)
else
setup: $(MODEL)
endif

model: $(MODEL)  ## write bundle/models/model.pt
$(MODEL): bundle/configs/model.json bundle/configs/inference.json
	cd $(BUNDLE) && $(abspath $(PYTHON)) -m monai.bundle run --config_file "['configs/inference.json', 'configs/model.json']"

quickstart: setup  ## train a little, segment a brain volume from one annotated slice, write quickstart/report.md
	cd $(BUNDLE) && $(abspath $(PYTHON)) -m scripts.apps.quickstart --output_dir ../quickstart

lint: setup  ## ruff and mypy
	$(PYTHON) -m ruff check bundle tests benchmarks tools
	$(PYTHON) -m ruff format --check bundle tests benchmarks tools
	$(PYTHON) -m mypy

test: lint  ## what CI runs: lint, types, and the tests without the slow ones
	$(SINGLE) $(SAME_ORDER) $(PYTHON) -m pytest -m "not slow" $(SPREAD) $(PYTEST_ARGS)

test-all: lint  ## with the slow ones, and how many lines they reach
	$(SINGLE) $(SAME_ORDER) $(PYTHON) -m pytest --cov $(SPREAD) $(PYTEST_ARGS)

coverage: setup  ## the tests without the slow ones, and how many lines they reach
	$(SINGLE) $(PYTHON) -m pytest -m "not slow" --cov $(PYTEST_ARGS)

bench: setup  ## ratios within one run; with the sample data in DATA also the accuracy tables
	$(SINGLE) $(PYTHON) benchmarks/semantic_guidance.py
	$(SINGLE) $(PYTHON) benchmarks/data_loading.py
	$(SINGLE) $(PYTHON) benchmarks/hosts.py
	$(SINGLE) $(PYTHON) benchmarks/hosts_shots.py
	@if [ -d "$(DATA)" ]; then set -e; \
	  $(SINGLE) $(PYTHON) benchmarks/propagation.py --data_root $(DATA) --output_dir runs/propagation; \
	  $(SINGLE) $(PYTHON) benchmarks/one_shot.py $(DATA) --stride 12 --cache runs/one_shot; \
	else echo "no sample data at $(DATA): the accuracy tables are left out (give DATA=FOLDER)"; fi

docs: setup  ## write the documentation site to site/
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

notebooks: setup  ## run the notebooks from a clean kernel and keep their outputs
	$(SINGLE) $(PYTHON) tools/run_notebooks.py $(BUNDLE)/docs/notebooks/*.ipynb

test-oldest: setup  ## the fast tests with the oldest versions promised (OLDEST="--torch_of $(VENV)": PyTorch as it is)
	$(PYTHON) tools/oldest.py $(VENV)-oldest $(OLDEST)
	$(SINGLE) $(VENV)-oldest/bin/python -m pytest -m "not slow" $(PYTEST_ARGS)

clean:  ## remove what setup and the workflows wrote
	rm -rf $(VENV) $(VENV)-oldest site build dist bundle/segprompt.egg-info segprompt.egg-info quickstart runs $(BUNDLE)/output $(BUNDLE)/cache $(BUNDLE)/models/*.pt $(BUNDLE)/models/*.ts
