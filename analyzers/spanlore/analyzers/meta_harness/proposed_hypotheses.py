"""Features that a model proposed, counted over all runs and made hypotheses like any other.

They are one family of their own: what a model proposes more makes each harder to confirm, and
nothing else. Its evidence came from the discovery half alone, so the other half is still unseen.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spanlore.analyzers.core.hypothesis import Hypothesis
from spanlore.analyzers.counting import fact_counts as counting
from spanlore.analyzers.counting.fact_counts import Counted
from spanlore.analyzers.extraction import Progress, extract_with
from spanlore.analyzers.meta_harness.feature import Feature, holds_in_call, holds_in_run
from spanlore.analyzers.registry import Extractor
from spanlore.analyzers.runs.fact import Fact
from spanlore.analyzers.runs.quoted_text import plain
from spanlore.analyzers.runs.run_trace import RunTrace
from spanlore.analyzers.window import Window
from spanlore.schemas.store import Store

NAME = "meta_harness"
VERSION = "1"
_WITH, _WITHOUT, _RUN = "with|", "without|", "run|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A feature, the model that proposed it, and the ids of the findings it rests on."""

    feature: Feature
    by: str
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeatureFacts:
    """The extractor of some features; a value, so that it can go to another process."""

    features: tuple[Feature, ...]

    def __call__(self, run: RunTrace) -> Iterator[Fact]:
        """Yield one fact for each feature of runs, and two for each of calls.

        Of calls the first with the feature and the first without it are the looks of a run.
        """
        for feature in self.features:
            if feature.about == "run":
                if holds_in_run(feature, run):
                    yield Fact(key=_RUN + feature.key)
                continue
            arms: dict[str, Fact] = {}
            for call in run.calls:
                if call.tool == feature.tool and call.arguments is not None:
                    arm = _WITH if holds_in_call(feature, call) else _WITHOUT
                    fact = Fact(key=arm + feature.key, k=int(call.error is not None))
                    arms.setdefault(arm, replace(fact, span_id=call.span_id))
            yield from arms.values()


def proposed_hypotheses(
    store: Store,
    window: Window,
    proposed: Sequence[Proposed],
    *,
    progress: Progress | None = None,
) -> list[Hypothesis]:
    """Count the features over every run of the window. Raises StoreError."""
    by_key = {one.feature.key: one for one in proposed}
    if not by_key:
        return []
    facts = FeatureFacts(tuple(one.feature for one in by_key.values()))
    version = hashlib.sha256("".join(sorted(by_key)).encode()).hexdigest()[:16]
    extract_with(store, window, [Extractor(NAME, version, facts)], progress=progress)
    found = [
        _of_calls(one, by_key)
        for one in counting.rates(
            store, window, NAME, group="splitByChar('|', Key)[2]", version=version
        )
        if one.key.startswith(_WITH)
    ]
    of_runs = counting.presence(store, window, NAME, prefix=_RUN, version=version)
    return [*found, *(_of_runs(one, by_key) for one in of_runs)]


def _of_calls(counted: Counted, by_key: Mapping[str, Proposed]) -> Hypothesis:
    one = by_key[counted.key.removeprefix(_WITH)]
    what = one.feature.words()
    return _hypothesis(
        counted,
        one,
        title=f"{what} fail",
        detail={
            "n_counts": f"first {what} of a run",
            "k_counts": "of these, those that failed",
            "compared_with": "the first call of the same tool in a run without it",
        },
    )


def _of_runs(counted: Counted, by_key: Mapping[str, Proposed]) -> Hypothesis:
    one = by_key[counted.key.removeprefix(_RUN)]
    what = one.feature.words()
    return _hypothesis(
        counted,
        one,
        title=f"{what} fail more often",
        detail={
            "n_counts": f"judged {what}",
            "k_counts": "of these, those that failed",
            "compared_with": "runs of the same kind without it",
        },
    )


def _hypothesis(
    counted: Counted, one: Proposed, *, title: str, detail: Mapping[str, Any]
) -> Hypothesis:
    return counted.hypothesis(
        analyzer=NAME,
        key=one.feature.key,
        title=plain(title),
        family=NAME,
        counted="run" if one.feature.about == "run" else "call",
        detail={
            "kind": "proposed_by_a_model",
            "tool": one.feature.tool,
            "proposed_by": one.by,
            "because": list(one.because),
            **detail,
        },
    )
