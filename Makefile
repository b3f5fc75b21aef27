# Everything a contributor types. `make help` lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/ok

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-full serve test test-slow lint format types bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Reinstalls only when what is installed could have changed.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[demo,simulate,text,image,video,neural,curves,tune,export,policies,serve,postgres,kafka,test,dev]'
	@touch $@

setup: $(STAMP)  ## make .venv and install everything but Spark

demo: $(STAMP)  ## run the main job on real data and print where the report is
	@$(BIN)/shoploom demo

demo-full: $(STAMP)  ## make up a shop with every modality and run the main job on it
	@$(BIN)/shoploom simulate demo-full
	@$(BIN)/shoploom run demo-full/shop.yaml

serve: $(STAMP)  ## API and dashboard on the demo's model, on this machine alone
	@test -f demo/runs/latest/model.json || $(MAKE) --no-print-directory demo
	@$(BIN)/shoploom serve demo/runs/latest --demo --clock data

# A worker per core: threads of their own would wait for each other's.
test: $(STAMP)  ## the default test suite
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

test-slow: $(STAMP)  ## the tests marked slow (Spark, browser, whole data sets)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[spark]'
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -n auto --dist loadfile

lint: $(STAMP)  ## ruff and the import contracts
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports

format: $(STAMP)  ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

types: $(STAMP)  ## pyright
	@$(BIN)/pyright

bench: $(STAMP)  ## benchmarks that need no data of their own
	@$(BIN)/python benchmarks/tables.py --rows 1000000

clean:  ## remove the environment and what the demo wrote
	@rm -rf $(VENV) demo demo-full
