#!/usr/bin/env bash
# Owns the demo page's files, web/dist: made from web/ and the client's sources when they are older than those. With
# --if-possible a machine without Node is no failure: the server says then that it has no page.
set -euo pipefail
cd "$(dirname "$0")/.."

lacking() {
    echo "build-web: $1" >&2
    [ "${2:-}" = --if-possible ] && exit 0
    exit 1
}

command -v npm >/dev/null ||
    lacking "npm is not installed, so there is no demo page: it comes with Node 20.14 or later" "${1:-}"

# A stamp beside what was installed says from which list.
if ! cmp -s web/package-lock.json web/node_modules/.installed-from; then
    echo "build-web: installing the packages of web"
    npm ci --prefix web --no-audit --no-fund --loglevel=error ||
        lacking "npm could not install the packages of web (is the registry reachable?)" "${1:-}"
    cp web/package-lock.json web/node_modules/.installed-from
fi

sources=(web/src web/index.html web/build.mjs web/package-lock.json clients/typescript/src)
if [ ! -f web/dist/index.html ] || [ -n "$(find "${sources[@]}" -newer web/dist/index.html -print -quit)" ]; then
    npm run --silent --prefix web build
    echo "build-web: web/dist is built"
fi
