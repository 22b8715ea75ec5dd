# Each target that runs something first brings .venv up to date, which takes no time when it is.

BIN := .venv/bin
PYTHON_FILES := $(wildcard dynvision tests benchmarks)
SNAKEMAKE_FILES = Snakefile $(wildcard workflow/rules/*.smk workflow/*.smk)
CHECKS := check-lint check-format check-types check-snakefiles check-workflow check-spelling check-generated

# One process a core, each with the files of tests that it takes; make test PARALLEL= runs them one after the other.
PARALLEL := -n auto --maxprocesses 8 --dist loadfile

# What a change is first tried on: a file or two of each part, those that compare with a closed form or a plain loop.
CORE := $(addprefix tests/,test_units.py test_registry.py test_text.py test_imports.py \
	config/test_aliases.py config/test_bad_input.py config/test_generated.py config/test_modes.py \
	config/test_run_identity.py config/test_sweeps.py config/test_yaml.py base/test_engine.py base/test_solvers.py \
	base/test_time.py losses stimuli data/test_operations.py data/test_splits.py analysis/test_measures.py \
	analysis/test_trace_measures.py)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-core test-all test-gpu test-cluster check $(CHECKS) format docs gallery notebooks lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

install: ## make .venv with everything at its tested version
	@scripts/install.sh

demo: install ## train DyRCNNx4, run the contrast experiment, write the report
	@echo "demo: training DyRCNNx4 and running the contrast experiment"
	$(BIN)/snakemake --config model_name=DyRCNNx4 experiment=contrast
	@echo "demo: done; the report is in results/report.html"

test: install ## run the tests, except slow ones
	@echo "test: running the tests, except those marked slow or cluster"
	@$(BIN)/python -m pytest -m "not slow and not cluster" $(PARALLEL)

test-core: install ## run the tests of the core, in less than a minute
	@echo "test-core: running a file or two of each part"
	@$(BIN)/python -m pytest -q -m "not slow and not cluster" $(PARALLEL) $(CORE)

test-all: install ## run the tests, slow ones too
	@echo "test-all: running the tests, except those marked cluster"
	@$(BIN)/python -m pytest -m "not cluster" $(PARALLEL)

test-gpu: install ## run the tests that need a GPU
	@echo "test-gpu: running the tests marked gpu"
	@$(BIN)/python -m pytest -m gpu

test-cluster: install ## run the tests that need a SLURM cluster
	@echo "test-cluster: running the tests marked cluster"
	@$(BIN)/python -m pytest -m cluster

check: $(CHECKS) ## run every check below (make -k check goes on after one that fails)
	@echo "check: all passed"

check-lint: install ## ruff's rules
	@echo "check: ruff's rules"
	@$(BIN)/ruff check $(PYTHON_FILES)

check-format: install ## ruff's format
	@echo "check: ruff's format"
	@$(BIN)/ruff format --check $(PYTHON_FILES)

check-types: install ## types in the package, with mypy
	@echo "check: types in the package"
	@$(BIN)/mypy

check-snakefiles: install ## snakefmt's format
	@echo "check: snakefmt's format"
	@$(BIN)/snakefmt --check $(SNAKEMAKE_FILES)

check-workflow: install ## snakemake's own lint
	@echo "check: snakemake's lint"
	@$(BIN)/python scripts/lint_workflow.py

check-spelling: install ## codespell
	@echo "check: spelling"
	@$(BIN)/codespell

check-generated: install ## generated files agree with the schemas
	@echo "check: generated files agree with the schemas"
	@$(BIN)/dynvision config sync --check

format: install ## put all files in the format that check asks for
	@echo "format: ruff and snakefmt"
	@$(BIN)/ruff check --fix --exit-zero $(PYTHON_FILES)
	@$(BIN)/ruff format $(PYTHON_FILES)
	@$(BIN)/snakefmt $(SNAKEMAKE_FILES)

docs: install ## build the documentation into site/
	@echo "docs: building the documentation"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "docs: done; open site/index.html"

gallery: install ## draw the gallery of the documentation from the results of make demo
	@echo "gallery: drawing figures into docs/figures/gallery"
	@$(BIN)/python scripts/gallery.py

notebooks: install ## execute the notebooks of the tutorials and keep their outputs
	@echo "notebooks: executing the tutorials"
	@$(BIN)/python scripts/notebooks.py

lock: ## rewrite requirements.lock after a change of the requirements in pyproject.toml
	@echo "lock: resolving the requirements"
	@scripts/update_lock.sh

clean: ## remove .venv and all caches; results/ stays
	@echo "clean: removing .venv, caches and build files; results/ stays"
	@rm -rf .venv .install.lock *.egg-info build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
