#!/usr/bin/env python3
"""libcurl's multi interface and gannet, embedded, on one job: `python3 benches/peers/beside_libcurl.py [--rounds N]`.

10,000 URLs of 1 KiB from nginx, 64 at once, a record for each, plain and over TLS: in C over libcurl (multi.c), in C over
gannet (gannet.c, with the library that capi/install.sh installs) and in Rust (benches/size/src/bin/list.rs). Prints lines
of code, what has to be shipped, heap at its peak (valgrind's massif) and CPU a request (medians of interleaved rounds, and
of the ratios within each). Needs nginx, openssl, a C compiler, pkg-config, valgrind, and libcurl's development package.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import run

COUNT, TOGETHER = 10000, 64
# Every program of the machine has these.
SYSTEM = r"linux-vdso|ld-linux|lib(c|m|dl|pthread|rt|gcc_s)\.so"
run.SIZES = {"1k": 1 << 10}
# Not those of run.py, which may be running.
run.PLAIN, run.TLS, run.CLOSING, run.RESUMED, run.STATUS = 19080, 19443, 19444, 19445, 19081


def lines(path):
    """Lines that are neither blank nor comments."""
    with open(path) as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return sum(1 for line in text.split("\n") if line.strip() and not line.strip().startswith("//"))


def libraries(program):
    """What the program is linked with at run time: name and size, the system's own left out."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"(\S+) => (\S+)", listed)
    return {name: os.stat(path).st_size for name, path in found if not re.search(SYSTEM, name)}


def heap(command, listed, folder):
    """The most that the heap held, with what the allocator adds."""
    out = f"{folder}/massif"
    with open(listed) as stdin:
        subprocess.run(["valgrind", "-q", "--tool=massif", f"--massif-out-file={out}", *command], stdin=stdin,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    with open(out) as file:
        text = file.read()
    snapshots = zip(re.findall(r"mem_heap_B=(\d+)", text), re.findall(r"mem_heap_extra_B=(\d+)", text))
    return max(int(used) + int(extra) for used, extra in snapshots)


def build(folder):
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(run.ROOT, "target"))
    environment = {**os.environ, "CARGO_TARGET_DIR": target, "DESTDIR": ""}
    prefix = f"{folder}/installed"
    subprocess.run(["bash", f"{run.ROOT}/capi/install.sh", prefix], env=environment, check=True, stdout=subprocess.DEVNULL)
    packages = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "gannet"], env=packages, check=True, capture_output=True,
                           text=True).stdout.split()
    source = f"{run.HERE}/gannet.c"
    subprocess.run(["cc", "-O2", "-s", "-o", f"{folder}/shared", source, *flags, f"-Wl,-rpath,{prefix}/lib"], check=True)
    subprocess.run(["cc", "-O2", "-s", "-o", f"{folder}/static", source, f"-I{prefix}/include", f"{prefix}/lib/libgannet.a",
                    "-Wl,--gc-sections", "-lpthread", "-ldl", "-lm"], check=True)
    subprocess.run(["cc", "-O2", "-s", "-o", f"{folder}/multi", f"{run.HERE}/multi.c", "-lcurl"], check=True)
    subprocess.run(["cc", "-O2", "-o", f"{folder}/measure", f"{run.HERE}/measure.c"], check=True)
    size = os.path.join(run.ROOT, "benches", "size")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--bin", "list", "--features", "fetch"], cwd=size,
                   env={**os.environ, "CARGO_TARGET_DIR": f"{target}/size/3"}, check=True)
    shutil.copy(f"{target}/size/3/release/list", f"{folder}/list")
    return {
        "C, libcurl": (f"{folder}/multi", f"{run.HERE}/multi.c"),
        "C, libgannet.so": (f"{folder}/shared", source),
        "C, libgannet.a": (f"{folder}/static", source),
        "Rust": (f"{folder}/list", f"{size}/src/bin/list.rs"),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=1)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="gannet-beside-")
    try:
        programs = build(folder)
        print(f"{'':18}{'lines':>6}{'program KiB':>13}{'libraries KiB':>15}")
        for name, (program, source) in programs.items():
            needed = libraries(program)
            print(f"{name:18}{lines(source):6}{os.path.getsize(program) / 1024:13,.0f}{sum(needed.values()) / 1024:15,.0f}"
                  f"  {len(needed)} libraries")
        run.start_nginx(folder)
        for scheme, port in (("http", run.PLAIN), ("https", run.TLS)):
            listed = f"{folder}/{scheme}.txt"
            with open(listed, "w") as out:
                out.writelines(f"{scheme}://127.0.0.1:{port}/1k?{n}\n" for n in range(COUNT))
            more = [f"{folder}/ca.pem"] if scheme == "https" else []
            commands = {name: [program, str(TOGETHER), *more] for name, (program, _) in programs.items()}
            records = {}
            for name, command in commands.items():
                with open(listed) as stdin:
                    got = subprocess.run(command, stdin=stdin, check=True, capture_output=True, text=True).stdout
                records[name] = sorted(got.split("\n"))
            assert all(records[name] == records["C, libcurl"] for name in records), "not the same records"
            assert len(records["C, libcurl"]) == COUNT + 1 and " 200 1024 0" in records["C, libcurl"][1], records["C, libcurl"][:2]
            costs = {name: [] for name in programs}
            for _ in range(options.rounds):
                for name, command in commands.items():
                    sample = run.run((command, listed), options.core, folder)
                    assert not sample["failed"], name
                    costs[name].append(sample)
            print(f"\n{COUNT:,} x 1 KiB, {scheme}, {TOGETHER} at once\n{'':18}{'heap KiB':>10}{'CPU us/request':>16}{'by libcurl':>12}{'conns':>8}")
            for name, command in commands.items():
                middle = statistics.median(sample["cpu"] for sample in costs[name]) / COUNT * 1e6
                ratio = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(costs[name], costs["C, libcurl"]))
                conns = statistics.median(sample["connections"] for sample in costs[name])
                print(f"{name:18}{heap(command, listed, folder) / 1024:10,.0f}{middle:16.1f}{ratio:12.2f}{conns:8.0f}")
                sys.stdout.flush()
    finally:
        if os.path.exists(f"{folder}/pid"):
            with open(f"{folder}/pid") as pid:
                os.kill(int(pid.read()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
