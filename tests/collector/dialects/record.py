"""Record what other makers' instrumentation sends: ``python -m tests.collector.dialects.record``.

Each driver runs in an environment of its own (below ``build/dialects``) against scripted models on
loopback. What it sends over OTLP is kept as ``recorded/NAME.json``, as OTLP's JSON, without what
names the machine. The tests send the recordings through a collector and need none of the packages.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.instrumentation.coverage.scripted_models import scripted_models
from tests.instrumentation.otlp_receiver import receiver
from tests.instrumentation.traced import collector

FOLDER = Path(__file__).parent
RECORDED = FOLDER / "recorded"
ENVIRONMENTS = FOLDER.parents[2] / "build" / "dialects"
RUN_S_MAX = 300
_IDS = ("traceId", "spanId", "parentSpanId")
_OF_RESOURCE = ("service.name", "telemetry.sdk.")
_OF_THE_MACHINE = (
    "server.",
    "net.",
    "thread.",
    "code.",
    "exception.stacktrace",
    "gen_ai.openai.api_base",
    "langsmith.metadata.LANGSMITH_",
    "langsmith.metadata.revision_id",
)
# LangSmith appends it to an exception's message.
_TRACEBACK = "Traceback ("


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A program, and the packages of the environment that it is run in."""

    name: str
    program: str
    packages: tuple[str, ...]


DRIVERS = (
    Driver(
        name="openinference",
        program="openinference_agent.py",
        packages=(
            "openai==3.57.0",
            "openinference-instrumentation==0.1.72",
            "openinference-instrumentation-openai==0.1.66",
            "opentelemetry-exporter-otlp-proto-http==1.45.2",
        ),
    ),
    Driver(
        name="traceloop",
        program="traceloop_agent.py",
        packages=("openai==3.57.0", "traceloop-sdk==0.62.4", "httpx"),
    ),
    Driver(
        name="traceloop-0.40",
        program="traceloop_agent.py",
        packages=("openai==1.109.1", "traceloop-sdk==0.40.14", "setuptools<81"),
    ),
    Driver(
        name="pydantic-ai-1",
        program="pydantic_ai_agent.py",
        packages=(
            "pydantic-ai-slim[openai]==1.0.18",
            "openai<2",
            "opentelemetry-exporter-otlp-proto-http==1.37.0",
        ),
    ),
    Driver(
        name="pydantic-ai",
        program="pydantic_ai_agent.py",
        packages=(
            "pydantic-ai-slim[openai]==2.68.0",
            "opentelemetry-exporter-otlp-proto-http==1.45.2",
        ),
    ),
    Driver(name="openlit", program="openlit_agent.py", packages=("openai<3", "openlit==1.45.0")),
    Driver(
        name="langfuse",
        program="langfuse_agent.py",
        packages=("openai==3.57.0", "langfuse==5.0.4"),
    ),
    Driver(
        name="langsmith",
        program="langsmith_agent.py",
        packages=("openai==3.57.0", "langsmith[otel]==0.15.1"),
    ),
    Driver(
        name="langchain",
        program="langchain_agent.py",
        packages=(
            "langchain==1.4.10",
            "langchain-openai==1.7.4",
            "langsmith[otel]==0.15.1",
        ),
    ),
    Driver(
        name="vercel",
        program="vercel_agent.mjs",
        packages=(
            "ai@6",
            "@ai-sdk/openai@3",
            "zod@4",
            "@opentelemetry/sdk-node@0.223",
            "@opentelemetry/exporter-trace-otlp-grpc@0.223",
        ),
    ),
)


def main() -> None:
    """Record the drivers that are named, or all of them."""
    names = sys.argv[1:]
    for driver in DRIVERS:
        if not names or driver.name in names:
            kept = json.dumps(_sent(driver), indent=1, sort_keys=True)
            (RECORDED / f"{driver.name}.json").write_text(f"{kept}\n")


def _sent(driver: Driver) -> dict[str, Any]:
    command = _command(driver, ENVIRONMENTS / driver.name)
    prices = ENVIRONMENTS / "no_prices.json"
    prices.write_text("{}")
    with scripted_models() as models, collector() as there, receiver() as grpc_door:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(ENVIRONMENTS),
            **models.environment(),
            "OTEL_EXPORTER_OTLP_ENDPOINT": there.url,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{there.url}/v1/traces",
            "OTEL_SERVICE_NAME": "forecasts",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "PRICES": str(prices),
            "GRPC_ENDPOINT": f"http://{grpc_door.address}",
            "LANGFUSE_BASE_URL": there.url,
            "LANGFUSE_PUBLIC_KEY": "of-nobody",
            "LANGFUSE_SECRET_KEY": "of-nobody",
            "LANGFUSE_OTEL_COMPRESSION": "none",
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_OTEL_ENABLED": "true",
            "LANGSMITH_OTEL_ONLY": "true",
            "LANGSMITH_API_KEY": "of-nobody",
        }
        subprocess.run(command, env=env, check=True, timeout=RUN_S_MAX)
        return _kept((*there.traces, *grpc_door.traces))


def _command(driver: Driver, place: Path) -> list[str]:
    """Return how the driver is run, after its environment was made."""
    program = FOLDER / "drivers" / driver.program
    if program.suffix == ".mjs":
        if not place.exists():
            place.mkdir(parents=True)
            install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(place)]
            subprocess.run([*install, *driver.packages], check=True)
        # Node looks for packages beside the program.
        beside = place / program.name
        beside.write_text(program.read_text())
        return ["node", str(beside)]
    uv, python = [sys.executable, "-m", "uv", "--no-config"], str(place / "bin" / "python")
    if not place.exists():
        subprocess.run([*uv, "venv", "--python", sys.executable, str(place)], check=True)
        subprocess.run([*uv, "pip", "install", "--python", python, *driver.packages], check=True)
    return [python, str(program)]


def _kept(requests: Iterable[bytes]) -> dict[str, Any]:
    """Return all requests as one in OTLP's JSON, which writes ids as hex."""
    merged = ExportTraceServiceRequest()
    for request in requests:
        merged.MergeFromString(request)
    for resource in merged.resource_spans:
        _keep(resource.resource.attributes, lambda key: key.startswith(_OF_RESOURCE))
    for span in (one for each in merged.resource_spans for one in _spans(each.scope_spans)):
        for attributes in (span.attributes, *(event.attributes for event in span.events)):
            _forget_machine(attributes)
    document: dict[str, Any] = MessageToDict(merged, use_integers_for_enums=True)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            scope["spans"] = [_with_hex_ids(span) for span in scope["spans"]]
    return document


def _spans(scopes: Iterable[Any]) -> Iterable[Any]:
    return (span for scope in scopes for span in scope.spans)


def _forget_machine(attributes: Any) -> None:
    _keep(attributes, lambda key: not key.startswith(_OF_THE_MACHINE))
    for attribute in attributes:
        if attribute.key == "exception.message":
            said: str = attribute.value.string_value
            attribute.value.string_value = said.partition(_TRACEBACK)[0]


def _keep(attributes: Any, is_kept: Callable[[str], bool]) -> None:
    kept = [each for each in attributes if is_kept(each.key)]
    del attributes[:]
    attributes.extend(kept)


def _with_hex_ids(span: dict[str, Any]) -> dict[str, Any]:
    return span | {name: base64.b64decode(span[name]).hex() for name in _IDS if name in span}


if __name__ == "__main__":
    main()
