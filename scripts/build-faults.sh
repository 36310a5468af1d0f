#!/usr/bin/env bash
# Owns the program of the containment tests: with faults that updates may carry, in a place of its own. Then the
# ordinary one is built again, so that nobody takes the one for the other.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --features fault-injection
mkdir -p "$target/fault-injection"
mv "$target/debug/roundtable" "$target/fault-injection/roundtable"
cargo build
