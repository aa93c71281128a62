"""Judges: what says of a run that it passed or failed, by code or by a model with a rubric.

Installed by entry point under ``spanlore.judges``: a function ``(RunTrace) -> Verdict | None``,
whose version is its module's ``VERSION``, or a ``Rubric``, which a model judges by. None says
nothing, and a judge that is not sure says nothing.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from spanlore.analyzers.judges.rubric import Rubric, rubric_verdict
from spanlore.analyzers.judges.verdict_of_run import Verdict
from spanlore.analyzers.models.question import ModelClient
from spanlore.analyzers.runs.run_trace import RunTrace

GROUP = "spanlore.judges"
JudgeRun = Callable[[RunTrace], Verdict | None]


class UnknownJudge(ValueError):
    """No judge of that name is installed."""


class NoModel(ValueError):
    """The judge asks a model, and none is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A judge that can be asked; ``model`` is "" for a code judge."""

    name: str
    version: str
    source: Literal["code", "llm"]
    model: str
    says: JudgeRun

    @property
    def evaluator(self) -> str:
        """Who judged, as judgements name it: another version or model is another judge."""
        return f"{self.name}@{self.version}" + (f"+{self.model}" if self.model else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledJudge:
    """A judge that is installed: its function or its rubric."""

    name: str
    version: str
    asks_a_model: bool
    judges_by: JudgeRun | Rubric

    def ready(self, client: ModelClient | None = None) -> Judge:
        """Return it with the model that it asks. Raises NoModel where it needs one."""
        rubric = self.judges_by
        if not isinstance(rubric, Rubric):
            return Judge(name=self.name, version=self.version, source="code", model="", says=rubric)
        if client is None:
            raise NoModel(
                f"the judge {self.name} asks a model; set SPANLORE_MODEL_PROVIDER, SPANLORE_MODEL "
                "and SPANLORE_MODEL_API_KEY"
            )
        asked = client
        return Judge(
            name=self.name,
            version=self.version,
            source="llm",
            model=asked.name,
            says=lambda run: rubric_verdict(rubric, run, asked),
        )


def installed_judges() -> Mapping[str, InstalledJudge]:
    """Load every installed judge, by name in the order of the names."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {name: _loaded(found[name]) for name in sorted(found)}


def installed_judge(name: str) -> InstalledJudge:
    """Load one judge. Raises UnknownJudge."""
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=GROUP)})) or "none"
        raise UnknownJudge(f"no judge named {name!r}; installed: {known}")
    return _loaded(found[0])


def _loaded(entry: EntryPoint) -> InstalledJudge:
    judges_by = entry.load()
    if isinstance(judges_by, Rubric):
        version = judges_by.version
    else:
        version = str(getattr(sys.modules[judges_by.__module__], "VERSION", "0"))
    return InstalledJudge(
        name=entry.name,
        version=version,
        asks_a_model=isinstance(judges_by, Rubric),
        judges_by=judges_by,
    )
