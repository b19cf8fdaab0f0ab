# The commands of the book. Each makes .venv first if it is missing or older than requirements.txt.
.DEFAULT_GOAL := help
.PHONY: help book test lab notebooks calibration study serve bench lint lock clean \
    coursework release grade feedback grades

SHELL := /bin/sh
PYTHON ?= python3
export PYTHON
# One thread for linear algebra: small matrices are quicker so, and sums come out the same on every machine.
export OMP_NUM_THREADS ?= 1

BIN := .venv/bin
ENV := .venv/.complete
COURSE := .venv/.coursework
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

test: lint $(PAGE) $(COURSE) ## everything CI checks: lint, types, pages, tests, notebooks
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

coursework: $(COURSE) ## rehearse a class: what solutions, blanks, typical mistakes and troubles get; NAME=... for one assignment
	$(BIN)/python -m coursework.rehearsal $(NAME)

release: $(COURSE) ## make the blank notebooks that students are given
	$(BIN)/python -m coursework release

grade: $(COURSE) ## collect and mark students' work; INBOX=folder or ZIP file
	$(BIN)/python -m coursework grade $(INBOX)

feedback: $(COURSE) ## a page for each student and assignment
	$(BIN)/python -m coursework feedback

grades: $(COURSE) ## sheets of marks, and the written answers to be read
	$(BIN)/python -m coursework grades

serve: book ## show the built book at http://localhost:8000
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

bench: book ## measure pages, dials, the study, samplers, a million groups: an hour, on a quiet machine
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python benchmarks/dials.py
	$(BIN)/python benchmarks/study.py
	$(BIN)/python benchmarks/samplers.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/book.py
	$(BIN)/python tools/notebooks.py 15

lint: $(ENV) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

PINS := $(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.12 \
    --no-emit-index-url --custom-compile-command 'make lock'

lock: $(ENV) ## compile the requirements from pyproject.toml; UPGRADE=1 takes newer versions
	$(PINS) --all-extras --output-file requirements.txt pyproject.toml
	$(PINS) --group coursework --constraint requirements.txt --output-file coursework/requirements.txt

clean: ## remove what the commands made, .venv excepted
	rm -rf _build .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build
	find benchmarks chapters coursework hbutils site tests tools -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

# Students need none of this: it is put on top when an instructor's command is first used.
$(COURSE): $(ENV) coursework/requirements.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement coursework/requirements.txt
	@touch $@

$(ENV): requirements.txt
	@tools/make_env.sh
