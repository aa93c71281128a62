"""History import: runs that were recorded elsewhere, sent as OTLP like everything else.

files → lines → trajectories → spans and judgements → batches → collector
"""

from spanlore.instrumentation.history.endpoint import (
    Endpoint,
    endpoint_from_environment,
    parse_endpoint,
)
from spanlore.instrumentation.history.files import BadLine, Remark
from spanlore.instrumentation.history.formats import Format, NotImportable
from spanlore.instrumentation.history.importing import (
    Report,
    detect_format,
    import_files,
    other_content,
)
from spanlore.instrumentation.history.sending import Refused, Sender, Unreachable

__all__ = [
    "BadLine",
    "Endpoint",
    "Format",
    "NotImportable",
    "Refused",
    "Remark",
    "Report",
    "Sender",
    "Unreachable",
    "detect_format",
    "endpoint_from_environment",
    "import_files",
    "other_content",
    "parse_endpoint",
]
