"""The collector: OTLP in, a durable write-ahead log, rows in ClickHouse.

A request goes one way: door (gRPC or HTTP) → intake → check → log → acknowledged; a sealed
segment of the log then goes to the store whole (`load`). The doors answer only after the log is
on the disk.
"""

from spanlore.collector.config import Config, ConfigError
from spanlore.collector.server import Collector

__all__ = ["Collector", "Config", "ConfigError"]
