"""Fetch the URLs of a Spark DataFrame with gannet, each host by one task. See docs/scale-out.md."""

from .counters import Counters
from .frame import RECORD, fetch
from .hosts import host_of, part_of
from .options import Options
from .worker import GannetFailed

__all__ = ["RECORD", "Counters", "GannetFailed", "Options", "fetch", "host_of", "part_of"]
