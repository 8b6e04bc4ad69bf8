# Copyright 2026 the spec_vla_ros authors. Licensed under the Apache License, Version 2.0.
SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
.PHONY: help setup demo evaluate bench test test-fast test-jazzy test-gpu gpu test-libero libero soak params
.PHONY: demo-libero lint clean

EPISODES ?= 10
SEED ?= 0
INSTRUCTION ?=
SUITE ?= libero_object
CHECKPOINT ?=
RECIPE ?=
PYTEST_ARGS ?=
JAZZY_TESTS ?= test/ros test/examples
EVALUATE_ARGS ?=
BENCH_ARGS ?=
PROCESSES ?= 2
MINUTES ?= 60
# Containers often set it; each of hundreds of processes would compile every module again.
export PYTHONDONTWRITEBYTECODE :=
ACTIVATE := . scripts/activate.sh
STYLE := ruff check .; ruff format --check .; python -m spec_vla_ros.settings --check
# Files with tests that run alone: to collect them all again would take as long as some of them.
ALONE = $(shell grep -rl --include='test_*.py' 'pytest.mark.alone' test)
PYTEST := SPEC_VLA_REQUIRE_ROS=1 python -m pytest --dist worksteal

help: ## Show the targets.
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 17
	@echo 'Options: EPISODES=10 SEED=0 INSTRUCTION="pick up the red block" PYTHON=python3.12'

setup: ## Create .venv and build the messages; does nothing when nothing has changed.
	@scripts/setup_env.sh

demo: setup ## Watch the policy drive the simulated robot.
	@$(ACTIVATE); exec python -m spec_vla_ros.ros.demo \
		--episodes '$(EPISODES)' --seed '$(SEED)' --instruction '$(INSTRUCTION)'

demo-libero: libero ## Watch a policy drive the robot of LIBERO (SUITE, CHECKPOINT, RECIPE).
	@. scripts/activate_libero.sh; exec python -m spec_vla_ros.ros.demo --suite '$(SUITE)' \
		--checkpoint '$(CHECKPOINT)' --recipe '$(RECIPE)' \
		--episodes '$(EPISODES)' --seed '$(SEED)' --instruction '$(INSTRUCTION)'

evaluate: setup ## Compare every way of decoding, 200 held-out episodes each.
	@$(ACTIVATE); spec-vla evaluate --processes '$(PROCESSES)' $(EVALUATE_ARGS)

libero: setup ## Set the benchmark LIBERO up in .venv-libero, an environment beside .venv.
	@$(ACTIVATE); scripts/libero_env.sh

test-libero: libero ## Run the tests that need LIBERO.
	@. scripts/activate_libero.sh; $(PYTEST) -n 2 -m libero test $(PYTEST_ARGS)

.PHONY: libero-evaluate
libero-evaluate: libero ## Compare ways of decoding in LIBERO (SUITE, CHECKPOINT, RECIPE).
	@. scripts/activate_libero.sh; spec-vla evaluate --benchmark '$(SUITE)' \
		$(if $(CHECKPOINT),--checkpoint '$(CHECKPOINT)') \
		$(if $(RECIPE),--recipe '$(RECIPE)') $(EVALUATE_ARGS)

bench: setup ## Compare the speed of every way of decoding with transformers' generate.
	@$(ACTIVATE); spec-vla bench --history docs/history/bench.json $(BENCH_ARGS)

soak: setup ## Run the closed loop for hours with faults injected (MINUTES=60).
	@$(ACTIVATE); exec python -m spec_vla_ros.ros.develop.soak --minutes '$(MINUTES)'

params: setup ## Write config/*.yaml and the parameter tables of the docs from the settings.
	@$(ACTIVATE); python -m spec_vla_ros.settings

lint: setup ## Check style, types, and what is written from the settings.
	@$(ACTIVATE); $(STYLE); mypy

# The types are checked meanwhile. 5: the options choose no test that runs alone.
test: setup ## Run the linters and every test.
	@$(ACTIVATE); $(STYLE); mypy & types=$$!; \
		$(PYTEST) -n 4 -m 'not alone' $(PYTEST_ARGS); \
		$(PYTEST) -m alone $(or $(PYTEST_ARGS),$(ALONE)) || [ $$? -eq 5 ]; \
		wait $$types || { echo 'types are wrong, see above, or: make lint' >&2; exit 1; }

test-fast: setup ## Run the tests without nodes, training and emulated CUDA graphs, for a first look.
	@$(ACTIVATE); $(PYTEST) -n 2 -m 'not dds and not slow and not gpu' $(PYTEST_ARGS)

test-jazzy: ## Run the node tests on ROS 2 Jazzy, in an environment of its own in build/jazzy.
	@export SPEC_VLA_ENV='$(CURDIR)/build/jazzy' SPEC_VLA_ROS=ros-jazzy; \
		scripts/setup_env.sh; $(ACTIVATE); \
		$(PYTEST) -n 3 $(JAZZY_TESTS) -m 'not slow and not alone' $(PYTEST_ARGS) && \
		{ $(PYTEST) $(JAZZY_TESTS) -m 'alone and not slow' $(PYTEST_ARGS) || [ $$? -eq 5 ]; }

test-gpu: ## Run the tests of model and decoding with the Python that is there; needs no ROS.
	@$(or $(PYTHON),python3) scripts/gpu.py --tests $(PYTEST_ARGS)

gpu: ## Run those, then the benchmark's 7B shape, and write results/gpu/gpu.md.
	@$(or $(PYTHON),python3) scripts/gpu.py $(PYTEST_ARGS)

clean: ## Remove what setup made; results/ and work/, which may have taken hours, stay.
	rm -rf .venv .venv-libero build install log *.egg-info
