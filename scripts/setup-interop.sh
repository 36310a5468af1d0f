#!/usr/bin/env bash
# Owns what tests/interop stands on: Node packages as locked, and a Python environment with pycrdt. Does nothing when
# both are there and up to date, and says plainly what the machine lacks.
set -euo pipefail
cd "$(dirname "$0")/.."

lacking() {
    echo "setup-interop: $1" >&2
    exit 1
}

command -v node >/dev/null || lacking "node is not installed: version 20.14 or later is needed (https://nodejs.org)"
command -v npm >/dev/null || lacking "npm is not installed: it comes with node"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 14) ? 0 : 1)' ||
    lacking "node $(node --version) is too old: 20.14 or later is needed"
command -v python3 >/dev/null || lacking "python3 is not installed: version 3.10 or later is needed"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    lacking "$(python3 --version) is too old: 3.10 or later is needed"
python3 -c 'import ensurepip, venv' 2>/dev/null ||
    lacking "python3 cannot make environments: install its venv package (python3-venv on Debian)"

# A stamp beside what was installed says from which list.
interop=tests/interop
if ! cmp -s "$interop/package-lock.json" "$interop/node_modules/.installed-from"; then
    echo "setup-interop: installing Node packages"
    npm ci --prefix "$interop" --no-audit --no-fund --loglevel=error ||
        lacking "npm could not install the packages of $interop (is the registry reachable?)"
    cp "$interop/package-lock.json" "$interop/node_modules/.installed-from"
fi
if ! cmp -s "$interop/requirements.txt" .venv/.installed-from; then
    echo "setup-interop: installing Python packages"
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r "$interop/requirements.txt" ||
        lacking "pip could not install $interop/requirements.txt (is the index reachable?)"
    cp "$interop/requirements.txt" .venv/.installed-from
fi
