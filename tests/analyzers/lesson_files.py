"""Findings about arguments, and repositories that lessons about them are applied to."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spanlore.schemas.types import Finding, Lesson


def finding(
    tool: str, path: str, value: str = "string", *, traces: str = "ab", **shaped: Any
) -> Finding:
    """Return a confirmed finding that an argument of a tool must not be of a type.

    ``shaped`` may hold another ``kind`` of shape, its ``keys``, and what ``good`` calls give.
    """
    good = {
        "calls": 40,
        "calls_with_shape": 0,
        "calls_with_argument": 40,
        "calls_by_type": {"integer": 40},
        "calls_by_format": {},
        "declared_type": None,
        **shaped.get("good", {}),
    }
    detail = {
        "tool": tool,
        "kind": "shape",
        "shape": {"path": path, "kind": shaped.get("kind", "type"), "value": value},
        "keys": shaped.get("keys"),
        "clusters": [],
        "good_calls": good,
        "rate_interval": [0.5, 0.7],
        "units_affected": 9,
        "units_noun": "task",
        "failing_calls": 70,
        "calls": 200,
        "compared_with": "other calls",
        "p_confirmation": 0.001,
        "scope": {"tenant": "a", "only_tenant_affected": False},
    }
    return Finding(
        finding_id=f"{tool} {path} {value}",
        analyzer="test",
        title=f"{tool} {path}",
        n=100,
        k=60,
        effect=0.5,
        interval=(0.4, 0.6),
        p=0.001,
        q=0.01,
        adjusted_for=("task",),
        confirmed=True,
        verdict="confirmed",
        evidence=tuple(traces),
        counter_evidence=(),
        detail=detail,
    )


def apply(folder: Path, lessons: Iterable[Lesson]) -> list[dict[str, Any]]:
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    for lesson in lessons:
        assert lesson.patch is not None
        subprocess.run(["git", "apply", "-"], cwd=folder, check=True, input=lesson.patch.encode())
    changed: list[dict[str, Any]] = json.loads((folder / "tools.json").read_text())
    return changed
