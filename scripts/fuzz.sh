#!/usr/bin/env bash
# Owns a run of every fuzz target for some seconds each.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}

cargo +nightly --version >/dev/null 2>&1 || { echo "fuzz: needs a nightly toolchain: rustup toolchain install nightly" >&2; exit 1; }
cargo +nightly fuzz --version >/dev/null 2>&1 || { echo "fuzz: needs cargo-fuzz: cargo install cargo-fuzz" >&2; exit 1; }
targets=$(cargo +nightly fuzz list)
for target in $targets; do
    echo "fuzz: $target for $seconds s"
    cargo +nightly fuzz run -O "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048
done
