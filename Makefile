# Thin doors to scripts/ and playbooks/. `make help` lists them.
export FLAVOR ?= python
export ADDONS ?= code-server
export TIER ?= builder
export NAME
export PURGE

.DEFAULT_GOAL := help


.PHONY: up
up: ## Bring up a workspace: FLAVOR=python ADDONS=code-server TIER=builder NAME=demo
	@scripts/up.sh

.PHONY: down
down: ## Remove a workspace: NAME=demo, PURGE=1 for its volumes too
	@scripts/down.sh

.PHONY: test
test: ## Everything: lint, sanity, unit, images, integration
	@scripts/test.sh

.PHONY: lint
lint: ## Static checks
	@scripts/lint.sh

.PHONY: sanity
sanity: ## ansible-test sanity
	@scripts/sanity.sh

.PHONY: unit
unit: ## Unit tests, no engine needed
	@scripts/unit.sh

.PHONY: integration
integration: ## Tests on the real engine, without those of the images
	@scripts/integration.sh tests/integration

.PHONY: test-images
test-images: ## Build the catalogue, test its images, and write docs/image-sizes.md: CODEOPEN_LEAVE_OUT="gcloud …"
	@scripts/test-images.sh

.PHONY: test-hosts
test-hosts: ## The engine on other hosts, and a cluster: systemd, sudo, Docker's repository, GPUs, Swarm
	@scripts/integration.sh tests/integration/hosts tests/integration/cluster

.PHONY: test-molecule
test-molecule: ## Molecule's scenarios
	@scripts/test-molecule.sh

.PHONY: test-gpu
test-gpu: ## The true test of GPUs, on a machine that has one
	@scripts/test-gpu.sh

.PHONY: test-faults
test-faults: ## The long matrix of faults of workspaces
	@scripts/integration.sh -m faults tests/integration

.PHONY: bench
bench: ## The figures, as a table
	@scripts/bench.sh

.PHONY: outdated
outdated: ## Pinned tools that have newer versions
	@scripts/venv.sh
	@.venv/bin/python scripts/outdated.py

.PHONY: build-collection
build-collection: ## The artifact, into .build/
	@scripts/build-collection.sh

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
