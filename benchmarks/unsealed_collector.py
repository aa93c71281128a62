"""A spanlore collector that loads and does not seal runs: the control for what sealing costs."""

import argparse
import json
import signal
import sys
import threading
from functools import partial
from pathlib import Path

from spanlore.collector import Collector, Config
from spanlore.schemas.credentials import load_or_create
from spanlore.schemas.store import Store


def main() -> None:
    """Run until SIGTERM; prints the same ready line as ``python -m spanlore.collector``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--store-url", required=True)
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--http-port", type=int, default=0)
    asked = parser.parse_args()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    config = Config(
        data_dir=asked.data_dir,
        token=load_or_create(asked.data_dir).collector_token,
        grpc_port=asked.grpc_port,
        http_port=asked.http_port,
    )
    collector = Collector(config, partial(Store.connect, asked.store_url))
    ports = collector.start()
    ready = {"ready": True, "grpc_port": ports.grpc_port, "http_port": ports.http_port}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    stopping.wait()
    collector.stop()


if __name__ == "__main__":
    main()
