#!/usr/bin/env python3
"""Instruction counts held against `benches/baseline.json`: `python3 benches/micro/check.py [--write]`.

Counts what `benches/micro` lists under valgrind (gungraun), prints each beside the baseline, and fails when one has grown by
more than 5 %. The counts hold still to about 1 % for one compiler; the baseline names the one it was made with, and with another
nothing is compared. Who changes the baseline (`--write`) says why in a `Perf:` trailer of that commit.
"""

import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BASELINE = os.path.join(ROOT, "benches", "baseline.json")
GROWTH = 1.05


def text(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout.strip()


def counts():
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not here")
    with open(f"{HERE}/Cargo.lock") as lock:
        version = re.search(r'name = "gungraun-runner"\nversion = "([^"]+)"', lock.read())
    runner = shutil.which("gungraun-runner")
    if not runner or version is None or version[1] not in text(runner, "--version"):
        subprocess.run(["cargo", "install", "--quiet", "--locked", "gungraun-runner", "--version", version[1] if version else "0.20.0"],
                       check=True)
    summaries = os.path.join(HERE, "target", "gungraun")
    shutil.rmtree(summaries, ignore_errors=True)
    subprocess.run(["cargo", "bench", "--quiet", "--bench", "micro",
                    "--target-dir", os.path.join(ROOT, "target", "micro"), "--", "--save-summary=json"],
                   cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    found = {}
    for folder, _, files in os.walk(summaries):
        if "summary.json" not in files:
            continue
        with open(os.path.join(folder, "summary.json")) as file:
            summary = json.load(file)
        name = f"{summary['function_name']}.{summary['id']}" if summary.get("id") else summary["function_name"]
        found[name] = instructions(summary)
    return found


def instructions(node):
    """The first count of `Ir` in a summary, wherever its version keeps it."""
    if isinstance(node, dict):
        if "Ir" in node:
            return first_number(node["Ir"])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            found = instructions(child)
            if found is not None:
                return found
    return None


def first_number(node):
    if isinstance(node, (int, float)):
        return int(node)
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        found = first_number(child)
        if found is not None:
            return found
    return None


def main():
    compiler = text("rustc", "--version")
    found = counts()
    if not found or None in found.values():
        sys.exit(f"no counts were found: {found}")
    if "--write" in sys.argv:
        with open(BASELINE, "w") as out:
            json.dump({"rustc": compiler, "instructions": dict(sorted(found.items()))}, out, indent=2)
            out.write("\n")
    with open(BASELINE) as file:
        baseline = json.load(file)
    same = baseline["rustc"] == compiler
    grown = []
    print(f"{'':28}{'baseline':>14}{'now':>14}")
    for name, now in sorted(found.items()):
        before = baseline["instructions"].get(name)
        ratio = now / before if before else None
        print(f"{name:28}{before or '':>14}{now:>14}  " + (f"{(ratio - 1) * 100:+.1f} %" if ratio else "new"))
        if same and ratio and ratio > GROWTH:
            grown.append(name)
    missing = set(baseline["instructions"]) - set(found)
    if not same:
        print(f"not compared: the baseline was made with {baseline['rustc']}, this is {compiler}")
    elif grown or missing:
        sys.exit(f"more than 5 % above the baseline: {grown}; not counted any more: {sorted(missing)}")
    change = text("git", "log", "-1", "--format=%B", "--", BASELINE, cwd=ROOT)
    if change and "Perf:" not in change:
        sys.exit("the commit that changed benches/baseline.json has no Perf: trailer")


if __name__ == "__main__":
    main()
