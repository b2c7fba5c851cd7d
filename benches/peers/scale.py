#!/usr/bin/env python3
"""What a URL costs with many URLs, many hosts, many connections: `python3 benches/peers/scale.py [--rounds N] [--small]`.

Fetches lists of 1 KiB files with records on, gannet on one core and nginx on the other, one row after the other, and prints CPU a URL and
peak memory as medians, and both beside the row that they are to be read against. --small leaves out the two that take minutes.
GANNET names the program, as in run.py. The lists take up to 900 MB of /dev/shm. The last four rows need root, or a bound of 45,000
files; they are measured with 20,000 hosts, once with 64 connections at a time and once with all of them open to the end.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import tempfile

import run as peers

PLAIN, TLS = 18070, 18470
MANY = 20_000


def host(n):
    return f"127.{1 + n // 62_500}.{n // 250 % 250}.{1 + n % 250}"


def start_nginx(folder):
    peers.certificates(folder, "DNS:bench,IP:127.0.0.1")
    www = os.path.join(folder, "www")
    os.makedirs(www)
    os.chmod(folder, 0o755)
    with open(os.path.join(www, "1k"), "wb") as out:
        out.write(os.urandom(1024))
    with open(f"{folder}/conf", "w") as out:
        out.write(f"""
            worker_processes 1; worker_cpu_affinity 0001; worker_rlimit_nofile 45000; daemon on;
            pid {folder}/pid; error_log {folder}/err; events {{ worker_connections 44000; }}
            http {{ access_log off; root {www}; keepalive_requests 1000000000; keepalive_timeout 600; sendfile on; tcp_nopush on;
            ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;
            server {{ listen {PLAIN} backlog=4096; listen {TLS} ssl backlog=4096; }} }}""")
    subprocess.run([shutil.which("nginx") or "/usr/sbin/nginx", "-c", f"{folder}/conf"], check=True)


def grouped(hosts, each):
    return (f"http://{host(n)}:{PLAIN}/1k?{i}\n" for n in range(hosts) for i in range(each))


def spread(hosts, each):
    return (f"http://{host(n)}:{PLAIN}/1k?{i}\n" for i in range(each) for n in range(hosts))


def one_each(scheme, port):
    return (f"{scheme}://{host(n)}:{port}/1k\n" for n in range(MANY))


def rows():
    """Name, URLs, the list, arguments, the row it is to be read against, whether it takes minutes."""
    wide = ["--parallel-max", str(MANY - 64), "--window", str(MANY)]
    plain, tls = ("http", PLAIN), ("https", TLS)
    yield "1,000 URLs of one host", 1_000, lambda: grouped(1, 1_000), ["--per-host", "64"], None, False
    yield "100,000", 100_000, lambda: grouped(1, 100_000), ["--per-host", "64"], None, False
    yield "10,000,000", 10_000_000, lambda: grouped(1, 10_000_000), ["--per-host", "64"], "100,000", True
    yield "1,000 hosts x 20", 20_000, lambda: grouped(1_000, 20), ["--per-host", "4"], None, False
    yield "200,000 hosts x 20", 4_000_000, lambda: grouped(200_000, 20), ["--per-host", "4"], "1,000 hosts x 20", True
    yield "1,000 x 20, each apart", 20_000, lambda: spread(1_000, 20), ["--per-host", "4"], None, False
    yield "200,000 x 20, each apart", 4_000_000, lambda: spread(200_000, 20), ["--per-host", "4"], "1,000 x 20, each apart", True
    yield "20,000 hosts, 64 open", MANY, lambda: one_each(*plain), ["--parallel-max", "64"], None, False
    yield "20,000 hosts, all open", MANY, lambda: one_each(*plain), wide, "20,000 hosts, 64 open", False
    yield "the same over TLS, 64 open", MANY, lambda: one_each(*tls), ["-k", "--parallel-max", "64"], None, False
    yield "the same over TLS, all open", MANY, lambda: one_each(*tls), ["-k", *wide], "the same over TLS, 64 open", False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    gannet = os.environ.get("GANNET", os.path.join(peers.ROOT, "target/release/gannet"))
    folder = tempfile.mkdtemp(prefix="gannet-scale-")
    shelf = tempfile.mkdtemp(prefix="gannet-scale-", dir="/dev/shm")
    subprocess.run([shutil.which("cc"), "-O2", "-o", f"{folder}/measure", f"{peers.HERE}/measure.c"], check=True)
    start_nginx(folder)
    try:
        print(f"{'':28} {'CPU us/URL':>20} {'user':>6} {'by':>6} {'peak MiB':>9} {'more, MiB':>10}")
        seen = {}
        for name, urls, lines, arguments, beside, long in rows():
            if long and options.small:
                continue
            with open(f"{shelf}/list", "w") as out:
                out.writelines(lines())
            command = [gannet, "-q", "-i", f"{shelf}/list", "--no-summary", "--progress", "never", "--results", "/dev/null",
                       "--results-overwrite", *arguments]
            costs, users, peaks, failed = [], [], [], False
            for _ in range(options.rounds):
                done = subprocess.run([f"{folder}/measure", str(options.core)] + command, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                user, system, _, rss, status = map(int, done.stderr.split()[-5:])
                costs.append((user + system) / urls)
                users.append(user / urls)
                peaks.append(rss / 1024)
                failed |= status != 0
            cost, peak = statistics.median(costs), statistics.median(peaks)
            seen[name] = cost, peak
            line = f"{name:28} {cost:6.1f} ({min(costs):.1f}-{max(costs):.1f})".ljust(49)
            line += f" {statistics.median(users):6.1f}"
            if beside in seen:
                line += f" {cost / seen[beside][0]:6.2f} {peak:9.1f} {peak - seen[beside][1]:10.1f}"
            else:
                line += f" {'':6} {peak:9.1f}"
            print(line + ("  FAILED" if failed else ""), flush=True)
    finally:
        with open(f"{folder}/pid") as pid:
            os.kill(int(pid.read()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(shelf, ignore_errors=True)


if __name__ == "__main__":
    main()
