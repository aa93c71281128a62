"""A parsed request, every text in it redacted: attributes at any depth, names, keys, bytes."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from spanlore.collector.redaction.redactor import Redactor
from spanlore.collector.signals import drop_unknown
from spanlore.schemas.secret_names import is_secret_name

# Trace and span ids are up to this long; nothing that short is looked into when it is one.
_ID_BYTES_MAX = 16
# Below an attribute, where messages nest within each other.
_VALUES = frozenset({"AnyValue", "ArrayValue", "KeyValueList"})
_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})


def redact_request(request: Any, redactor: Redactor) -> Counter[str]:
    """Redact a request of the loose reading, in place; give what was taken out by kind.

    Fields that OTLP does not know go: the store cannot read them, the log would keep them.
    """
    drop_unknown(request)
    found: Counter[str] = Counter()
    # Each message with the name of the attribute it is the value of, where that promises a secret.
    stack: list[tuple[Any, bytes]] = [(request, b"")]
    while stack:
        message, name = stack.pop()
        kind = message.DESCRIPTOR.name
        # Most of a request that holds a secret is as clean as most requests are.
        if not (name or kind in _VALUES or redactor.suspects(message.SerializeToString())):
            continue
        if kind == "KeyValue" and is_secret_name(message.key):
            name = message.key
        for field, value in message.ListFields():
            if field.message_type is not None:
                stack.extend((item, name) for item in (value if field.is_repeated else (value,)))
            elif field.type == FieldDescriptor.TYPE_BYTES:
                named = name if field.name == "string_value" else b""
                _redact_field(message, field, redact=_redact(redactor, named, found))
    return found


def _redact(redactor: Redactor, name: bytes, found: Counter[str]) -> Callable[[bytes], bytes]:
    if name:
        return lambda text: redactor.redact_value(name, text, found=found)
    return lambda text: redactor.redact(text, found)


def _redact_field(
    message: Any, field: FieldDescriptor, *, redact: Callable[[bytes], bytes]
) -> None:
    value = getattr(message, field.name)
    if field.is_repeated:
        value[:] = [redact(item) for item in value]
    elif field.name not in _IDS or len(value) > _ID_BYTES_MAX:
        setattr(message, field.name, redact(value))
