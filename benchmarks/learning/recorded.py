"""The findings on the recorded runs, each counted again straight from the lines.

The counts here read the JSON lines alone and share no code with the analyzers: a finding says in
words what ``n`` and ``k`` count, and that is counted.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.fill import fill_lines
from learning.shuffles import recorded_lines
from learning.table import Row
from spanlore.analyzers.job import learn
from spanlore.schemas.store import Store
from spanlore.schemas.types import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A tool call of a line: who asked for it, what it sent, what came back."""

    tool: str
    arguments: str
    answer: str
    failed: bool
    by_agent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A recorded run as its line tells it."""

    line: Mapping[str, Any]
    calls: tuple[Called, ...]

    @property
    def agent(self) -> str:
        return str(self.line["agent"]["name"])

    @property
    def failed(self) -> bool:
        return bool(self.line["outcome"]["label"] == "fail")

    @property
    def says_tokens(self) -> bool:
        return any(message.get("usage") for message in self.line["messages"])


Counts = tuple[int, int]
Count = Callable[[Finding, Sequence[Told]], Counts]


def rows(store: Store, folder: Path, *, say: Callable[[str], None]) -> Iterator[Row]:
    """Yield a row for each confirmed finding on the recorded runs."""
    fill_lines(store, recorded_lines(folder))
    report = learn(store)
    for name, why in report.failed.items():
        say(f"recorded: {name} failed: {why}")
    runs = [told(line) for line in recorded_lines(folder)]
    for finding in report.findings:
        again = counted_again(finding, runs)
        counts = f"{finding.k:,} of {finding.n:,}"
        if again is None:
            measured, reached = f"{counts}; not counted again", False
        else:
            reached = again == (finding.n, finding.k)
            measured = f"{counts}; from the lines {again[1]:,} of {again[0]:,}"
        yield Row(
            what=f"recorded runs: {finding.analyzer}: {finding.title}".replace("|", "/"),
            measured=measured,
            goal="the same counts",
            reached=reached,
        )
    yield Row(
        what=f"recorded runs: {len(runs)}",
        measured=f"{len(report.findings)} findings confirmed, {len(report.held_back)} held back",
    )


def counted_again(finding: Finding, runs: Sequence[Told]) -> Counts | None:
    """Return n and k as the lines have them, None for a kind of finding nobody counts here."""
    kind = str(finding.detail.get("pattern") or finding.detail.get("kind"))
    count = _COUNTS.get((finding.analyzer, kind))
    return None if count is None else count(finding, runs)


def told(line: Mapping[str, Any]) -> Told:
    """Read a line: an answer belongs to the first open call of its id."""
    calls: list[Called] = []
    open_calls: list[tuple[str, int]] = []
    for message in line["messages"]:
        for call in message.get("tool_calls") or []:
            open_calls.append((call["id"], len(calls)))
            calls.append(
                Called(
                    tool=call["function"]["name"],
                    arguments=call["function"]["arguments"],
                    answer="",
                    failed=False,
                    by_agent=message["role"] == "assistant",
                )
            )
        if message["role"] == "tool":
            at = [call_id for call_id, _ in open_calls].index(message["tool_call_id"])
            _, place = open_calls.pop(at)
            asked = calls[place]
            calls[place] = Called(
                tool=asked.tool,
                arguments=asked.arguments,
                answer=message.get("content") or "",
                failed=bool(message.get("is_error")),
                by_agent=asked.by_agent,
            )
    return Told(line=line, calls=tuple(calls))


def _misused(finding: Finding, runs: Sequence[Told]) -> Counts:
    """Calls of the tool, and those of them that failed with the template's words."""
    words = re.split(r"<\w+>", finding.detail["template"])
    pattern = re.compile(".+?".join(re.escape(part) for part in words), re.DOTALL)
    calls = [call for run in runs for call in run.calls if call.tool == finding.detail["tool"]]
    failed = [
        call
        for call in calls
        if call.failed and pattern.search(re.sub(r"\s+", " ", call.answer.lower()))
    ]
    return len(calls), len(failed)


def _repeated(finding: Finding, runs: Sequence[Told]) -> Counts:
    """Runs in which the agent calls the tool, and those where a call says nothing new."""
    tool = finding.detail["tool"]
    mine = [run for run in runs if any(c.tool == tool and c.by_agent for c in run.calls)]
    return len(mine), sum(_repeats(run, tool) for run in mine)


def _repeats(run: Told, tool: str) -> bool:
    last: dict[str, tuple[str, bool]] = {}
    for call in run.calls:
        if call.tool == tool and call.by_agent:
            asked = json.dumps(json.loads(call.arguments), sort_keys=True)
            answered = (call.answer, call.failed)
            if call.answer and last.get(asked) == answered:
                return True
            last[asked] = answered
    return False


def _spent_on_failure(finding: Finding, runs: Sequence[Told]) -> Counts:
    """Runs of the agent that say their tokens, and those of them that failed."""
    mine = [run for run in runs if run.agent == finding.detail["agent"] and run.says_tokens]
    return len(mine), sum(run.failed for run in mine)


_COUNTS: Mapping[tuple[str, str], Count] = {
    ("tool_argument_misuse", "template"): _misused,
    ("retry_storm_and_loops", "repeat"): _repeated,
    ("latency_and_cost_outliers", "spent_on_failure"): _spent_on_failure,
}
