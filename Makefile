# rollcall: `make run` to try it, `make test` to check it, `make help` for the rest.

SHELL    := bash
BIN      := $(CURDIR)/bin
PREFIX   ?= $(HOME)/.local
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
MODULES  := . cmd/rollcall-drill
RACE     ?=
SCENARIO ?= prompt-regression
SPEED    ?= 10
STACK    := $(BIN)/stack
TOOL     := go tool -modfile=$(CURDIR)/.ci/tools/go.mod
export CGO_ENABLED := 1

.DEFAULT_GOAL := help
.PHONY: help run build install test integration lint fmt bench clean need-tools need-terminal FORCE

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

run: need-terminal build ## build, then practise on the simulated service (SCENARIO=, SPEED=)
	@exec $(BIN)/rollcall drill $(SCENARIO) --speed $(SPEED)

build: $(BIN)/rollcall $(BIN)/rollcall-drill ## both binaries into bin/

# A cold build fetches some 200 modules and compiles some 1,500 packages; one line that counts says that it is alive.
define PROGRESS
{ d=0; n=0; while IFS= read -r line; do \
  case "$$line" in \
    "go: downloading "*) d=$$((d+1)) ;; \
    ""|*[!a-zA-Z0-9._/@-]*) printf '%s\n' "$$line"; continue ;; \
    *) n=$$((n+1)) ;; \
  esac; \
  if [ -t 1 ] && [ $$(((d+n) % 5)) = 0 ]; then printf '\rbuilding $(notdir $@): %d modules fetched, %d packages compiled ' $$d $$n; fi; \
done; if [ -t 1 ] && [ $$((d+n)) -gt 4 ]; then printf '\n'; fi; }
endef

$(BIN)/rollcall: need-tools FORCE
	@mkdir -p $(BIN)
	@set -o pipefail; go build -v -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/rollcall 2>&1 | $(PROGRESS)

$(BIN)/rollcall-drill: need-tools FORCE
	@mkdir -p $(BIN)
	@set -o pipefail; cd cmd/rollcall-drill && go build -v -trimpath -ldflags '$(LDFLAGS)' -o $@ . 2>&1 | $(PROGRESS)

FORCE:

install: build ## both binaries side by side into PREFIX/bin (default ~/.local/bin)
	@install -d $(DESTDIR)$(PREFIX)/bin
	@install -m 755 $(BIN)/rollcall $(BIN)/rollcall-drill $(DESTDIR)$(PREFIX)/bin/
	@echo "installed rollcall and rollcall-drill in $(DESTDIR)$(PREFIX)/bin"

test: build ## all tests of all modules (RACE=-race for the race detector)
	@for m in $(MODULES); do (cd $$m && ROLLCALL_BIN=$(BIN) go test $(RACE) -timeout 40m ./...) || exit 1; done

integration: build $(STACK)/prometheus $(STACK)/alertmanager $(STACK)/jaeger ## the contracts against real servers, built once (ROLLCALL_LOKI_URL= adds a Loki of yours)
	@ROLLCALL_BIN=$(BIN) ROLLCALL_STACK=$(STACK) go test $(RACE) -count=1 -timeout 20m -run 'Contract|Credentials' ./cmd/rollcall/e2e ./sources/loki ./sources/jaeger ./sources/tempo

# The real servers, of the versions that testdata/stack/go.mod pins. Prometheus needs no discovery here.
STACKMODS := testdata/stack/go.mod testdata/stack/go.sum
VERSIONOF  = $$(cd testdata/stack && go list -m -f '{{.Version}}' github.com/prometheus/$(1))
SETVERSION = -X github.com/prometheus/common/version.Version=$(1)

$(STACK)/prometheus: $(STACKMODS) | need-tools
	@mkdir -p $(STACK)
	@set -o pipefail; v=$(call VERSIONOF,prometheus); cd testdata/stack && go build -v -tags remove_all_sd -ldflags "-s -w $(call SETVERSION,$$v)" \
		-o $@ github.com/prometheus/prometheus/cmd/prometheus 2>&1 | $(PROGRESS)

# The module of Alertmanager lacks the pages that its own build compiles and embeds, so a copy of it gets
# empty ones; and it does not build with the libraries of Prometheus, so the copy keeps its own go.mod.
$(STACK)/alertmanager: $(STACKMODS) | need-tools
	@rm -rf $(STACK)/alertmanager.src && mkdir -p $(STACK)
	@cd testdata/stack && go mod download github.com/prometheus/alertmanager && cp -r "$$(go list -m -f '{{.Dir}}' github.com/prometheus/alertmanager)" $(STACK)/alertmanager.src
	@chmod -R u+w $(STACK)/alertmanager.src
	@for ui in elm mantine; do mkdir -p $(STACK)/alertmanager.src/ui/app/dist/$$ui && echo '<!doctype html>' > $(STACK)/alertmanager.src/ui/app/dist/$$ui/index.html; done
	@set -o pipefail; v=$(call VERSIONOF,alertmanager); cd $(STACK)/alertmanager.src && go build -v -buildvcs=false -ldflags "-s -w $(call SETVERSION,$$v)" \
		-o $@ ./cmd/alertmanager 2>&1 | $(PROGRESS)
	@rm -rf $(STACK)/alertmanager.src

$(STACK)/jaeger: testdata/stack/jaeger/go.mod testdata/stack/jaeger/go.sum | need-tools
	@mkdir -p $(STACK)
	@set -o pipefail; cd testdata/stack/jaeger && v=$$(go list -m -f '{{.Version}}' github.com/jaegertracing/jaeger) && \
		go build -v -ldflags "-s -w -X github.com/jaegertracing/jaeger/internal/version.latestVersion=$$v" -o $@ github.com/jaegertracing/jaeger/cmd/jaeger 2>&1 | $(PROGRESS)

lint: need-tools ## format check, vet and the linter, all modules
	@out=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted (make fmt mends it):"; echo "$$out"; exit 1; fi
	@for m in $(MODULES); do (cd $$m && go vet ./... && $(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

fmt: need-tools ## format all Go files
	@$(TOOL) gofumpt -w $$(git ls-files '*.go')

bench: build ## the figures of the README, measured here
	@for m in $(MODULES); do (cd $$m && ROLLCALL_BIN=$(BIN) go test -run '^$$' -bench . -benchmem -timeout 60m ./... | grep -vE '^(ok|\?|PASS)|no test files') || exit 1; done

clean: ## remove bin/
	rm -rf $(BIN)

need-tools:
	@command -v go >/dev/null || { echo "Go is missing. Install Go 1.26 or newer (https://go.dev/dl) and run make again." >&2; exit 2; }
	@command -v $${CC:-$$(go env CC)} >/dev/null || { echo "A C compiler is missing (SQLite needs one). Install gcc or clang, or set CC, and run make again." >&2; exit 2; }

need-terminal:
	@test -t 0 && test -t 1 || { echo "make run needs a terminal. Without one: make build, then bin/rollcall drill --headless --for 60s" >&2; exit 2; }
