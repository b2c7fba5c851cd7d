#!/usr/bin/env bash
# What is given away: a release build, its manual page and completions, an archive of them, and a Debian package where
# cargo-deb is installed. Without arguments for this machine; with a target (x86_64-unknown-linux-musl: a static binary)
# for that one.
#
#   bash packaging/dist.sh [TARGET]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-}
out=target/dist
rm -rf "$out"
mkdir -p "$out"

if [ "$target" = x86_64-unknown-linux-musl ]; then
    # ring's few C and assembler files; any C compiler does.
    export CC_x86_64_unknown_linux_musl="${CC_x86_64_unknown_linux_musl:-gcc}"
    rustup target add "$target" 2>/dev/null || true
fi
# For machines whose C library is older than the one here (build.rs); GANNET_LINK= makes it a little smaller, for glibc from 2.36 on.
export GANNET_LINK="${GANNET_LINK-portable}"
cargo build --release --locked ${target:+--target "$target"}
binary=target/${target:+$target/}release/gannet

# From the program itself, so that they can't be of another version.
"$binary" --man >"$out/gannet.1"
"$binary" --completions bash >"$out/gannet.bash"
"$binary" --completions zsh >"$out/_gannet"
"$binary" --completions fish >"$out/gannet.fish"

version=$("$binary" --version | sed -n '1s/^gannet \([^ ]*\).*/\1/p')
name=gannet-$version-${target:-$(rustc -vV | sed -n 's/^host: //p')}
mkdir "$out/$name"
cp "$binary" "$out"/gannet.1 "$out"/gannet.bash "$out"/_gannet "$out"/gannet.fish README.md CHANGELOG.md LICENSE-* "$out/$name/"
cp -r docs "$out/$name/docs"
tar -C "$out" -czf "$out/$name.tar.gz" "$name"
rm -rf "${out:?}/$name"

if cargo deb --version >/dev/null 2>&1; then
    cargo deb --no-build --no-strip ${target:+--target "$target"} --output "$out/"
else
    echo "no Debian package: cargo-deb is not installed (cargo install cargo-deb)" >&2
fi
ls -l "$out"
