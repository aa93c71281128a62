"""Write-ahead-log segments for tests of the store: requests in, a file the engine reads out."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

RECEIVED_NS = 1_790_000_000_000_000_000
LOG_ID = 7
_FIELDS: dict[type, int] = {ExportLogsServiceRequest: 11, ExportMetricsServiceRequest: 12}


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def record(
    request: Message | bytes, *, seq: int, tenant: str = "", signal: int | None = None
) -> bytes:
    body = request if isinstance(request, bytes) else request.SerializeToString()
    if signal is None:
        signal = _FIELDS.get(type(request), 10)
    rest = b"".join(
        [
            b"\x0a" + varint(len(tenant)) + tenant.encode() if tenant else b"",
            b"\x11" + struct.pack("<Q", RECEIVED_NS + seq),
            b"\x18" + varint(seq),
            b"\x2d" + struct.pack("<I", LOG_ID),
            varint(signal << 3 | 2) + varint(len(body)) + body,
        ]
    )
    whole = b"\x25" + struct.pack("<I", zlib.crc32(rest)) + rest
    return varint(len(whole)) + whole


def segment(folder: Path, requests: Sequence[Message | bytes], *, first_seq: int = 1) -> Path:
    path = folder / f"{LOG_ID:08x}-{first_seq:016x}.wal"
    path.write_bytes(
        b"".join(record(one, seq=seq) for seq, one in enumerate(requests, start=first_seq))
    )
    return path
