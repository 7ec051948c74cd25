# `make help` lists what people need day to day; CONTRIBUTING.md names every target.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

DEEPOJ := .venv/bin/deepoj
PY := .venv/bin/python
# A Python to build with, if not the first one ≥ 3.13 that is found; passed on to the script.
export PYTHON

.PHONY: help build binary lock run demo check test bytecode test-full test-rest test-languages screenshots hostile mutants soak soak-memory release-check fuzz bench lint lint-c clean

# What `make help` shows, in this order.
HELP := run demo build check test test-full lint bench binary clean

help: ## show the targets that people need
	@for target in $(HELP); do \
		awk -F ':.*## ' -v target=$$target \
			'$$1 == target && NF > 1 { printf "  make %-9s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST); \
	done
	@echo "CONTRIBUTING.md names all targets; deploy/docs/commands.md the commands of .venv/bin/deepoj."

build: ## install what is missing and leave a working .venv/bin/deepoj
	@deploy/scripts/build.sh

binary: build ## dist/deepoj: the whole program in one file, for hosts without Python
	@deploy/scripts/binary.sh

lock: ## bring deploy/locks to the newest that pyproject.toml allows; PACKAGE= for that one alone
	@deploy/scripts/lock.sh

# --sample accepts isolation `weak`, with a warning; SANDBOX_MIN_ISOLATION=namespaces asks for more.
run: build ## start a node on http://127.0.0.1:18080, judge a sample, stay up until Ctrl-C
	@$(DEEPOJ) up --sample

demo: build ## the same, but stop after the sample's verdict
	@$(DEEPOJ) up --sample --exit

# Four workers on two cores: much of the suite waits for servers and leases. A worker runs whole files.
# Python keeps its bytecode: compiling the imports takes half of the time that a program needs to start.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(PY) -m pytest
BESIDE := -n 4 --dist loadfile --no-loadscope-reorder --durations=25

check: ## lint, unit tests, the rules of contests, and the contracts of stores on fakes: no root, no servers
	@deploy/scripts/build.sh --test
	@$(MAKE) --no-print-directory lint
	$(PYTEST) $(BESIDE) -m check tests/unit tests/contract tests/contests

# Lint has run the tests of the house's rules.
test: ## install what the tests need, and prove the product on this host
	@deploy/scripts/build.sh --test
	@$(MAKE) --no-print-directory -j2 --output-sync $(LINTERS) bytecode
	$(PYTEST) $(BESIDE) -m "not full" --ignore=tests/unit/test_house.py $(TEST_OPTIONS)

# On a new checkout each worker would rewrite and compile all tests. A file that cannot be read fails in the tests.
bytecode:
	-@$(PYTEST) --collect-only -qq tests >/dev/null 2>&1

test-full: test test-rest ## make test, then what takes long: virtual machine, images, soak, languages

# Alike tests take turns by the day's number (TURNS in tests/conftest.py), and the mutants of the day are a seventh of
# all. With DAY= all are run.
DAY := $(shell echo $$(($$(date +%s) / 86400)))

test-rest:
	$(PYTEST) $(BESIDE) -m "full and not alone" $(if $(DAY),--day $(DAY)) $(TEST_OPTIONS)
	$(PYTEST) -m alone $(TEST_OPTIONS)
	$(PY) -m tests.mutants $(if $(DAY),--share $$(($(DAY) % 7 + 1))/7)

test-languages: ## install the tools of every language and judge the smoke programs of each
	@deploy/scripts/build.sh --test-languages
	DEEPOJ_TEST_LANGUAGES=all $(PY) -m pytest tests/languages

screenshots: ## pictures of every page in a browser, into build/screenshots: wide, narrow, light, dark, both languages
	@deploy/scripts/build.sh --test
	$(PY) -m tests.web.screenshots

# How often `make hostile` plays the table, here and in the virtual machine.
HOSTILE_ROUNDS := 20

hostile: ## the hostile table HOSTILE_ROUNDS times (20), here, at `weak`, and in a virtual machine
	@deploy/scripts/build.sh --test
	$(PY) -m tests.hostile --rounds $(HOSTILE_ROUNDS)
	DEEPOJ_TEST_ISOLATION=weak $(PY) -m tests.hostile --rounds $(HOSTILE_ROUNDS)
	$(PY) -m tests.hostile --rounds $(HOSTILE_ROUNDS) --vm

mutants: ## plant each fault of tests/mutants/table.py, and see that its test finds it
	@deploy/scripts/build.sh --test
	$(PY) -m tests.mutants

# Jobs of `make soak-memory`; the level is taken after the first tenth.
SOAK_JOBS := 10000

soak-memory: ## SOAK_JOBS jobs (10,000) through one node: memory, descriptors and tasks stay as they were
	@deploy/scripts/build.sh --test
	$(PY) -m tests.soak_memory --jobs $(SOAK_JOBS) --first $$(($(SOAK_JOBS) / 10))

release-check: ## what must hold before a release: drills, kills, hostile table, canaries, backup; one table
	@deploy/scripts/build.sh --test
	@$(PY) -m tests.release

JOBS := 1000
FAULTS := 200

soak: ## JOBS (1000) under FAULTS (200) over three nodes, then the history checker; SEED= plays one again
	@deploy/scripts/build.sh --test
	@$(DEEPOJ) drill soak --jobs $(JOBS) --faults $(FAULTS) $(if $(SEED),--seed $(SEED))

# For each target; see sandbox_ext/README.md.
FUZZ_SECONDS := 60

fuzz: ## libFuzzer on all that parses bytes (needs clang), FUZZ_SECONDS (60) for each
	$(PY) -m tests.fuzz --seconds $(FUZZ_SECONDS)

C_FILES = $(filter-out sandbox_ext/module.c sandbox_ext/codec.c,$(wildcard sandbox_ext/*.c tests/fuzz/*.c deepoj/operate/drill/*.c deepoj/adapters/embedded/*.c))
# cppcheck cannot read a register variable's asm; style is gcc's and clang-tidy's to judge
CPPCHECK = cppcheck -q --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
	--check-level=exhaustive --suppress=missingIncludeSystem --error-exitcode=1 -D__x86_64__ '-D__asm__(name)=' -j2

LINTERS := lint-ruff lint-mypy lint-cppcheck lint-house
.PHONY: $(LINTERS)

lint: ## ruff, mypy, cppcheck, and the house's rules
	@$(MAKE) --no-print-directory -j2 --output-sync $(LINTERS)

lint-ruff:
	$(PY) -m ruff check
	$(PY) -m ruff format --check

lint-mypy:
	$(PY) -m mypy

lint-cppcheck:
	$(CPPCHECK) sandbox_ext tests/fuzz deepoj/operate/drill deepoj/adapters

lint-house:
	$(PY) -m pytest -q tests/unit/test_house.py

lint-c: lint ## lint, and clang-tidy on the C
	@command -v clang-tidy >/dev/null || { echo "make lint-c needs clang-tidy: apt-get install clang-tidy" >&2; exit 2; }
	clang-tidy --quiet $(C_FILES) -- -std=gnu11 -Isandbox_ext

bench: build ## the benchmarks: tables to read, JSON in bench-results/
	@mkdir -p bench-results
	@$(DEEPOJ) bench sandbox --output bench-results/sandbox.json
	@$(DEEPOJ) bench judge --output bench-results/judge.json
	@$(DEEPOJ) bench node --output bench-results/node.json
	@$(DEEPOJ) bench api --output bench-results/api.json
	@$(DEEPOJ) bench web --output bench-results/web.json
	@$(DEEPOJ) bench slow --output bench-results/slow.json
	@$(DEEPOJ) bench contest --output bench-results/contest.json
	@$(DEEPOJ) bench queue --output bench-results/queue.json

clean: ## remove what was built and cached (.deepoj, the data of a node, stays)
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz
	rm -rf deepoj/web/static
	rm -f deepoj/*.so deepoj/_launcher deepoj/_meter
	find deepoj tests -name __pycache__ -type d -prune -exec rm -rf {} +
