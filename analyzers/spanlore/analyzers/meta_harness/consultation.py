"""Asking a model once in a round of learning, and what of its answer is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanlore.analyzers.core.findings import findings_of
from spanlore.analyzers.extraction import Progress
from spanlore.analyzers.meta_harness.drafts import Unfit, lesson_of
from spanlore.analyzers.meta_harness.feature import Feature
from spanlore.analyzers.meta_harness.proposed_hypotheses import (
    NAME,
    VERSION,
    Proposed,
    proposed_hypotheses,
)
from spanlore.analyzers.meta_harness.question import (
    FINDINGS_MAX,
    SourceFile,
    question_of,
    traces_to_show,
)
from spanlore.analyzers.meta_harness.source_files import source_files
from spanlore.analyzers.models.question import ModelClient
from spanlore.analyzers.registry import Analyzer
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding, Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Consultation:
    """What came of asking a model.

    ``findings`` are those of the hypotheses it proposed, as judged; ``drafts`` may be proposed as
    lessons; ``refused`` says of everything else why not.
    """

    model: str
    findings: tuple[Finding, ...] = ()
    drafts: tuple[Lesson, ...] = ()
    refused: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """Return it as ``spanlore learn --json`` prints it beside findings and lessons."""
        return {
            "name": self.model,
            "hypotheses": [one.finding_id for one in self.findings],
            "drafts": [one.lesson_id for one in self.drafts],
            "refused": list(self.refused),
        }


def consulting(model_name: str) -> Analyzer:
    """Return what stands for a model among the analyzers of a round: it counts nothing itself."""
    return Analyzer(NAME, f"{VERSION} {model_name}", lambda _store, _window: ())


def consult(
    store: Store,
    window: Window,
    found: Sequence[Finding],
    *,
    model: ModelClient,
    repo: Path | None = None,
    progress: Progress | None = None,
) -> Consultation:
    """Ask a model about the findings; count and judge what it proposes.

    Nothing is asked where nothing was found. Raises ModelError, StoreError, and
    NotADirectoryError when ``repo`` is no folder.
    """
    shown = list(found)[:FINDINGS_MAX]
    if not shown:
        return Consultation(model=model.name)
    tools = [str(one.detail["tool"]) for one in shown if one.detail.get("tool")]
    files = source_files(repo, sorted(set(tools))) if repo is not None else []
    answer = model.ask(question_of(shown, traces_to_show(store, window, shown), files))
    refused: list[str] = []
    known = {one.finding_id: one for one in shown}
    proposed = list(_features(answer.value["hypotheses"], known, by=model.name, refused=refused))
    hypotheses = proposed_hypotheses(store, window, proposed, progress=progress)
    drafts = _drafts(answer.value["drafts"], known, files=files, by=model.name, refused=refused)
    return Consultation(
        model=model.name,
        findings=tuple(findings_of(hypotheses)),
        drafts=tuple(drafts),
        refused=tuple(refused),
    )


def _features(
    listed: Sequence[Mapping[str, Any]],
    known: Mapping[str, Finding],
    *,
    by: str,
    refused: list[str],
) -> list[Proposed]:
    taken: dict[str, Proposed] = {}
    for number, one in enumerate(listed, 1):
        feature = Feature(**{name: one[name] for name in Feature.__dataclass_fields__})
        uncited = [finding_id for finding_id in one["because"] if finding_id not in known]
        problem = "it cites a finding that was not shown" if uncited else feature.problem()
        if problem is not None:
            refused.append(f"hypothesis {number}: {problem}")
            continue
        because = tuple(one["because"])
        taken.setdefault(feature.key, Proposed(feature=feature, by=by, because=because))
    return list(taken.values())


def _drafts(
    listed: Sequence[Mapping[str, Any]],
    known: Mapping[str, Finding],
    *,
    files: Sequence[SourceFile],
    by: str,
    refused: list[str],
) -> list[Lesson]:
    confirmed = {key: one for key, one in known.items() if one.confirmed}
    taken: dict[str, Lesson] = {}
    for number, draft in enumerate(listed, 1):
        try:
            lesson = lesson_of(draft, confirmed, files, by=by)
        except Unfit as error:
            refused.append(f"draft {number}: {error}")
        else:
            taken.setdefault(lesson.lesson_id, lesson)
    return list(taken.values())
