#!/usr/bin/env python3
"""Breaks the code by hand, one defect at a time, and sees who notices.

    fuzz/planted.py [--only WORD] [--seconds 60] [--scratch DIR]

For each defect a copy of the tree is changed; then the tables (or the simulation) run on it, and one fuzz target, from
its committed corpus, for at most a minute. Each must fail. A defect whose place in the code has changed stops the script: mend the
list below. Needs nightly and cargo-fuzz, as the targets do. Prints the table of README.md.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What is broken; the file; what stands there; what is put there; the tests and the fuzz target that must notice.
PROTO = [
    ("a sign before a chunk size is taken for nothing", "src/proto/chunked.rs",
     "            (State::SizeStart, _) => match hex(byte) {",
     "            (State::SizeStart, b'+') => State::Size { value: 0, digits: 1 },\n            (State::SizeStart, _) => match hex(byte) {",
     "proto_tables", "chunked"),
    ("LF alone ends the line of a chunk size", "src/proto/chunked.rs",
     "            (State::Size { value, digits }, _) => match hex(byte) {",
     "            (State::Size { value, .. }, b'\\n') if value > 0 => State::Data { left: value },\n            (State::Size { value, digits }, _) => match hex(byte) {",
     "proto_tables", "chunked"),
    ("what ends a chunk's data is skipped by count", "src/proto/chunked.rs",
     "            (State::DataCr, b'\\r') => State::DataLf,\n            (State::DataLf, b'\\n') => State::SizeStart,",
     "            (State::DataCr, _) => State::DataLf,\n            (State::DataLf, _) => State::SizeStart,",
     "proto_tables", "chunked"),
    ("the bound on chunk extensions is off by one", "src/proto/chunked.rs",
     "if self.extension_bytes >= most {", "if self.extension_bytes > most {",
     "proto_tables", "chunked"),
    ("Transfer-Encoding is ignored on HTTP/1.0", "src/proto/framing.rs",
     "(Some(_), _) if version == Version::Http10 => Err(Error::TransferEncodingOnHttp10),",
     "(Some(_), None) if version == Version::Http10 => Ok(Body::UntilClose),",
     "proto_tables", "framing"),
    ("the connection is kept after both Transfer-Encoding and Content-Length", "src/proto/framing.rs",
     "    } else if both {", "    } else if both && version == Version::Http10 {",
     "proto_tables", "framing"),
    ("of two Content-Lengths that differ the first one counts", "src/proto/framing.rs",
     "Err(Error::ConflictingContentLength)", "Ok(first)",
     "proto_tables", "framing"),
    ("an answer with 304 is believed to have content", "src/proto/framing.rs",
     "|| matches!(status, 100..=199 | 204 | 304)", "|| matches!(status, 100..=199 | 204)",
     "proto_tables", "framing"),
    ("a number beyond 64 bits wraps around", "src/proto/syntax.rs",
     "            .checked_mul(10)\n            .and_then(|value| value.checked_add(u64::from(digit - b'0')))\n            .ok_or(true)",
     "            .wrapping_mul(10)\n            .wrapping_add(u64::from(digit - b'0'))\n            .into_ok()",
     "proto_tables", "framing"),
    ("a blank before the colon is passed over", "src/proto/head.rs",
     "    let httparse::Status::Complete(length) = httparse::ParserConfig::default()\n",
     "    let httparse::Status::Complete(length) = httparse::ParserConfig::default()\n        .allow_spaces_after_header_name_in_responses(true)\n",
     "proto_tables", "head"),
    ("of a head that is held too little counts towards its bound", "src/proto/response.rs",
     "(self.head_bytes as usize).saturating_sub(held.len())",
     "(self.head_bytes as usize).saturating_sub(held.len() / 1024)",
     "proto_tables", "response"),
    ("a body that was cut counts as whole", "src/proto/response.rs",
     "State::Length { left: 0, then } | State::Done(then)", "State::Length { then, .. } | State::Done(then)",
     "proto_tables", "response"),
    ("a trailer may say how long the content was", "src/proto/trailers.rs",
     '        "content-length",\n', "",
     "proto_tables", "chunked"),
    ("CR is let through in the value of a request field", "src/proto/request.rs",
     "if !is_value(value) {",
     "if !is_value(value) && !value.contains(&b'\\r') {",
     "proto_requests", "request"),
]

ENGINE = [
    ("a deadline is dropped when the request was written", "src/engine/send.rs",
     "                None => {\n                    self.actions.push_back(Action::Transmit(key));\n                    Sending::Flushing { next, any, ended, progress: now }\n                }\n            }\n        };\n        self.arm(key);",
     "                None => {\n                    self.actions.push_back(Action::Transmit(key));\n                    Sending::Flushing { next, any, ended, progress: now }\n                }\n            }\n        };\n        self.conn_timers.cancel(key.index());",
     "sim_swarm", "engine"),
    ("the cap of a host is forgotten", "src/engine/schedule.rs",
     "        if host.slots() >= host.limit.allowed() {", "        if host.slots() > host.limit.allowed() {",
     "sim_swarm", "engine"),
    ("content is delivered twice", "src/engine/receive.rs",
     "                        handler.body(&mut ctl, job_ref, content);",
     "                        handler.body(&mut ctl, job_ref, content);\n                        handler.body(&mut ctl, job_ref, content);",
     "sim_swarm", "driver"),
    ("a connection is used again after surplus bytes", "src/engine/reuse.rs",
     "            && !surplus\n", "", "sim_regressions", "driver"),
    ("a connection is used again after surplus bytes, events in any order", "src/engine/reuse.rs",
     "            && !surplus\n", "", "sim_swarm", "engine"),
    ("a POST is repeated", "src/engine/intake.rs",
     "            repeatable: proto::is_idempotent(request.method)\n",
     "            repeatable: !request.method.is_empty()\n", "sim_swarm", "engine"),
]

# What reads files of the users': the tests are those of the library under this name.
FILES = [
    ("an escaped line feed in a quoted value of netrc is a letter", "src/fetch/netrc.rs",
     "                    Some('n') => token.push('\\n'),\n", "", "lib:fetch::netrc", "netrc"),
    ("a line that is too long is taken when it fits into one block", "src/cli/lines.rs",
     "if std::mem::take(&mut self.skipping) || to - from > self.max_line {",
     "if std::mem::take(&mut self.skipping) {", "lib:cli::lines", "lines"),
    ("the last record is kept without its line feed", "src/cli/results.rs",
     "                if !whole {\n                    line.push(b'\\n');\n                }\n", "", "lib:cli::results", "resume"),
    ("an escaped HTAB in a config file is a letter", "src/cli/lexer.rs",
     "                Some('t') => out.push('\\t'),\n", "", "lib:cli::lexer", "config"),
]


def run(words, cwd, seconds=None, **env):
    """Whether it went well, what it said, how long it took."""
    start = time.monotonic()
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, timeout=seconds, env=os.environ | env, check=False)
        code, text = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as late:
        code, text = 0, (late.stdout or b"") + (late.stderr or b"")
    return code, text.decode(errors="replace"), time.monotonic() - start


def copy(scratch):
    scratch.mkdir(parents=True, exist_ok=True)
    for name in ("src", "tests", "docs", "examples", "benches", "fuzz"):
        shutil.rmtree(scratch / name / "fuzz_targets" if name == "fuzz" else scratch / name, ignore_errors=True)
        ignore = shutil.ignore_patterns("target", "artifacts", "coverage", "__pycache__")
        shutil.copytree(ROOT / name, scratch / name, ignore=ignore, dirs_exist_ok=True)
    for name in ("Cargo.toml", "Cargo.lock", "README.md"):
        shutil.copy(ROOT / name, scratch / name)
    # The other members of the workspace stay away.
    manifest = scratch / "Cargo.toml"
    manifest.write_text(re.sub(r"\[workspace\]\n(?:.+\n)*", "[workspace]\n", manifest.read_text(), count=1))
    # The tests without the features that they do not need: a crate beside, with links to what they read.
    beside = scratch / "beside"
    beside.mkdir(exist_ok=True)
    for name in ("tests", "docs", "fuzz"):
        if not (beside / name).is_symlink():
            (beside / name).symlink_to(f"../{name}")
    tests = "".join(
        f'[[test]]\nname = "{name}"\npath = "tests/{name}.rs"\n' + (f'required-features = ["{feature}"]\n' if feature else "")
        for name, feature in [("proto_tables", ""), ("proto_requests", ""), ("sim_swarm", "sim"), ("sim_regressions", "sim")]
    )
    (beside / "src").mkdir(exist_ok=True)
    (beside / "src/lib.rs").write_text("")
    (beside / "Cargo.toml").write_text(
        '[package]\nname = "beside"\nversion = "0.0.0"\nedition = "2024"\nautotests = false\n[workspace]\n'
        '[features]\nsim = ["gannet/sim"]\nfetch = []\ndns = []\n[dependencies]\n'
        'gannet = { path = "..", default-features = false }\narbitrary = "1"\n'
        'fastrand = { version = "2", default-features = false }\nhttparse = { version = "1", default-features = false }\n'
        "[profile.test]\nopt-level = 1\n" + tests
    )


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", default="", help="defects with this word")
    options.add_argument("--seconds", type=int, default=60, help="for each fuzz target")
    options.add_argument("--scratch", type=pathlib.Path, default=pathlib.Path("/tmp/gannet-planted"))
    options = options.parse_args()
    scratch = options.scratch
    rows, missed = [], 0
    for what, file, old, new, test, target in PROTO + ENGINE + FILES:
        if options.only not in what:
            continue
        copy(scratch)
        place = scratch / file
        text = place.read_text()
        if text.count(old) != 1:
            sys.exit(f"{what}: its place in {file} was found {text.count(old)} times")
        new = new.replace("\n            .into_ok()", "")
        text = text.replace(old, new)
        if ".wrapping_mul(10)" in new:
            text = text.replace("digits.iter().try_fold(0u64, |value, digit| {", "Ok(digits.iter().fold(0u64, |value, digit| {")
            text = text.replace(".wrapping_add(u64::from(digit - b'0'))\n    })", ".wrapping_add(u64::from(digit - b'0'))\n    }))")
        place.write_text(text)
        engine = file.startswith("src/engine")
        files = test.startswith("lib:")
        features = ["--features", "sim"] if engine else ["--features", "fetch,cli"] if files else []
        if not engine and not files:
            # Only what is broken is built.
            lib = scratch / "src/lib.rs"
            lib.write_text(re.sub(r"pub mod engine;\n", "", lib.read_text()))
        if files:
            test = test.removeprefix("lib:")
            code, said, _ = run(["cargo", "test", "-q", "--lib", test], scratch)
        else:
            code, said, _ = run(["cargo", "test", "-q", *features, "--test", test], scratch / "beside", GANNET_SEEDS="2000")
        failed = re.findall(r"^test (\S+) \.\.\. FAILED|^    ([\w:]+)$", said, re.M)
        if code != 0 and not failed:
            sys.exit(f"{what}: the tests did not run:\n{said[-3000:]}")
        by_tests = code != 0
        build = ["cargo", "+nightly", "fuzz", "build", "--no-default-features", *features, target]
        code, said, _ = run(build, scratch)
        if code != 0:
            sys.exit(f"{what}: {target} was not built:\n{said[-3000:]}")
        program = next((scratch / "fuzz/target").glob(f"*/release/{target}"))
        found = scratch / "found"
        shutil.rmtree(found, ignore_errors=True)
        found.mkdir()
        code, said, took = run(
            [program, found, scratch / "fuzz/corpus" / target, f"-max_total_time={options.seconds}", "-max_len=400",
             f"-dict={scratch}/fuzz/dict/http.dict", f"-artifact_prefix={found}/", "-rss_limit_mb=4096"],
            scratch, seconds=options.seconds + 60,
        )
        by_fuzz = code != 0
        runs = max([int(count) for count in re.findall(r"^#(\d+)", said, re.M)], default=0)
        at = f"{took:.0f} s" if runs else "the corpus"
        rows.append(f"| {what} | `{test}`{'' if by_tests else ': NOT NOTICED'} | `{target}`, {at if by_fuzz else 'NOT NOTICED'} |")
        missed += not (by_tests and by_fuzz)
        print(rows[-1], flush=True)
    print("\n| defect | noticed by the tests | by the target, after |\n|---|---|---|")
    print("\n".join(rows))
    sys.exit(missed)


if __name__ == "__main__":
    main()
