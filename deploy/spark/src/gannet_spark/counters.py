"""Sums over all tasks, in Spark's accumulators. Owns their names."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

#: What is summed, and where it stands in gannet's summary.
_SUMMED = (
    ("ok", "ok"),
    ("failed", "failed"),
    ("body_bytes", "body_bytes"),
    ("wire_bytes", "wire_bytes"),
    ("repeats", "repeats"),
    ("cpu_ms", "cpu_ms"),
    ("wall_ms", "wall_ms"),
)


class Inner:
    """What travels to the tasks."""

    def __init__(self, sums: dict[str, Any]) -> None:
        self.sums = sums

    def add(self, summary: dict[str, Any], stored: int) -> None:
        """Adds what a task's gannet counted; called once, when it went well."""
        for name, there in _SUMMED:
            self.sums[name].add(summary[there])
        self.sums["stored"].add(stored)
        self.sums["tasks"].add(1)


class Counters:
    """Counts of all tasks that ended well.

    ``ok``, ``failed``: URLs; ``repeats``: attempts beyond the first; ``body_bytes``, ``wire_bytes``;
    ``cpu_ms``, ``wall_ms`` of gannet itself; ``stored``: records that a checkpoint had; ``tasks``.
    A second action counts again, and so does a task that Spark repeats after it had ended.
    """

    def __init__(self, spark: SparkSession) -> None:
        context = spark.sparkContext
        sums = {name: context.accumulator(0.0 if name.endswith("_ms") else 0) for name, _ in _SUMMED}
        sums["stored"] = context.accumulator(0)
        sums["tasks"] = context.accumulator(0)
        self._inner = Inner(sums)

    def inner(self) -> Inner:
        """What travels to the tasks."""
        return self._inner

    def __getitem__(self, name: str) -> float:
        return float(self._inner.sums[name].value)

    def as_dict(self) -> dict[str, float]:
        """All of them."""
        return {name: self[name] for name in self._inner.sums}

    def __repr__(self) -> str:
        return f"Counters({', '.join(f'{name}={value:g}' for name, value in self.as_dict().items())})"
