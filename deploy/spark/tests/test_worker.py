"""A task without Spark: rows, a program, records."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conftest import processes
from gannet_spark import GannetFailed, Options
from gannet_spark.checkpoint import Part, agree
from gannet_spark.worker import Worker


def worker(program: str, checkpoint: str | None = None, **options: Any) -> Worker:
    words = Options(checkpoint=checkpoint, **options).words()
    return Worker(program, tuple(words), False, 4, checkpoint, None)


def rows(urls: list[str], size: int = 100) -> Iterator[pa.RecordBatch]:
    for at in range(0, len(urls), size):
        some = urls[at : at + size]
        lines = [
            json.dumps({"id": f"{hash_of(url)}", "url": url, "meta": {"row": n}}, separators=(",", ":"))
            for n, url in enumerate(some, at)
        ]
        yield pa.RecordBatch.from_arrays(
            [pa.array([3] * len(some), pa.int32()), pa.array(lines)], ["part", "line"]
        )


def hash_of(url: str) -> str:
    import hashlib

    return hashlib.md5(url.encode()).hexdigest()


def records(batches: Iterator[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [json.loads(line) for batch in batches for line in batch.column("record").to_pylist()]


def script(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_every_row_comes_back_once(origin: Any, gannet: str) -> None:
    server = origin(3)
    urls = [server.url(at, f"/bytes/20?{at}") for at in range(2500)]
    got = records(worker(gannet)(rows(urls)))
    assert sorted(record["meta"]["row"] for record in got) == list(range(2500))
    assert all(record["status"] == 200 for record in got)
    assert records(worker(gannet)(iter([]))) == []
    assert records(worker(gannet)(rows(urls[:1]))) != []


def test_a_program_that_dies_fails_the_task_with_its_words(tmp_path: Path, origin: Any, gannet: str) -> None:
    urls = ["http://127.0.0.1:1/"] * 5000
    for text, want in [
        ("echo kaput >&2; exit 3", "part 3 of 4: gannet ended with status 3: kaput"),
        ("kill -9 $$", "killed by signal 9 (out of memory?)"),
        ('read line; echo "$line"', "1 records for"),
        ("cat >/dev/null; exit 0", "0 records for 5000 rows"),
    ]:
        with pytest.raises(GannetFailed) as failed:
            records(worker(script(tmp_path, text))(rows(urls)))
        assert want in str(failed.value), text
    with pytest.raises(GannetFailed, match="can't start '/no/such/program' on this executor"):
        records(worker("/no/such/program")(rows(urls)))
    with pytest.raises(GannetFailed, match=r"ended with status 2: .*--nonsense"):
        records(worker(gannet, args=("--nonsense",))(rows(urls)))


def test_trouble_before_the_rows_ends_the_program(origin: Any, gannet: str) -> None:
    server = origin(service={"time": {"fixed_us": 200_000}})

    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows([server.url(0, f"/bytes/1?{at}") for at in range(200)])
        raise OSError("the shuffle is gone")

    with pytest.raises(OSError, match="the shuffle is gone"):
        records(worker(gannet, per_host=1)(broken()))
    assert server.stats()["requests"] < 100


def test_a_reader_that_stops_early_stops_the_program(origin: Any, gannet: str, tmp_path: Path) -> None:
    # Under a name of its own, so that it can be told from others.
    program = tmp_path / "gannet-early"
    os.symlink(gannet, program)
    server = origin(service={"time": {"fixed_us": 20_000}})
    batches = worker(str(program), per_host=2)(
        rows([server.url(0, f"/bytes/1?{at}") for at in range(20_000)])
    )
    assert next(batches).num_rows > 0
    assert processes("gannet-early")
    batches.close()
    assert not processes("gannet-early")
    time.sleep(0.2)
    counted = server.stats()
    assert counted["requests"] < 2000 and counted["open"] == 0, counted


def test_a_row_too_large_is_said(gannet: str) -> None:
    with pytest.raises(ValueError, match="more than the 1,048,576"):
        records(worker(gannet)(rows(["http://127.0.0.1:1/" + "x" * 1_100_000])))


def test_a_second_attempt_fetches_what_is_missing(origin: Any, gannet: str, tmp_path: Path) -> None:
    server = origin(2, service={"time": {"fixed_us": 5_000}})
    urls = [server.url(at, f"/bytes/20?{at // 2 * 2}") for at in range(1200)]
    folder = str(tmp_path / "checkpoint")
    first = worker(gannet, folder, per_host=2)(rows(urls))
    next(first)
    first.close()
    stored = sum(len(path.read_bytes().splitlines()) for path in Path(folder).rglob("*.jsonl"))
    before = server.stats()["requests"]
    assert 0 < stored <= before < 1200
    # As a crash in the middle of a write leaves it.
    (torn,) = Path(folder).rglob("*.jsonl")
    torn.write_bytes(torn.read_bytes()[:-9])
    got = records(worker(gannet, folder, per_host=4)(rows(urls)))
    assert len(got) == 1200
    assert sorted(record["url"] for record in got) == sorted(urls)
    again = server.stats()["requests"] - before
    assert again == 1200 - (stored - 1), (again, stored)
    # A third one fetches nothing but what no record was kept of.
    got = records(worker(gannet, folder)(rows(urls)))
    assert len(got) == 1200
    assert server.stats()["requests"] - before - again <= 600


def test_a_checkpoint_of_other_rows_is_refused(origin: Any, gannet: str, tmp_path: Path) -> None:
    server = origin()
    folder = str(tmp_path / "checkpoint")
    records(worker(gannet, folder)(rows([server.url(0, f"/bytes/1?{at}") for at in range(5)])))
    with pytest.raises(GannetFailed, match="5 records of rows that are not in this DataFrame"):
        records(worker(gannet, folder)(rows([server.url(0, "/bytes/1?other")])))
    job = {"body": None, "args": ["-L"]}
    assert agree(folder, job, 8) == 8
    assert agree(folder, job, None) == 8
    with pytest.raises(ValueError, match="begun with 8 partitions, not 9"):
        agree(folder, job, 9)
    with pytest.raises(ValueError, match=r"begun with args = \['-L'\]"):
        agree(folder, {**job, "args": []}, 8)


def test_what_was_not_asked_for_is_not_kept(tmp_path: Path) -> None:
    def line(n: int, more: str) -> bytes:
        return f'{{"n":{n},"id":"{n:032x}","ok":false{more}}}\n'.encode()

    lines = line(1, "") + line(2, ',"error":{"kind":"cancelled"}') + line(3, ',"error":{"kind":"refused"}')
    lines += line(4, ',"meta":{"kind":"cancelled"}')
    part = Part(str(tmp_path), 1, "a")
    part.write(lines)
    part.close()
    again = Part(str(tmp_path), 1, "b")
    kept = b"".join(again.read())
    assert [json.loads(one)["n"] for one in kept.splitlines()] == [1, 3, 4]
    assert [again.take(f"{n:032x}") for n in (1, 2, 3, 4, 1)] == [True, False, True, True, False]


def test_options_that_make_no_sense_are_refused() -> None:
    for bad in [
        {"partitions": 0}, {"args": ("--shard", "1/2")}, {"args": ("-ofile",)}, {"args": ("--results=x",)},
        {"columns": {"url": "x"}}, {"checkpoint": "s3://bucket/x"},
    ]:  # fmt: skip
        with pytest.raises(ValueError):
            Options(**bad)
    with pytest.raises(TypeError):
        Options(args="-L")
    assert Options(headers="etag").headers == ("etag",)
    assert "-L" in Options(args=("-L",)).words()
