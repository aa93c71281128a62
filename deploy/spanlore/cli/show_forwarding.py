"""What `spanlore status` says of the backends that the collector forwards to."""

from collections.abc import Mapping, Sequence
from typing import Any

from spanlore.cli.output import print_table

__all__ = ["print_forwarding"]

_OUTCOMES = ("forwarded", "rejected", "refused", "dropped")


def print_forwarding(targets: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each target and signal that it got, and what waits; nothing for none."""
    if targets:
        print_table(
            ("forwarding to", "of", *_OUTCOMES, "waiting", "state"),
            [row for target in targets for row in _rows(target)],
        )


def _rows(target: Mapping[str, Any]) -> Sequence[Sequence[object]]:
    counts = {
        signal: [target[outcome][signal] for outcome in _OUTCOMES]
        for signal in target["forwarded"]
        if any(target[outcome][signal] for outcome in _OUTCOMES)
    }
    first, *others = counts.items() or [("–", [0] * len(_OUTCOMES))]
    shown = f"{target['name']} ({target['url']})"
    return [
        (shown, first[0].replace("_", " "), *first[1], _waiting(target["backlog"]), _state(target)),
        *(("", signal.replace("_", " "), *numbers, "", "") for signal, numbers in others),
    ]


def _waiting(backlog: Mapping[str, Any]) -> str:
    if not backlog["records"]:
        return "nothing"
    return (
        f"{backlog['records']:,} requests, {backlog['bytes']:,} bytes, "
        f"the oldest for {backlog['oldest_age_s']:,.0f} s"
    )


def _state(target: Mapping[str, Any]) -> str:
    refusal = target["last_refusal"]
    if target["last_error"]:
        return f"failing: {target['last_error']}"
    return f"ok; did not take some: {refusal}" if refusal else "ok"
