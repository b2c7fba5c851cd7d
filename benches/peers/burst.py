#!/usr/bin/env python3
"""What a burst of new TLS connections does to those that are at work: `python3 benches/peers/burst.py [--rounds N]`.

One gannet fetches 20,000 small files from one host over four plain connections, and among them one file each from 1,000
hosts over TLS, each with a full handshake and a verified certificate. Prints how long the answers of the first host took while the burst
lasted, and without one: median, 99th percentile and longest, as medians of the rounds. Two nginx processes share one core, gannet has the other.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile

import run as peers

PLAIN, TLS = 18090, 18490
HOSTS = 1000


def hosts():
    return [f"127.0.{20 + n // 200}.{1 + n % 200}" for n in range(HOSTS)]


def start_nginx(folder):
    peers.certificates(folder, ",".join(f"IP:{host}" for host in hosts()))
    www = os.path.join(folder, "www")
    os.makedirs(www)
    os.chmod(folder, 0o755)
    with open(os.path.join(www, "1k"), "wb") as out:
        out.write(os.urandom(1024))
    tls = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3;"
    for name, listen in (("plain", f"listen 127.0.0.1:{PLAIN};"), ("tls", f"listen {TLS} ssl backlog=4096; {tls}")):
        with open(f"{folder}/{name}.conf", "w") as out:
            out.write(f"""
                worker_processes 1; worker_cpu_affinity 0001; worker_rlimit_nofile 20000; daemon on;
                pid {folder}/{name}.pid; error_log {folder}/{name}.err; events {{ worker_connections 16000; }}
                http {{ access_log off; root {www}; keepalive_requests 1000000000; server {{ {listen} }} }}""")
        subprocess.run([shutil.which("nginx") or "/usr/sbin/nginx", "-c", f"{folder}/{name}.conf"], check=True)


def times(folder, listed):
    records = f"{folder}/records"
    command = ["-q", "-i", listed, "--cacert", f"{folder}/ca.pem", "--per-host", "4", "--no-summary", "--progress", "never",
               "--window", "20000", "--parallel-max", "2000", "--results", records, "--results-overwrite"]
    subprocess.run(["taskset", "-c", "1", f"{peers.ROOT}/target/release/gannet", *command], check=True)
    with open(records) as lines:
        rows = [(line["conn"]["remote"].endswith(f":{PLAIN}"), line["ms"]["total"]) for line in map(json.loads, lines)]
    new = [at for at, (plain, _) in enumerate(rows) if not plain]
    # Records come in the order of completion: those in between are of the time of the burst.
    if new:
        rows = rows[new[0]:new[-1]]
    took = sorted(time for plain, time in rows if plain)
    return took[len(took) // 2], took[len(took) * 99 // 100], took[-1], len(took), len(new)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="gannet-burst-")
    start_nginx(folder)
    try:
        own = [f"http://127.0.0.1:{PLAIN}/1k?{n}" for n in range(20000)]
        new = [f"https://{host}:{TLS}/1k" for host in hosts()]
        # Between them stand more for the first host: the list is read only as far as keeps the loop at work.
        burst = [url for n, host in enumerate(new) for url in [host, *own[5000 + 8 * n:5008 + 8 * n]]]
        lists = {"without": own, "with": own[:5000] + burst + own[13000:]}
        for name, urls in lists.items():
            with open(f"{folder}/{name}", "w") as out:
                out.write("\n".join(urls) + "\n")
        rows = {name: [] for name in lists}
        for _ in range(options.rounds):
            for name in lists:
                rows[name].append(times(folder, f"{folder}/{name}"))
        print("burst      median ms   99 % ms   longest ms   answers   TLS connections")
        for name, row in rows.items():
            middle, most, longest, answers, secured = (statistics.median(column) for column in zip(*row))
            print(f"{name:8} {middle:11.3f} {most:9.3f} {longest:12.3f} {answers:9.0f} {secured:17.0f}")
    finally:
        for name in ("plain", "tls"):
            with open(f"{folder}/{name}.pid") as pid:
                os.kill(int(pid.read()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
