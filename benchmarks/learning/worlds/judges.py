"""Model judges that are wrong: always too kind, or since a new version."""

from collections.abc import Callable

from learning.draft import Draft
from learning.shop import drafts, world_of
from learning.world import Expected, Said, World

TOO_KIND = 0.6  # of the failed runs that the judge passes
ERRS = 0.05
FROM_DAY = 15


def too_kind(seed: int) -> World:
    """A model judge passes more than half of the runs that failed."""
    return _world(
        "judges: too kind", seed, lambda draft, _: TOO_KIND if draft.outcome == "fail" else ERRS
    )


def drifts(seed: int) -> World:
    """A judge that was right most of the time is too kind since its second version."""
    return _world(
        "judges: drifts with a version",
        seed,
        lambda draft, late: TOO_KIND if late and draft.outcome == "fail" else ERRS,
        versions=("1", "2"),
    )


ALL = (too_kind, drifts)


def _world(
    name: str,
    seed: int,
    errs: Callable[[Draft, bool], float],
    *,
    versions: tuple[str, str] = ("1", "1"),
) -> World:
    made = drafts(seed)
    first = made[0].started
    events = []
    for draft in made:
        late = (draft.started - first).days >= FROM_DAY
        is_wrong = draft.random.random() < errs(draft, late)
        passes = (draft.outcome == "pass") != is_wrong
        said: dict[str, str | int | float] = {
            "gen_ai.evaluation.name": "task_success",
            "gen_ai.evaluation.score.label": "pass" if passes else "fail",
            "gen_ai.evaluation.score.value": float(passes),
            "spanlore.evaluation.source": "llm",
            "spanlore.evaluation.evaluator.id": f"task_success@{versions[late]}+openai:some-model",
            "spanlore.evaluation.id": f"judge-{draft.number}",
        }
        events.append(Said(run_id=draft.run_id, event="gen_ai.evaluation.result", attributes=said))
    return world_of(
        name,
        made,
        events=events,
        truth=[Expected(analyzer="judge_calibration", words=("task_success",))],
        follows=[Expected(analyzer="judge_calibration")],
    )
