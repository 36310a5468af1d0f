# What a person runs. Every target does its own set-up; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BENCHES := check apply commit crash fanout replay cursors join growth idle rooms operations
NODE_TESTS := $(wildcard tests/interop/*.test.mjs) tests/interop/workloads.mjs
SCENARIOS := $(wildcard tests/scenario/*.mjs)

.PHONY: help run web test sim check audit bench fuzz instructions soak setup test-rust test-interop test-scenario \
	test-client test-browser setup-clients

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start a server for development, on SQLite, with anonymous users and the demo page
	scripts/build-web.sh --if-possible
	cargo run -- serve --dev

web: ## the demo page: web/dist, which the server shows at /
	scripts/build-web.sh

test: setup test-rust test-interop test-scenario test-client test-browser instructions ## everything: Rust tests, real clients on both stores, the TypeScript client in Chromium, instruction counts

test-rust: ## unit tests, contract suites, tidy
	scripts/with-postgres.sh cargo test --no-fail-fast

instructions: ## instruction counts of the hot paths, against those of benches/instructions.rs; ONLY='*::judge::*' for some
	scripts/instructions.sh $(if $(ONLY),'$(ONLY)')

sim: ## very many seeded worlds; SEEDS=N, and SEED_FIRST=N to begin elsewhere
	ROUNDTABLE_SEEDS=$(or $(SEEDS),1000000) ROUNDTABLE_SEED_FIRST=$(or $(SEED_FIRST),0) \
		cargo test --profile fast --test sim ap16 -- --nocapture

test-interop: setup ## real clients against the program, on both stores
	scripts/build-faults.sh
	scripts/with-postgres.sh node --test --test-force-exit --test-concurrency=4 $(NODE_TESTS)

test-scenario: setup ## crashes, faults and storms, on both stores; short forms
	cargo build --bin roundtable --test tidy
	scripts/with-postgres.sh node --test --test-force-exit --test-concurrency=4 $(SCENARIOS)

test-client: setup-clients ## the TypeScript client: build, types, unit tests, size
	cd clients/typescript && npm test

test-browser: setup-clients web ## the TypeScript client and the demo page against the program, in Chromium; ROUNDTABLE_CHROMIUM for another
	npm run --silent --prefix web types
	node --test --test-force-exit --test-concurrency=1 tests/browser/*.test.mjs

# One at a time: what is measured is one server's.
soak: setup ## the scenarios in their long forms; about an hour
	cargo build --bin roundtable --test tidy
	ROUNDTABLE_TEST_ROUNDS=$(or $(SOAK_ROUNDS),100) ROUNDTABLE_TEST_CHURN=$(or $(SOAK_CHURN),1000x600s) \
		scripts/with-postgres.sh node --test --test-force-exit --test-concurrency=1 $(SCENARIOS)

check: ## what a change must pass before it is shown: format, lints, unit tests, tidy
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test --lib --bins
	cargo test --test tidy

audit: ## the dependencies: advisories, licences, bans, sources (cargo-deny; DENY_FLAGS=--offline without a network)
	@cargo deny --version >/dev/null 2>&1 || { echo "audit: needs cargo-deny: cargo install cargo-deny --locked" >&2; exit 1; }
	cargo deny $(DENY_FLAGS) check

bench: ## the figures of benches/, on SQLite and Postgres; some minutes
	scripts/with-postgres.sh cargo bench --profile fast $(BENCHES:%=--bench %)

fuzz: ## every fuzz target for a minute, with AddressSanitizer; FUZZ_SECONDS for longer, FUZZ_TARGETS for some
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),60) $(FUZZ_TARGETS)

setup-clients: ## Node packages of clients/typescript and tests/browser
	scripts/setup-clients.sh

setup: ## Node packages and the Python environment of tests/interop
	scripts/setup-interop.sh
