# Everything a person needs day to day. `make help` lists it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

DEEPOJ := .venv/bin/deepoj
PY := .venv/bin/python
# A Python to build with, if not the first one ≥ 3.13 that is found; passed on to the script.
export PYTHON

.PHONY: help build run demo test hostile bench lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## install what is missing and leave a working .venv/bin/deepoj
	@deploy/scripts/build.sh

run: build ## start a node on http://127.0.0.1:18080, judge a sample, stay up until Ctrl-C
	@$(DEEPOJ) up --sample

demo: build ## the same, but stop after the sample's verdict
	@$(DEEPOJ) up --sample --exit

test: ## install what the tests need and pass the whole suite
	@deploy/scripts/build.sh --test
	@$(MAKE) --no-print-directory lint
	$(PY) -m pytest

# How often `make hostile` plays the table, here and in the virtual machine.
HOSTILE_ROUNDS := 20

hostile: ## the hostile table HOSTILE_ROUNDS times (20), here and in a virtual machine
	@deploy/scripts/build.sh --test
	$(PY) -m tests.hostile --rounds $(HOSTILE_ROUNDS)
	$(PY) -m tests.hostile --rounds $(HOSTILE_ROUNDS) --vm

lint:
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

bench: build ## the benchmarks: tables to read, JSON in bench-results/
	@mkdir -p bench-results
	@$(DEEPOJ) bench sandbox --output bench-results/sandbox.json
	@$(DEEPOJ) bench node --output bench-results/node.json

clean: ## remove what was built and cached (.deepoj, the data of a node, stays)
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f deepoj/*.so deepoj/_launcher deepoj/_meter
	find deepoj tests -name __pycache__ -type d -prune -exec rm -rf {} +
