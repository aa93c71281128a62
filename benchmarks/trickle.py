"""What spanlore costs while little comes: CPU of its collector and store at a few spans a second.

``python benchmarks/trickle.py [--seconds 60] [--requests 20] [--spans 4]`` sends so many requests a
second of so many agent spans over gRPC, and says what share of a core each process took.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from client import EXPORT
from corpus import agent_corpus
from systems import spanlore

_ACK_S_MAX = 60


def main() -> None:
    """Send for so long, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=20, help="a second")
    parser.add_argument("--spans", type=int, default=4, help="a request")
    asked = parser.parse_args()
    count = asked.seconds * asked.requests
    with tempfile.TemporaryDirectory(prefix="spanlore-trickle-") as folder:
        _measure(Path(folder), list(_small(count, asked.spans)), asked.requests)


def _small(count: int, spans: int) -> Iterator[bytes]:
    """Cut the agents' requests into small ones."""
    made = 0
    for body in agent_corpus(count * spans, seed=1).requests:
        [group] = ExportTraceServiceRequest.FromString(body).resource_spans
        [scope] = group.scope_spans
        every = list(scope.spans)
        for start in range(0, len(every), spans):
            del scope.spans[:]
            scope.spans.extend(every[start : start + spans])
            yield ExportTraceServiceRequest(resource_spans=[group]).SerializeToString()
            made += 1
            if made == count:
                return


def _measure(folder: Path, requests: list[bytes], a_second: int) -> None:
    with (
        spanlore(folder) as running,
        grpc.insecure_channel(running.door.url.removeprefix("grpc://")) as channel,
    ):
        export = channel.unary_unary(EXPORT, request_serializer=None, response_deserializer=None)
        export(requests[0], timeout=_ACK_S_MAX)
        running.finish()  # what is paid once, at the first of everything
        before, began_s = running.cpu_s(), time.monotonic()
        for number, body in enumerate(requests):
            time.sleep(max(0.0, began_s + number / a_second - time.monotonic()))
            export(body, timeout=_ACK_S_MAX)
        elapsed_s = time.monotonic() - began_s
        shares = {
            name: 100 * (used - before[name]) / elapsed_s for name, used in running.cpu_s().items()
        }
        said = ", ".join(f"{name} {share:.1f} %" for name, share in shares.items())
        print(f"{len(requests)} requests in {elapsed_s:.0f} s: {said} of a core")


if __name__ == "__main__":
    main()
