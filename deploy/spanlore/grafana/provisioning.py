"""What Grafana is told at its start: where the store is, and where the dashboard lies."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from spanlore.grafana.builder import DATASOURCE_TYPE
from spanlore.grafana.dashboard import DATASOURCE_UID
from spanlore.schemas import tables

DASHBOARDS_PATH: Final = "/var/lib/grafana/dashboards/spanlore"

# Grafana fills these from its own environment.
STORE_HOST: Final = "${SPANLORE_STORE_HOST}"
STORE_PORT: Final = "${SPANLORE_STORE_PORT}"
READER_PASSWORD: Final = "${SPANLORE_READER_PASSWORD}"  # noqa: S105 - where it comes from
READER: Final = "reader"

_QUERY_TIMEOUT_S: Final = 60
_DIAL_TIMEOUT_S: Final = 10


def datasources() -> dict[str, Any]:
    """Return the data source: the store's HTTP port, as the user who can only read."""
    otel = {"defaultDatabase": tables.DATABASE, "otelEnabled": True, "otelVersion": "latest"}
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "spanlore",
                "uid": DATASOURCE_UID,
                "type": DATASOURCE_TYPE,
                "access": "proxy",
                "isDefault": True,
                "editable": False,
                "jsonData": {
                    "host": STORE_HOST,
                    "port": STORE_PORT,
                    "protocol": "http",
                    "secure": False,
                    "username": READER,
                    "defaultDatabase": tables.DATABASE,
                    "dialTimeout": str(_DIAL_TIMEOUT_S),
                    "queryTimeout": str(_QUERY_TIMEOUT_S),
                    "traces": {
                        **otel,
                        "defaultTable": tables.TRACES,
                        "durationUnit": "nanoseconds",
                        "traceEventsColumnPrefix": "Events",
                        "traceLinksColumnPrefix": "Links",
                    },
                    "logs": {**otel, "defaultTable": tables.LOGS},
                },
                "secureJsonData": {"password": READER_PASSWORD},
            }
        ],
    }


def dashboard_providers() -> dict[str, Any]:
    """Return the provider that loads the dashboard's file."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "spanlore",
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "options": {"path": DASHBOARDS_PATH},
            }
        ],
    }


def yaml_text(document: Mapping[str, Any]) -> str:
    """Render plain data as YAML in block style, with every scalar as JSON writes it."""
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, held in value.items():
            yield from _entry(f"{key}:", held)
    elif isinstance(value, list):
        for held in value:
            first, *rest = _lines(held)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield json.dumps(value)


def _entry(key: str, held: Any) -> Iterator[str]:
    if isinstance(held, Mapping | list):
        yield key
        yield from (f"  {line}" for line in _lines(held))
    else:
        yield f"{key} {json.dumps(held)}"
