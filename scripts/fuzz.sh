#!/usr/bin/env bash
# Owns a run of every fuzz target, or of those named, for some seconds each, with AddressSanitizer. Goes through all of
# them and ends non-zero when one had a finding; the input is then in fuzz/artifacts/.
#
#   scripts/fuzz.sh SECONDS [TARGET...]
#   scripts/fuzz.sh keep [TARGET...]
#
# What a run finds new gathers in fuzz/target/corpus/; `keep` adds the little of it that reaches more code than
# fuzz/corpus/ does, which is in the repository and runs as `cargo test --test corpus`.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-60}
shift || true

# An input of more steps than this only makes a run slow.
input_bytes_max=1024

lacking() {
    echo "fuzz: needs $1" >&2
    exit 1
}

cargo +nightly --version >/dev/null 2>&1 || lacking "a nightly toolchain: rustup toolchain install nightly"
cargo +nightly fuzz --version >/dev/null 2>&1 || lacking "cargo-fuzz: cargo install cargo-fuzz"
[ "$what" = keep ] || [[ "$what" =~ ^[0-9]+$ ]] || lacking "a number of seconds, or the word keep"
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)

found=0
for target in "${targets[@]}"; do
    kept=fuzz/corpus/$target
    gathered=fuzz/target/corpus/$target
    mkdir -p "$gathered"
    if [ "$what" = keep ]; then
        cargo +nightly fuzz run "$target" "$kept" "$gathered" -- -set_cover_merge=1 -use_counters=0 \
            -max_len=$input_bytes_max
        continue
    fi
    echo "fuzz: $target for $what s"
    cargo +nightly fuzz run "$target" "$gathered" "$kept" -- -max_total_time="$what" -timeout=10 \
        -rss_limit_mb=2048 -max_len=$input_bytes_max -print_final_stats=1 || {
        echo "fuzz: $target has a finding" >&2
        found=1
    }
done
exit $found
