"""The model SDKs and agent frameworks we trace, each with its official instrumentor.

Called by class, not by entry point: other vendors registered the same entry-point names.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

_CONTENT_MODE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_EMIT_EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
_ANTHROPIC_NATIVE = "ANTHROPIC_OPEN_TELEMETRY"


class _Library(NamedTuple):
    """``distribution`` brings the module, where its name alone might be anybody's."""

    instrumentor: str
    distribution: str | None = None


# By the module whose import says that the library is used.
_LIBRARIES = {
    "agents": _Library(
        "opentelemetry.instrumentation.genai.openai_agents:OpenAIAgentsInstrumentor",
        "openai-agents",
    ),
    "anthropic": _Library("opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor"),
    "google.genai": _Library(
        "opentelemetry.instrumentation.google_genai:GoogleGenAiSdkInstrumentor"
    ),
    "langchain_core": _Library(
        "opentelemetry.instrumentation.genai.langchain:LangChainInstrumentor"
    ),
    "openai": _Library("opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor"),
}

MODULES = tuple(_LIBRARIES)


def instrument(module: str, *, content_mode: str | None, providers: Mapping[str, Any]) -> bool:
    """Trace a library that was just imported; False where it is traced already, or not meant.

    ``content_mode`` None leaves the user's. Raises what the instrumentor raises, for a version
    that it does not know among others.
    """
    library = _LIBRARIES[module]
    if library.distribution and not _is_from(module, library.distribution):
        return False
    instrumentor = _instrumentor(library)
    if instrumentor.is_instrumented_by_opentelemetry:
        return False
    with _environment_kept(content_mode):
        instrumentor.instrument(raise_exception_on_conflict=True, **providers)
    if module == "anthropic":
        # Its own spans would stand inside the instrumentor's, with the same tokens again.
        os.environ.setdefault(_ANTHROPIC_NATIVE, "false")
    return True


def uninstrument(module: str) -> None:
    """Undo what `instrument` did, so that it can be done otherwise."""
    _instrumentor(_LIBRARIES[module]).uninstrument()


def _instrumentor(library: _Library) -> Any:
    where, _, name = library.instrumentor.partition(":")
    return getattr(import_module(where), name)()


@contextmanager
def _environment_kept(content_mode: str | None) -> Iterator[None]:
    """Let instrumentors read our content mode, and leave no trace of it, or of what they set.

    What stayed would be taken for the user's own wish, here and in every child process.
    """
    before = {name: os.environ.get(name) for name in (_CONTENT_MODE, _EMIT_EVENT)}
    if content_mode is not None:
        os.environ[_CONTENT_MODE] = content_mode
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_from(module: str, name: str) -> bool:
    """Say whether an imported module lies where a distribution put its own."""
    # Needed for one library only, and not cheap.
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    try:
        place = distribution(name).locate_file(module)
    except PackageNotFoundError:
        return False
    origin = getattr(sys.modules.get(module), "__file__", None)
    return origin is not None and Path(origin).resolve().parent == Path(str(place)).resolve()
