"""What a URL, a host, a connection and a name cost one gannet: the figures of docs/scale-out.md.

    python deploy/spark/bench/cost.py

Against the scripted server on one loopback address. CPU is that of gannet's whole process, system part
included; memory is its peak.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent / "tests")]

from conftest import Origin, built  # noqa: E402


class Names(threading.Thread):
    """A name server that knows every name, and counts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.asked = 0

    def run(self) -> None:
        while True:
            query, sender = self.socket.recvfrom(2048)
            self.asked += 1
            end = query.index(b"\0", 12) + 5
            (kind,) = struct.unpack(">H", query[end - 4 : end - 2])
            answer = (
                b"\xc0\x0c\0\x01\0\x01" + struct.pack(">IH4B", 3600, 4, 127, 1, 0, 1) if kind == 1 else b""
            )
            head = query[:2] + b"\x81\x80\0\x01" + struct.pack(">HHH", 1 if answer else 0, 0, 0)
            self.socket.sendto(head + query[12:end] + answer, sender)


def measure(name: str, server: Origin, folder: Path, urls: list[str], *options: str) -> None:
    (folder / "list").write_text("".join(f"{url}\n" for url in urls))
    before = server.stats()["accepted"]
    words = ["-q", "-i", str(folder / "list"), "--results", str(folder / "r"), "--results-overwrite"]
    words += ["--summary", str(folder / "summary"), "--no-summary", *options]
    begun = time.monotonic()
    process = subprocess.Popen([built("gannet"), *words], stderr=subprocess.PIPE)
    peak = 0
    while True:
        # Not ru_maxrss: that remembers what the process was before it became gannet.
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(
            [peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))]
        )
        ended, code, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.01)
    seconds = time.monotonic() - begun
    summary: dict[str, Any] = json.loads((folder / "summary").read_text())
    assert code == 0 and summary["ok"] == len(urls), summary["kinds"]
    opened = server.stats()["accepted"] - before
    record = (folder / "r").stat().st_size / len(urls)
    cpu = (used.ru_utime + used.ru_stime) * 1e6 / len(urls)
    print(
        f"{name:<34} {len(urls):>7} {len(urls) / seconds:>8.0f} {cpu:>6.1f} {peak / 1024:>7.1f} "
        f"{opened:>7} {record:>6.0f}",
        flush=True,
    )


def main() -> None:
    script = subprocess.run(
        [built("examples/origin"), "tls", "--print"], capture_output=True, check=True
    ).stdout
    secure = {name: value for name, value in json.loads(script).items() if name == "tls"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    names = Names()
    names.start()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        plain = Origin(folder, 1, count_requests=False)
        tls = Origin(folder, 1, count_requests=False, **secure)
        try:
            print(f"{'':<34} {'URLs':>7} {'URLs/s':>8} {'µs CPU':>6} {'MiB':>7} {'opened':>7} {'record':>6}")

            def http(hosts: int, urls: int, size: int, clumped: bool = False) -> list[str]:
                each = urls // hosts
                place = (lambda n: n // each) if clumped else (lambda n: n % hosts)
                return [f"http://h{place(n)}.example:{plain.port}/bytes/{size}?{n}" for n in range(urls)]

            known = ("--resolve", f"*:{plain.port}:127.1.0.1")
            measure("1 host", plain, folder, http(1, 100_000, 10), *known)
            measure("100 hosts", plain, folder, http(100, 100_000, 10), *known)
            measure("100 hosts, 20 kB", plain, folder, http(100, 20_000, 20_000), *known)
            measure("10,000 hosts, 10 URLs each", plain, folder, http(10_000, 100_000, 10, True), *known)
            measure("the same, host after host in turn", plain, folder, http(10_000, 100_000, 10), *known)
            measure("50,000 hosts, a URL each", plain, folder, http(50_000, 50_000, 10), *known)
            known = ("--resolve", f"*:{tls.port}:127.1.0.1", "-k")
            encrypted = [
                url.replace("http:", "https:").replace(str(plain.port), str(tls.port), 1)
                for url in http(100, 50_000, 10)
            ]
            measure("TLS, 100 hosts", tls, folder, encrypted, *known)
            encrypted = [f"https://h{n}.example:{tls.port}/bytes/10" for n in range(10_000)]
            measure("TLS, 10,000 hosts, a URL each", tls, folder, encrypted, *known)
            server = "127.0.0.1:" + str(names.socket.getsockname()[1])
            before = names.asked
            measure(
                "10,000 names asked for",
                plain,
                folder,
                http(10_000, 30_000, 10, True),
                "--dns-servers",
                server,
            )
            print(f"{(names.asked - before) / 10_000:.2f} queries a name")
            lines = 2_000_000
            (folder / "list").write_text(
                "".join(f"https://www.site{n // 10}.example/a/page-{n}.html\n" for n in range(lines))
            )
            words = [
                "-q",
                "-i",
                str(folder / "list"),
                "--results",
                "/dev/null",
                "--no-summary",
                "--shard",
                "999983/1000000",
            ]
            process = subprocess.Popen([built("gannet"), *words])
            used = os.wait4(process.pid, 0)[2]
            print(f"{(used.ru_utime + used.ru_stime) * 1e6 / lines:.2f} µs CPU for a line of another part")
        finally:
            plain.stop()
            tls.stop()


if __name__ == "__main__":
    main()
