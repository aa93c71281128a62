"""Libraries that nobody traces for OpenTelemetry: a small file each, thin over its utilities."""
