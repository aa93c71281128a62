"""What runs beside an agent and turns its work, past or present, into OpenTelemetry spans."""

__all__: list[str] = []
