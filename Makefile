# Every command for people. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PYTHON ?=
# Progress lines of all scripts and programs count the seconds from here.
export REBAKE_BEGAN := $(shell date +%s)
PY := PYTHONPATH=plugins:. .venv/bin/python
STACK := $(PY) -m stack

# Settings of a target, given as NAME=value.
VERSION ?=
SERVICE ?=
FORMAT ?= text
COMPONENT ?=
RATE ?= 50
TESTS ?= tests
COMMIT ?=
BUILD_ID ?=
AMI_ID ?=
FORCE_BAKE ?=
ONLY ?=
TO ?=
OF ?=
AMI ?=
REASON ?=
UNDO ?=
export ENFORCE ?=
KIND ?=
CASES ?=
KEEP ?=
CALLS ?= 10000

.PHONY: help
help: ## list the targets
	@echo "make TARGET [NAME=value...]"; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
	  printf '  %-12s %s\n' "$${target// /}" "$$text"; done

.PHONY: setup
setup: ## install what is missing: tools, Python packages, the instances' operating system image
	@setup/setup.sh
	@$(STACK) image

.PHONY: tools
tools:
	@setup/setup.sh

.PHONY: demo
demo: tools ## deploy 1.0.0, then roll 1.1.0 out under load (RATE=50 requests a second)
	@$(STACK) demo --rate $(RATE)

.PHONY: demo-estate
demo-estate: tools ## rebuild a base that two services bake on, retire images, repair drift, revoke an image
	@$(STACK) demo-estate

.PHONY: fidelity
fidelity: tools ## ask the embedded cloud what AWS does, and write the answers into docs/localcloud-coverage.md
	@$(PY) -m pytest tests/fidelity --write-facts --deselect tests/fidelity/test_document.py

.PHONY: fuzz
fuzz: tools ## send random requests to the embedded cloud, which must answer each as AWS could (CALLS=10000)
	@REBAKE_FUZZ_CALLS="$(CALLS)" $(PY) -m pytest tests/localcloud/test_fuzz.py --capture=no

.PHONY: up
up: tools ## start the embedded cloud and Airflow (ENFORCE=1: policies are enforced)
	@$(STACK) up

.PHONY: down
down: ## stop everything and check that nothing is left running
	@if [ -x .venv/bin/python ]; then $(STACK) down; else echo "nothing was ever set up here"; fi

.PHONY: clean
clean: ## down, and remove everything that make has put into this folder
	@if [ -x .venv/bin/python ]; then $(STACK) clean; else rm -rf .rebake .venv build; fi

.PHONY: artifact
artifact: tools ## build build/webapp-VERSION.tar.gz (VERSION=1.2.3, SERVICE=pages for the other example)
	@test -f "examples/$(or $(SERVICE),webapp)/build.py" || { \
	  echo "error: no example '$(SERVICE)': one of $(patsubst examples/%/build.py,%,$(wildcard examples/*/build.py))" >&2; exit 1; }
	@$(PY) -m "examples.$(or $(SERVICE),webapp).build" "$(VERSION)"

.PHONY: deploy
deploy: ## deploy VERSION=1.2.3 and watch (SERVICE= COMMIT= BUILD_ID= AMI_ID= FORCE_BAKE=1)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) deploy "$(VERSION)" $(if $(SERVICE),--service "$(SERVICE)") $(if $(COMMIT),--commit "$(COMMIT)") \
	  $(if $(BUILD_ID),--build-id "$(BUILD_ID)") $(if $(AMI_ID),--ami-id "$(AMI_ID)") $(if $(FORCE_BAKE),--force-bake)

.PHONY: rollback
rollback: ## roll back and watch; to the release before, or TO=<release id | version | ami-...> (SERVICE=)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) rollback $(if $(TO),--to "$(TO)") $(if $(SERVICE),--service "$(SERVICE)")

.PHONY: revoke
revoke: ## forbid releases of AMI=ami-... and of all baked on it, REASON='...' (UNDO=1 allows them again)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) revoke '$(subst ','\'',$(AMI))' $(if $(REASON),--reason='$(subst ','\'',$(REASON))') $(if $(UNDO),--undo)

.PHONY: lineage
lineage: ## print a release's whole record, OF=<commit | version | release id | ami-... | refresh id | i-...> (FORMAT=json SERVICE=)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) lineage "$(OF)" --format "$(FORMAT)" $(if $(SERVICE),--service "$(SERVICE)")

.PHONY: status
status: ## print what runs: Airflow, the embedded cloud, each service (FORMAT=json)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) status --format "$(FORMAT)"

.PHONY: report
report: ## print the newest report on the estate, KIND=<retire-images | orphans | drift | rebake> (FORMAT=json|html)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) report "$(KIND)" --format "$(FORMAT)"

# All that was given on make's command line, so that a misspelt name is refused and not ignored.
given = $(foreach name,$(sort $(.VARIABLES)),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))

.PHONY: fault
fault: ## make the embedded cloud fail (KIND= and more, LIST=1, CLEAR=1; see docs/faults.md)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) fault $(foreach name,$(filter-out PYTHON,$(given)),'$(name)=$(subst ','\'',$($(name)))')

.PHONY: logs
logs: ## print the end of the services' logs (COMPONENT=scheduler for one)
	@test -x .venv/bin/python || { echo "error: nothing runs here: make up starts it" >&2; exit 1; }
	@$(STACK) logs $(COMPONENT)

.PHONY: test
test: tools ## run the tests (TESTS="tests/unit -k name" for some, ENFORCE=1: policies are enforced)
	@.ci/test $(TESTS)

.PHONY: lint
lint: ## check the code: ruff, mypy, terraform, packer, shellcheck
	@setup/setup.sh shellcheck
	@.ci/lint

.PHONY: prove
prove: tools ## put every promise about rollouts to the test under load, and write docs/proof.md (CASES="alarm good-3", KEEP=1)
	@$(PY) -m prove $(CASES) $(if $(KEEP),--keep)

.PHONY: bench
bench: tools ## measure, and write benchmarks/results.md (ONLY=<demo | estate | parse> for a part)
	@$(PY) -m benchmarks.run $(if $(ONLY),--only "$(ONLY)")

.PHONY: lock
lock: tools ## recompile requirements.lock
	@UV_CACHE_DIR=.rebake/cache/uv .rebake/uv/bin/uv pip compile --quiet requirements.txt requirements-dev.txt \
	  --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -o requirements.lock
