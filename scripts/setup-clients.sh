#!/usr/bin/env bash
# Owns what the TypeScript client and its browser tests stand on: Node packages as locked. Does nothing when they are
# there and up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

for folder in clients/typescript tests/browser tests/interop; do
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-from"; then
        echo "setup-clients: installing the packages of $folder"
        npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error ||
            { echo "setup-clients: npm could not install the packages of $folder" >&2; exit 1; }
        cp "$folder/package-lock.json" "$folder/node_modules/.installed-from"
    fi
done
