"""Switch tracing on by being imported: ``import spanlore.auto``, before or after other imports."""

from spanlore.instrumentation.switch import init

init()
