# Every target works alone on a machine that has git, make and a Python 3.8 to 3.11.
#   PYTHON=/path/to/python   the Python to make .venv with (else the first that will do)
#   BUILD=cpu | cu112        the build of MXNet (else the one that fits the machine)
#   ARGS="..."               passed on, e.g. make train ARGS="--epochs 2"
PYTHON ?=
BUILD ?=
ARGS ?=
export PYTHON BUILD

RUN := .venv/bin/python
SOURCES := $(wildcard gluon_dkpr tools tests symbols docs setup.py)

.PHONY: help setup people train docs test test-slow fuzz lint format clean

help:  ## print this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup:  ## make .venv with the pinned packages, once
	@sh tools/bootstrap.sh

people: setup  ## add the data for tools/make_human_record.py, 170 MB
	@sh tools/bootstrap.sh people

train: setup  ## train the default preset; ARGS="--help" lists the options
	@$(RUN) tools/train.py $(ARGS)

docs: setup  ## build the documentation; docs/_build/html/index.html is its first page
	@sh tools/bootstrap.sh docs
	@sh tools/bootstrap.sh web || echo "make: the page in the browser gets no networks" >&2
	@$(RUN) -m sphinx -W --keep-going -q -j auto -d docs/_build/doctrees docs docs/_build/html $(ARGS)
	@echo docs/_build/html/index.html

test: lint  ## lint, then run the tests that are fast
	@sh tools/bootstrap.sh people || echo "make: the tests of rendered people are left out" >&2
	@sh tools/bootstrap.sh docs || echo "make: the tests of the built pages are left out" >&2
	@sh tools/bootstrap.sh onnx || echo "make: the tests of ONNX exports are left out" >&2
	@sh tools/bootstrap.sh web && sh tools/bootstrap.sh browser || echo "make: the tests of the page in the browser are left out" >&2
	@sh tools/bootstrap.sh serve || echo "make: the tests of the service are left out" >&2
	@sh tools/bootstrap.sh cpp || echo "make: the tests of the C++ program are left out" >&2
	@$(RUN) -m pytest $(ARGS)

test-slow: setup  ## run the tests that are slow
	@sh tools/bootstrap.sh people || echo "make: the tests of rendered people are left out" >&2
	@$(RUN) -m pytest -m slow $(ARGS)

fuzz: setup  ## try 100,000 hostile inputs; DKPR_FUZZ_SEED=1 tries others
	@DKPR_FUZZ=$${DKPR_FUZZ:-3500} $(RUN) -m pytest -q tests/fuzz $(ARGS)
	@$(RUN) -m tests.fuzz.coverage_guided

lint: setup  ## check style and formatting
	@$(RUN) -m ruff check --quiet $(SOURCES)
	@$(RUN) -m ruff format --check --quiet $(SOURCES)

format: setup  ## format the code and sort the imports
	@$(RUN) -m ruff check --fix --quiet $(SOURCES)
	@$(RUN) -m ruff format --quiet $(SOURCES)

clean:  ## remove .venv and everything that tools have left
	rm -rf .venv .venv.lock build dist docs/_build docs/_generated *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
