"""The collector, less patient with its clients than anybody would set it: for tests of its limits.

`python -m tests.collector.hurried_collector --data-dir DIR --store-url URL …`; its ports are free
ones.
"""

import sys
from itertools import pairwise
from pathlib import Path

from spanlore.collector.__main__ import serve
from spanlore.collector.config import ClientLimits, Config
from spanlore.schemas.credentials import load_or_create
from spanlore.schemas.tls import TlsFiles

LIMITS = ClientLimits(header_s_max=1.0, body_s_max=1.0, idle_s_max=1, connections_max=20)
INFLIGHT_BYTES_MAX = 4 << 20

if __name__ == "__main__":
    given = dict(pairwise(sys.argv))
    data_dir = Path(given["--data-dir"])
    certificate, key = (
        Path(given[name]) if name in given else None for name in ("--tls-cert", "--tls-key")
    )
    config = Config(
        data_dir=data_dir,
        token=load_or_create(data_dir).collector_token,
        grpc_port=0,
        http_port=0,
        disk_free_bytes_min=0,
        inflight_bytes_max=INFLIGHT_BYTES_MAX,
        clients=LIMITS,
        tls=TlsFiles.given(certificate, key, client_ca=None),
    )
    serve(config, given["--store-url"])
