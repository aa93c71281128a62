"""The model SDKs and agent frameworks we trace, each with its official instrumentor.

Called by class, not by entry point: other vendors registered the same entry-point names.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

from spanlore.instrumentation.quiet import quiet

_CONTENT_MODE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_EMIT_EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
_ANTHROPIC_NATIVE = "ANTHROPIC_OPEN_TELEMETRY"


class Library(NamedTuple):
    """A library, the distribution that brings it, and what traces it.

    ``instrumentor`` is a class, ``recovery`` puts back what it drops; ``newer`` is a major version
    that it says it does not know, ``unneeded`` a distribution that it says it wants: without them
    the library was found to be traced in full (the coverage page).
    ``native`` switches on what a library that has no instrumentor writes by itself, ``wrapper`` is
    ours for one that nobody traces.
    """

    distribution: str
    instrumentor: str | None = None
    recovery: str | None = None
    newer: int | None = None
    unneeded: str | None = None
    native: str | None = None
    wrapper: str | None = None
    is_name_anybodys: bool = False


# By the module whose import says that the library is used. Instrumentors that spanlore does not
# bring are used where they are installed; `spanlore doctor` names those that are missing.
LIBRARIES = {
    "agents": Library(
        "openai-agents",
        "opentelemetry.instrumentation.genai.openai_agents:OpenAIAgentsInstrumentor",
        recovery="agents_tools",
        is_name_anybodys=True,
    ),
    "anthropic": Library(
        "anthropic",
        "opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor",
        recovery="anthropic_calls",
    ),
    "botocore.client": Library(
        "botocore",
        "opentelemetry.instrumentation.genai.bedrock:BedrockInstrumentor",
        recovery="bedrock_calls",
        unneeded="boto3",
    ),
    "claude_agent_sdk": Library("claude-agent-sdk", wrapper="claude_agents"),
    "crewai": Library("crewai", wrapper="crewai_crews"),
    "dspy": Library("dspy", "opentelemetry.instrumentation.genai.dspy:DSPyInstrumentor"),
    "google.genai": Library(
        "google-genai",
        "opentelemetry.instrumentation.google_genai:GoogleGenAiSdkInstrumentor",
        recovery="google_calls",
        newer=3,
    ),
    "langchain_core": Library(
        "langchain-core",
        "opentelemetry.instrumentation.genai.langchain:LangChainInstrumentor",
        recovery="langchain_tools",
        unneeded="langchain",
    ),
    "litellm": Library("litellm", wrapper="litellm_calls"),
    "llama_index.core": Library(
        "llama-index-core",
        "opentelemetry.instrumentation.genai.llama_index:LlamaIndexInstrumentor",
    ),
    "mcp": Library("mcp", native="mcp_messages", is_name_anybodys=True),
    "openai": Library(
        "openai",
        "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
        recovery="openai_calls",
    ),
    "pydantic_ai": Library("pydantic-ai-slim", native="pydantic_ai_agents"),
    "smolagents": Library(
        "smolagents",
        "opentelemetry.instrumentation.genai.smolagents:SmolagentsInstrumentor",
        recovery="smolagents_tools",
    ),
}

MODULES = tuple(LIBRARIES)


def instrument(module: str, *, content_mode: str | None, providers: Mapping[str, Any]) -> bool:
    """Trace a library that was just imported; False where it is traced already, or not meant.

    ``content_mode`` None leaves the user's. Raises what the instrumentor raises, for a version
    that it does not know among others.
    """
    library = LIBRARIES[module]
    if library.is_name_anybodys and not _is_from(module, library.distribution):
        return False
    if library.native:
        _switch_on(library.native, content_mode=content_mode, providers=providers)
        return False
    if library.wrapper:
        _wrap(library.wrapper, content_mode=content_mode, providers=providers)
        return True
    try:
        instrumentor = _instrumentor(library)
    except ModuleNotFoundError:
        return False
    was_on = instrumentor.is_instrumented_by_opentelemetry
    if not was_on:
        with quiet:
            import_module(f"{__package__}.logfire_clients").leave(module)
        with _environment_kept(content_mode):
            instrumentor.instrument(
                raise_exception_on_conflict=True,
                skip_dep_check=is_known_anyway(library),
                **providers,
            )
    if library.recovery:
        with quiet:
            import_module(f"{__package__}.recovery.{library.recovery}").recover()
    if module == "anthropic":
        # Its own spans would stand inside the instrumentor's, with the same tokens again.
        os.environ.setdefault(_ANTHROPIC_NATIVE, "false")
    return not was_on


def uninstrument(module: str) -> None:
    """Undo what `instrument` did, so that it can be done otherwise; a wrapper needs no undoing."""
    library = LIBRARIES[module]
    if not library.wrapper:
        _instrumentor(library).uninstrument()


def _instrumentor(library: Library) -> Any:
    where, _, name = (library.instrumentor or "").partition(":")
    return getattr(import_module(where), name)()


def _switch_on(native: str, *, content_mode: str | None, providers: Mapping[str, Any]) -> None:
    from spanlore.instrumentation.settings import ON_SPANS  # noqa: PLC0415  # not at every start

    mode = content_mode or os.environ.get(_CONTENT_MODE, "").strip().upper()
    import_module(f"{__package__}.native.{native}").switch_on(
        providers["tracer_provider"], with_content=mode in ON_SPANS
    )


def _wrap(wrapper: str, *, content_mode: str | None, providers: Mapping[str, Any]) -> None:
    from opentelemetry.util.genai.handler import TelemetryHandler  # noqa: PLC0415

    with _environment_kept(content_mode):
        handler = TelemetryHandler(
            instrumentation_scope_name=f"{__package__}.wrapping.{wrapper}", **providers
        )
    import_module(f"{__package__}.wrapping.{wrapper}").wrap(handler)


def is_known_anyway(library: Library) -> bool:
    """Say whether what the instrumentor says that it does not know is known to go with it."""
    if library.newer is not None:
        return (version_of(library.distribution) or "").partition(".")[0] == str(library.newer)
    return library.unneeded is not None and version_of(library.unneeded) is None


def version_of(distribution: str) -> str | None:
    """Return the installed version; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # not cheap

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


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
