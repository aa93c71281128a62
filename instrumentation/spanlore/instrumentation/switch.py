"""The switch: whether this process is traced, and the one pipeline that then traces it.

Imported at every start of a Python program under `spanlore run`, so it imports little; what costs
is imported when the first model SDK is, or when the first run or tool call is traced.
"""

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any

from spanlore.instrumentation.import_hook import ImportHook
from spanlore.instrumentation.libraries import MODULES, instrument, uninstrument
from spanlore.instrumentation.quiet import quiet
from spanlore.instrumentation.truth import truth

if TYPE_CHECKING:
    from spanlore.instrumentation.other_tracers import OtherTracer
    from spanlore.instrumentation.pipeline import Pipeline
    from spanlore.instrumentation.settings import Settings

# What every instrumentor, ours and others', is made from.
_INSTRUMENTORS = "opentelemetry.instrumentation.instrumentor"


def init(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    delivery_url: str | None = None,
    capture_content: bool | None = None,
) -> None:
    """Trace this process: model SDKs, agent frameworks, and what `run` and `tool` stand around.

    Does at most once what it does, never raises, never prints. ``service_name`` names the
    program, ``endpoint`` an OTLP collector, ``delivery_url`` where `lessons_for` asks;
    ``capture_content`` says whether prompts, answers, arguments and results are sent (None: only
    to this machine, or to the collector that SPANLORE_ENDPOINT names). What is given goes before
    the environment; given again before the first span, the later goes first.
    """
    with quiet:
        _switch.turn_on(
            service_name=service_name,
            endpoint=endpoint,
            delivery_url=delivery_url,
            capture_content=capture_content,
        )


def pipeline() -> "Pipeline | None":
    """Return the pipeline; None where this process is not traced."""
    return _switch.pipeline()


def current_settings() -> "Settings":
    """Return the settings, also where nothing is traced."""
    return _switch.settings()


class _Switch:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._asked: dict[str, Any] = {}
        self._is_on = False
        self._instrumented: set[str] = set()
        self._pipeline: Pipeline | None = None
        os.register_at_fork(after_in_child=self._after_fork)

    def turn_on(self, **asked: Any) -> None:
        with self._lock:
            self._asked |= {name: value for name, value in asked.items() if value is not None}
            if self._pipeline is not None:
                self._settle(self._pipeline)
            if self._is_on or is_disabled():
                return
            self._is_on = True
        atexit.register(self._leave)
        ImportHook([_INSTRUMENTORS], self._watch_others).install()
        ImportHook(MODULES, self._imported).install()

    def settings(self) -> "Settings":
        return self._pipeline.settings if self._pipeline is not None else self._settings_asked()

    def _settings_asked(self) -> "Settings":
        from spanlore.instrumentation.settings import Asked, settings_here  # noqa: PLC0415

        return settings_here(Asked(**self._asked))

    def pipeline(self) -> "Pipeline | None":
        if self._pipeline is None and self._is_on:
            with self._lock:
                if self._pipeline is None:
                    self._pipeline = self._new_pipeline()
        return self._pipeline

    def _new_pipeline(self) -> "Pipeline":
        from spanlore.instrumentation.pipeline import Pipeline  # noqa: PLC0415
        from spanlore.instrumentation.threads import keep_context  # noqa: PLC0415

        made = Pipeline(self._settings_asked())
        keep_context()
        return made

    def _watch_others(self, _: str) -> None:
        from spanlore.instrumentation.other_tracers import Ours, watch  # noqa: PLC0415

        watch(Ours(take=self._take, begin=self._imported))

    def _take(self, processor: Any, other: "OtherTracer") -> None:
        if (ours := self.pipeline()) is not None:
            ours.take(processor, other)

    def _imported(self, module: str) -> None:
        if (ours := self.pipeline()) is not None:
            mode = ours.settings.instrumentors_mode
            if instrument(module, content_mode=mode, providers=ours.providers(module)):
                self._instrumented.add(module)

    def _settle(self, ours: "Pipeline") -> None:
        """Let what was asked after the first import of a library, before the first span, hold."""
        before = ours.settings.instrumentors_mode
        ours.settle(self._settings_asked())
        mode = ours.settings.instrumentors_mode
        if mode == before:
            return
        from spanlore.instrumentation.other_tracers import others_of  # noqa: PLC0415

        for module in self._instrumented:
            if others_of(module):
                continue  # what would be unwrapped may be theirs
            with quiet:
                uninstrument(module)
                instrument(module, content_mode=mode, providers=ours.providers(module))

    def _leave(self) -> None:
        with quiet:
            try:
                if self._pipeline is not None:
                    self._pipeline.stop()
            except KeyboardInterrupt:
                return  # somebody does not want to wait

    def _after_fork(self) -> None:
        self._lock = threading.RLock()


def is_disabled() -> bool:
    """Say whether the environment wants nothing traced."""
    # OpenTelemetry's takes this one word alone, by its specification.
    of_every_sdk = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return of_every_sdk or truth(os.environ, "SPANLORE_DISABLED", unclear=False) is True


_switch = _Switch()
