"""What `spanlore demo` shows: recorded runs of a small agent, and its harness, faults planted.

meetings → assistant ⇄ office → generator → recording.jsonl
"""

from importlib import resources
from importlib.resources.abc import Traversable

__all__ = ["RECORDING", "TOOLS"]

_HERE = resources.files("spanlore.demo")
# Recorded runs in the trajectory format, one a line; written by `spanlore.demo.generator`.
RECORDING: Traversable = _HERE / "recording.jsonl"
# The agent's tool definitions (OpenAI's form), as its repository holds them.
TOOLS: Traversable = _HERE / "tools.json"
