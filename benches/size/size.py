#!/usr/bin/env python3
"""What gannet weighs: `python3 benches/size/size.py [--levels 3,z] [--without-cli] [--own-std] [--json] [--crates PROGRAM]`.

Builds one small program for each set of features, and gannet itself, with the profile that is shipped (fat LTO, one unit,
panic = "abort", stripped), at opt-level 3 and "z"; fetches once with each, so that nothing is weighed that does not work; and
prints the sizes as the table of docs/embedding.md. Beside the size of the file stands what it is more than a program of
Rust's standard library that opens one socket: what gannet adds to a program that is there already. For a microcontroller
(thumbv7em-none-eabihf, no_std) it counts what would be written to flash. Needs Python 3 and nothing else of it.

`--own-std` adds a column: opt-level "z" with the standard library built along, at the same level and without the text of panics
(nightly's `-Z build-std` and `-C panic=immediate-abort`; needs the nightly toolchain with rust-src): what can be had where
each kilobyte counts.

`--crates PROGRAM` tells instead what each crate has in a program that was built with CARGO_PROFILE_RELEASE_STRIP=false: the
sizes of its symbols, by the names that nm gives them. What was inlined counts where it landed.
"""

import argparse
import collections
import http.server
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target", "size"))
THUMB = "thumbv7em-none-eabihf"
# What the program is, its binary, its features.
PROGRAMS = [
    ("Rust's standard library, one socket", "empty", ""),
    ("engine alone", "engine", "engine"),
    ("+ mio", "driver", "mio"),
    ("+ TLS", "driver", "tls"),
    ("+ DNS, without TLS", "driver", "dns"),
    ("+ TLS and DNS", "driver", "tls,dns"),
    ("+ fetch: URLs, decoding", "fetcher", "fetch"),
]


OWN_STD = "z, own std"


def build(folder, level, *more, machine=None):
    """Builds, and tells the folder of what came out."""
    target = f"{TARGET}/{level.replace(', ', '-').replace(' ', '-')}"
    environment = {**os.environ, "CARGO_PROFILE_RELEASE_OPT_LEVEL": level[0], "CARGO_TARGET_DIR": target, "CARGO_INCREMENTAL": "0"}
    cargo = ["cargo", "build"]
    if level == OWN_STD:
        cargo = ["cargo", "+nightly", "build", "-Zbuild-std=std"]
        environment["RUSTFLAGS"] = "-Zunstable-options -Cpanic=immediate-abort"
        machine = machine or re.search(r"host: (\S+)", subprocess.check_output(["rustc", "-vV"], text=True))[1]
    if machine:
        more = (*more, "--target", machine)
    subprocess.run([*cargo, "--release", "--locked", "--quiet", *more], cwd=folder, env=environment, check=True)
    return f"{target}/{machine}/release" if machine else f"{target}/release"


def program(binary, features, level):
    made = build(HERE, level, "--bin", binary, "--features", features)
    kept = f"{made}/{binary}-{features or 'none'}"
    shutil.copy(f"{made}/{binary}", kept)
    return kept


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"x" * 1000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def works(path, server):
    """The program fetches a thousand bytes from a server of this script."""
    host, port = server.server_address
    arguments = [f"{host}:{port}"] if "empty" in os.path.basename(path) else [host, str(port)]
    said = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=30).stdout.strip()
    assert said == "Ok(64)" if len(arguments) == 1 else said == "Ok(200) 1000", (path, said)


def flash(path):
    """Bytes of an ELF file's segments that are loaded from it."""
    with open(path, "rb") as file:
        elf = file.read()
    assert elf[:5] == b"\x7fELF\x01", "a 32-bit file"
    (table,), (size, count) = struct.unpack_from("<I", elf, 28), struct.unpack_from("<HH", elf, 42)
    headers = [struct.unpack_from("<8I", elf, table + n * size) for n in range(count)]
    return sum(length for kind, _, _, _, length, *_ in headers if kind == 1)


def microcontroller(level):
    sizes = []
    for features in ("", "engine"):
        made = build(f"{HERE}/thumb", level, "--features", features, machine=THUMB)
        sizes.append(flash(f"{made}/gannet-size-thumb"))
    return sizes[1] - sizes[0]


def crates(path):
    """KiB by crate. What has no crate in its name is C, assembler (ring's) or the compiler's."""
    listed = subprocess.run(["nm", "--print-size", "-C", path], capture_output=True, text=True, check=True).stdout
    sums = collections.Counter()
    for size, kind, name in re.findall(r"^[0-9a-f]+ ([0-9a-f]+) (\w) (.*)$", listed, flags=re.M):
        if kind in "bB":
            continue
        inner = re.match(r"core::ptr::drop_in_place<(.*)", name)
        bare = re.sub(r"^(?:<|&|\[|\(|mut |dyn |\*const |alloc::\w+::\w+<|core::option::Option<)+", "", inner[1] if inner else name)
        crate = re.match(r"([a-z]\w*)::", bare)
        sums[crate[1] if crate and "ring_core" not in name else "C, assembler"] += int(size, 16)
    for crate, size in sums.most_common(40):
        print(f"{size / 1024:9,.0f}  {crate}")
    print(f"{sum(sums.values()) / 1024:9,.0f}  in all")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--levels", default="3,z")
    parser.add_argument("--without-cli", action="store_true")
    parser.add_argument("--own-std", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--crates", metavar="PROGRAM")
    options = parser.parse_args()
    if options.crates:
        return crates(options.crates)
    levels = options.levels.split(",") + [OWN_STD] * options.own_std
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    table = {}
    for what, binary, features in PROGRAMS:
        for level in levels:
            path = program(binary, features, level)
            works(path, server)
            table.setdefault(what, {})[level] = os.path.getsize(path)
    if not options.without_cli:
        for level in options.levels.split(","):
            made = build(ROOT, level, "--bin", "gannet")
            table.setdefault("the command, everything", {})[level] = os.path.getsize(f"{made}/gannet")
    have = subprocess.run(["rustup", "target", "list", "--installed"], capture_output=True, text=True).stdout.split()
    if THUMB in have:
        table[f"engine alone, {THUMB}"] = {level: microcontroller(level) for level in options.levels.split(",")}
    else:
        print(f"left out: {THUMB} (rustup target add {THUMB})", file=sys.stderr)
    server.shutdown()
    if options.json:
        return json.dump(table, sys.stdout, indent=2)
    base = table[PROGRAMS[0][0]]
    print("| program | " + " | ".join(f"opt-level {level}, KiB | of that gannet's" for level in levels) + " |")
    print("|---|" + "--:|--:|" * len(levels))
    for what, sizes in table.items():
        cells = []
        for level in levels:
            if level not in sizes:
                cells += ["", ""]
                continue
            size, own = sizes[level], sizes[level] if THUMB in what else sizes[level] - base[level]
            cells += [f"{size / 1024:,.0f}", f"{own / 1024:,.0f}" if own else ""]
        print(f"| {what} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
