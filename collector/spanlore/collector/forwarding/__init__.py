"""Forwarding: what was accepted also goes to other OTLP backends, each with a queue of its own."""
