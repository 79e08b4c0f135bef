# Two commands on a fresh machine: `make report` and `make test`.
PYTHON ?= python3.11
# Another package index, searched before PyPI: TORCH_INDEX=https://download.pytorch.org/whl/cpu takes the CPU-only torch.
TORCH_INDEX ?=
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The run tells what it does; --quiet leaves out Snakemake's own words on each job, and errors stay.
SNAKEMAKE := $(BIN)/snakemake --quiet rules host reason --cores $(CORES)

.PHONY: report test test-workflow test-cluster test-browser test-units lint format docs bench clean
.DEFAULT_GOAL := report

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not on the PATH; install Python 3.11 or set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --index-url $(TORCH_INDEX) $(shell grep -m1 '^torch==' requirements.txt))
	$(BIN)/python -m pip install -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	@touch $@

report: $(READY)
	$(SNAKEMAKE) papers
	@echo "report: $(CURDIR)/results/demo/report/index.html"

# Two at a time, with one thread each: two processes of two threads on two cores are several times slower. The first that
# needs a run of the workflow makes it, in a folder that all of them look at.
test: $(READY)
	@runs=$$(mktemp -d) && trap 'rm -rf "$$runs"' EXIT && REREGISTER_SHARED_RUNS=$$runs OMP_NUM_THREADS=1 \
		$(MAKE) --no-print-directory --jobs 2 --keep-going \
		test-workflow test-units test-browser test-cluster

test-workflow: $(READY)
	$(BIN)/python -m pytest tests/workflow

test-cluster: $(READY)
	$(BIN)/python -m pytest tests/cluster

test-browser: $(READY)
	$(BIN)/python -m pytest tests/browser

test-units: $(READY)
	$(BIN)/python -m pytest tests/unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy
	$(BIN)/python -m reregister.reference --check

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

docs: $(READY)
	$(BIN)/python -m reregister.reference --write

bench: $(READY)
	$(SNAKEMAKE) benchmark

clean:
	rm -rf $(VENV) .snakemake .pytest_cache .mypy_cache .ruff_cache
