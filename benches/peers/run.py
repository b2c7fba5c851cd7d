#!/usr/bin/env python3
"""gannet beside its peers on the same work: `python3 benches/peers/run.py [--rounds N] [--only W1,W2] [--peers a,b]`.

Starts nginx (Debian's package) pinned to one core, runs each client pinned to another, interleaved, and prints CPU a
request, wall time, connections accepted and peak memory: medians with their spread, and the median of the ratios to
gannet within each round. A peer that is missing is skipped by name. Needs Python 3 and nothing else of it.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PLAIN, TLS, CLOSING, RESUMED, STATUS = 18080, 18443, 18444, 18445, 18081
# Files in memory.
SHELF = "/dev/shm/gannet-peers"

SIZES = {"1k": 1 << 10, "64k": 1 << 16, "1g": 1 << 30}


def hosts(n):
    return [f"127.0.{1 + i // 200}.{1 + i % 200}" for i in range(n)]


def start_nginx(folder):
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    www = os.path.join(folder, "www")
    os.makedirs(www)
    # nginx's worker is another user.
    os.chmod(folder, 0o755)
    for name, size in SIZES.items():
        with open(os.path.join(www, name), "wb") as out:
            block = os.urandom(min(size, 1 << 20))
            for _ in range(max(1, size // len(block))):
                out.write(block)
    names = ",".join(f"IP:{host}" for host in ["127.0.0.1"] + hosts(200))
    certificates(folder, ",".join(f"IP:{host}" for host in ["127.0.0.1"] + hosts(200)))
    many = "".join(f"listen {host}:{PLAIN}; listen {host}:{TLS} ssl;" for host in hosts(200))
    config = f"""
        worker_processes 1; worker_cpu_affinity 0001; worker_rlimit_nofile 20000; daemon on;
        pid {folder}/pid; error_log {folder}/err;
        events {{ worker_connections 16000; }}
        http {{
            access_log off; root {www}; keepalive_requests 1000000000; sendfile on; tcp_nopush on;
            client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
            uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;
            server {{ listen 127.0.0.1:{PLAIN} backlog=4096; listen 127.0.0.1:{TLS} ssl backlog=4096; {many} }}
            server {{ listen 127.0.0.1:{CLOSING} ssl backlog=4096; keepalive_timeout 0; ssl_session_tickets off; ssl_session_cache none; }}
            server {{ listen 127.0.0.1:{RESUMED} ssl backlog=4096; keepalive_timeout 0; }}
            server {{ listen 127.0.0.1:{STATUS}; location / {{ stub_status; }} }}
        }}"""
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as out:
        out.write(config)
    subprocess.run([nginx, "-c", path], check=True)
    sizes()


def certificates(folder, names):
    """An authority in ca.pem, and a certificate of it for `names`: rustls refuses a server that shows an authority's."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    with open(f"{folder}/extensions", "w") as out:
        out.write(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    for command in (
            ["req", "-x509", *key, "-subj", "/CN=bench authority", "-keyout", "ca.key", "-out", "ca.pem"],
            ["req", *key, "-subj", "/CN=bench", "-keyout", "key.pem", "-out", "request.pem"],
            ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30", "-extfile", "extensions", "-out", "cert.pem"]):
        subprocess.run(["openssl", *command], cwd=folder, check=True, stderr=subprocess.DEVNULL)


def sizes():
    """What is measured must be what is meant: the files, not an error page."""
    for name, size in SIZES.items():
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{PLAIN}/{name}", method="HEAD")) as answer:
            assert int(answer.headers["Content-Length"]) == size, name


def counted():
    """Connections and requests that nginx has seen, this one of each included."""
    with urllib.request.urlopen(f"http://127.0.0.1:{STATUS}/") as answer:
        accepted, _, requests = map(int, answer.read().decode().split("\n")[2].split())
        return accepted, requests


def unhurried(work, *arguments):
    """Does this without the priority that the whole may run with: Go's linker can spin for ever under `chrt -f`."""
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    if policy == os.SCHED_OTHER:
        return work(*arguments)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        return work(*arguments)
    finally:
        os.sched_setscheduler(0, policy, param)


def build(folder):
    """The peers that can be built or are installed: name -> command maker."""
    peers = {}
    gannet = os.environ.get("GANNET", os.path.join(ROOT, "target/release/gannet"))
    if not os.path.exists(gannet):
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    def with_gannet(w, *more):
        ca = ["--cacert", f"{folder}/ca.pem"] if w["tls"] else []
        if w["requests"] == 1:
            return [gannet, "-sS", "-o", w["file"] or "/dev/null", w["first"], *ca]
        return [gannet, "-q", "-i", w["list"], "--no-summary", "--progress", "never", "--results", "/dev/null", "--results-overwrite", *ca, *more]

    peers["gannet"] = lambda w: with_gannet(w, "--per-host", str(w["per_host"]))
    peers["gannet auto"] = lambda w: None if w["requests"] == 1 else with_gannet(w)
    compiler = shutil.which("cc")
    if not compiler:
        sys.exit("a C compiler is needed: the program that measures is in C")
    subprocess.run([compiler, "-O2", "-o", f"{folder}/measure", f"{HERE}/measure.c"], check=True)
    subprocess.run([compiler, "-O2", "-o", f"{folder}/floor", f"{HERE}/floor.c"], check=True)
    peers["floor"] = lambda w: None if w["tls"] or w["hosts"] > 1 or w["name"] == "W7" else [
        f"{folder}/floor", "127.0.0.1", str(PLAIN), w["path"], str(w["requests"]), str(w["per_host"])] + ([w["file"]] if w["file"] else [])
    made = subprocess.run([compiler, "-O2", "-o", f"{folder}/multi", f"{HERE}/multi.c", "-lcurl"], stderr=subprocess.DEVNULL)
    if made.returncode == 0:
        peers["libcurl multi"] = lambda w: ([f"{folder}/multi", str(w["together"])] + ([f"{folder}/ca.pem"] if w["tls"] else []), w["list"])
    go = shutil.which("go")
    if go:
        made = subprocess.run([go, "build", "-o", f"{folder}/gopeer", f"{HERE}/peer.go"], env={**os.environ, "GO111MODULE": "off"})
        if made.returncode == 0:
            for kind in ("tuned", "default"):
                peers[f"go {kind}"] = lambda w, kind=kind: (
                    [f"{folder}/gopeer", str(w["together"]), kind] + ([f"{folder}/ca.pem"] if w["tls"] else []), w["list"])
    target = os.path.join(tempfile.gettempdir(), "gannet-peer-hyper")
    made = subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", target], cwd=f"{HERE}/hyper")
    if made.returncode == 0:
        peers["hyper"] = lambda w: ([f"{target}/release/peer-hyper", str(w["together"])] + ([f"{folder}/ca.pem"] if w["tls"] else []), w["list"])
    bare = os.path.join(tempfile.gettempdir(), "gannet-peer-bare")
    made = subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", bare], cwd=f"{HERE}/bare")
    if made.returncode == 0:
        peers["bare rustls"] = lambda w: None if w["name"] not in ("W4", "W4r", "W5t") else [
            f"{bare}/release/peer-bare", "127.0.0.1", str(w["port"]), w["path"], str(w["requests"]), "full" if w["name"] == "W4" else "resumed",
            f"{folder}/ca.pem"]
    alone = os.path.join(tempfile.gettempdir(), "gannet-peer-engine")
    made = subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", alone], cwd=f"{HERE}/engine")
    if made.returncode == 0:
        peers["gannet's engine"] = lambda w: None if w["name"] not in ("W1", "W5", "W6") else [
            f"{alone}/release/peer-engine", "127.0.0.1", str(w["port"]), w["path"], str(w["requests"]), str(w["per_host"])]
    if shutil.which("wrk"):
        peers["wrk"] = lambda w: None if w["hosts"] > 1 or w["name"] not in ("W1", "W2", "W6") else [
            "wrk", "-t1", f"-c{w['together']}", "-d2", w["first"]]
    if shutil.which("curl"):
        peers["curl --parallel"] = lambda w: None if w["requests"] > 40000 else [
            "curl", "-s", "--parallel", "--parallel-immediate", "--parallel-max", str(w["together"]), "--cacert", f"{folder}/ca.pem",
            "-K", w["config"]]
    if shutil.which("wget2"):
        peers["wget2"] = lambda w: None if w["name"] in ("W5", "W5t") else [
            "wget2", "-q", "--no-http2", "--max-threads", str(w["together"]), "--ca-certificate", f"{folder}/ca.pem", "-O", "/dev/null", "-i", w["list"]]
    if shutil.which("aria2c"):
        # It has no way to throw a body away: it writes files, in memory.
        peers["aria2"] = lambda w: None if w["name"] in ("W5", "W5t") else [
            "aria2c", "--no-conf", "-q", "-i", w["aria2"], "-d", os.path.join(SHELF, "aria2"), "-j", str(w["together"]), "-s", "1", "--deferred-input=true",
            "--file-allocation=none", "--allow-overwrite=true", "--auto-file-renaming=false", "--summary-interval=0", "--download-result=hide",
            "--ca-certificate", f"{folder}/ca.pem"]
    for name in ("floor", "libcurl multi", "go tuned", "hyper", "wrk", "curl --parallel", "wget2", "aria2", "bare rustls"):
        if name not in peers:
            print(f"skipped: {name} is not here", file=sys.stderr)
    return peers


def workloads(folder):
    rows = [
        ("W1", "plain keep-alive, 30,000 x 1 KiB", PLAIN, "1k", 1, 30000, 64, 64),
        ("W2", "the same over TLS 1.3", TLS, "1k", 1, 30000, 64, 64),
        ("W3", "200 hosts x 75", PLAIN, "1k", 200, 75, 4, 64),
        ("W3t", "200 hosts x 20, TLS", TLS, "1k", 200, 20, 4, 64),
        ("W4", "TLS, the server closes each, no resumption", CLOSING, "1k", 1, 1000, 64, 64),
        ("W4r", "the same, resumed", RESUMED, "1k", 1, 1000, 64, 64),
        ("W5", "1 GiB plain", PLAIN, "1g", 1, 1, 1, 1),
        ("W5f", "1 GiB plain, to a file in memory", PLAIN, "1g", 1, 1, 1, 1),
        ("W5t", "1 GiB TLS", TLS, "1g", 1, 1, 1, 1),
        ("W6", "64 KiB bodies", PLAIN, "64k", 1, 10000, 64, 64),
        ("W7", "one URL", PLAIN, "1k", 1, 1, 1, 1),
    ]
    for name, what, port, file, count, each, per_host, together in rows:
        tls = port != PLAIN
        scheme = "https" if tls else "http"
        names = hosts(count) if count > 1 else ["127.0.0.1"]
        urls = [f"{scheme}://{host}:{port}/{file}?{n}" for n in range(each) for host in names]
        listed, config = os.path.join(folder, f"{name}.txt"), os.path.join(folder, f"{name}.curl")
        with open(listed, "w") as out:
            out.write("\n".join(urls) + "\n")
        with open(config, "w") as out:
            out.write("".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls))
        aria2 = os.path.join(folder, f"{name}.aria2")
        with open(aria2, "w") as out:
            out.write("".join(f"{url}\n out={n}\n" for n, url in enumerate(urls)))
        yield {"name": name, "what": what, "tls": tls, "hosts": count, "requests": len(urls), "per_host": per_host, "together": together, "port": port,
               "file": os.path.join(SHELF, "W5f") if name == "W5f" else None,
               "list": listed, "config": config, "aria2": aria2, "first": urls[0], "path": f"/{file}"}


def run(command, core, folder):
    stdin = None
    if isinstance(command, tuple):
        command, listed = command
        stdin = open(listed)
    before = counted()
    done = subprocess.run([f"{folder}/measure", str(core)] + command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    user, system, wall, rss, status = map(int, done.stderr.split()[-5:])
    # The status page takes a connection and a request of its own.
    connections, requests = (now - then - 1 for now, then in zip(counted(), before))
    return {"cpu": (user + system) / 1e6, "user": user / 1e6, "wall": wall / 1e6, "rss": rss / 1024,
            "connections": connections, "requests": requests, "failed": status != 0}



def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", default="")
    parser.add_argument("--peers", default="")
    parser.add_argument("--core", type=int, default=1)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="gannet-peers-")
    start_nginx(folder)
    try:
        peers = unhurried(build, folder)
        if options.peers:
            wanted = options.peers.split(",")
            peers = {name: make for name, make in peers.items() if name in wanted or name == "gannet"}
        for work in workloads(folder):
            if work["file"]:
                peers_here = {name: make for name, make in peers.items() if name in ("gannet", "floor", "aria2")}
            else:
                peers_here = peers
            if options.only and work["name"] not in options.only.split(","):
                continue
            results = {name: [] for name in peers_here}
            for _ in range(options.rounds):
                for name, make in peers_here.items():
                    command = make(work)
                    # Each begins with no file: gannet writes beside one that is there, and renames.
                    shutil.rmtree(SHELF, ignore_errors=True)
                    os.makedirs(SHELF)
                    if command:
                        results[name].append(run(command, options.core, folder))
            show(work, results)
    finally:
        with open(f"{folder}/pid") as pid:
            os.kill(int(pid.read()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(SHELF, ignore_errors=True)


def show(work, results):
    per = work["requests"]
    print(f"\n{work['name']}: {work['what']}")
    print(f"{'client':18} {'CPU us/request':>24} {'user':>8} {'wall s':>8} {'conns':>7} {'RSS MiB':>8} {'CPU / gannet':>13}")
    base = results["gannet"]

    for name, samples in results.items():
        if not samples:
            continue
        # wrk goes on for as long as it is told.
        def each(sample):
            return max(sample["requests"], 1) if name == "wrk" else per

        costs = sorted(s["cpu"] / each(s) * 1e6 for s in samples)
        ratio = statistics.median((s["cpu"] / each(s)) / (b["cpu"] / per) for s, b in zip(samples, base))
        middle = statistics.median(costs)
        user = statistics.median(s["user"] / each(s) * 1e6 for s in samples)
        failed = "  FAILED" if any(s["failed"] for s in samples) else ""
        # The floor asks once more, for the length.
        asked = min(s["requests"] for s in samples)
        if asked < per:
            failed += f"  ASKED {asked} OF {per}"
        print(f"{name:18} {middle:9.1f} ({costs[0]:.1f}-{costs[-1]:.1f})".ljust(43)
              + f" {user:8.1f} {statistics.median(s['wall'] for s in samples):8.2f}"
              + f" {statistics.median(s['connections'] for s in samples):7.0f} {max(s['rss'] for s in samples):8.1f} {ratio:13.2f}{failed}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
