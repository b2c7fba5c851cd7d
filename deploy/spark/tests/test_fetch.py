"""``fetch`` under a Spark in one process: columns, types, refusals, the ends of tasks."""

from __future__ import annotations

import math
import time
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DateType,
    DecimalType,
    DoubleType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from conftest import processes
from gannet_spark import Counters, Options, fetch, hosts


def options(gannet: str, **more: Any) -> Options:
    return Options(gannet=gannet, **{"partitions": 3, **more})


def test_parts_are_where_spark_puts_them(spark: Any) -> None:
    for parts in (1, 3, 16):
        slots = hosts.slots(parts)
        df = spark.createDataFrame([(slot, at) for at, slot in enumerate(slots)], "slot int, part int")
        placed = df.repartition(parts, "slot").select("part", F.spark_partition_id().alias("is"))
        assert all(row["part"] == row["is"] for row in placed.collect())
    hashed = spark.range(-50, 50).selectExpr("cast(id as int) n", "hash(cast(id as int)) h").collect()
    assert all(hosts.murmur3(row["n"]) == row["h"] for row in hashed)


def test_the_callers_columns_come_back_as_they_were(spark: Any, origin: Any, gannet: str) -> None:
    server = origin(2)
    schema = StructType(
        [
            StructField("link", StringType()),
            StructField("a.b c", StringType()),
            StructField("number", LongType()),
            StructField("price", DecimalType(38, 10)),
            StructField("real", DoubleType()),
            StructField("day", DateType()),
            StructField("at", TimestampType()),
            StructField("local", TimestampNTZType()),
            StructField("raw", BinaryType()),
            StructField("tags", MapType(StringType(), LongType())),
            StructField(
                "nested",
                ArrayType(StructType([StructField("x", StringType()), StructField("t", TimestampType())])),
            ),
        ]
    )
    at = datetime(2026, 3, 29, 1, 59, 59, 999_999)
    full = (
        'q"\\\u2028\U0001f427\x00\n', -(2**63), Decimal("12345678901234567890.0123456789"), 0.1, date(1582, 10, 15), at, at,
        b"\x00\xff\x80", {"k'\"": 1, "": 2}, [(None, at), ("x", None), None],
    )  # fmt: skip
    empty = (None,) * 10
    odd = (
        "",
        0,
        Decimal("0E-10"),
        -0.0,
        date(9999, 12, 31),
        datetime(1900, 1, 1),
        datetime(1, 1, 1),
        b"",
        {},
        [],
    )
    rows = [(server.url(n, f"/bytes/10?{n}"), *row) for n, row in enumerate([full, empty, odd])]
    df = spark.createDataFrame(rows, schema)
    result = fetch(df, "link", options(gannet))
    assert result.schema.fields[: len(schema)] == schema.fields
    got = {row["link"]: row for row in result.collect()}
    before = {row["link"]: row for row in df.collect()}
    assert got.keys() == before.keys()
    for link, row in before.items():
        for name in schema.names:
            assert got[link][name] == row[name], (name, got[link][name], row[name])
        assert got[link]["status"] == 200
    assert math.copysign(1, got[rows[2][0]]["real"]) == -1
    special = spark.createDataFrame(
        [(rows[0][0], math.nan, math.inf), (rows[1][0], -math.inf, 1e308)], "url string, x double, y double"
    )
    result = {row["url"]: row for row in fetch(special, options=options(gannet)).collect()}
    assert math.isnan(result[rows[0][0]]["x"]) and result[rows[0][0]]["y"] == math.inf
    assert result[rows[1][0]]["x"] == -math.inf and result[rows[1][0]]["y"] == 1e308


def test_records_are_typed_columns(spark: Any, origin: Any, gannet: str) -> None:
    server = origin()
    paths = ["/range/300", "/status/404", "/redirect/1", "/gzip/5000", "/echo", "/cut/fin/5/10"]
    df = spark.createDataFrame(
        [(server.url(0, path), path, {"X-Mine": "yes"} if path == "/echo" else None) for path in paths],
        "url string, path string, h map<string,string>",
    )
    counters = Counters(spark)
    more = {
        "body": True,
        "headers": "all",
        "sha256": True,
        "columns": {"headers": "h"},
        "args": ("-f", "--compressed", "--retry", "1"),
    }
    result = fetch(df, options=options(gannet, **more), counters=counters)
    kinds = {field.name: field.dataType.simpleString() for field in result.schema}
    assert kinds["body"] == "binary" and kinds["headers"] == "map<string,array<string>>"
    assert kinds["started"] == "timestamp" and kinds["status"] == "int" and kinds["body_bytes"] == "bigint"
    got = {row["path"]: row for row in result.collect()}
    assert len(got["/range/300"]["body"]) == 300 and isinstance(got["/range/300"]["body"], (bytes, bytearray))
    assert got["/range/300"]["headers"]["etag"] == [got["/range/300"]["etag"]]
    assert len(got["/range/300"]["sha256"]) == 64
    assert abs((got["/range/300"]["started"] - datetime.now()).total_seconds()) < 12 * 3600
    assert not got["/status/404"]["ok"] and got["/status/404"]["status"] == 404
    assert got["/redirect/1"]["status"] == 302 and got["/redirect/1"]["location"] == "/redirect/0"
    assert len(got["/gzip/5000"]["body"]) == 5000
    assert b"X-Mine: yes" in got["/echo"]["body"]
    cut = got["/cut/fin/5/10"]
    assert not cut["ok"] and cut["error"]["kind"] and len(cut["tries"]) == 2, cut
    assert counters["ok"] == 4 and counters["failed"] == 2 and counters["repeats"] == 1, counters
    assert counters["cpu_ms"] > 0 and counters["body_bytes"] > 5000


def test_what_is_no_url_is_a_row_too(spark: Any, origin: Any, gannet: str) -> None:
    server = origin()
    urls = [None, "", "http://a b/", "ftp://x/", server.url(0, "/bytes/1")]
    df = spark.createDataFrame(
        [(n, url, method) for n, url in enumerate(urls) for method in (None, "G T")],
        "n int, url string, m string",
    )
    rows = fetch(df, options=options(gannet, columns={"method": "m"}, into="got")).collect()
    assert sorted((row["n"], row["m"] or "") for row in rows) == sorted(
        (n, m) for n in range(5) for m in ("", "G T")
    )
    ok = [row for row in rows if row["got"]["ok"]]
    assert len(ok) == 1 and ok[0]["n"] == 4 and ok[0]["m"] is None
    assert all(row["got"]["error"]["message"] for row in rows if not row["got"]["ok"])


def test_plans_that_would_go_wrong_are_refused(spark: Any, gannet: str, monkeypatch: Any) -> None:
    one = spark.createDataFrame([("http://127.0.0.1:1/", 1)], "url string, status int")
    for df, url, more, want in [
        (one, "link", {}, "no column 'link'"),
        (one, "url", {}, "status are there already"),
        (one, "url", {"into": "URL"}, "URL are there already"),
        (one.select("url", F.lit(1).alias("Url")), "url", {}, "same name"),
        (one.select("url", F.expr("interval 1 day").alias("i")), "url", {}, "does not survive as JSON"),
        (
            one.select("url", F.map_from_arrays(F.array(F.lit(1)), F.array(F.lit(1))).alias("m")),
            "url",
            {},
            "cast it",
        ),
        (one.select("url"), "url", {"gannet": "/no/such", "ship": True}, "no file /no/such"),
        (one.select("url"), "url", {"columns": {"etag": "nope"}}, "no column 'nope'"),
    ]:
        with pytest.raises((ValueError, TypeError)) as refused:
            fetch(df, url, options(gannet).__class__(**{"gannet": gannet, **more}))
        assert want in str(refused.value), want
    monkeypatch.setattr(
        type(spark.conf),
        "get",
        lambda self, name, default=None: {"spark.speculation": "true"}.get(name, default),
    )
    with pytest.raises(ValueError, match="speculation is on"):
        fetch(one.select("url"), options=options(gannet))


def test_a_gannet_that_dies_fails_the_task_with_its_words(spark: Any, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nread line; echo 'no room left' >&2; exit 23\n")
    program.chmod(0o755)
    df = spark.createDataFrame([("http://127.0.0.1:1/",)], "url string")
    with pytest.raises(Exception, match=r"part \d of 3: gannet ended with status 23: no room left"):
        fetch(df, options=options(str(program))).collect()


def test_a_limit_stops_gannet(spark: Any, origin: Any, gannet: str, tmp_path: Path) -> None:
    program = tmp_path / "gannet-limit"
    program.symlink_to(gannet)
    server = origin(service={"time": {"fixed_us": 10_000}})
    df = spark.range(50_000).select(
        F.concat(F.lit(server.url(0, "/bytes/1?")), F.col("id").cast("string")).alias("url")
    )
    rows = fetch(df, options=options(str(program), per_host=4)).limit(3).collect()
    assert len(rows) == 3
    until = time.monotonic() + 5
    while processes("gannet-limit") and time.monotonic() < until:
        time.sleep(0.1)
    assert not processes("gannet-limit")
    assert server.stats()["requests"] < 5000


def test_a_big_host_does_not_hold_back_the_others(spark: Any, origin: Any, gannet: str) -> None:
    server = origin(60, service={"time": {"fixed_us": 5_000}})
    urls = [(0, server.url(0, f"/bytes/1?{n}")) for n in range(1500)]
    urls += [(host, server.url(host, f"/bytes/1?{n}")) for host in range(1, 60) for n in range(10)]
    df = spark.createDataFrame(urls, "host int, url string")
    # In one part, with a window that the big host alone would fill many times.
    rows = fetch(df, options=options(gannet, partitions=1, window=128, block=8, per_host=2)).collect()
    assert len(rows) == len(urls)
    order = sorted(rows, key=lambda row: row["started"])
    last = max(at for at, row in enumerate(order) if row["host"] != 0)
    big = sum(1 for row in order[:last] if row["host"] == 0)
    assert big < 400, f"{big} of the big host's 1500 were begun before the last of the others"


def test_a_second_action_with_a_checkpoint_fetches_nothing(
    spark: Any, origin: Any, gannet: str, tmp_path: Path
) -> None:
    server = origin(4)
    df = (
        spark.range(400)
        .select((F.col("id") % 390).alias("id"))
        .select("id", F.concat(F.lit(server.url(0, "/bytes/1?")), F.col("id").cast("string")).alias("url"))
    )
    folder = str(tmp_path / "checkpoint")
    counters = Counters(spark)
    result = fetch(df, options=options(gannet, checkpoint=folder, body=True), counters=counters)
    first = sorted((row["id"], bytes(row["body"])) for row in result.collect())
    assert len(first) == 400 and server.stats()["requests"] == 400
    assert sorted((row["id"], bytes(row["body"])) for row in result.collect()) == first
    # Another application would find the same; so does another plan of the same rows.
    again = fetch(df.orderBy(F.rand(1)), options=Options(gannet=gannet, checkpoint=folder, body=True))
    assert again.count() == 400
    assert server.stats()["requests"] == 400
    assert counters["stored"] == 400 and counters["tasks"] == 2 * len(
        {row["part"] for row in _parts(result)}
    ), counters
    with pytest.raises(ValueError, match="begun with body = 1048576"):
        fetch(df, options=options(gannet, checkpoint=folder))


def _parts(result: Any) -> Any:
    return result.select(F.spark_partition_id().alias("part")).distinct().collect()
