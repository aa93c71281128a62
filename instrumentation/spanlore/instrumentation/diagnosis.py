"""What would be traced in this environment, and what stands in the way: for `spanlore doctor`."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, distributions, entry_points

from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

from spanlore.instrumentation.libraries import LIBRARIES, Library, is_known_anyway, version_of
from spanlore.instrumentation.other_tracers import OFFICIAL, libraries_told
from spanlore.instrumentation.sending import sender
from spanlore.instrumentation.settings import TRACES, Settings

_ANSWER_S = 3.0
# What instruments many libraries at once, by the distribution's name.
_WHOLE_SUITES = (
    "arize-phoenix-otel",
    "langfuse",
    "logfire",
    "mlflow",
    "mlflow-tracing",
    "openlit",
    "traceloop-sdk",
)
# What the spans of some do not say, and what to do about it.
_UNSAID = {
    "openlit": "; its @trace names no function an agent or a tool: "
    "put spanlore's run and @tool on those",
}
_INSTRUMENTORS = "opentelemetry_instrumentor"
_OF_WHAT_IT_INSTRUMENTS = "instruments"  # the extra that names it


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryReport:
    """Whether a library is traced when it is imported, and why not; version None: it is absent."""

    library: str
    version: str | None
    is_traced: bool
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another tracer of the same library, or of many (``library`` None); what of ours then."""

    name: str
    library: str | None
    reason: str


def libraries() -> list[LibraryReport]:
    """Report every library that can be traced."""
    return [_library(library) for library in LIBRARIES.values()]


def others() -> list[Other]:
    """Return what is installed beside us that may trace the same calls."""
    names = {str(found.name).lower().replace("_", "-") for found in distributions()}
    suites = [_other(name, None) for name in _WHOLE_SUITES if name in names]
    return suites + sorted(_single(), key=lambda other: other.name)


def endpoint_problem(settings: Settings) -> str | None:
    """Send an empty request to where spans go; None when it is taken."""
    url = settings.targets[TRACES].url
    answer = sender(settings)(TRACES, b"", timeout_s=min(settings.timeout_s, _ANSWER_S))
    if answer.is_taken:
        return None
    if answer.is_absent:
        return f"nobody listens at {url}; start a collector: spanlore up --detach"
    if answer.is_worth_retrying:
        return f"{url} does not answer as a collector does; is it the right endpoint?"
    return f"{url} refuses spans; is its token in OTEL_EXPORTER_OTLP_HEADERS?"


def _library(library: Library) -> LibraryReport:
    name, found = library.distribution, version_of(library.distribution)
    if found is None:
        return LibraryReport(library=name, version=None, is_traced=False, reason="not installed")
    problem = _instrumentor_problem(library) if library.instrumentor else None
    return LibraryReport(library=name, version=found, is_traced=problem is None, reason=problem)


def _instrumentor_problem(library: Library) -> str | None:
    """Read from the instrumentor's own metadata, without importing it or the library."""
    name = str(library.instrumentor).partition(":")[0].replace(".", "-").replace("_", "-")
    try:
        conflict = get_dist_dependency_conflicts(distribution(name))
    except PackageNotFoundError:
        return f"{name} is not installed; run: python -m pip install {name}"
    if conflict is None or is_known_anyway(library):
        return None
    return f"{name} {version_of(name)} knows {conflict.required}, not this version"


def _single() -> Iterator[Other]:
    for point in entry_points(group=_INSTRUMENTORS):
        if point.dist is None or point.value in OFFICIAL:
            continue
        needs = [each for each in point.dist.requires or () if _OF_WHAT_IT_INSTRUMENTS in each]
        for module in libraries_told(needs, by=point.module):
            yield _other(point.dist.name, LIBRARIES[module].distribution)


def _other(name: str, library: str | None) -> Other:
    return Other(
        name=name,
        library=library,
        reason=f"where a program switches it on, its spans of {library or 'the same calls'} stand"
        " for spanlore's, which begins none; both are kept where it has a provider of its own"
        + _UNSAID.get(name, ""),
    )
