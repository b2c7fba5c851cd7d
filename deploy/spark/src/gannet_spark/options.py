"""What can be asked of a fetch. Owns names, defaults and what is refused; does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

#: Options of gannet that belong to the worker: it owns lists, records, parts and the end.
_OURS = [
    "-i",
    "--input-file",
    "--url",
    "--shard",
    "--window",
    "--results",
    "--results-overwrite",
    "--summary",
    "--resume",
    "--resume-kinds",
    "--resume-status",
    "--resume-key",
    "--record-headers",
    "--record-body",
    "--record-body-max",
    "--sha256",
    "--unbuffered",
    "-o",
    "--output",
    "-O",
    "--remote-name",
    "--remote-name-all",
    "--output-dir",
    "-w",
    "--write-out",
    "-D",
    "--dump-header",
    "-K",
    "--config",
    "--deadline",
    "--max-failures",
    "--exit-zero",
    "-v",
    "--verbose",
    "--progress",
    "--color",
    "--max-line",
    "-s",
    "--silent",
    "--no-summary",
]

#: What a line may ask for, by the name of gannet's key.
LINE_KEYS = (
    "method",
    "headers",
    "body",
    "body_base64",
    "sha256",
    "size",
    "etag",
    "last_modified",
    "timeout",
    "retry",
)


@dataclass(frozen=True)
class Options:
    """How :func:`gannet_spark.fetch` fetches. The defaults are those of gannet."""

    #: The program on the executors: a name on their PATH, or a path.
    gannet: str = "gannet"
    #: Send that program there from this machine (a static build runs everywhere).
    ship: bool = False
    #: How many parts the hosts are split into, each the work of one task; ``None``: four for each core
    #: that Spark reports, or what the checkpoint was begun with.
    partitions: Optional[int] = None
    #: A folder that the driver and all executors see under this name. What was fetched is kept there: a
    #: task that is repeated, a second action, a new application fetch only what is missing.
    checkpoint: Optional[str] = None
    #: Keep bodies, as a binary column.
    body: bool = False
    #: Bytes of a body that are kept.
    body_max: int = 1 << 20
    #: Header fields to keep, or ``"all"``.
    headers: Union[str, Sequence[str]] = ()
    #: Keep the SHA-256 of each body.
    sha256: bool = False
    #: Put the record into one struct column of this name, instead of a column for each field.
    into: Optional[str] = None
    #: Connections to a host; ``None``: gannet finds out what it bears.
    per_host: Optional[int] = None
    #: Connections of a task in all.
    parallel_max: Optional[int] = None
    #: Bytes that a gannet may hold (``"256M"``); ``None``: gannet's usual bounds, with bodies 256M.
    max_memory: Optional[str] = None
    #: Lines that a gannet reads ahead.
    window: int = 16_384
    #: URLs of one host that stand together before the next host has its turn.
    block: int = 32
    #: Columns that say how a row is fetched, by gannet's key: ``{"etag": "old_etag"}``.
    columns: Mapping[str, str] = field(default_factory=dict)
    #: Further options of gannet, as on its command line: ``("-L", "--max-time", "30")``.
    args: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("partitions", "per_host", "parallel_max", "body_max", "window", "block"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is at least 1, not {value}")
        if isinstance(self.args, str):
            raise TypeError('args is a sequence of words: ("--max-time", "30")')
        for word in self.args:
            name = word.partition("=")[0]
            if name in _OURS or (name[:2] in _OURS and not name.startswith("--")):
                raise ValueError(f"{name} is not for a worker under Spark: the task itself sees to that")
        for key in self.columns:
            if key not in LINE_KEYS:
                raise ValueError(f"{key!r} is nothing that a row can ask for; {', '.join(LINE_KEYS)} are")
        if isinstance(self.headers, str) and self.headers != "all":
            object.__setattr__(self, "headers", (self.headers,))
        if self.checkpoint is not None and "://" in self.checkpoint.replace("file://", ""):
            raise ValueError(
                "checkpoint is a folder of a file system that all machines mount, not an object store"
            )

    def words(self) -> list[str]:
        """The command line of a worker, without the program."""
        # -q: no configuration file of an executor changes what is fetched.
        words = [
            "-q",
            "-i",
            "-",
            "--results",
            "-",
            "--summary",
            "-",
            "--exit-zero",
            "--window",
            str(self.window),
        ]
        words += ["--progress", "never", "--color", "never"]
        if self.body:
            words += ["--record-body", "base64", "--record-body-max", str(self.body_max)]
        if self.headers:
            words += [
                "--record-headers",
                self.headers if isinstance(self.headers, str) else ",".join(self.headers),
            ]
        if self.sha256:
            words.append("--sha256")
        for name, value in (("--per-host", self.per_host), ("--parallel-max", self.parallel_max)):
            if value is not None:
                words += [name, str(value)]
        memory = self.max_memory or ("256M" if self.body else None)
        if memory is not None:
            words += ["--max-memory", memory]
        return words + list(self.args)
