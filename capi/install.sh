#!/usr/bin/env bash
# Builds the C library and installs it: capi/install.sh [PREFIX] (/usr/local), DESTDIR as usual. GANNET_PROFILE=dev is
# quicker to build, for tests.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${1:-/usr/local}
to=${DESTDIR:-}$prefix
profile=${GANNET_PROFILE:-capi}
cargo build --locked --package gannet-capi --lib --profile "$profile"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' capi/Cargo.toml | head -1)
built=${CARGO_TARGET_DIR:-target}/${profile/#dev/debug}
install -d "$to/lib/pkgconfig" "$to/include"
install -m 644 capi/gannet.h "$to/include/gannet.h"
install -m 644 "$built/libgannet.a" "$to/lib/libgannet.a"
install -m 755 "$built/libgannet.so" "$to/lib/libgannet.so.$version"
ln -sf "libgannet.so.$version" "$to/lib/libgannet.so.0"
ln -sf libgannet.so.0 "$to/lib/libgannet.so"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" capi/gannet.pc.in >"$to/lib/pkgconfig/gannet.pc"
echo "installed to $to"
