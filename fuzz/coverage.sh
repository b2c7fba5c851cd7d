#!/bin/sh
# Which lines of src/proto the committed corpora reach, by file: `cargo fuzz coverage` of the targets that read
# and write HTTP, put together. Needs nightly with llvm-tools, and cargo-fuzz.
set -eu
cd "$(dirname "$0")"
targets="response head framing chunked request replay"
tools=$(dirname "$(find "$(rustc +nightly --print sysroot)" -name llvm-cov)")
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
objects=
for target in $targets; do
    cargo +nightly fuzz coverage --fuzz-dir . --no-default-features "$target" >/dev/null
    objects="$objects -object target/$host/coverage/$host/release/$target"
done
"$tools/llvm-profdata" merge -sparse coverage/*/coverage.profdata -o coverage/proto.profdata
# shellcheck disable=SC2086
"$tools/llvm-cov" report -instr-profile coverage/proto.profdata $objects \
    --show-region-summary=false --show-branch-summary=false --sources ../src/proto
