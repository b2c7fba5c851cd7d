"""One task: rows in, a gannet beside, records out.

Owns the process and the two threads that keep its pipes moving; holds a batch of rows, the lines that
gannet reads ahead (its ``--window``), and about a megabyte of records, whatever the number of rows.
When the task ends for whatever reason, gannet ends: by a signal where there is time for it, else
because nobody reads its records.

This module travels to the executors by value: standard library and pyarrow only.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Optional

import pyarrow as pa
import pyarrow.compute as pc

from .checkpoint import Part

#: Records are handed on when so many bytes have come, or after so many seconds.
_BLOCK = 1 << 20
_HOLD = 0.5
#: The longest line that gannet takes (its ``--max-line``).
_MAX_LINE = 1 << 20
#: Lines of gannet's own words that a failure quotes.
_QUOTED = 12
#: Where a digest stands in a row's line: ``{"id":"`` and 32 digits.
_DIGEST = slice(7, 39)


class GannetFailed(RuntimeError):
    """gannet ended otherwise than it should; the task fails with what it said."""


@dataclass(frozen=True)
class Worker:
    """What a task needs to know. Called with the batches of one partition."""

    #: The program and its options.
    program: str
    words: tuple[str, ...]
    #: The program came along as a file of the application.
    shipped: bool
    partitions: int
    checkpoint: Optional[str]
    #: What adds to Spark's accumulators.
    counters: Optional[Any]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows > 0:
                yield from self._part(batch, batches)
                return

    def _part(self, first: pa.RecordBatch, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        part = int(first.column("part")[0].as_py())
        name = f"part {part} of {self.partitions}"
        stored = None
        if self.checkpoint is not None:
            stored = Part(self.checkpoint, part, _attempt())
            for lines in stored.read():
                yield _batch(lines)
        run = _Run(self._command(), name, first, batches, stored)
        try:
            for lines in run.lines():
                if stored is not None:
                    stored.write(lines)
                yield _batch(lines)
            summary = run.end()
        finally:
            run.stop()
            if stored is not None:
                stored.close()
        if self.counters is not None:
            self.counters.add(summary, stored.stored if stored is not None else 0)

    def _command(self) -> list[str]:
        program = self.program
        if self.shipped:
            from pyspark import SparkFiles

            program = SparkFiles.get(program)
            if not os.access(program, os.X_OK):
                os.chmod(program, 0o755)
        return [program, *self.words]


def _attempt() -> str:
    """A name for this attempt that no other has and that sorts by time."""
    return f"{time.time_ns():020d}-{os.uname().nodename}-{os.getpid()}"


def _batch(lines: bytes) -> pa.RecordBatch:
    """A row for each line. No line becomes an object of Python."""
    text = pa.array([memoryview(lines)[:-1]], type=pa.binary()).cast(pa.string())
    return pa.RecordBatch.from_arrays([pc.split_pattern(text, "\n").values], ["record"])


class _Run:
    """A gannet at work."""

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        first: pa.RecordBatch,
        batches: Iterator[pa.RecordBatch],
        stored: Optional[Part],
    ) -> None:
        self._name = name
        self._stored = stored
        self._sent = 0
        self._got = 0
        self._summary: Optional[dict[str, Any]] = None
        self._trouble: Optional[BaseException] = None
        self._said: deque[str] = deque(maxlen=_QUOTED)
        try:
            # In the group of Spark's daemon: what ends that ends gannet.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise GannetFailed(
                f"{name}: can't start {command[0]!r} on this executor: {error.strerror or error}. Install it "
                "there, give its path (Options.gannet), or send it along (Options.ship)"
            ) from None
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._out = self._process.stdout
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._feeder = threading.Thread(
            target=self._feed, args=(self._process.stdin, first, batches), daemon=True
        )
        self._listener.start()
        self._feeder.start()

    def _listen(self, stream: IO[bytes]) -> None:
        """gannet's own words go to the executor's log; the last ones are kept."""
        for line in stream:
            text = line.decode("utf-8", "replace").rstrip("\n")
            self._said.append(text)
            print(f"gannet, {self._name}: {text}", file=sys.stderr, flush=True)

    def _feed(self, stream: IO[bytes], first: pa.RecordBatch, batches: Iterator[pa.RecordBatch]) -> None:
        """Rows go to gannet as it takes them."""
        try:
            with stream:
                self._send(stream, first)
                for batch in batches:
                    self._send(stream, batch)
        except BrokenPipeError:
            pass  # It has ended; its status says why.
        except BaseException as error:
            self._trouble = error
            self._process.terminate()

    def _send(self, stream: IO[bytes], batch: pa.RecordBatch) -> None:
        lines: Any = batch.column("line")
        longest = pc.max(pc.binary_length(lines)).as_py()
        if longest is not None and longest > _MAX_LINE:
            raise ValueError(
                f"a row is {longest:,} bytes as JSON, more than the {_MAX_LINE:,} that gannet reads as a line: "
                "fetch with a key and the URL alone, and join the other columns afterwards"
            )
        stored = self._stored
        if stored is not None:
            left = [line for line in lines.to_pylist() if not stored.take(line[_DIGEST])]
            lines = pa.array(left, type=pa.string())
        if len(lines) == 0:
            return
        # One string with a newline after each; no line becomes an object of Python.
        ended = pa.ListArray.from_arrays(pa.array([0, len(lines)], type=pa.int32()), lines)
        joined: Any = pc.binary_join(ended, "\n")
        text = joined.cast(pa.binary())[0].as_buffer()
        self._sent += len(lines)
        stream.write(text)
        stream.write(b"\n")
        stream.flush()

    def lines(self) -> Iterator[bytes]:
        """Whole records as they come, in blocks."""
        descriptor = self._out.fileno()
        held: list[bytes] = []
        size = 0
        since = 0.0
        torn = b""
        while True:
            wait = max(0.0, since + _HOLD - time.monotonic()) if held else None
            ready, _, _ = select.select([descriptor], [], [], wait)
            chunk = os.read(descriptor, _BLOCK) if ready else b""
            if ready:
                whole, newline, rest = chunk.rpartition(b"\n")
                if newline:
                    if not held:
                        since = time.monotonic()
                    block = torn + whole + newline
                    torn = rest
                    size += len(block)
                    held.append(block)
                else:
                    torn += rest
            if held and (size >= _BLOCK or not ready or not chunk):
                lines = self._records(b"".join(held))
                held, size = [], 0
                if lines:
                    yield lines
            if ready and not chunk:
                return

    def _records(self, lines: bytes) -> bytes:
        """Counts records, and takes the summary out, which is the last line of all."""
        start = lines.rfind(b"\n", 0, -1) + 1
        if lines.startswith(b'{"entries":', start):
            self._summary = json.loads(lines[start:])
            lines = lines[:start]
        self._got += lines.count(b"\n")
        return lines

    def end(self) -> dict[str, Any]:
        """Sees that all went well; what gannet counted."""
        status = self._process.wait()
        if self._trouble is not None:
            raise self._trouble
        self._listener.join(timeout=5)
        if status != 0:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            hint = " (out of memory?)" if status == -9 else ""
            raise GannetFailed(f"{self._name}: gannet {how}{hint}: {self._quote()}")
        self._feeder.join()
        if self._trouble is not None:
            raise self._trouble
        if self._summary is None or self._got != self._sent:
            raise GannetFailed(f"{self._name}: {self._got} records for {self._sent} rows: {self._quote()}")
        if self._stored is not None and self._stored.left() > 0:
            raise GannetFailed(
                f"{self._name}: the checkpoint holds {self._stored.left()} records of rows that are not in this "
                "DataFrame: it belongs to another one"
            )
        return self._summary

    def _quote(self) -> str:
        return " | ".join(self._said) if self._said else "it said nothing"

    def stop(self) -> None:
        """Ends gannet if it still runs."""
        self._out.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
