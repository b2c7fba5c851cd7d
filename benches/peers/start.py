#!/usr/bin/env python3
"""Where the time of one URL goes: the start of a process, by what takes it, beside /bin/true and hyper's program.

usage: start.py GANNET [RUNS]

Needs `perf` and root. Samples the CPU clock over many runs on one core. Sampling adds to what it measures: read the parts of one
run beside those of another, not their sums.
"""
import collections, os, shutil, signal, subprocess, sys, tempfile

import run as peers

# What asks the processor who it is, in the dynamic loader: on a virtual machine each question goes to its host.
ASKS = ("intel_check", "handle_intel", "update_active", "get_common", "init_cpu", "dl_init_cacheinfo", "cpu_features")
RATE = 25000


def part(symbol, file):
    if "kernel" in file:
        return "kernel"
    name = os.path.basename(file.strip("()"))
    if name.startswith("ld-"):
        return "loader: which processor" if symbol.startswith(ASKS) else "loader: the rest"
    if "detect_and_initialize" in symbol or name.startswith("libgcc"):
        return "std and libgcc: which processor"
    return "C library" if name.startswith("lib") else "[vdso]" if "vdso" in name else "the program's own"


def profile(command, runs, folder):
    script, data = os.path.join(folder, "runs.sh"), os.path.join(folder, "perf.data")
    with open(script, "w") as out:
        out.write(f"for i in $(seq {runs}); do {command} >/dev/null 2>&1; done\n")
    subprocess.run(["perf", "record", "-q", "-F", str(RATE), "-e", "cpu-clock", "-a", "-C", "1", "-o", data, "taskset", "-c", "1", "sh", script],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    name = os.path.basename(command.split()[0])[:15]
    told = subprocess.run(["perf", "script", "-i", data, "--comm", name, "-F", "ip,sym,dso"], check=True, capture_output=True, text=True)
    parts = collections.Counter()
    for line in told.stdout.splitlines():
        words = line.split()
        if len(words) > 1:
            parts[part(words[1], words[-1])] += 1
    return {name: count * 1e6 / RATE / runs for name, count in parts.items()}


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    gannet, runs = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300
    folder = tempfile.mkdtemp(prefix="gannet-start-")
    peers.start_nginx(folder)
    try:
        url = f"http://127.0.0.1:{peers.PLAIN}/1k"
        listed = os.path.join(folder, "one.txt")
        with open(listed, "w") as out:
            out.write(url + "\n")
        commands = {"/bin/true": "/bin/true", "gannet": f"{gannet} -sS -o /dev/null {url}"}
        hyper = os.path.join(tempfile.gettempdir(), "gannet-peer-hyper", "release", "peer-hyper")
        if os.path.exists(hyper):
            commands["hyper"] = f"{hyper} 1 <{listed}"
        found = {name: profile(command, runs, folder) for name, command in commands.items()}
        parts = sorted({part for one in found.values() for part in one}, key=lambda part: -found["gannet"].get(part, 0))
        print(f"{'microseconds a run':32}" + "".join(f"{name:>12}" for name in found))
        for part in parts:
            print(f"{part:32}" + "".join(f"{one.get(part, 0):12.0f}" for one in found.values()))
        print(f"{'together':32}" + "".join(f"{sum(one.values()):12.0f}" for one in found.values()))
    finally:
        os.kill(int(open(f"{folder}/pid").read()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


main()
