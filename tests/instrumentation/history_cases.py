"""What the tests of history import share: lines, their runs and spans, and the real recordings."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanlore.instrumentation.history.files import BadLine, Line
from spanlore.instrumentation.history.formats import Format
from spanlore.instrumentation.history.importing import runs_of
from spanlore.instrumentation.history.spans import spans_of
from spanlore.instrumentation.history.trajectory import Trajectory

_BESIDE_THE_REPOSITORY = Path(__file__).parents[3] / "shared" / "data"


def recordings() -> list[Path]:
    """Return the real recordings, 420 runs; skip the test where they are not."""
    folder = Path(os.environ.get("SPANLORE_TEST_DATA") or _BESIDE_THE_REPOSITORY)
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        pytest.skip(f"no recordings in {folder}; name their folder in SPANLORE_TEST_DATA")
    return files


def all_of(value: Any, file_format: Format = Format.TRAJECTORY) -> list[Trajectory | BadLine]:
    return list(runs_of(Line("runs.jsonl", 1, json.dumps(value)), file_format))


def run_of(value: Any, file_format: Format = Format.TRAJECTORY) -> Trajectory:
    (run,) = all_of(value, file_format)
    assert isinstance(run, Trajectory), run
    return run


def problem_of(text: str, file_format: Format = Format.TRAJECTORY) -> str:
    (problem,) = runs_of(Line("runs.jsonl", 3, text), file_format)
    assert isinstance(problem, BadLine), problem
    return str(problem)


def spans(value: Any, file_format: Format = Format.TRAJECTORY) -> list[Span]:
    return list(spans_of(run_of(value, file_format)))


def attributes(span: Any) -> dict[str, Any]:
    """Return a span's attributes with the types they have on the wire."""
    values: dict[str, Any] = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        values[each.key] = (
            [member.string_value for member in value.values] if kind == "array_value" else value
        )
    return values


def called(name: str, call_id: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
