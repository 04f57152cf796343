# Everything a contributor runs. `make help` lists it; continuous integration runs `make test` and nothing else.

SHELL      := /bin/bash
GO         ?= go
VERSION    := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
# One variable of the program is set by the linker; stamping by go itself is off, so that a build is the same anywhere.
BUILDFLAGS := -buildvcs=false
LDFLAGS    := -X main.version=$(VERSION)
TARGETS    := linux/amd64/tributary-linux-amd64 linux/arm64/tributary-linux-arm64 linux/arm/tributary-linux-armv7 windows/amd64/tributary-windows-amd64.exe

GOFUMPT     := .tools/gofumpt@v0.12.0/gofumpt
STATICCHECK := .tools/staticcheck@v0.8.2/staticcheck

# sim: SEEDS runs from seed START on; by default seeds of any world that nobody has tried (from 500000000 on they edit fields, from 1000000000 on they play one world). fuzz: time for each target.
SEEDS    ?= 1000
START    := $(or $(START),$(shell expr $$(date +%s) % 400000000))
FUZZTIME ?= 20s
# bench: number of rows of the big store. demo: arguments, such as ARGS="--once".
SIZE     ?=
ARGS     ?=

.PHONY: help demo build test setup check lint vet sim mutants browser bench fuzz dist clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

demo: build ## four nodes in one process, with dashboards (ARGS="--once" ends by itself)
	bin/tributary demo $(ARGS)

build: ## bin/tributary
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -ldflags "$(LDFLAGS)" -o bin/tributary ./cmd/tributary

test: ## everything, on both databases; installs what it needs on Debian
	@scripts/test.sh

setup: ## only install what the tests need
	@scripts/setup-test.sh

check: lint vet ## formatting, vet, staticcheck, and the rules of ARCHITECTURE.md
	$(GO) test -count=1 ./internal/archtest

lint: $(GOFUMPT) $(STATICCHECK)
	@files=$$(find . \( -name '.?*' -o -name node_modules -o -name testdata \) -prune -o -name '*.go' -print); \
	 bad=$$($(GOFUMPT) -l $$files) || exit 1; \
	 if [ -n "$$bad" ]; then echo "not formatted, run $(GOFUMPT) -w on:"; echo "$$bad"; exit 1; fi
	$(STATICCHECK) ./...

vet:
	$(GO) vet ./...

$(GOFUMPT):
	GOBIN=$(CURDIR)/$(@D) $(GO) install mvdan.cc/gofumpt@v0.12.0

$(STATICCHECK):
	GOBIN=$(CURDIR)/$(@D) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2

sim: ## the simulator for long: SEEDS=1000 START=1
	@echo "seeds $(START) and the $(SEEDS) from there on"
	SEEDS=$(SEEDS) START=$(START) $(GO) test ./internal/simnet -run '^TestSimLong$$' -count=1 -timeout 0 -v

mutants: ## deliberate bugs that the simulator has to find
	$(GO) test ./internal/simnet -run '^TestMutants$$' -count=1 -timeout 0 -v -mutants=search

browser: setup ## every page in a browser: 4 languages, light and dark, phone and desk; pictures in screenshots/
	BROWSER=all $(GO) test ./internal/browsertest -count=1 -timeout 0 -v

bench: setup ## the promised figures, measured (SIZE=1000000 for the million)
	SIZE=$(SIZE) scripts/bench.sh

fuzz: ## every fuzz target for FUZZTIME=20s each
	FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

dist: ## static binaries for four platforms, with checksums
	rm -rf dist && mkdir dist
	@set -e; for t in $(TARGETS); do IFS=/ read -r os arch name <<<"$$t"; echo "$$name"; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch GOARM=7 $(GO) build -trimpath $(BUILDFLAGS) -ldflags "-s -w $(LDFLAGS)" -o dist/$$name ./cmd/tributary; done
	cd dist && sha256sum tributary-* > SHA256SUMS && cat SHA256SUMS

clean: ## remove what was built (not .cache and .tools, which were downloaded)
	rm -rf bin dist screenshots
