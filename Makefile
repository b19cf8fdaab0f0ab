# The commands of the book. Each makes .venv first if it is missing or older than requirements.txt.
.DEFAULT_GOAL := help
.PHONY: help book test lab notebooks calibration study serve bench lint lock clean

SHELL := /bin/sh
PYTHON ?= python3
export PYTHON
# One thread for linear algebra: small matrices are quicker so, and sums come out the same on every machine.
export OMP_NUM_THREADS ?= 1

BIN := .venv/bin
ENV := .venv/.complete
PAGE := _build/html/index.html
SOURCES := _config.yml _toc.yml $(filter-out %__pycache__, \
    $(wildcard chapters/* hbutils/* hbutils/js/* site/* site/*/*))

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

book: $(ENV) ## build the pages into _build/html
	@rm -rf _build # a page read before, or no longer in the book, would not be checked again
	@start=$$(date +%s); \
	$(BIN)/jupyter-book build --quiet --warningiserror --nitpick --keep-going . || exit 1; \
	test -f $(PAGE) || { echo "the build ended without $(PAGE)" >&2; exit 1; }; \
	echo "built in $$(($$(date +%s) - start)) s: $(PAGE)"

# The pages that `make book` has just left need not be built again.
$(PAGE): $(ENV) $(SOURCES)
	@$(MAKE) --no-print-directory book

test: lint $(PAGE) ## everything CI checks: lint, types, pages, tests, notebooks
	$(BIN)/python -m pytest --numprocesses auto --dist loadscope \
	    --nbval-lax --nbval-current-env --nbval-cell-timeout 300 tests chapters

lab: $(ENV) ## open the chapters in JupyterLab
	$(BIN)/jupyter-lab --LabApp.news_url=None \
	    --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate chapters

notebooks: $(ENV) ## run all chapters again, in place; NB=03 for one
	$(BIN)/python tools/notebooks.py $(NB)

calibration: $(ENV) ## run the calibration study of chapter 11 again: thousands of fits, some minutes
	$(BIN)/python tools/calibrate.py

study: $(ENV) ## run the simulation study of chapter 17 again, on all cores: some ten minutes
	$(BIN)/python tools/study.py

serve: book ## show the built book at http://localhost:8000
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

bench: book ## measure the pages against those of a stock Jupyter Book, the dials, the study
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python benchmarks/dials.py
	$(BIN)/python benchmarks/study.py

lint: $(ENV) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: $(ENV) ## compile requirements.txt from pyproject.toml; UPGRADE=1 takes newer versions
	$(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.12 --all-extras \
	    --no-emit-index-url --custom-compile-command 'make lock' --output-file requirements.txt pyproject.toml

clean: ## remove what the commands made, .venv excepted
	rm -rf _build .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build
	find benchmarks chapters hbutils site tests tools -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

$(ENV): requirements.txt
	@tools/make_env.sh
