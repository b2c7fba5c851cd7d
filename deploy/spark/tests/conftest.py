"""A scripted server on loopback addresses, and Spark beside it. All of it ends with the tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Nothing here speaks to another machine, and executors use the interpreter of the tests.
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable


def built(name: str) -> str:
    """A program of this checkout: the newest of those that were built."""
    given = os.environ.get("GANNET_BUILT")
    folders = [Path(given)] if given else [ROOT / "target" / kind for kind in ("debug", "release")]
    found = [folder / name for folder in folders if (folder / name).is_file()]
    if not found:
        pytest.fail(f"no {name}: cargo build --bin gannet --example origin")
    return str(max(found, key=lambda path: path.stat().st_mtime))


class Origin:
    """The scripted server, on many addresses of 127.0.0.0/8 with one port."""

    def __init__(self, folder: Path, addresses: int, **script: Any) -> None:
        names = [f"127.1.{at // 250}.{at % 250 + 1}" for at in range(addresses)]
        self.addresses = names
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            admin = free.getsockname()[1]
        script = {"listen": [f"{name}:0" for name in names], "admin": f"127.0.0.1:{admin}", **script}
        path = folder / "origin.json"
        path.write_text(json.dumps({"count_requests": True, **script}))
        self._process = subprocess.Popen(
            [built("examples/origin"), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        self._admin = f"http://127.0.0.1:{admin}/__stats"
        self.stats()

    def url(self, host: int, target: str) -> str:
        return f"http://{self.addresses[host % len(self.addresses)]}:{self.port}{target}"

    def stats(self) -> dict[str, Any]:
        last: Exception | None = None
        for _ in range(50):
            try:
                with urllib.request.urlopen(self._admin, timeout=10) as answer:
                    counted: dict[str, Any] = json.load(answer)
                    return counted
            except OSError as error:
                last = error
                time.sleep(0.1)
        raise RuntimeError(f"the server does not answer: {last}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Any]:
    """Makes servers."""
    made: list[Origin] = []

    def make(addresses: int = 1, **script: Any) -> Origin:
        folder = tmp_path / f"origin{len(made)}"
        folder.mkdir()
        made.append(Origin(folder, addresses, **script))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def gannet() -> str:
    return built("gannet")


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Spark in one process, for all that needs no separate workers."""
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .appName("gannet-spark tests")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "Asia/Kolkata")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def processes(name: str, word: str = "") -> list[int]:
    """Processes whose program has this name and whose command line holds this word."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if (
            words
            and os.path.basename(words[0].decode()) == name
            and any(word.encode() in one for one in words)
        ):
            found.append(int(entry.name))
    return found
