#!/usr/bin/env bash
# Makes docs/api.txt anew: every public item, without what is derived or implemented for all types. With --check it says
# whether the file is fresh. Needs cargo-public-api (cargo install cargo-public-api) and the nightly toolchain, whose
# rustdoc writes what it reads; where either is missing, or they do not fit, --check says so and passes.
set -euo pipefail
cd "$(dirname "$0")/.."
listing() {
    cargo +nightly public-api -sss --no-default-features --features fetch,remote,log,tracing,sim 2>"$1"
}
problems=$(mktemp)
trap 'rm -f "$problems" "$problems.txt"' EXIT
if ! listing "$problems" >"$problems.txt"; then
    echo "docs/api.txt: not made: $(tail -1 "$problems")" >&2
    [ "${1:-}" = --check ]
    exit
fi
if [ "${1:-}" = --check ]; then
    diff -u docs/api.txt "$problems.txt" || { echo "docs/api.txt is not fresh: bash docs/api.sh, and look at what changed" >&2; exit 1; }
    echo "docs/api.txt is fresh"
else
    cp "$problems.txt" docs/api.txt
fi
