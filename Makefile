# The two commands of the README, and the checks of CONTRIBUTING.md. `make help` lists them.

PYTHON ?= python3
VENV   ?= .venv
BUILD  ?= build

export PATH := $(abspath $(VENV))/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

SOURCES := pyproject.toml CMakeLists.txt bindings/stub.pat $(shell find core bindings src -name '*.[ch]pp' -o -name '*.py' -o -name py.typed)
CPP     := $(shell find core bindings -name '*.[ch]pp')
LAB     := $(shell find lab fuzz -name '*.[ch]pp')

.PHONY: help demo test test-python test-cpp lint format chaos kill-sweep kill-mutants fuzz hostile model spin interoperability idle benchmark bench instructions docs docs-serve packages package-root clean machine
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed  ## many processes, real data, some of them killed: the main job
	python -m toroni.demo

test: test-cpp test-python  ## all tests

test-python: $(VENV)/installed  ## the Python tests (ARGS="-k name" selects)
	python -m pytest $(ARGS)

test-cpp: $(BUILD)/asan/ran $(BUILD)/tsan/ran  ## the core's tests under Address-, UndefinedBehavior- and ThreadSanitizer

$(BUILD)/%/ran: $(VENV)/tools $(CPP) CMakeLists.txt CMakePresets.json core/tests/CMakeLists.txt
	cmake --preset $* -B $(BUILD)/$* > $(BUILD)-$*.log 2>&1 || { cat $(BUILD)-$*.log; exit 1; }
	@rm -f $(BUILD)-$*.log
	cmake --build $(BUILD)/$*
	ctest --test-dir $(BUILD)/$* --output-on-failure
	@touch $@

lint: $(VENV)/installed  ## ruff, mypy strict, clang-format
	ruff check .
	ruff format --check .
	mypy src tests examples benchmarks lab fuzz
	clang-format --dry-run --Werror $(CPP) $(LAB)

format: $(VENV)/tools  ## lays out all code
	ruff check --fix-only . ; ruff format .
	clang-format -i $(CPP) $(LAB)

chaos: $(VENV)/installed  ## processes killed, stopped, forked and replaced for SECONDS (default 60; SEED=7 repeats a run's choices)
	python -m toroni.testing.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

kill-sweep: $(VENV)/tools  ## one process killed at every instruction of every operation, and what the others find (ARGS="--operation read")
	cmake --preset lab -B $(BUILD)/lab > /dev/null
	cmake --build $(BUILD)/lab --target kill_sweep
	python lab/kill_sweep.py $(BUILD)/lab/lab/kill_sweep $(ARGS)

kill-mutants: $(VENV)/tools  ## whether a sample of those kills finds faults that are put into the core
	python lab/find_mutants.py $(BUILD)/mutants

fuzz: $(VENV)/tools  ## garbage in all that processes share, by libFuzzer for SECONDS (default 60) in all (needs clang)
	python fuzz/run.py --seconds $(or $(SECONDS),60) $(ARGS)

hostile: $(VENV)/installed  ## a participant that scribbles over all it may write, for SECONDS (default 60; SEED=7 repeats its choices)
	python -m pytest tests/test_hostile.py -rP --hostile-seconds $(or $(SECONDS),60) $(if $(SEED),--hostile-seed $(SEED))

model: $(VENV)/installed  ## random use compared with a plain model for SECONDS (default 60)
	python -m pytest tests/test_model.py --model-seconds $(or $(SECONDS),60)

spin: $(VENV)/tools  ## all states of the protocol's models, and what each variant of them violates (needs spin)
	python tests/spin_models.py $(ARGS)

interoperability: $(VENV)/installed  ## kills among our processes and foreign ones for SECONDS (default 60); agents through a small ring
	python -m pytest tests/test_interoperability.py -k kills -rP --kill-seconds $(or $(SECONDS),60)
	AGENTS_MESSAGES=40000 AGENTS_SLEEP_MS=10 tests/agents.sh 5 5

idle: $(VENV)/installed  ## what an idle reader costs in SECONDS (default 30)
	python -m pytest tests/test_cost.py -k idle -rP --idle-seconds $(or $(SECONDS),30)

benchmark: $(VENV)/installed  ## what a message, and matching its topic, costs where nobody waits; and beside a reader
	python benchmarks/hot_paths.py
	python benchmarks/matching.py
	python benchmarks/beside_a_reader.py

bench: $(VENV)/tools-bench $(VENV)/installed  ## ours and all peers, in turn: half an hour
	toroni bench $(ARGS)

instructions: $(VENV)/installed  ## keeps the instructions a message, after a change that was meant
	python -m pytest tests/test_instructions.py --keep-instructions -rP

docs: $(VENV)/installed  ## the documentation site in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --site-dir $(BUILD)/site

docs-serve: $(VENV)/installed  ## the site at http://127.0.0.1:8000, built anew with each change
	NO_MKDOCS_2_WARNING=1 mkdocs serve

packages: $(VENV)/tools-packages  ## dist/: the sdist, and a manylinux wheel made of it; both tried in empty environments
	sh tools/make_packages.sh $(abspath $(VENV))/bin/python

package-root:  ## the sdist of dist/ built in an empty Debian, by debootstrap (as root)
	sh tools/build_in_empty_root.sh

clean:  ## removes what was built
	rm -rf $(BUILD) $(VENV)

# ---- set-up -----------------------------------------------------------------------------------------------

machine:
	@sh tools/check_machine.sh "$(PYTHON)" "$(CXX)"

$(VENV)/tools: pyproject.toml | machine
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python tools/extra_requirements.py dev cli docs > $(VENV)/requirements
	$(VENV)/bin/python -m pip install --quiet "nanobind>=3.1" "scikit-build-core>=0.10" -r $(VENV)/requirements
	@touch $@

$(VENV)/tools-bench: pyproject.toml $(VENV)/tools
	$(VENV)/bin/python tools/extra_requirements.py bench plots | $(VENV)/bin/python -m pip install --quiet -r /dev/stdin
	@touch $@

$(VENV)/tools-packages: pyproject.toml $(VENV)/tools
	$(VENV)/bin/python tools/extra_requirements.py packages | $(VENV)/bin/python -m pip install --quiet -r /dev/stdin
	@touch $@

$(VENV)/installed: $(VENV)/tools $(SOURCES)
	$(VENV)/bin/python -m pip install --quiet --no-build-isolation --no-deps --force-reinstall .
	@touch $@
