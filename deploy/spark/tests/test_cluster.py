"""A Spark with separate workers: everything once, no host twice at a time, executors that are killed.

``local-cluster[2,1,1024]`` starts a master, two workers and their executors as processes of their own.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyspark
import pytest

from conftest import ROOT, Origin, built, processes

pytestmark = pytest.mark.cluster
HOSTS, URLS, PER_HOST, PARTS = 400, 20_000, 3, 8

#: The driver is a process of its own, as an application is; executors get the package from nowhere but it.
DRIVER = """
import json, sys, time
sys.path.insert(0, {package!r})
from pyspark.sql import SparkSession, functions as F
from gannet_spark import Counters, Options, fetch
spark = (
    SparkSession.builder.master("local-cluster[2,1,1024]").appName({name!r})
    .config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1").config("spark.executor.memory", "1g")
    .config("spark.sql.execution.arrow.maxRecordsPerBatch", "500").getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
print("app", spark.sparkContext.applicationId, flush=True)
df = spark.read.json({rows!r}, schema="id bigint, url string, tags array<string>")
counters = Counters(spark)
begun = time.monotonic()
result = fetch(df, options=Options(gannet={gannet!r}, ship=True, **{options!r}), counters=counters)
rows = result.select("id", "url", "tags", "status", "ok", "body", F.spark_partition_id().alias("part")).collect()
seconds = time.monotonic() - begun
with open({out!r}, "w") as out:
    for row in rows:
        out.write(json.dumps([row["id"], row["url"], row["tags"], row["status"], row["ok"], len(row["body"]), row["part"]]) + "\\n")
print("done", round(seconds, 2), json.dumps(counters.as_dict()), flush=True)
spark.stop()
"""


class Peaks(threading.Thread):
    """Looks at the memory of the tasks' processes from time to time."""

    def __init__(self, gannet: str) -> None:
        super().__init__(daemon=True)
        self.gannet, self.over = gannet, threading.Event()
        self.peak: Counter[str] = Counter()

    def run(self) -> None:
        while not self.over.wait(0.2):
            for kind, found in (
                ("gannet", processes(self.gannet)),
                ("python", [p for p in processes(os.path.basename(sys.executable), "pyspark.daemon")]),
            ):
                for process in found:
                    try:
                        status = Path(f"/proc/{process}/status").read_text()
                    except OSError:
                        continue
                    for line in status.splitlines():
                        if line.startswith("VmHWM:"):
                            self.peak[kind] = max(self.peak[kind], int(line.split()[1]))


def run(
    tmp_path: Path, origin: Origin, disturb: Any, **options: Any
) -> tuple[list[Any], dict[str, float], Peaks, str]:
    # Zipf's law, as sites have it: host number r has about 1/r as many URLs as the first.
    weights = [1 / rank for rank in range(1, HOSTS + 1)]
    counts = [max(1, int(URLS * weight / sum(weights))) for weight in weights]
    counts[0] += URLS - sum(counts)
    rows = tmp_path / "rows"
    rows.mkdir()
    at = 0
    files: list[list[str]] = [[] for _ in range(4)]
    for host, count in enumerate(counts):
        for n in range(count):
            row = {"id": at, "url": origin.url(host, f"/bytes/100?{n}"), "tags": [f"host {host}"]}
            files[at % 4].append(json.dumps(row) + "\n")
            at += 1
    for n, lines in enumerate(files):
        (rows / f"{n}.json").write_text("".join(lines))
    gannet = tmp_path / "gannet-cluster"
    gannet.write_bytes(Path(built("gannet")).read_bytes())
    gannet.chmod(0o755)
    out = tmp_path / "out"
    driver = tmp_path / "driver.py"
    driver.write_text(
        textwrap.dedent(DRIVER).format(
            package=str(ROOT / "deploy" / "spark" / "src"),
            name=tmp_path.name,
            names=[],
            rows=str(rows),
            gannet=str(gannet),
            options=options,
            out=str(out),
        )
    )
    # No module of the tests may be found by the executors.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, str(driver)], stdout=subprocess.PIPE, stderr=log, text=True,
        cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    peaks = Peaks("gannet-cluster")
    peaks.start()
    try:
        application = ""
        disturber = None
        for line in process.stdout:
            if line.startswith("app "):
                application = line.split()[1]
                if disturb is not None:
                    disturber = threading.Thread(target=disturb, args=(application,), daemon=True)
                    disturber.start()
            if line.startswith("done "):
                _, seconds, counted = line.split(" ", 2)
                counters = {**json.loads(counted), "seconds": float(seconds)}
        assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()[-4000:]
        if disturber is not None:
            disturber.join(timeout=5)
    finally:
        process.kill()
        peaks.over.set()
    return [json.loads(line) for line in out.read_text().splitlines()], counters, peaks, application


def check(rows: list[Any], origin: Origin) -> tuple[int, int]:
    """Every row once, every host in one part, no host with more connections; what was fetched twice."""
    assert sorted(row[0] for row in rows) == list(range(URLS))
    parts: dict[str, set[int]] = {}
    for _, url, tags, status, ok, length, part in rows:
        assert (status, ok, length) == (200, True, 100), url
        host = int(tags[0].split()[1])
        assert origin.url(host, "/").rstrip("/") in url
        parts.setdefault(url.split("/")[2], set()).add(part)
    assert len(parts) == HOSTS and all(len(found) == 1 for found in parts.values())
    counted = origin.stats()
    peaks = [one["peak"] for one in counted["addresses"]]
    assert len(peaks) == HOSTS and max(peaks) <= PER_HOST, max(peaks)
    return counted["requests"] - URLS, max(peaks)


def wait_for(what: Any, seconds: float) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come to that in time")


def executors(application: str) -> list[int]:
    return [
        one
        for one in processes("java", application)
        if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]


def test_an_executor_is_killed_and_every_row_is_there_once(tmp_path: Path, origin: Any) -> None:
    server = origin(HOSTS, service={"time": {"fixed_us": 4_000}})
    checkpoint = tmp_path / "checkpoint"
    killed: list[tuple[int, int]] = []

    def disturb(application: str) -> None:
        wait_for(lambda: server.stats()["requests"] > URLS * 2 // 5, 150)
        # One that has a gannet under way.
        for executor in executors(application):
            os.kill(executor, signal.SIGKILL)
            killed.append((executor, server.stats()["requests"]))
            break

    rows, counters, peaks, application = run(
        tmp_path, server, disturb, partitions=PARTS, per_host=PER_HOST, body=True, checkpoint=str(checkpoint)
    )
    assert killed, "nothing was killed"
    twice, peak = check(rows, server)
    print(
        f"\n{URLS} rows over {HOSTS} hosts in {counters['seconds']} s; executor {killed[0][0]} killed after "
        f"{killed[0][1]} requests; {twice} URLs fetched twice; at most {peak} connections to a host; "
        f"peak memory: gannet {peaks.peak['gannet'] // 1024} MiB, Python {peaks.peak['python'] // 1024} MiB; "
        f"{counters['stored']:.0f} records from the checkpoint"
    )
    # What had not been written: about a second of one worker, far from all that it had done.
    assert twice < URLS // 4, twice
    assert 0 < peaks.peak["gannet"] < 256 * 1024 and 0 < peaks.peak["python"] < 400 * 1024, peaks.peak
    # gannet's own words are in the executors' logs.
    work = os.environ.get("SPARK_WORKER_DIR") or os.path.join(os.path.dirname(pyspark.__file__), "work")
    logs = "".join(Path(path).read_text() for path in glob.glob(f"{work}/{application}/*/stderr"))
    assert " ok, 0 failed in " in logs and f"of {PARTS}: gannet: " in logs
    assert not processes("gannet-cluster")
