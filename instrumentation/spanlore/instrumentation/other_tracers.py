"""Other tracers of the libraries that we trace: what one of them tells is not told again by us.

OpenInference, OpenLLMetry, OpenLIT and OpenTelemetry's own contributions bring instrumentors of the
same kind, which a program may switch on before us or after. Whoever did so chose it, so ours gives
way, call by call: nothing is unwrapped, a span is just not begun, and the other's stands in its
place in the tree. So it is with a call of a model that another's span around it already tells, as
those of an agent framework do for the SDK below.

That holds only where the other's spans come to us. What goes through a provider of its own goes
elsewhere, and without ours the call would be missing here: then both are kept, each in its place.

The official instrumentors, which we trace with, can be on only once. Where the program switches
one on with a provider of its own, ours gives way, and its spans are taken from that provider too.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from spanlore.instrumentation.complaint import complain
from spanlore.instrumentation.libraries import LIBRARIES
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.recovery.amending import after, around
from spanlore.schemas import semconv

# What instrumentors say that they trace, where it is not the distribution of the table's.
_ALSO_CALLED = {
    "boto3": "botocore",
    "dspy-ai": "dspy",
    "langchain": "langchain-core",
    "llama-index": "llama-index-core",
    "pydantic-ai": "pydantic-ai-slim",
}
# Amazon's SDK is that of two hundred services; others trace queues, say, and not its models.
_OF_AMAZONS_MODELS = ("bedrock", "botocore")
# It has no models, and what is switched on for it carries the trace along, without a span.
_WITHOUT_MODELS = "mcp"

# The libraries by their official instrumentors, which are what we trace with.
OFFICIAL = {
    library.instrumentor: module for module, library in LIBRARIES.items() if library.instrumentor
}

_INSTEAD = "call instrument() without tracer_provider, or leave it to spanlore"

_OPERATIONS = {*semconv.INFERENCE_OPS, semconv.OP_EMBEDDINGS}
_OPENINFERENCE_KINDS = {"LLM", "EMBEDDING"}


@dataclass(frozen=True, slots=True)
class OtherTracer:
    """An instrumentor by its module; ``ways`` are its providers or tracers, none: the global."""

    name: str
    ways: tuple[Any, ...] = ()

    def comes_to(self, provider: trace.TracerProvider) -> bool:
        """Say whether its spans go through this provider."""
        return any(_leads(way, provider) for way in self.ways or (trace.get_tracer_provider(),))

    def is_scope(self, scope: Any) -> bool:
        """Say whether a tracer of its, or another of its vendor's, bears this scope."""
        vendor = self.name.partition(".")[0]
        head = self.name if vendor == "opentelemetry" else vendor
        return scope is not None and f"{scope.name}.".startswith(f"{head}.")


# By the module of the library; what is switched off is no more there.
_switched_on: dict[str, list[OtherTracer]] = {}
# What is taken from providers that are not ours: processors of theirs, each with who makes spans.
_taken: list[tuple[Any, OtherTracer]] = []


@dataclass(frozen=True, slots=True)
class Ours:
    """What is done about official instrumentors: take spans of one there, trace a library again."""

    take: Callable[[Any, OtherTracer], None]
    begin: Callable[[str], None]


_ours: Ours


def watch(ours: Ours) -> None:
    """Take note of the instrumentors that are on, and of all that are switched on or off."""
    global _ours  # noqa: PLW0603  # instrumentors are amended once, whoever traces
    _ours = ours
    # Its import is what calls this, and must not be what this module's own import does.
    from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]  # noqa: PLC0415
        BaseInstrumentor,
    )

    around(BaseInstrumentor, "instrument", _switching_on)
    after(BaseInstrumentor, "uninstrument", _switched_off)
    for instrumentor in _instrumentors(BaseInstrumentor):
        if instrumentor.is_instrumented_by_opentelemetry:
            with quiet:
                _note_as_on(instrumentor)


def libraries_told(needs: Iterable[str], *, by: str) -> list[str]:
    """Return the modules of the libraries that an instrumentor, a module, says that it is for.

    ``needs`` are its requirements, which name their distributions.
    """
    called = [str(canonicalize_name(Requirement(each).name)) for each in needs]
    names = {_ALSO_CALLED.get(each, each) for each in called} - {_WITHOUT_MODELS}
    if not any(word in by for word in _OF_AMAZONS_MODELS):
        names.discard("botocore")
    return [module for module, library in LIBRARIES.items() if library.distribution in names]


def others_of(library: str) -> Sequence[OtherTracer]:
    """Return those that are on for a library, by its module, wherever their spans go."""
    return _switched_on.get(library, ())


def is_told(
    library: str, *, attributes: Mapping[str, Any], within: Any, provider: trace.TracerProvider
) -> bool:
    """Say whether another tells what a span of ours of this library, in that span, would tell."""
    if not _switched_on:
        return False
    for other in others_of(library):
        if other.comes_to(provider):
            say_that_it_tells(
                other.name,
                LIBRARIES[library].distribution,
                instead="do not switch it on, or call its uninstrument()",
            )
            return True
    is_call = attributes.get(semconv.OPERATION_NAME) in _OPERATIONS
    return is_call and _is_call_of_another(within, provider)


def is_taken(span: Any, processor: Any) -> bool:
    """Say whether a span that goes through this processor of another's comes to us from there."""
    scope = getattr(span, "instrumentation_scope", None)
    return any(of is processor and by.is_scope(scope) for of, by in _taken)


def _leads(way: Any, provider: trace.TracerProvider) -> bool:
    if isinstance(way, trace.ProxyTracerProvider | trace.ProxyTracer):
        way = trace.get_tracer_provider()
    if way is provider:
        return True
    processor = getattr(way, "span_processor", None)
    return processor is not None and processor is processor_of(provider)


def processor_of(provider: Any) -> Any:
    """Return what the SDK's provider, or one that stands before it, gives its spans to."""
    provider = getattr(provider, "provider", provider)
    return getattr(provider, "_active_span_processor", None)


def _is_call_of_another(span: Any, provider: trace.TracerProvider) -> bool:
    scope = getattr(span, "instrumentation_scope", None)
    for others in _switched_on.values():
        for other in others:
            if other.is_scope(scope) and other.comes_to(provider):
                return _is_call(span)
    return False


def _is_call(span: Any) -> bool:
    """Read what dialects say as a call begins; OpenLIT then has no more than a name."""
    said = span.attributes or {}
    if said.get("openinference.span.kind") in _OPENINFERENCE_KINDS or "llm.request.type" in said:
        return True
    named = said.get(semconv.OPERATION_NAME) or span.name.partition(" ")[0]
    return named in _OPERATIONS


def say_that_it_tells(other: str, library: str, *, instead: str) -> None:
    """Tell the log whose spans are taken for a library's calls, and how to have spanlore's."""
    complain(
        f"{other} traces {library} in this process as well: its spans are taken for those"
        f" calls, and spanlore begins none of its own. For spanlore's, {instead}."
    )


class _Switching:
    """A bracket of an instrumentor's start: it may import its library, and it may refuse to.

    ``library`` is that of an official one, ``other``, which comes in the place of ours.
    """

    def __init__(self, instrumentor: Any, other: OtherTracer, library: str | None) -> None:
        self._instrumentor = instrumentor
        self._other = other
        self._library = library
        self.result: Any = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        with quiet:
            is_on = self._instrumentor.is_instrumented_by_opentelemetry
            if not is_on:
                _forget(self._other.name)
            if self._library is not None and is_on:
                _take(self._other, LIBRARIES[self._library].distribution)
            elif self._library is not None:
                _ours.begin(self._library)


def _note_as_on(instrumentor: Any) -> None:
    """Take note of one that was switched on before we looked."""
    other = OtherTracer(_name_of(instrumentor), _tracers(_name_of(instrumentor)))
    library = _of_official(instrumentor)
    if library is None:
        _note(other, libraries_told(instrumentor.instrumentation_dependencies(), by=other.name))
    elif _goes_elsewhere(other.ways):
        _note(other, [library])
        _take(other, LIBRARIES[library].distribution)


def _switching_on(instrumentor: Any, **options: Any) -> _Switching | None:
    ways = tuple(filter(None, (options.get("tracer_provider"), options.get("tracer"))))
    other, library = OtherTracer(_name_of(instrumentor), ways), _of_official(instrumentor)
    if library is not None:
        if not _goes_elsewhere(ways):
            return None
        import_module(library)  # so that ours is on by now, and not amid its start
    if instrumentor.is_instrumented_by_opentelemetry:
        if library is None or _is_noted(other.name, library):
            return None
        instrumentor.uninstrument()
    told = libraries_told(instrumentor.instrumentation_dependencies(), by=other.name)
    _note(other, told if library is None else [library])
    return _Switching(instrumentor, other, library)


def _name_of(instrumentor: Any) -> str:
    """Return its module; of an official one the package that the class is taken from."""
    kind = type(instrumentor)
    for place, _, name in (official.partition(":") for official in OFFICIAL):
        if kind.__qualname__ == name and f"{kind.__module__}.".startswith(f"{place}."):
            return place
    return kind.__module__


def _of_official(instrumentor: Any) -> str | None:
    """Return the library that an official instrumentor is for."""
    return OFFICIAL.get(f"{_name_of(instrumentor)}:{type(instrumentor).__qualname__}")


def _goes_elsewhere(ways: tuple[Any, ...]) -> bool:
    """Say whether these were chosen by the program, and are not the global provider."""
    there = trace.get_tracer_provider()
    is_ours = any(type(way).__module__.startswith(f"{__package__}.") for way in ways)
    return bool(ways) and not is_ours and not any(_leads(way, there) for way in ways)


def _switched_off(result: Any, instrumentor: Any, **_: Any) -> Any:
    name, library = _name_of(instrumentor), _of_official(instrumentor)
    was_theirs = library is not None and _is_noted(name, library)
    _forget(name)
    if library is not None and was_theirs:
        _ours.begin(library)
    return result


def _forget(name: str) -> None:
    for module, others in list(_switched_on.items()):
        others[:] = [other for other in others if other.name != name]
        if not others:
            del _switched_on[module]


def _note(other: OtherTracer, modules: Iterable[str]) -> None:
    for module in modules:
        _switched_on.setdefault(module, []).append(other)


def _is_noted(name: str, library: str) -> bool:
    return any(other.name == name for other in others_of(library))


def _take(other: OtherTracer, library: str) -> None:
    """Let the spans of the program's own use of an official instrumentor come to us as well."""
    for way in other.ways:
        processor = getattr(way, "span_processor", None) or processor_of(way)
        if not hasattr(processor, "add_span_processor"):
            complain(
                f"{other.name} is switched on with a provider that spanlore cannot join: the calls"
                f" of {library} are missing. For them, {_INSTEAD}."
            )
        elif not any(of is processor and by.name == other.name for of, by in _taken):
            _taken.append((processor, other))
            _ours.take(processor, other)
            say_that_it_tells(other.name, library, instead=_INSTEAD)


def _instrumentors(kind: type[Any]) -> Iterator[Any]:
    """Return those that were made, each the only one of its class."""
    for each in kind.__subclasses__():
        if vars(each).get("_instance") is not None:
            yield each._instance  # noqa: SLF001
        yield from _instrumentors(each)


def _tracers(name: str) -> tuple[Any, ...]:
    """Return the tracers of one that was switched on when nobody looked; none: they will come."""
    other = OtherTracer(name)
    made = (each for each in gc.get_objects() if type(each) is Tracer)
    return tuple(each for each in made if other.is_scope(each._instrumentation_scope))  # noqa: SLF001
