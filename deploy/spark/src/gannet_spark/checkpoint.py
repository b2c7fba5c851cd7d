"""What was fetched, kept in a folder that outlives a task.

Owns the files of one part: each attempt of its task appends to a file of its own, so that two that
overlap for a moment cannot tear each other's lines, and reads those of all earlier ones. A line that
a crash tore is left out, and its URL fetched again. Rows are known by the digest that stands in their
record as ``id``; rows that are equal in every column are as good as each other, and counted.

This module travels to the executors by value: standard library only.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, Optional

#: Records are read back in blocks of about so many bytes.
_BLOCK = 1 << 20
#: Ends that say nothing about the URL: it was not, or not wholly, asked for.
_UNASKED = (b'"kind":"cancelled"', b'"kind":"not_sent"')


#: How a record begins: its number, and the digest of its row.
_HEAD = re.compile(rb'\{"n":[0-9]+,"id":"([0-9a-f]{32})",')


def _key(line: bytes) -> Optional[bytes]:
    """The digest of a whole record; ``None``: a crash tore the line."""
    head = _HEAD.match(line)
    if head is None or not line.endswith(b"}\n") or b"\0" in line:
        return None
    return bytes.fromhex(head[1].decode())


class Part:
    """The records of one part."""

    def __init__(self, folder: str, part: int, attempt: str) -> None:
        self._folder = os.path.join(folder, f"part-{part:06d}")
        self._path = os.path.join(self._folder, f"{attempt}.jsonl")
        self._file: Optional[BinaryIO] = None
        #: Rows that are done, by digest, while the task runs.
        self._done: Counter[bytes] = Counter()
        #: How many records there were, and how many torn lines.
        self.stored = 0
        self.torn = 0

    def read(self) -> Iterator[bytes]:
        """The whole lines of all earlier attempts, in blocks; notes whose they are."""
        block: list[bytes] = []
        size = 0
        names = sorted(os.listdir(self._folder)) if os.path.isdir(self._folder) else []
        # Two attempts may have fetched the same row while they overlapped: the first one counts.
        for name in names:
            if not name.endswith(".jsonl"):
                continue
            mine: Counter[bytes] = Counter()
            with open(os.path.join(self._folder, name), "rb") as file:
                for line in file:
                    key = _key(line)
                    if key is None:
                        self.torn += 1
                        continue
                    mine[key] += 1
                    if mine[key] <= self._done[key]:
                        continue
                    block.append(line)
                    size += len(line)
                    self.stored += 1
                    if size >= _BLOCK:
                        yield b"".join(block)
                        block, size = [], 0
            for key, count in mine.items():
                self._done[key] = max(self._done[key], count)
        if block:
            yield b"".join(block)

    def take(self, digest: str) -> bool:
        """Whether a row of this digest is done; each record is taken once."""
        if not self._done:
            return False
        key = bytes.fromhex(digest)
        left = self._done.get(key, 0)
        if left == 0:
            return False
        if left == 1:
            del self._done[key]
        else:
            self._done[key] = left - 1
        return True

    def left(self) -> int:
        """Records that no row has taken: of another list, when all rows have come."""
        return sum(self._done.values())

    def write(self, lines: bytes) -> None:
        """Keeps whole lines. They are in the file when this returns."""
        if any(word in lines for word in _UNASKED):
            kept = (line for line in lines.splitlines(keepends=True) if not _is_unasked(line))
            lines = b"".join(kept)
        if not lines:
            return
        if self._file is None:
            os.makedirs(self._folder, exist_ok=True)
            self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115
        view = memoryview(lines)
        while view:
            view = view[self._file.write(view) :]

    def close(self) -> None:
        """Ends the attempt's file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _is_unasked(line: bytes) -> bool:
    if not any(word in line for word in _UNASKED):
        return False
    try:
        error: Any = json.loads(line).get("error") or {}
    except ValueError:
        return False
    return error.get("kind") in ("cancelled", "not_sent")


def agree(folder: str, job: dict[str, Any], partitions: Optional[int]) -> int:
    """Begins a checkpoint, or sees that it is of the same job; says how many parts it has.

    Runs on the driver.
    """
    path = os.path.join(folder, "job.json")
    try:
        with open(path, encoding="utf-8") as file:
            earlier: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        if partitions is None:
            raise
        os.makedirs(folder, exist_ok=True)
        beside = f"{path}.{os.getpid()}"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump({**job, "partitions": partitions}, file, indent=1)
            file.write("\n")
        os.replace(beside, path)
        return partitions
    for name, value in job.items():
        if earlier.get(name) != value:
            raise ValueError(
                f"the checkpoint {folder} was begun with {name} = {earlier.get(name)!r}, this is {value!r}: "
                "give this one a folder of its own"
            ) from None
    begun = int(earlier["partitions"])
    if partitions not in (None, begun):
        raise ValueError(
            f"the checkpoint {folder} was begun with {begun} partitions, not {partitions}: hosts would move"
        ) from None
    return begun
