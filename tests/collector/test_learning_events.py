"""Events about learning become rows: what the user changed, which run was given which lesson."""

from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanlore.schemas import otlp, semconv
from spanlore.schemas.learning_tables import EXPOSURES, OVERRIDES
from spanlore.schemas.store import Store
from tests.schemas.segments import segment

AT_NS = 1_750_000_000_000_000_000
TRACE = b"\x07" * 16
WHO = {semconv.USER_ID: "ana", semconv.TENANT_ID: "acme"}
OVERRIDE = {
    semconv.OVERRIDE_TARGET: "tool_argument",
    semconv.TOOL_NAME: "create_event",
    semconv.OVERRIDE_FIELD: "/start",
    semconv.OVERRIDE_ORIGINAL: '"09:30"',
    semconv.OVERRIDE_REPLACEMENT: '"10:00"',
    semconv.OVERRIDE_ACTOR: "user",
    semconv.OVERRIDE_ID: "o1",
}


def event(name: str, at_ns: int, **values: str | int) -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    record = made.resource_logs.add().scope_logs.add().log_records.add()
    record.time_unix_nano, record.trace_id, record.event_name = at_ns, TRACE, name
    for key, value in values.items():
        any_value = (
            AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
        )
        record.attributes.append(KeyValue(key=key, value=any_value))
    return made


def load(store: Store, folder: Path, *requests: ExportLogsServiceRequest) -> None:
    path = segment(folder, requests)
    store.insert_segment(path, token=path.stem, into=(otlp.LOGS_IN,))


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    return store.query(f"SELECT * FROM {table} FINAL")


def test_an_override_said_twice_is_one_row(store: Store, tmp_path: Path) -> None:
    again = {**OVERRIDE, semconv.OVERRIDE_REPLACEMENT: '"11:00"'}
    load(
        store,
        tmp_path,
        event(semconv.EVENT_OVERRIDE, AT_NS, **WHO, **OVERRIDE),
        event(semconv.EVENT_OVERRIDE, AT_NS + 1, **WHO, **again),
    )
    [row] = rows(store, OVERRIDES)
    assert (row["TenantId"], row["UserId"], row["TraceId"]) == ("acme", "ana", TRACE.hex())
    assert (row["ToolName"], row["Field"], row["Target"]) == (
        "create_event",
        "/start",
        "tool_argument",
    )
    assert (row["Original"], row["Replacement"]) == ('"09:30"', '"11:00"')


def test_an_exposure_keeps_its_lesson_version_and_arm(store: Store, tmp_path: Path) -> None:
    said: dict[str, str | int] = {
        semconv.LESSON_ID: "l1",
        semconv.LESSON_VERSION: 3,
        semconv.LESSON_ARM: "held_out",
    }
    load(store, tmp_path, event(semconv.EVENT_EXPOSURE, AT_NS, **WHO, **said))
    [row] = rows(store, EXPOSURES)
    assert (row["LessonId"], row["LessonVersion"], row["Arm"]) == ("l1", 3, "held_out")
    assert (row["TenantId"], row["UserId"], row["TraceId"]) == ("acme", "ana", TRACE.hex())


def test_other_log_records_are_neither(store: Store, tmp_path: Path) -> None:
    load(store, tmp_path, event("something.else", AT_NS, **WHO, **OVERRIDE))
    assert rows(store, OVERRIDES) == rows(store, EXPOSURES) == []
