# One word a job; each installs what it needs first. See CONTRIBUTING.md.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PROTOS := $(sort $(wildcard proto/trafficd/api/v1/*.proto))

.PHONY: dashboards demo test check bench roce lab-ib figures paper soak proto format clean system manifests images
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml tools/venv.sh
	@PYTHON=$(PYTHON) tools/venv.sh $(VENV)

system: ## install the Debian packages that demo and test use (root only)
	@tools/system.sh

.tools/bin/helm: tools/helm.sh
	@tools/helm.sh .tools

manifests: $(VENV)/.installed .tools/bin/helm ## render deploy/base and deploy/overlays from the Helm chart
	@$(BIN)/python tools/manifests.py .tools/bin/helm

dashboards: $(VENV)/.installed ## write dashboards/*.json from tools/dashboards; make manifests takes them into the chart
	@$(BIN)/python tools/dashboards

images: $(VENV)/.installed system ## build both container images and start what they hold (root, buildah)
	@$(BIN)/python tests/images/prove.py

demo: $(VENV)/.installed system ## run the main job in network namespaces and print one table
	@$(BIN)/python tests/demo/run.py

test: $(VENV)/.installed system .tools/bin/helm ## every test but the slow ones
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed ## format, lint, types, import rules, wire contract, generated code
	@tools/check.sh $(BIN)

lab-ib: $(VENV)/.installed system ## a simulated InfiniBand fat tree to look at: SPINES=2 LEAVES=2 ADAPTERS=4
	@$(BIN)/python tests/demo/subnet.py --spines $(or $(SPINES),2) --leaves $(or $(LEAVES),2) --adapters $(or $(ADAPTERS),4)

bench: $(VENV)/.installed system ## figures as ratios, medians of 5
	@$(BIN)/python tests/bench/run.py

roce: $(VENV)/.installed system ## RDMA in lanes and 500 random states of a DCB device, in a guest kernel
	@TRAFFICD_DCB_PAIRS=500 TRAFFICD_RDMA_SECONDS=15 $(BIN)/python -m pytest -q -rP -o python_files="test_*.py long_*.py" tests/guest -k "rdma or lldpad or pairs or notification"

soak: $(VENV)/.installed ## the cluster in any order of events, for SOAK_MINUTES (60)
	@SOAK_MINUTES=$${SOAK_MINUTES:-60} $(BIN)/python -m pytest -q tests/property

figures: $(VENV)/.installed ## the figures of path choice; long, and kept in .figures.json from run to run
	@$(BIN)/python tests/bench/choice.py

paper: $(VENV)/.installed ## docs/paper.md: the paper's figures beside ours; long, and kept in .paper.json from run to run
	@$(BIN)/python tests/bench/paper.py

proto: $(VENV)/.installed ## regenerate trafficd/api from proto/
	@tools/proto.sh .

format: $(VENV)/.installed ## format in place
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format -q .

clean: ## remove virtual environments and caches
	rm -rf .venv* .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
