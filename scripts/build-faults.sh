#!/usr/bin/env bash
# Owns the program of the containment tests: with faults that updates may carry, in a place of its own. Then the
# ordinary one is built again, so that nobody takes the one for the other. Both are built beside a test, with the features
# that tests ask of dependencies: otherwise `cargo test` and this would each build half of the dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --features fault-injection --bin roundtable --test tidy
mkdir -p "$target/fault-injection"
# When nothing was built anew both are one file, which mv would refuse.
rm -f "$target/fault-injection/roundtable"
mv "$target/debug/roundtable" "$target/fault-injection/roundtable"
cargo build --bin roundtable --test tidy
