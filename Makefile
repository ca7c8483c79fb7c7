# Two commands matter: `make demo` and `make test`. Each makes what it needs in .venv, from locked pins.
# Needed: make, and Python 3.10 to 3.14 (`make PYTHON=python3.12 …` chooses one).

PYTHON ?= python3
MODEL ?= vit_b
PRECISION ?= fp32
ENGINE ?= trt
ARGS ?=
PYTHON_VERSION ?= 3.12
PLATFORM ?= manylinux_2_28_x86_64
EXTRA ?= gpu

PY := .venv/bin/python
GPU_PY := .venv-gpu/bin/python
BOB := .venv/bin/bob
# --no-compile: Python compiles what it imports; pip would compile all of torch first, a third of the installing.
PIP := $(PY) -m pip --disable-pip-version-check --no-input -qq install --no-compile --no-warn-script-location
# A file's tests share what is dear to make, so they stay in one process; in the order of the files, for the long ones come early.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
LOCKED := $(PIP) --require-hashes --no-deps --only-binary :all: -r
COMPILE := uv pip compile -q --universal --python-version 3.10 --generate-hashes \
	--custom-compile-command "make lock" -c requirements/torch.txt pyproject.toml
# The project in an environment, without building it: its folder on Python's path, and the command that pip would make.
define INSTALL_BOB
@echo "$(CURDIR)" >"$$($(1)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/backbones-deployed.pth"
@printf "%s\n" "#!/bin/sh" "'''exec' '$(CURDIR)/$(1)/python' \"\$$0\" \"\$$@\"" "' '''" \
	"# PYTHON_ARGCOMPLETE_OK" "from bench.__main__ import cli" "cli()" >$(1)/bob
@chmod +x $(1)/bob
endef
CPU := --extra demo --excludes requirements/no-cuda.txt --no-emit-package torch
# torch asks for them, and without a GPU only the tests want them: they compile kernels
BINDINGS := --no-emit-package cuda-bindings --no-emit-package cuda-pathfinder

# A user who switches it off (many container images do) would compile every module again in every process.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo battle docs readme run export engine engines rank report test test-slow gpu-check wheels .asked lab lint format bench-self sabotage drift zoo-check lock clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

demo: .venv/demo ## score, time and rank real backbones on real photographs (minutes, no GPU)
	$(BOB) run $(ARGS)

battle: .venv/demo ## the large sweep: every backbone with real weights, engine, precision and task (about an hour, no GPU)
	$(BOB) run --config bench/sweep/battle.yaml --out battle $(ARGS)

run: .venv/demo ## a sweep of your own: make run ARGS="--engines ort --models vit_s --data ~/photos"
	$(BOB) run $(ARGS)

export: .venv/demo ## export one backbone to ONNX: make export MODEL=vit_b PRECISION=int8 ARGS="--out exported"
	$(BOB) export $(MODEL) --precisions $(PRECISION) $(ARGS)

engine: .venv/dev ## build one engine plan: make engine MODEL=vit_b ENGINE=trt-rtx PRECISION=int8 ARGS="--targets 8.6"
	$(PY) -m engines.build $(MODEL) --engines $(ENGINE) --precisions $(PRECISION) $(ARGS)

engines: .venv/demo ## what this machine can run, and what would enable the rest
	$(BOB) engines $(ARGS)

rank: .venv/demo ## rank what was measured, as a table: make rank ARGS="--json"
	$(BOB) rank $(ARGS)

report: .venv/demo ## write the HTML report of what was measured
	$(BOB) report $(ARGS)

test: .venv/dev ## the fast tests: make test ARGS="tests/bench -k clock"
	$(PY) -m pytest -m "not slow" $(PARALLEL) $(ARGS)

test-slow: .venv/dev ## the slow tests (real weights, whole sweeps)
	$(PY) -m pytest -m slow $(PARALLEL) $(ARGS)

gpu-check: .venv-gpu/made ## on a machine with an NVIDIA GPU: its tests and figures in five steps: make gpu-check ARGS="--minutes 12"
	$(GPU_PY) -m bench.gpu_check $(ARGS)

wheels: .asked .venv/demo ## download wheels for a machine without a network: make wheels DEST=folder
	$(PY) -m requirements.wheels "$(DEST)" --python-version $(PYTHON_VERSION) --platform $(PLATFORM) \
	    --requirements requirements/$(EXTRA).txt

.asked:
	@test -n "$(DEST)" || { echo "error: make wheels needs a folder. Try: make wheels DEST=folder" >&2; exit 2; }

lint: .venv/dev ## ruff, mypy --strict, and the import rules
	.venv/bin/ruff check -q .
	.venv/bin/ruff format --check -q .
	$(PY) -m mypy
	.venv/bin/lint-imports

format: .venv/dev ## format the code with ruff
	.venv/bin/ruff check -q --fix .
	.venv/bin/ruff format -q .

lab: .venv/dev ## what a different resize changes, in pixels, features, accuracy and time: make lab ARGS="--models vit_s"
	$(PY) -m bench.lab $(ARGS)

bench-self: .venv/dev ## the overhead of the harness, as ratios measured side by side
	$(PY) -m bench.figures $(ARGS)

sabotage: .venv/dev ## inject every known trap into the harness, which has to catch it: make sabotage ARGS="zeros"
	$(PY) -m bench.sabotage $(if $(ARGS),,--markdown docs/traps.md) $(ARGS)

drift: .venv/dev ## what an update of an engine's library changes: make drift ARGS="--engines ort --before onnxruntime=1.23.2"
	$(PY) -m bench.drift $(if $(ARGS),,--markdown docs/drift.md) $(ARGS)

zoo-check: .venv/dev ## export every network of the zoo, and compare two engines with PyTorch: make zoo-check ARGS="--models vit_s"
	$(PY) -m bench.zoo_check $(if $(ARGS),,--markdown docs/zoo.md) $(ARGS)

docs: .venv/demo ## write docs/sweep.md from the declaration of a sweep's fields
	$(PY) -m bench.sweep.document >docs/sweep.md

readme: .venv/dev ## write picture, verdict and table of the published records into README.md and docs
	$(PY) -m bench.readme

lock: ## resolve the pinned versions again (needs uv; UPGRADE=-U upgrades)
	$(COMPILE) $(UPGRADE) $(CPU) $(BINDINGS) -o requirements/cpu.txt
	$(COMPILE) $(UPGRADE) $(CPU) --extra dev -c requirements/cpu.txt -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) --extra gpu -o requirements/gpu.txt
	$(COMPILE) $(UPGRADE) requirements/edge.in --extra cpu --extra litert --extra openvino --excludes requirements/edge-without.txt \
	    -c requirements/cpu.txt -o requirements/edge.txt

clean: ## remove .venv, .venv-gpu and caches; results/ stays
	rm -rf .venv .venv-gpu build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# -- the environment, made on demand ----------------------------------------------------------------------------

.venv/made:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 15) else \
	    "Python 3.10 to 3.14 is needed; $(PYTHON) is %d.%d.\nTry: make PYTHON=python3.12" % v[:2])'
	@echo "making .venv with $(PYTHON)" >&2
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/bin/bob: .venv/made
	$(call INSTALL_BOB,.venv/bin)

# The hashed pins first: torch then finds its own dependencies met, and pip adds only what its build for this
# machine still asks for (nothing, where pip is pointed at a build without CUDA).
.venv/demo: .venv/made requirements/cpu.txt requirements/torch.txt | .venv/bin/bob
	@echo "installing requirements/cpu.txt" >&2
	@$(LOCKED) requirements/cpu.txt
	@echo "installing $$(cat requirements/torch.txt)" >&2
	@$(PIP) -r requirements/torch.txt
	@touch $@

.venv/dev: .venv/demo requirements/dev.txt
	@echo "installing requirements/dev.txt" >&2
	@$(LOCKED) requirements/dev.txt
	@touch $@

# Apart from .venv: onnxruntime and onnxruntime-gpu break each other. Nothing is installed where there is no driver.
.venv-gpu/made: requirements/gpu.txt
	@$(PYTHON) -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null || { \
	    echo "error: This machine has no NVIDIA driver (libcuda.so.1)." >&2; \
	    echo "Try: make gpu-check on a machine with an NVIDIA GPU; make test needs none" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 10) <= sys.version_info < (3, 14) else \
	    "error: TensorRT 10 has no wheel for Python %d.%d.\nTry: make gpu-check PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv-gpu
	@echo "installing requirements/gpu.txt (gigabytes)" >&2
	@$(GPU_PY) -m pip --disable-pip-version-check --no-input -qq install --no-compile --require-hashes -r requirements/gpu.txt
	@sed -n 's/ *\\$$//; /^[a-z0-9].*==/p' requirements/dev.txt >.venv-gpu/versions.txt
	@$(GPU_PY) -m pip --disable-pip-version-check --no-input -qq install --no-compile -c .venv-gpu/versions.txt pytest hypothesis tomli
	$(call INSTALL_BOB,.venv-gpu/bin)
	@touch $@
