"""What the way through Spark costs, beside what gannet itself takes.

    python deploy/spark/bench/ways.py steps      # CPU a URL of each step, and of three ways to reach gannet
    python deploy/spark/bench/ways.py workers    # one worker against two

Names of rows after that choose some of them.

Starts the scripted server, and a Spark with separate workers for each row. Figures are of whole
processes, from /proc: the executors' JVMs, their Python, and gannet. Each is taken in a session that has
done the same work once before, so that what the JVM compiles is compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent / "tests")]

from conftest import Origin, built, processes  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
HOSTS = 400


def cpu(application: str) -> dict[str, float]:
    """Seconds of CPU so far. gannet ends with its task: it counts among the children of its parent."""
    total = {"JVM": 0.0, "Python": 0.0, "gannet": 0.0}
    for process in processes("java", application):
        if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{process}/cmdline").read_bytes():
            own, children = times(process)
            total["JVM"] += own
            total["gannet"] += children
    for process in processes(os.path.basename(sys.executable), "pyspark.daemon"):
        own, children = times(process)
        total["Python"] += own
        total["gannet"] += children
    return total


def times(process: int) -> tuple[float, float]:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system, children, their_system = (int(field) / TICK for field in fields[11:15])
    return user + system, children + their_system


def session(workers: int, rows: str) -> tuple[Any, Any]:
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master(f"local-cluster[{workers},1,1024]")
        .appName("gannet ways")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.executor.memory", "1g")
        .config("spark.pyspark.python", sys.executable)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark, spark.read.json(rows, schema="id bigint, url string, title string")


def row(way: str, urls: int, rows: str) -> None:
    """One measured row, in a process of its own."""
    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    from gannet_spark import Options, frame

    kind, _, workers = way.partition(" ")
    count = int(workers or 1)
    limits: dict[str, Any] = {"parallel_max": 8, "per_host": 4} if kind == "workers" else {}
    options = Options(gannet=built("gannet"), partitions=8, **limits)
    spark, df = session(count, rows)
    context = spark.sparkContext
    words = [options.gannet, *options.words()]
    words[words.index("--summary") + 1] = "/dev/null"
    lines = frame.sent(df, "url", options, 8)

    def piped_by_the_jvm() -> DataFrame:
        jvm: Any = context._jvm
        encoder = jvm.org.apache.spark.sql.Encoders.STRING()
        command = jvm.java.util.ArrayList()
        for word in words:
            command.add(word)
        piped = getattr(lines.select("line")._jdf, "as")(encoder).toJavaRDD().pipe(command).rdd()
        made = spark._jsparkSession.createDataset(piped, encoder).toDF()
        return frame.typed(df, options, DataFrame(made, spark).toDF("record"))

    def piped_by_python() -> DataFrame:
        piped = lines.select("line").rdd.map(lambda line: line[0]).pipe(" ".join(words))
        return frame.typed(
            df, options, spark.createDataFrame(piped.map(lambda line: (line,)), "record string")
        )

    ways = {
        "lines": lambda: lines,
        "records": lambda: frame.fetch(df, options=options).select(F.length("url")),
        "fetch": lambda: frame.fetch(df, options=options),
        "workers": lambda: frame.fetch(df, options=options),
        "jvm-pipe": piped_by_the_jvm,
        "python-pipe": piped_by_python,
    }
    for _ in range(2):
        before, begun = cpu(context.applicationId), time.monotonic()
        ways[kind]().write.format("noop").mode("overwrite").save()
        seconds = time.monotonic() - begun
        after = cpu(context.applicationId)
    used = {name: (after[name] - before[name]) * 1e6 / urls for name in after}
    print(
        f"{way:<12} {urls / seconds:8.0f} {used['JVM']:8.0f} {used['Python']:8.0f} {used['gannet']:8.0f}",
        flush=True,
    )
    spark.stop()


def main() -> None:
    what = sys.argv[1]
    if what == "row":
        return row(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    urls, script = 40_000, {"count_requests": False}
    if what == "workers":
        # So few connections that waiting decides, as it does between machines; not this one's two cores.
        urls = 16_000
        script["service"] = {"time": {"fixed_us": 20_000}}
    with tempfile.TemporaryDirectory() as folder:
        server = Origin(Path(folder), HOSTS, **script)
        try:
            rows = Path(folder) / "rows"
            rows.mkdir()
            for file in range(4):
                with (rows / f"{file}.json").open("w") as out:
                    for at in range(file, urls, 4):
                        url = server.url(at, f"/bytes/1000?{at}")
                        out.write(f'{{"id":{at},"url":"{url}","title":"a title of the row {at}"}}\n')
            print(f"{urls} URLs over {HOSTS} hosts       CPU, microseconds a URL")
            print(f"{'':<12} {'URLs/s':>8} {'JVM':>8} {'Python':>8} {'gannet':>8}")
            ways = (
                ["workers 1", "workers 2"]
                if what == "workers"
                else ["lines", "records", "fetch", "jvm-pipe", "python-pipe"]
            )
            for way in sys.argv[2:] or ways:
                subprocess.run(
                    [sys.executable, __file__, "row", way, str(urls), str(rows)],
                    check=True,
                    timeout=240,
                    stderr=subprocess.DEVNULL if not os.environ.get("SHOW") else None,
                )

        finally:
            server.stop()


if __name__ == "__main__":
    main()
