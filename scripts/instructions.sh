#!/usr/bin/env bash
# Compares the instruction counts of the hot paths with those that benches/instructions.rs names. Gets what that takes:
# valgrind, and the runner in the version of Cargo.lock, which it keeps under target/tools. Says plainly what the
# machine lacks, and where nothing can be compared.
#
#   scripts/instructions.sh                  # all
#   scripts/instructions.sh '*::judge::*'    # some
set -euo pipefail
cd "$(dirname "$0")/.."

say() {
    echo "instructions: $1" >&2
}

lacking() {
    say "NOT COMPARED: $1"
    exit 1
}

# Other instructions are other counts: the baseline says nothing there, and no set-up changes that.
machine=$(uname -s)-$(uname -m)
if [ "$machine" != Linux-x86_64 ]; then
    say "NOT COMPARED: the counts are those of Linux on x86-64, and this is $machine"
    exit 0
fi

if ! command -v valgrind >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing valgrind"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends valgrind; } >&2 ||
        lacking "apt-get could not install valgrind (is the archive reachable?)"
fi
command -v valgrind >/dev/null || lacking "valgrind is not installed: install its package (valgrind on Debian)"
valgrind --tool=none true 2>/dev/null || lacking "valgrind is installed and cannot run: valgrind --tool=none true"

# The runner and the library refuse each other in different versions. It only starts valgrind and reads what that
# wrote: an unoptimised one is built in a fraction of the time.
version=$(awk '/^name = / { name = $3 } /^version = / && name == "\"gungraun-runner\"" { gsub("\"", "", $3); print $3 }' Cargo.lock)
[ -n "$version" ] || lacking "Cargo.lock names no gungraun-runner"
tools=$PWD/target/tools/gungraun-runner-$version
if [ ! -x "$tools/bin/gungraun-runner" ]; then
    say "building gungraun-runner $version"
    CARGO_PROFILE_DEV_DEBUG=false cargo install gungraun-runner --version "=$version" --locked --debug --root "$tools" ||
        lacking "cargo could not install gungraun-runner $version (is the registry reachable?)"
fi

# Built at once (CARGO_INCREMENTAL=0) the same source takes up to 8 % less: the baseline is built in increments, as the
# profile has it.
PATH=$tools/bin:$PATH CARGO_INCREMENTAL=1 cargo bench --profile dev --bench instructions -- "$@"
