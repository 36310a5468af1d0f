# What a person runs. Every target does its own set-up; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BENCHES := check apply commit fanout replay
NODE_TESTS := $(wildcard tests/interop/*.test.mjs) tests/interop/workloads.mjs
SCENARIOS := $(wildcard tests/scenario/*.mjs)

.PHONY: help run test check bench fuzz soak setup test-rust test-interop test-scenario

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start a server for development, on SQLite, with anonymous users
	cargo run -- serve --dev

test: setup test-rust test-interop test-scenario ## everything: Rust tests, then real clients on both stores

test-rust: ## unit tests, contract suites, tidy
	scripts/with-postgres.sh cargo test --no-fail-fast

test-interop: setup ## real clients against the program, on both stores
	cargo build
	scripts/with-postgres.sh node --test --test-concurrency=2 $(NODE_TESTS)

test-scenario: setup ## crashes, faults and storms, on both stores; short forms
	cargo build
	scripts/with-postgres.sh node --test --test-concurrency=2 $(SCENARIOS)

# One at a time: what is measured is one server's.
soak: setup ## the scenarios in their long forms; about an hour
	cargo build
	ROUNDTABLE_TEST_ROUNDS=$(or $(SOAK_ROUNDS),100) ROUNDTABLE_TEST_CHURN=$(or $(SOAK_CHURN),1000x600s) \
		scripts/with-postgres.sh node --test --test-concurrency=1 $(SCENARIOS)

check: ## what a change must pass before it is shown: format, lints, unit tests, tidy
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test --lib --bins
	cargo test --test tidy

bench: ## the figures of benches/, on SQLite and Postgres; some minutes
	scripts/with-postgres.sh cargo bench --profile fast $(BENCHES:%=--bench %)

fuzz: ## every fuzz target for a minute (nightly and cargo-fuzz); FUZZ_SECONDS for longer
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

setup: ## Node packages and the Python environment of tests/interop
	scripts/setup-interop.sh
