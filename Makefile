# The two commands that matter: `make bench` and `make test`. Each sets everything up first.
.PHONY: help setup bench test test-slow lint format docs pins results clean
.DEFAULT_GOAL := help
BENCH_DIR ?= work/synthped-quick
# Dozens of processes import torch: where bytecode is not written, each compiles thousands of files anew.
unexport PYTHONDONTWRITEBYTECODE
PY := .venv/bin/python -W ignore

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

setup:  ## make .venv with everything in it (returns at once when it is there)
	@bash tools/install.sh

bench: setup  ## from nothing to the table: render, label, pre-train, transfer, report (5 to 9 minutes on 2 cores; goes on where it was)
	@.venv/bin/clasp-bench suite configs/suites/synthped-quick.yaml --work $(BENCH_DIR)

test: setup  ## all tests but the slow ones, a process and a thread a core
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist loadfile

test-slow: setup  ## the proofs that take minutes
	@$(PY) -m pytest -m slow

results: setup  ## make the tables and plots in results/ and in the README anew from the records
	@$(PY) -m clasp_bench report results --fill README.md

lint: setup  ## check style
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

format: setup  ## mend style
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

docs: setup  ## build the documentation into site/; a broken link fails
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build -q --strict

pins: setup  ## compile requirements.in into requirements.txt
	@.venv/bin/uv pip compile requirements.in --universal --python-version 3.10 --override tools/overrides.txt --no-build-isolation \
	  --python .venv/bin/python --no-annotate --no-header -q -o requirements.txt
	@sed -i '1i # Exact pins for Python 3.10 to 3.12, compiled from requirements.in by `make pins`. tools/install.sh installs them in an order that works.' requirements.txt

clean:  ## remove what the benchmark made
	rm -rf $(BENCH_DIR)
