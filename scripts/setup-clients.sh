#!/usr/bin/env bash
# Owns what the TypeScript client and its browser tests stand on: Node packages as locked, and a Chromium. Does nothing
# when they are there and up to date, and says plainly what the machine lacks.
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

if ! node tests/browser/lib/chromium.mjs >/dev/null; then
    echo "setup-clients: installing Chromium"
    tests/browser/node_modules/.bin/playwright-core install --with-deps chromium ||
        {
            echo "setup-clients: there is no Chromium, and it could not be installed: install one (apt install chromium)," \
                "or name one in ROUNDTABLE_CHROMIUM" >&2
            exit 1
        }
fi
