"""What the OTLP specification says of gRPC: the methods, and which failures may pass."""

from typing import Final

import grpc

EXPORT_TRACES: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
EXPORT_LOGS: Final = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

# RESOURCE_EXHAUSTED may be tried again too, but only if the receiver says when.
RETRYABLE: Final = (
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
)
