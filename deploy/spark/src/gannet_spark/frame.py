"""``fetch``: a DataFrame of URLs in, the same rows with what came of them out.

Owns the plan that Spark carries out: each row becomes a line of JSON in the JVM, with the caller's
columns as its ``meta``; its host's part is found; rows go to their part; one task a part runs a gannet;
the records come back as text, and the JVM reads them into typed columns. Python handles blocks of
lines, never a row, but for finding the part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Optional

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    CharType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    VarcharType,
)

from . import hosts
from .checkpoint import agree
from .counters import Counters
from .options import Options
from .worker import Worker

# The executors need pyarrow and gannet, not this package: it travels with the tasks.
cloudpickle.register_pickle_by_value(__import__(__name__.rpartition(".")[0]))  # type: ignore[no-untyped-call]


def _struct(**fields: DataType) -> StructType:
    return StructType([StructField(name, kind) for name, kind in fields.items()])


_TEXT, _YES, _INT, _LONG, _REAL = StringType(), BooleanType(), IntegerType(), LongType(), DoubleType()
#: What a record says, by gannet's names. ``sha256``, ``headers`` and ``body`` are there when they are asked for.
RECORD = _struct(
    final_url=_TEXT,
    method=_TEXT,
    ok=_YES,
    status=_INT,
    error=_struct(kind=_TEXT, phase=_TEXT, message=_TEXT, os_error=_INT, fresh_or_reused=_TEXT, hint=_TEXT),
    attempts=_INT,
    tries=ArrayType(_struct(kind=_TEXT, status=_INT, conn=_LONG, reused=_YES, at_byte=_LONG, ms=_REAL)),
    redirects=_INT,
    body_bytes=_LONG,
    wire_bytes=_LONG,
    content_type=_TEXT,
    content_length=_LONG,
    etag=_TEXT,
    last_modified=_TEXT,
    location=_TEXT,
    truncated=_YES,
    unchanged=_YES,
    warnings=ArrayType(_TEXT),
    started=TimestampType(),
    ms=_struct(queue=_REAL, dns=_REAL, connect=_REAL, tls=_REAL, first_byte=_REAL, body=_REAL, total=_REAL),
    dns=_struct(stale=_YES),
    conn=_struct(id=_LONG, reused=_YES, remote=_TEXT, tls=_TEXT),
    resumed_at=_LONG,
)
_HEADERS = MapType(StringType(), ArrayType(StringType()))
_PLAIN = (
    StringType,
    CharType,
    VarcharType,
    BooleanType,
    ByteType,
    ShortType,
    IntegerType,
    LongType,
    FloatType,
    DoubleType,
    DecimalType,
    DateType,
    TimestampType,
    TimestampNTZType,
    BinaryType,
)
_JSON = {
    # Offsets of long ago have seconds, which no format writes.
    "timeZone": "UTC",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "ignoreNullFields": "true",
}
_SENT = "slot int, part int, host bigint, line string"


def fetch(
    df: DataFrame,
    url: str = "url",
    options: Optional[Options] = None,
    counters: Optional[Counters] = None,
) -> DataFrame:
    """Fetches the URL of each row.

    :param df: any DataFrame; each of its rows comes back once, with its columns, in another order.
    :param url: the column that holds the URL. A row without one, or with what is no URL, comes back with
        ``ok`` false and the reason in ``error``.
    :param options: see :class:`Options`.
    :param counters: sums over all tasks, see :class:`Counters`.

    All URLs of a host are the work of one task, so that gannet's limit for that host is the whole truth.
    Like everything in Spark this is lazy, and done again by every action: write the result, or give a
    checkpoint, before you use it twice.
    """
    options = options or Options()
    spark = df.sparkSession
    _check(df, url, options)
    parts = _partitions(spark, options, df, url)
    program = _ship(spark, options)

    worker = Worker(
        program=program,
        words=tuple(options.words()),
        shipped=options.ship,
        partitions=parts,
        checkpoint=options.checkpoint,
        counters=counters.inner() if counters is not None else None,
    )
    records = sent(df, url, options, parts).mapInArrow(worker, "record string")
    return typed(df, options, records)


def sent(df: DataFrame, url: str, options: Options, parts: int) -> DataFrame:
    """A line for each row, where and in the order in which it is fetched; with its part."""
    lines = df.select(F.col(f"`{url}`").cast("string").alias("url"), _line(df, url, options).alias("line"))
    routed = lines.mapInArrow(_Router(parts), _SENT).repartition(parts, "slot")
    # A host's URLs in blocks, block by block: small hosts are through in the first round, and what is left
    # of a big one stands behind all others. Spark knows that the rows are where they should be: no second
    # exchange.
    place = F.row_number().over(Window.partitionBy("slot", "host").orderBy(F.xxhash64("line")))
    turn = F.floor((place - 1) / options.block).cast("int")
    ordered = routed.select("part", "host", "line", turn.alias("turn")).sortWithinPartitions("turn", "host")
    return ordered.select("part", "line")


def typed(df: DataFrame, options: Options, records: DataFrame) -> DataFrame:
    """The caller's columns and the record's, out of the text of records."""
    record = _record_type(options)
    fields = StructType([StructField("meta", StructType(_meta_fields(df))), *_wire_type(options, record)])
    read = records.select(F.from_json("record", fields, {"mode": "FAILFAST"}).alias("r"))
    theirs = [F.col(f"r.meta.`{name}`").alias(name) for name in df.columns]
    ours = [_column(field.name) for field in record]
    if options.into is not None:
        return read.select(*theirs, F.struct(*ours).alias(options.into))
    return read.select(*theirs, *ours)


class _Router:
    """Finds each row's part. Called in the tasks that read the caller's rows."""

    def __init__(self, parts: int) -> None:
        self.parts = parts

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        find, slots = hosts.finder(self.parts), hosts.slots(self.parts)
        for batch in batches:
            found = [find(url) for url in batch.column("url").to_pylist()]
            part = [part for part, _ in found]
            # Signed, as Spark's numbers are.
            host = [key - (1 << 64) if key >> 63 else key for _, key in found]
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([slots[one - 1] for one in part], type=pa.int32()),
                    pa.array(part, type=pa.int32()),
                    pa.array(host, type=pa.int64()),
                    batch.column("line"),
                ],
                ["slot", "part", "host", "line"],
            )


def _check(df: DataFrame, url: str, options: Options) -> None:
    names = df.columns
    for name in [url, *options.columns.values()]:
        if name not in names:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(names)}")
    lower = [name.lower() for name in names]
    twice = sorted({name for name in names if lower.count(name.lower()) > 1})
    if twice:
        raise ValueError(f"two columns have the same name: {', '.join(twice)}; rename one")
    ours = [options.into] if options.into else [field.name for field in _record_type(options)]
    clash = [name for name in ours if name.lower() in lower]
    if clash:
        raise ValueError(
            f"the columns {', '.join(clash)} are there already: rename them, or put the record into one "
            'column by Options(into="response")'
        )
    for field in df.schema:
        _check_type(field.name, field.dataType)
    spark = df.sparkSession
    if spark.conf.get("spark.speculation", "false") == "true":
        raise ValueError(
            "spark.speculation is on: Spark would run a task twice at the same time, and its hosts would meet "
            "twice as many connections. Set it to false for this application"
        )


def _check_type(name: str, kind: DataType) -> None:
    if isinstance(kind, StructType):
        for field in kind.fields:
            _check_type(f"{name}.{field.name}", field.dataType)
    elif isinstance(kind, ArrayType):
        _check_type(name, kind.elementType)
    elif isinstance(kind, MapType) and isinstance(kind.keyType, StringType):
        _check_type(name, kind.valueType)
    elif not isinstance(kind, _PLAIN):
        raise TypeError(
            f"the column {name} is of type {kind.simpleString()}, which does not survive as JSON: cast it to a "
            "string, or drop it and join it again by a key"
        )


def _meta_fields(df: DataFrame) -> list[StructField]:
    return [StructField(field.name, field.dataType, True) for field in df.schema]


def _record_type(options: Options) -> StructType:
    fields = list(RECORD.fields)
    if options.sha256:
        fields.append(StructField("sha256", _TEXT))
    if options.headers:
        fields.append(StructField("headers", _HEADERS))
    if options.body:
        fields.append(StructField("body", BinaryType()))
    return StructType(fields)


def _wire_type(options: Options, record: StructType) -> list[StructField]:
    """The same as it stands in the line."""
    return [StructField("body_base64", StringType()) if field.name == "body" else field for field in record]


def _column(name: str) -> Column:
    if name == "body":
        return F.unbase64("r.body_base64").alias("body")
    return F.col(f"r.{name}").alias(name)


def _line(df: DataFrame, url: str, options: Options) -> Column:
    """The row as a line for gannet; with a checkpoint, its digest in front."""
    asked = [F.coalesce(F.col(f"`{url}`").cast("string"), F.lit("")).alias("url")]
    asked += [F.col(f"`{column}`").alias(key) for key, column in sorted(options.columns.items())]
    meta = F.struct(*[F.col(f"`{name}`") for name in df.columns]).alias("meta")
    line = F.to_json(F.struct(*asked, meta), _JSON)
    if options.checkpoint is None:
        return line
    return F.concat(F.lit('{"id":"'), F.md5(line), F.lit('",'), line.substr(F.lit(2), F.length(line)))


def _partitions(spark: SparkSession, options: Options, df: DataFrame, url: str) -> int:
    asked = options.partitions
    if options.checkpoint is None:
        return asked or _usual(spark)
    # What decides what a record says and whose it is; how fast it comes may change.
    job = {
        "columns": df.schema.simpleString(),
        "url": url,
        "asks": dict(sorted(options.columns.items())),
        "body": options.body_max if options.body else None,
        "headers": options.headers if isinstance(options.headers, str) else list(options.headers),
        "sha256": options.sha256,
        "args": list(options.args),
    }
    try:
        return agree(options.checkpoint, job, asked)
    except FileNotFoundError:
        return agree(options.checkpoint, job, _usual(spark))


def _usual(spark: SparkSession) -> int:
    try:
        return max(1, 4 * spark.sparkContext.defaultParallelism)
    except Exception:  # Spark Connect has no context.
        return int(spark.conf.get("spark.sql.shuffle.partitions") or 200)


def _ship(spark: SparkSession, options: Options) -> str:
    if not options.ship:
        return options.gannet
    if not os.path.isfile(options.gannet):
        raise ValueError(f"ship: there is no file {options.gannet} on this machine")
    path = os.path.abspath(options.gannet)
    try:
        context: Any = spark.sparkContext
    except Exception:
        spark.addArtifact(path, file=True)
    else:
        context.addFile(path)
    return os.path.basename(path)
