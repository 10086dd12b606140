# `make demo` and `make test` set up everything they need; Python 3.11 and make are enough.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: demo test check fuzz chaos families rules train-demo clean

demo: $(READY)
	$(BIN)/batchfim demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python requirements/audit.py
	$(BIN)/python -m k8s.checks

# New examples on every run, this many times as many as in `make test`.
fuzz: export BATCHFIM_FUZZ ?= 50
fuzz: $(READY)
	$(BIN)/python -m pytest tests/fuzz --timeout=0

# 200 kills with the simulated engine, then 20 with vLLM: under an hour on two cores.
chaos: $(READY)
	$(BIN)/python -m benchmarks.chaos --kills 200
	$(BIN)/python -m benchmarks.chaos --kills 20 --engine vllm

families: $(READY)
	$(BIN)/batchfim families --markdown > FAMILIES.md

rules: $(READY)
	$(BIN)/python -m k8s.checks.rules > k8s/components/monitoring/rules.yaml

# Two to three hours on two cores; `--model batchfim/demo/model` would replace the shipped model.
train-demo: $(READY)
	$(BIN)/python -m batchfim.demo.training --out train-out --model train-out/model

# The wheels in requirements/ are known to work together; --no-deps keeps out packages that break
# them on CPU (torchvision, torchaudio, torchcodec). If the configured index lacks the CPU build of
# torch, it comes from PyTorch's own index.
$(READY): requirements/cpu.txt requirements/dev.txt requirements/torch-cpu.txt pyproject.toml
	$(PYTHON) -m venv $(VENV) || { echo "no venv module: on Debian or Ubuntu," \
		"apt-get install python3.11-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --no-deps -r requirements/torch-cpu.txt || \
		$(BIN)/pip install --quiet --no-deps -r requirements/torch-cpu.txt --index-url $(TORCH_INDEX)
	$(BIN)/pip install --quiet --no-deps -r requirements/cpu.txt -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) demo-out train-out
